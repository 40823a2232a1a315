"""The CAMs of grad-cam and torchcam that came later, and grad-cam's smoothing, on the ResNet-20 and on photographs."""

from functools import partial

import numpy as np
import pytest
import pytorch_grad_cam.base_cam
import pytorch_grad_cam.layer_cam
import torch
import torchcam.methods
from cam_libraries import grad_cams, ours, seen, signed_grad_cams, torchcams
from mindspore import Tensor
from pytorch_grad_cam import EigenGradCAM as TheirEigenGradCAM
from pytorch_grad_cam import FinerCAM as TheirFinerCAM
from pytorch_grad_cam import GradCAM as TheirGradCAM
from pytorch_grad_cam import LayerCAM as TheirLayerCAM
from pytorch_grad_cam import ScoreCAM as TheirScoreCAM
from pytorch_grad_cam import ShapleyCAM as TheirShapleyCAM
from pytorch_grad_cam.utils.model_targets import (
    ClassifierOutputReST,
    ClassifierOutputTarget,
    FinerWeightedTarget,
)
from pytorch_grad_cam.utils.svd_on_activations import get_2d_projection

from explainrun.explainers import (
    AugmentedCAM,
    EigenGradCAM,
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
def test_eigen_grad_cam(network, torch_network, sixteen, layer, agree):
    theirs = signed_grad_cams(TheirEigenGradCAM, sixteen, torch_network, layer)
    mine = ours(EigenGradCAM(network, layer), sixteen)
    sign = np.sign((mine * theirs).sum(axis=(1, 2), keepdims=True))
    agree("EigenGradCAM", "grad-cam EigenGradCAM", mine, sign * theirs, how="either sign")


@pytest.mark.parametrize("layer", TWICE)
@pytest.mark.parametrize("utility", ["rest", "logit"])
def test_shapley_cam(network, torch_network, sixteen, layer, utility, agree):
    target = {"rest": ClassifierOutputReST, "logit": ClassifierOutputTarget}[utility]
    theirs = grad_cams(TheirShapleyCAM, sixteen, torch_network, layer, target)
    mine = ours(ShapleyCAM(network, layer, utility), sixteen)
    seen("ShapleyCAM", mine, theirs, agree, "grad-cam ShapleyCAM", how=f"utility={utility}")


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
def test_finer_cam_of_torchcam(network, torch_network, sixteen, layer, agree):
    theirs = torchcams(torchcam.methods.FinerCAM, sixteen, torch_network, target_layer=layer)
    seen("FinerCAM", ours(FinerCAM(network, layer), sixteen), theirs, agree, "torchcam FinerCAM")


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


def smoothed(method, sixteen, network, layer, **how):
    """grad-cam's maps at the images' size."""
    targets = [ClassifierOutputTarget(label) for label in sixteen[1].tolist()]
    with method(network, [network.get_submodule(layer)]) as cam:
        cam.batch_size = 16
        return cam(torch.tensor(sixteen[0]), targets, **how)


SMOOTHING = [
    {"aug_smooth": True},
    {"eigen_smooth": True},
    {"aug_smooth": True, "eigen_smooth": True},
]


@pytest.mark.parametrize("how", SMOOTHING, ids=" ".join)
@pytest.mark.parametrize(("method", "theirs"), [(GradCAM, TheirGradCAM), (LayerCAM, TheirLayerCAM)])
def test_augmented_cam(network, torch_network, sixteen, method, theirs, how, signed_components, agree):
    images, labels = sixteen
    found = smoothed(theirs, sixteen, torch_network, "layer3", **how)
    copies = {} if "aug_smooth" in how else {"flip": False, "factors": [1.0]}
    explainer = AugmentedCAM(method(network, "layer3"), **copies, eigen_smooth="eigen_smooth" in how)
    mine = explainer(Tensor(images), Tensor(labels.astype(np.int32))).asnumpy()[:, 0]
    there = found.max(axis=(1, 2)) > 0.1
    assert there.sum() >= 8
    name = f"grad-cam {theirs.__name__}"
    agree(f"AugmentedCAM({method.__name__})", name, mine[there], found[there], how=" and ".join(how))


@pytest.mark.long
def test_augmented_score_cam(network, torch_network, sixteen, monkeypatch, agree):
    monkeypatch.setattr(torch.nn, "UpsamplingBilinear2d", lambda size: torch.nn.Upsample(size, mode="bilinear"))
    four = tuple(of[:4] for of in sixteen)
    found = smoothed(TheirScoreCAM, four, torch_network, "layer3", aug_smooth=True)
    explainer = AugmentedCAM(ScoreCAM(network, "layer3"))
    mine = explainer(Tensor(four[0]), Tensor(four[1].astype(np.int32))).asnumpy()[:, 0]
    agree("AugmentedCAM(ScoreCAM)", "grad-cam ScoreCAM", mine, found, how="aug_smooth, half-pixel centres")
