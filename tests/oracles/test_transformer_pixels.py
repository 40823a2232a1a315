"""Methods that need no layer, on a small vision transformer: nothing of it has kinks, so all photos are compared."""

import warnings

import numpy as np
import pytest
import saliency.core as saliency
import torch
from captum.attr import GradientShap, Saliency
from captum.attr import InputXGradient as CaptumInputXGradient
from captum.attr import IntegratedGradients as CaptumIntegratedGradients
from captum.attr import Occlusion as CaptumOcclusion
from enumeration import HIDE, eight, game, owen_values, shapley_values
from masks import correlations, extremal_masks, meaningful_masks
from mindspore import Tensor, nn
from pair import by_torch, map_of, shared_out

from explainrun.explainers import (
    IDGI,
    XRAI,
    BlurIG,
    Contrast,
    Deconvolution,
    DeepLift,
    DeepLiftShap,
    ExpectedGradients,
    Gradient,
    GuidedBackprop,
    GuidedIG,
    InputXGradient,
    IntegratedGradients,
    Network,
    Occlusion,
    PartitionSHAP,
    ShapleyValueSampling,
)
from explainrun.explainers.core.view import keyed_generator
from explainrun.explainers.gradients.regions import over_segmented, regions_of
from explainrun.explainers.perturbation.segment_tree import SegmentTree

PHOTOS, SAMPLES, STEPS = 8, 6, 6


@pytest.fixture
def few(narrow):
    """8 photos of 32 x 24, and their labels."""
    images, labels = narrow
    return images[:PHOTOS], labels[:PHOTOS]


def ours(explainer, images, labels):
    return explainer(Tensor(images), Tensor(labels.astype(np.int32))).asnumpy()[:, 0]


def test_gradients(transformers, few, agree):
    network, torch_network = transformers
    given = torch.tensor(few[0], requires_grad=True), torch.tensor(few[1])
    theirs = Saliency(torch_network).attribute(*given).amax(1).numpy()
    agree("Gradient", "captum Saliency", ours(Gradient(network), *few), theirs)
    theirs = CaptumInputXGradient(torch_network).attribute(*given).detach().sum(1).numpy()
    agree("InputXGradient", "captum InputXGradient", ours(InputXGradient(network), *few), theirs)


def test_contrasts(transformers, few, agree):
    network, torch_network = transformers
    inputs = torch.tensor(few[0], requires_grad=True)
    logits, seen = torch_network(inputs), few[1] != 2
    (logits[np.arange(PHOTOS), few[1]] - logits[:, 2]).sum().backward()
    theirs = (inputs * inputs.grad).detach().sum(1).numpy()[seen]
    found = ours(Contrast(InputXGradient(network), 2), *few)[seen]
    agree("Contrast(InputXGradient)", "PyTorch's gradient", found, theirs, how="label less 2")


def test_integrated_gradients(transformers, few, agree):
    network, torch_network = transformers
    method = CaptumIntegratedGradients(torch_network)
    theirs = method.attribute(torch.tensor(few[0]), 0.0, torch.tensor(few[1]), n_steps=STEPS).detach().sum(1).numpy()
    found = ours(IntegratedGradients(network, STEPS), *few)
    agree("IntegratedGradients", "captum IntegratedGradients", found, theirs)


def test_expected_gradients(transformers, few, narrow, agree, monkeypatch):
    network, torch_network = transformers
    others, draws = narrow[0][-5:], [keyed_generator(0, place, "ExpectedGradients") for place in range(PHOTOS)]
    drawn = [(one.integers(5, size=SAMPLES), one.random(SAMPLES, np.float32)) for one in draws]
    which, places = (np.concatenate(of) for of in zip(*drawn, strict=True))
    monkeypatch.setattr(np.random, "choice", lambda *_: which)
    monkeypatch.setattr(np.random, "uniform", lambda *_: places)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = GradientShap(torch_network).attribute(
            torch.tensor(few[0]), torch.tensor(others), n_samples=SAMPLES, stdevs=0.0, target=torch.tensor(few[1])
        )
    found = ours(ExpectedGradients(network, others, SAMPLES), *few)
    agree("ExpectedGradients", "captum GradientShap", found, theirs.detach().sum(1).numpy(), how="same draws, no noise")


def test_guided_ig_on_the_same_gradients(transformers, few, agree):
    service, theirs = Network(transformers[0]), []
    for image, label in zip(*few, strict=True):

        def gradients(images, label=label):
            return service.differentiate(images, np.full(len(images), label)).input_gradient

        found = map_of(saliency.GuidedIG(), image, gradients, x_steps=STEPS, fraction=0.25, max_dist=0.1)
        theirs.append(found.sum(axis=0))
    found = ours(GuidedIG(transformers[0], STEPS, 0.25, 0.1), *few)
    agree("GuidedIG", "saliency GuidedIG", found, np.array(theirs), how="the same gradients")


