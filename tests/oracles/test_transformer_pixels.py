"""Methods that need no layer, on a small vision transformer: nothing of it has kinks, so all photos are compared."""

import full_gradients
import numpy as np
import pytest
import saliency.core as saliency
import torch
from captum.attr import IntegratedGradients as CaptumIntegratedGradients
from captum.attr import Occlusion as CaptumOcclusion
from captum_comparisons import contrast, gradient, input_x_gradient, noise_tunnel, ours
from draws import gradient_shap
from edges import sobel_edges
from enumeration import beside_enumeration
from masks import correlations, extremal_masks, meaningful_masks
from mindspore import nn
from pair import by_torch, map_of, shared_out
from superpixels import kernel_shap, lime

from explainrun.explainers import (
    IDGI,
    XRAI,
    BlurIG,
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
    NoiseTunnel,
    Occlusion,
)
from explainrun.explainers.gradients.regions import over_segmented, regions_of

PHOTOS, SAMPLES, STEPS = 8, 6, 6


@pytest.fixture
def few(narrow):
    """8 photos of 32 x 24, and their labels."""
    images, labels = narrow
    return images[:PHOTOS], labels[:PHOTOS]


@pytest.mark.parametrize("comparison", [gradient, input_x_gradient, contrast])
def test_gradients(transformers, few, comparison, agree):
    comparison(*transformers, *few, agree)


@pytest.mark.parametrize("method", [Gradient, InputXGradient])
@pytest.mark.parametrize("kind", ["smoothgrad", "smoothgrad_sq", "vargrad"])
def test_noise_tunnel(transformers, few, method, kind, agree):
    network, torch_network = transformers
    noise_tunnel(torch_network, NoiseTunnel(method(network), kind, 3, 0.2), *few, agree)


def test_full_grad(transformers, few, agree):
    """What layer norm and attention do is not linear in pieces: the products do not add up to the logit."""
    network, torch_network = transformers
    maps, sums, logits = full_gradients.by_torch(torch_network, *few)
    found = full_gradients.ours(network, *few)
    agree("FullGrad", "PyTorch's gradients", found.maps, maps, how="with the same biases")
    np.testing.assert_allclose(found.errors, sums - logits, atol=1e-4)
    assert np.abs(found.errors).max() > 0.1


def test_integrated_gradients(transformers, few, agree):
    network, torch_network = transformers
    method = CaptumIntegratedGradients(torch_network)
    theirs = method.attribute(torch.tensor(few[0]), 0.0, torch.tensor(few[1]), n_steps=STEPS).detach().sum(1).numpy()
    found = ours(IntegratedGradients(network, STEPS), *few)
    agree("IntegratedGradients", "captum IntegratedGradients", found, theirs)


def test_expected_gradients(transformers, few, narrow, agree, monkeypatch):
    network, torch_network = transformers
    others = narrow[0][-5:]
    theirs = gradient_shap(torch_network, *few, others, SAMPLES, monkeypatch)
    found = ours(ExpectedGradients(network, others, SAMPLES), *few)
    agree("ExpectedGradients", "captum GradientShap", found, theirs, how="same draws, no noise")


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
    owen, sampled = beside_enumeration(network, torch_network, images, labels, 4_000)
    agree("PartitionSHAP", "PyTorch's probabilities", *owen, how="all orders of eight segments")
    how = "4,000 orders of eight segments; allowed are 4 standard errors"
    agree("ShapleyValueSampling", "PyTorch's probabilities", *sampled, how=how)


@pytest.fixture
def doubtful(transformers, narrow):
    """4 photos whose likeliest class is the least likely, and that class: of others little moves the probability."""
    with torch.no_grad():
        likeliest = transformers[1](torch.tensor(narrow[0])).softmax(1).max(1)
    chosen = likeliest.values.argsort()[:4].numpy()
    return narrow[0][chosen], likeliest.indices[chosen].numpy()


def test_kernel_shap(transformers, doubtful, agree):
    kernel_shap(*transformers, *doubtful, None, agree)


def test_lime(transformers, doubtful, agree):
    lime(*transformers, *doubtful, None, agree, samples=100)


def test_sobel_edges(transformers, few, agree):
    sobel_edges(transformers[0], *few, agree)


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
