"""The CAMs of grad-cam and torchcam that came later, and grad-cam's smoothing, on the ResNet-20 and on photographs."""

from functools import partial

import numpy as np
import pytest
import pytorch_grad_cam.base_cam
import pytorch_grad_cam.layer_cam
import torch
import torchcam.methods
from cam_comparisons import augmented_cam, beside_torchcam, eigen_grad_cam, shapley_cam, smoothed
from cam_libraries import grad_cams, ours, seen
from captum_comparisons import ours as at_the_images_size
from pytorch_grad_cam import FinerCAM as TheirFinerCAM
from pytorch_grad_cam import GradCAM as TheirGradCAM
from pytorch_grad_cam import ScoreCAM as TheirScoreCAM
from pytorch_grad_cam import ShapleyCAM as TheirShapleyCAM
from pytorch_grad_cam.utils.model_targets import (
    ClassifierOutputReST,
    FinerWeightedTarget,
)
from pytorch_grad_cam.utils.svd_on_activations import get_2d_projection

from explainrun.explainers import (
    AugmentedCAM,
    FinerCAM,
    GradCAM,
    LayerCAM,
    ScoreCAM,
    ShapleyCAM,
)

LAYERS = ["layer2", "layer3"]
TWICE = ["layer3.0", "layer3"]  # behind the last pooling, of which MindSpore has no second derivative
OTHERS = [1, 7, 4]


@pytest.mark.parametrize("layer", LAYERS)
def test_eigen_grad_cam(subject, layer, agree):
    eigen_grad_cam(subject.at(layer), agree)


@pytest.mark.parametrize("layer", TWICE)
@pytest.mark.parametrize("utility", ["rest", "logit"])
def test_shapley_cam(subject, layer, utility, agree):
    shapley_cam(subject.at(layer), utility, agree, f"utility={utility}")


@pytest.mark.parametrize("layer", TWICE)
def test_the_second_order_counts(network, torch_network, sixteen, layer):
    """Without the Hessian, maps of the residual softmax are others; of the logit alone they are GradCAM's."""
    with_it = grad_cams(TheirShapleyCAM, sixteen, torch_network, layer, ClassifierOutputReST)
    without = grad_cams(TheirGradCAM, sixteen, torch_network, layer, ClassifierOutputReST)
    units = [maps / (maps.max(axis=(1, 2), keepdims=True) + 1e-9) for maps in (with_it, without)]
    assert np.abs(units[0] - units[1]).max() > 1e-2
    plain, usual = (ours(one, sixteen) for one in (ShapleyCAM(network, layer, "logit"), GradCAM(network, layer)))
    np.testing.assert_allclose(plain, usual, atol=1e-5 * usual.max())


@pytest.mark.parametrize("layer", LAYERS)
def test_finer_cam_of_torchcam(subject, layer, agree):
    beside_torchcam(subject.at(layer), FinerCAM, agree)


def test_finer_cam_of_torchcam_with_others_that_are_named(network, torch_network, sixteen, agree):
    images, labels = torch.tensor(sixteen[0]), sixteen[1].tolist()
    named = [[other for other in OTHERS if other != label] for label in labels]
    maps = []
    for row, label in enumerate(labels):
        with torchcam.methods.FinerCAM(torch_network, "layer2", images.shape[1:], gamma=0.4) as extract:
            scores = torch_network(images[row : row + 1])
            (found,) = extract(label, scores, named[row], normalized=False)
        maps.append(found.detach().numpy()[0])
    mine = ours(FinerCAM(network, "layer2", against=OTHERS, gamma=0.4), sixteen)
    seen("FinerCAM", mine, np.stack(maps), agree, "torchcam FinerCAM", how="others named, gamma=0.4")


@pytest.mark.parametrize("layer", LAYERS)
def test_finer_cam_of_grad_cam(network, torch_network, sixteen, layer, agree):
    """It adds 1e-9 to the probability of the others, so it is asked about those that the network finds likely."""
    images, labels = sixteen
    logits = torch_network(torch.tensor(images))
    logits[np.arange(len(labels)), labels] = -np.inf
    likely = logits.argsort(dim=1, descending=True)[:, :3].tolist()
    theirs, mine = [], []
    for row, others in enumerate(likely):
        one = images[row : row + 1], labels[row : row + 1]
        target = partial(FinerWeightedTarget, comparison_categories=others, alpha=1.0)
        theirs.append(grad_cams(TheirFinerCAM, one, torch_network, layer, target))
        mine.append(ours(FinerCAM(network, layer, against=others, gamma=1, weighted=True), one))
    likely_enough = torch_network(torch.tensor(images)).softmax(1).detach().numpy()
    shares = np.take_along_axis(likely_enough, np.array(likely), 1).sum(axis=1)
    kept = shares > 1e-3
    assert kept.sum() >= 4
    how = "the three likeliest others named, gamma=1, weighted"
    seen("FinerCAM", np.concatenate(mine)[kept], np.concatenate(theirs)[kept], agree, "grad-cam FinerCAM", how=how)


@pytest.fixture
def signed_components(monkeypatch):
    """grad-cam's principal components with the sign of the sum that they stand for, instead of the solver's."""

    def projected(channels):
        maps = get_2d_projection(channels)
        return maps * np.sign((maps * channels.sum(axis=1)).sum(axis=(1, 2), keepdims=True))

    for module in (pytorch_grad_cam.base_cam, pytorch_grad_cam.layer_cam):
        monkeypatch.setattr(module, "get_2d_projection", projected)


SMOOTHING = [
    {"aug_smooth": True},
    {"eigen_smooth": True},
    {"aug_smooth": True, "eigen_smooth": True},
]


@pytest.mark.parametrize("how", SMOOTHING, ids=" ".join)
@pytest.mark.parametrize("method", [GradCAM, LayerCAM])
def test_augmented_cam(subject, method, how, signed_components, agree):
    augmented_cam(subject, method, how, agree)


@pytest.mark.long
def test_augmented_score_cam(subject, monkeypatch, agree):
    monkeypatch.setattr(torch.nn, "UpsamplingBilinear2d", lambda size: torch.nn.Upsample(size, mode="bilinear"))
    four = subject.of(slice(4))
    found = smoothed(four, TheirScoreCAM, aug_smooth=True)
    mine = at_the_images_size(AugmentedCAM(ScoreCAM(four.network, "layer3")), *four.pair)
    agree("AugmentedCAM(ScoreCAM)", "grad-cam ScoreCAM", mine, found, how="aug_smooth, half-pixel centres")
