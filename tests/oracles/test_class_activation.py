"""The CAM family against torchcam and grad-cam, on the same trained network and real photos."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torchcam.methods
from cam_comparisons import (
    ablation_cam,
    beside_grad_cam,
    beside_torchcam,
    eigen_cam,
    grad_cam_plus_plus,
    is_cam,
    mean_pooled,
    score_cam,
    smooth_grad_cam_plus_plus,
    smooth_noise,
    ss_cam,
)
from cam_libraries import Louder, LouderCell, grad_cams, ours, seen, torchcams
from mindspore import Tensor
from pytorch_grad_cam import GradCAM as TheirGradCAM
from pytorch_grad_cam import LayerCAM as TheirLayerCAM
from pytorch_grad_cam import ScoreCAM as TheirScoreCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

from explainrun.explainers import (
    EigenCAM,
    GradCAM,
    GradCAMpp,
    HiResCAM,
    LayerCAM,
    ScoreCAM,
    SmoothGradCAMpp,
    XGradCAM,
)
from explainrun.explainers.core.resize import resized

LAYERS = ["layer2", "layer3"]


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("method", [GradCAM, XGradCAM, LayerCAM])
def test_torchcam(subject, method, layer, agree):
    beside_torchcam(subject.at(layer), method, agree)


def test_cam(subject, agree):
    mean_pooled(subject, ("linear", "linear"), agree)


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("method", [GradCAM, XGradCAM, LayerCAM, HiResCAM])
def test_grad_cam(subject, method, layer, agree):
    beside_grad_cam(subject.at(layer), method, agree)


@pytest.mark.parametrize("method", [GradCAM, LayerCAM])
def test_maps_at_the_images_size_once_brought_to_0_to_1(network, torch_network, sixteen, method, agree):
    """grad-cam scales before it resizes, by OpenCV; ours the other way round."""
    images, labels = sixteen
    targets = [ClassifierOutputTarget(label) for label in labels.tolist()]
    theirs = {GradCAM: TheirGradCAM, LayerCAM: TheirLayerCAM}[method]
    with theirs(torch_network, [torch_network.layer2]) as cam:
        found = cam(torch.tensor(images), targets=targets)
    mine = method(network, "layer2")(Tensor(images), Tensor(labels.astype(np.int32))).asnumpy()[:, 0]
    least, most = mine.min(axis=(1, 2), keepdims=True), mine.max(axis=(1, 2), keepdims=True)
    there = (most > least)[:, 0, 0]
    scaled = (mine[there] - least[there]) / (most[there] - least[there])
    agree(method.__name__, f"grad-cam {theirs.__name__}", scaled, found[there], tolerance=0.02, how="resized, 0..1")


@pytest.mark.parametrize("layer", LAYERS)
def test_grad_cam_plus_plus(subject, layer, agree):
    grad_cam_plus_plus(subject.at(layer), agree)


def test_torchcams_grad_cam_plus_plus_leaves_the_division_out(subject):
    """Its alpha is the squared gradient itself: what it divides is a copy."""
    subject = subject.at("layer2")
    theirs, mine = subject.torchcams(torchcam.methods.GradCAMpp), subject.ours(GradCAMpp)
    activation, gradient = subject.output(), subject.slopes(subject.images)
    undivided = np.maximum(((gradient**2 * gradient.clip(min=0)).sum((2, 3), keepdims=True) * activation).sum(1), 0)
    np.testing.assert_allclose(undivided, theirs, rtol=1e-3, atol=1e-4 * np.abs(theirs).max())
    unit = [maps / maps.max(axis=(1, 2), keepdims=True) for maps in (mine, theirs)]
    assert np.abs(unit[0] - unit[1]).max() > 0.05


@pytest.mark.parametrize("layer", LAYERS)
def test_eigen_cam(subject, layer, agree):
    eigen_cam(subject.at(layer), agree)


def test_eigen_cam_as_in_the_paper_is_positive_where_activations_are(network, sixteen):
    maps = ours(EigenCAM(network, "layer3"), sixteen)
    assert maps.min() >= -1e-5 * maps.max()
    assert (ours(EigenCAM(network, "layer3", centered=True), sixteen).min(axis=(1, 2)) < 0).all()


@pytest.mark.parametrize("layer", LAYERS)
def test_score_cam(subject, layer, agree):
    score_cam(subject.at(layer), agree)


def test_grad_cams_score_cam_with_half_pixel_centres(network, torch_network, sixteen, monkeypatch, agree):
    monkeypatch.setattr(torch.nn, "UpsamplingBilinear2d", lambda size: torch.nn.Upsample(size, mode="bilinear"))
    theirs = grad_cams(TheirScoreCAM, sixteen, torch_network, "layer3")
    mine = ours(ScoreCAM(network, "layer3"), sixteen)
    seen("ScoreCAM", mine, theirs, agree, "grad-cam ScoreCAM", how="half-pixel centres")


def test_the_two_score_cams_differ_from_one_another_and_from_ours(network, torch_network, sixteen):
    four = tuple(of[:4] for of in sixteen)
    theirs = torchcams(torchcam.methods.ScoreCAM, four, torch_network, target_layer="layer3")
    others = grad_cams(TheirScoreCAM, four, torch_network, "layer3")
    found = ours(ScoreCAM(network, "layer3"), four), theirs, others
    units = [maps / maps.max(axis=(1, 2), keepdims=True) for maps in found]
    assert all(np.abs(one - other).max() > 0.02 for one, other in zip(units, [*units[1:], units[0]], strict=True))


@pytest.mark.parametrize("samples", [1, pytest.param(3, marks=pytest.mark.long)])
def test_is_cam(subject, samples, agree):
    is_cam(subject, samples, agree)


@pytest.mark.long
def test_ss_cam_with_the_same_noise(subject, agree):
    ss_cam(subject, 3, 0.7, agree)


@pytest.fixture
def untouched_activations(monkeypatch):
    """Torchcam's maps of the untouched image's activations, as in the paper, instead of the last noisy copy's."""
    note = torchcam.methods.SmoothGradCAMpp._hook_a

    def note_first(self, module, inputs, output, idx=0):
        if self.hook_a[idx] is None:
            note(self, module, inputs, output, idx)

    monkeypatch.setattr(torchcam.methods.SmoothGradCAMpp, "_hook_a", note_first)


