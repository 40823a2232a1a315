"""The CAM family against torchcam and grad-cam, on the same trained network and real photos."""

import numpy as np
import pytest
import torch
import torchcam.methods
from cam_libraries import grad_cams, ours, seen, torchcams
from mindspore import Tensor, nn
from pytorch_grad_cam import (
    AblationCAM as TheirAblationCAM,
)
from pytorch_grad_cam import EigenCAM as TheirEigenCAM
from pytorch_grad_cam import GradCAM as TheirGradCAM
from pytorch_grad_cam import GradCAMPlusPlus
from pytorch_grad_cam import HiResCAM as TheirHiResCAM
from pytorch_grad_cam import LayerCAM as TheirLayerCAM
from pytorch_grad_cam import ScoreCAM as TheirScoreCAM
from pytorch_grad_cam import XGradCAM as TheirXGradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

from explainrun.explainers import (
    CAM,
    ISCAM,
    SSCAM,
    AblationCAM,
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
from explainrun.explainers.core.view import keyed_generator

LAYERS = ["layer2", "layer3"]


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("method", [GradCAM, XGradCAM, LayerCAM])
def test_torchcam(network, torch_network, sixteen, method, layer, agree):
    theirs = torchcams(getattr(torchcam.methods, method.__name__), sixteen, torch_network, target_layer=layer)
    seen(method.__name__, ours(method(network, layer), sixteen), theirs, agree, f"torchcam {method.__name__}")


def test_cam(network, torch_network, sixteen, agree):
    theirs = torchcams(torchcam.methods.CAM, sixteen, torch_network, target_layer="layer3", fc_layer="linear")
    seen("CAM", ours(CAM(network, "layer3"), sixteen), theirs, agree, "torchcam CAM")


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize(
    ("method", "theirs"),
    [(GradCAM, TheirGradCAM), (XGradCAM, TheirXGradCAM), (LayerCAM, TheirLayerCAM), (HiResCAM, TheirHiResCAM)],
)
def test_grad_cam(network, torch_network, sixteen, method, theirs, layer, agree):
    found = grad_cams(theirs, sixteen, torch_network, layer)
    mine = ours(method(network, layer), sixteen).clip(min=0)
    how = "positive part" if method is HiResCAM else "as they come"
    seen(method.__name__, mine, found, agree, f"grad-cam {theirs.__name__}", how=how)


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


class Louder(torch.nn.Module):
    """The network with its logits multiplied, so that constants that grad-cam adds to divisors are lost."""

    def __init__(self, network, factor):
        super().__init__()
        self.network, self.factor = network, factor

    def forward(self, x):
        return self.network(x) * self.factor


class LouderCell(nn.Cell):
    def __init__(self, network, factor):
        super().__init__()
        self.network, self.factor = network, factor

    def construct(self, x):
        return self.network(x) * self.factor


@pytest.mark.parametrize("layer", LAYERS)
def test_grad_cam_plus_plus(network, torch_network, sixteen, layer, agree):
    factor = 300.0
    theirs = grad_cams(GradCAMPlusPlus, sixteen, Louder(torch_network, factor), f"network.{layer}")
    mine = ours(GradCAMpp(LouderCell(network, factor), f"network.{layer}"), sixteen)
    seen("GradCAMpp", mine, theirs, agree, "grad-cam GradCAMPlusPlus", how="logits times 300")


def test_torchcams_grad_cam_plus_plus_leaves_the_division_out(network, torch_network, sixteen):
    """Its alpha is the squared gradient itself: what it divides is a copy."""
    theirs = torchcams(torchcam.methods.GradCAMpp, sixteen, torch_network, target_layer="layer2")
    with torch_network_tapped(torch_network, "layer2") as tapped:
        activation, gradient = tapped(torch.tensor(sixteen[0]), sixteen[1])
    undivided = np.maximum(((gradient**2 * gradient.clip(min=0)).sum((2, 3), keepdims=True) * activation).sum(1), 0)
    np.testing.assert_allclose(undivided, theirs, rtol=1e-3, atol=1e-4 * np.abs(theirs).max())
    mine = ours(GradCAMpp(network, "layer2"), sixteen)
    unit = [maps / maps.max(axis=(1, 2), keepdims=True) for maps in (mine, theirs)]
    assert np.abs(unit[0] - unit[1]).max() > 0.05


class torch_network_tapped:  # noqa: N801
    """Output and gradient of a layer, by PyTorch."""

    def __init__(self, network, layer):
        self.network, self.layer = network, network.get_submodule(layer)

    def __enter__(self):
        self.kept = []
        self.hook = self.layer.register_forward_hook(lambda _module, _inputs, output: self.kept.append(output))
        return self

    def __exit__(self, *_):
        self.hook.remove()

    def __call__(self, images, labels):
        self.kept.clear()
        scores = self.network(images).gather(1, torch.tensor(labels).reshape(-1, 1)).sum()
        (gradient,) = torch.autograd.grad(scores, self.kept[0])
        return self.kept[0].detach().numpy(), gradient.numpy()


@pytest.mark.parametrize("layer", LAYERS)
def test_eigen_cam(network, torch_network, sixteen, layer, agree):
    """Their sign is that of the decomposition of the day, so both parts of theirs are looked at."""
    images, _ = sixteen
    with TheirEigenCAM(torch_network, [torch_network.get_submodule(layer)]) as cam:
        found = []
        project = cam.get_cam_image
        cam.get_cam_image = lambda *arguments: found.append(project(*arguments)) or found[-1]
        cam(torch.tensor(images), targets=None)
    mine = ours(EigenCAM(network, layer, centered=True), sixteen)
    sign = np.sign((mine * found[0]).sum(axis=(1, 2), keepdims=True))
    agree("EigenCAM", "grad-cam EigenCAM", mine, sign * found[0], how="centered, either sign")


def test_eigen_cam_as_in_the_paper_is_positive_where_activations_are(network, sixteen):
    maps = ours(EigenCAM(network, "layer3"), sixteen)
    assert maps.min() >= -1e-5 * maps.max()
    assert (ours(EigenCAM(network, "layer3", centered=True), sixteen).min(axis=(1, 2)) < 0).all()


@pytest.fixture
def resizing_first(monkeypatch):
    """Torchcam's masks brought to 0..1 after they are resized, as in the paper, instead of before."""
    upsample = torchcam.methods.ScoreCAM._upsample
    monkeypatch.setattr(torchcam.methods.ScoreCAM, "_upsample", lambda self, a: self._normalize(upsample(self, a), 2))


@pytest.mark.parametrize("layer", LAYERS)
def test_score_cam(network, torch_network, sixteen, layer, resizing_first, agree):
    theirs = torchcams(torchcam.methods.ScoreCAM, sixteen, torch_network, target_layer=layer)
    mine = ours(ScoreCAM(network, layer), sixteen)
    seen("ScoreCAM", mine, theirs, agree, "torchcam ScoreCAM", how="masks to 0..1 after resizing")


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
def test_is_cam(network, torch_network, sixteen, samples, resizing_first, agree):
    theirs = torchcams(torchcam.methods.ISCAM, sixteen, torch_network, target_layer="layer3", num_samples=samples)
    mine = ours(ISCAM(network, "layer3", num_samples=samples), sixteen)
    seen("ISCAM", mine, theirs, agree, "torchcam ISCAM", how="masks to 0..1 after resizing")


@pytest.mark.long
def test_ss_cam_with_the_same_noise(network, torch_network, sixteen, resizing_first, agree):
    samples, std, channels = 3, 0.7, 64
    images, labels = sixteen
    mine = ours(SSCAM(network, "layer3", num_samples=samples, std=std), sixteen)
    maps = []
    for row in range(len(images)):
        generator = keyed_generator(0, row, "SSCAM")
        draws = generator.standard_normal((channels, samples, *images.shape[2:]), np.float32)
        given = iter(torch.tensor(std * draws.swapaxes(0, 1)))
        with torchcam.methods.SSCAM(torch_network, "layer3", num_samples=samples, std=std) as extract:
            extract._distrib.sample = lambda size, given=given: next(given).reshape(size)
            scores = torch_network(torch.tensor(images[row : row + 1]))
            (found,) = extract(int(labels[row]), scores, normalized=False)
        maps.append(found.detach().numpy()[0])
    seen(
        "SSCAM",
        mine,
        np.stack(maps),
        agree,
        "torchcam SSCAM",
        tolerance=1e-3,
        how="same noise, masks to 0..1 after resizing",
    )


def smooth_noise(images, samples, std):
    """(samples, N, C, H, W), as our explainer draws it."""
    draws = [
        keyed_generator(0, row, "SmoothGradCAMpp").standard_normal((samples, *images.shape[1:]), np.float32)
        for row in range(len(images))
    ]
    return std * np.stack(draws, axis=1)


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


def test_smooth_grad_cam_with_the_same_noise_by_the_paper(network, torch_network, sixteen, agree):
    images, labels = sixteen
    samples, std = 3, 0.2
    mine = ours(SmoothGradCAMpp(network, "layer2", num_samples=samples, std=std), sixteen)
    with torch_network_tapped(torch_network, "layer2") as tapped:
        activation, _ = tapped(torch.tensor(images), labels)
        slopes = [tapped(torch.tensor(images + noise), labels)[1] for noise in smooth_noise(images, samples, std)]
    first, second, third = (
        np.mean([slope.astype(np.float64) ** power for slope in slopes], axis=0) for power in (1, 2, 3)
    )
    alpha = second / (2 * second + activation.sum((2, 3), keepdims=True) * third)
    weights = (alpha * np.maximum(first, 0)).sum((2, 3), keepdims=True)
    theirs = np.maximum((weights * activation).sum(1), 0)
    how = "same noise, the paper's formula"
    seen("SmoothGradCAMpp", mine, theirs, agree, "PyTorch's gradients", tolerance=1e-3, how=how)


@pytest.mark.long
def test_torchcams_smooth_grad_cam_takes_the_last_copy_and_other_sums(network, torch_network, sixteen):
    images, labels = sixteen
    samples, std = 3, 0.2
    given = iter(torch.tensor(smooth_noise(images, samples, std)))
    with torchcam.methods.SmoothGradCAMpp(torch_network, "layer2", num_samples=samples, std=std) as extract:
        extract._distrib.sample = lambda size: next(given).reshape(size)
        torch_network(torch.tensor(images))
        (theirs,) = extract(labels.tolist(), normalized=False)
    theirs = theirs.detach().numpy()
    with torch_network_tapped(torch_network, "layer2") as tapped:
        activation, _ = tapped(torch.tensor(images), labels)
        found = [tapped(torch.tensor(images + noise), labels) for noise in smooth_noise(images, samples, std)]
    slopes = np.array([slope for _, slope in found], np.float64)
    second, third = ((slopes**power).mean(axis=0) for power in (2, 3))
    alpha = second / (2 * second + (activation * third).sum((2, 3), keepdims=True) + 1e-8)
    weights = (alpha * np.maximum(slopes[-1], 0)).sum((2, 3), keepdims=True)
    expected = np.maximum((weights * found[-1][0]).sum(1), 0)
    np.testing.assert_allclose(theirs, expected, rtol=1e-2, atol=1e-3 * expected.max())
    mine = ours(SmoothGradCAMpp(network, "layer2", num_samples=samples, std=std), sixteen)
    units = [maps / maps.max(axis=(1, 2), keepdims=True) for maps in (mine, theirs)]
    assert np.abs(units[0] - units[1]).max() > 0.05


def test_ablation_cam(network, torch_network, sixteen, agree):
    images, labels = sixteen
    with torch.no_grad():
        whole = torch_network(torch.tensor(images)).numpy()[np.arange(16), labels]
    positive = whole > 0.5  # elsewhere they turn the map over, as the paper's formula does
    assert positive.sum() >= 10
    chosen = images[positive], labels[positive]
    theirs = grad_cams(TheirAblationCAM, chosen, torch_network, "layer3")
    seen("AblationCAM", ours(AblationCAM(network, "layer3"), chosen), theirs, agree, "grad-cam AblationCAM")


def test_several_layers_are_fused_at_the_images_size(network, torch_network, sixteen, agree):
    """grad-cam's way of fusing, done to torchcam's maps: means of maps over their largest values."""
    images, labels = sixteen
    layers = ["layer2", "layer3"]
    mine = LayerCAM(network, layers)(Tensor(images), Tensor(labels.astype(np.int32))).asnumpy()[:, 0]
    found = [torchcams(torchcam.methods.LayerCAM, sixteen, torch_network, target_layer=layer) for layer in layers]
    large = [resized(maps, images.shape[2:]) for maps in found]
    theirs = np.mean([maps / maps.max(axis=(1, 2), keepdims=True) for maps in large], axis=0)
    agree("LayerCAM", "torchcam LayerCAM", mine, theirs, how="two layers fused")