def test_blur_ig(transformers, few, agree):
    network, torch_network = transformers
    options = {"max_sigma": 4.0, "steps": STEPS}
    theirs = [map_of(saliency.BlurIG(), image, by_torch(torch_network, label), **options).sum(axis=0)
              for image, label in zip(*few, strict=True)]  # fmt: skip
    agree("BlurIG", "saliency BlurIG", ours(BlurIG(network, STEPS, 4.0), *few), np.array(theirs))


def test_idgi_on_the_straight_way(transformers, few, agree):
    network, torch_network = transformers
    theirs = [shared_out(torch_network, [at / STEPS * image for at in range(STEPS + 1)], label).sum(axis=0)
              for image, label in zip(*few, strict=True)]  # fmt: skip
    found = ours(IDGI(IntegratedGradients(network, STEPS)), *few)
    agree("IDGI(IntegratedGradients)", "PyTorch's gradients", found, np.array(theirs))


def test_xrai(transformers, few, agree):
    network, torch_network = transformers
    theirs, method, parameters = [], CaptumIntegratedGradients(torch_network), saliency.XRAIParameters()
    parameters.experimental_params["min_pixel_diff"] = 5
    for image, label in zip(*few, strict=True):
        ends = (torch.full((1, *image.shape), float(end)) for end in (image.min(), image.max()))
        given = [method.attribute(torch.tensor(image[None]), end, int(label), n_steps=4)[0] for end in ends]
        found = saliency.XRAI().GetMask(
            image.transpose(1, 2, 0), None, segments=list(regions_of(over_segmented(image), 5)),
            base_attribution=torch.stack(given).mean(0).detach().numpy().transpose(1, 2, 0),
            extra_parameters=parameters,
        )  # fmt: skip
        theirs.append(found)
    found = ours(XRAI(network, 4, min_pixel_diff=5), *few)
    agree("XRAI", "saliency XRAI", found, np.array(theirs), how="full, attributions by captum")


def test_occlusion(transformers, few, agree):
    network, torch_network = transformers
    window = (3, 8, 6)
    method = CaptumOcclusion(torch_network)
    theirs = method.attribute(torch.tensor(few[0]), window, window, target=torch.tensor(few[1])).detach().numpy()
    explainer = Occlusion(network, nn.Identity(), window=window, stride=window)
    agree("Occlusion", "captum Occlusion", ours(explainer, *few), theirs.mean(axis=1), how="of logits")


def test_shapley_values(transformers, few, agree):
    network, torch_network = transformers
    images, labels = (of[:4] for of in few)
    owen = PartitionSHAP(network, nn.Softmax(), segmentation=eight, hide_color=HIDE)
    drawn = ShapleyValueSampling(network, nn.Softmax(), 4_000, segmentation=eight, hide_color=HIDE)
    mine = [one.explain(Tensor(images), Tensor(labels.astype(np.int32))) for one in (owen, drawn)]
    says = [game(torch_network, image, label, one.segments)
            for image, label, one in zip(images, labels, mine[0], strict=True)]  # fmt: skip
    trees = [SegmentTree.of(one.segments) for one in mine[0]]
    exact = np.array([owen_values(*pair) for pair in zip(says, trees, strict=True)])
    found = np.array([one.weights for one in mine[0]])
    agree("PartitionSHAP", "PyTorch's probabilities", found, exact, how="all orders of eight segments")
    exact, errors = np.array([shapley_values(one) for one in says]), np.array([one.errors for one in mine[1]])
    allowed = float((4 * errors / np.abs(exact).max(axis=1, keepdims=True)).max())
    how = "4,000 orders of eight segments; allowed are 4 standard errors"
    found = np.array([one.weights for one in mine[1]])
    agree("ShapleyValueSampling", "PyTorch's probabilities", found, exact, round(allowed, 3), how=how)


@pytest.mark.filterwarnings("ignore:torch.meshgrid")
def test_masks(transformers, few, agree, monkeypatch):
    images, labels = (of[:2] for of in few)
    mine, theirs, words = extremal_masks(*transformers, images, labels, "preserve", 8, monkeypatch)
    assert min(correlations(mine, theirs)) >= 0.99
    agree("ExtremalPerturbation", "torchray extremal_perturbation", mine, theirs, tolerance=0.05, how=words)
    mine, theirs = meaningful_masks(*transformers, images, labels, 10, 2)
    assert min(correlations(mine, theirs)) >= 0.99
    agree("MeaningfulPerturbation", "PyTorch's gradients and Adam", mine, theirs, tolerance=0.1, how="10 steps")


@pytest.mark.parametrize(
    ("method", "code"),
    [
        (DeepLift, "rescale-undefined"),
        (DeepLiftShap, "rescale-undefined"),
        (GuidedBackprop, "rectifier-missing"),
        (Deconvolution, "rectifier-missing"),
    ],
)
def test_what_is_refused(transformers, few, method, code, undefined):
    """Products of values of the image, and a network without ReLUs."""
    options = {"baselines": few[0][-3:]} if method is DeepLiftShap else {}
    with undefined(method.__name__, code):
        ours(method(transformers[0], **options), *few)