def test_smooth_grad_cam_with_the_same_noise_where_gradients_do_not_vary(
    network, torch_network, sixteen, untouched_activations, agree
):
    images, labels = sixteen
    samples, std, factor = 3, 0.2, 300.0
    louder = Louder(torch_network, factor)
    mine = ours(SmoothGradCAMpp(LouderCell(network, factor), "network.layer3", num_samples=samples, std=std), sixteen)
    given = iter(torch.tensor(smooth_noise(images, samples, std)))
    with torchcam.methods.SmoothGradCAMpp(louder, "network.layer3", num_samples=samples, std=std) as extract:
        extract._distrib.sample = lambda size: next(given).reshape(size)
        louder(torch.tensor(images))
        (theirs,) = extract(labels.tolist(), normalized=False)
    how = "same noise, untouched activations, before mean pooling"
    seen("SmoothGradCAMpp", mine, theirs.detach().numpy(), agree, "torchcam SmoothGradCAMpp", tolerance=1e-3, how=how)


def test_smooth_grad_cam_with_the_same_noise_by_the_paper(subject, agree):
    smooth_grad_cam_plus_plus(subject.at("layer2"), 3, 0.2, agree)


@pytest.mark.long
def test_torchcams_smooth_grad_cam_takes_the_last_copy_and_other_sums(network, torch_network, sixteen, subject):
    (images, labels), subject = sixteen, subject.at("layer2")
    samples, std = 3, 0.2
    given = iter(torch.tensor(smooth_noise(images, samples, std)))
    with torchcam.methods.SmoothGradCAMpp(torch_network, "layer2", num_samples=samples, std=std) as extract:
        extract._distrib.sample = lambda size: next(given).reshape(size)
        torch_network(torch.tensor(images))
        (theirs,) = extract(labels.tolist(), normalized=False)
    theirs = theirs.detach().numpy()
    copies = [images + noise for noise in smooth_noise(images, samples, std)]
    activation, last = (replace(subject, images=one).output() for one in (images, copies[-1]))
    slopes = np.array([subject.slopes(copy) for copy in copies], np.float64)
    second, third = ((slopes**power).mean(axis=0) for power in (2, 3))
    alpha = second / (2 * second + (activation * third).sum((2, 3), keepdims=True) + 1e-8)
    weights = (alpha * np.maximum(slopes[-1], 0)).sum((2, 3), keepdims=True)
    expected = np.maximum((weights * last).sum(1), 0)
    np.testing.assert_allclose(theirs, expected, rtol=1e-2, atol=1e-3 * expected.max())
    mine = subject.ours(SmoothGradCAMpp, num_samples=samples, std=std)
    units = [maps / maps.max(axis=(1, 2), keepdims=True) for maps in (mine, theirs)]
    assert np.abs(units[0] - units[1]).max() > 0.05


def test_ablation_cam(subject, agree):
    ablation_cam(subject, agree)


def test_several_layers_are_fused_at_the_images_size(network, torch_network, sixteen, agree):
    """grad-cam's way of fusing, done to torchcam's maps: means of maps over their largest values."""
    images, labels = sixteen
    layers = ["layer2", "layer3"]
    mine = LayerCAM(network, layers)(Tensor(images), Tensor(labels.astype(np.int32))).asnumpy()[:, 0]
    found = [torchcams(torchcam.methods.LayerCAM, sixteen, torch_network, target_layer=layer) for layer in layers]
    large = [resized(maps, images.shape[2:]) for maps in found]
    theirs = np.mean([maps / maps.max(axis=(1, 2), keepdims=True) for maps in large], axis=0)
    agree("LayerCAM", "torchcam LayerCAM", mine, theirs, how="two layers fused")
