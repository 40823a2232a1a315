"""Faithfulness metrics against Quantus, captum and grad-cam on grey photos, with the same draws; and where they err.

Quantus takes each channel of a pixel for a feature of its own, we remove pixels: one channel is the same for both.
"""

import warnings

import numpy as np
import pytest
import torch
from captum.metrics import infidelity
from mindspore import Tensor, nn, ops
from pytorch_grad_cam.metrics.road import NoisyLinearImputer

from explainrun.benchmarks import (
    IROF,
    AverageDrop,
    AverageIncrease,
    Explanation,
    FaithfulnessCorrelation,
    FaithfulnessEstimate,
    Infidelity,
    MonotonicityCorrelation,
    PixelFlipping,
    Selectivity,
    SensitivityN,
)
from explainrun.benchmarks.core.imputation import imputed
from explainrun.benchmarks.core.perturbations import ImageOfView, RandomSubsets
from explainrun.benchmarks.faithfulness.infidelity import Noisy
from explainrun.explainers import Gradient, Network, View

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import quantus
    import quantus.helpers.utils as quantus_utils

CLOSE = {"rtol": 0, "atol": 1e-4}
PLAIN = {"abs": False, "normalise": False, "disable_warnings": True, "display_progressbar": False}
BLACK = {"perturb_baseline": 0.0, **PLAIN}


class GreyCell(nn.Cell):
    """A network of three channels on the one channel of grey images."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def construct(self, x):
        return self.network(ops.concat([x, x, x], 1))


class GreyModule(torch.nn.Module):
    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, x):
        return self.network(x.repeat(1, 3, 1, 1))


@pytest.fixture(scope="module")
def grey(network, torch_network, sixteen):
    """Eight grey photos (1, 32, 24) with the label that they are given and a map each, in both frameworks."""
    return in_both(network, torch_network, sixteen[0][:8].mean(axis=1, keepdims=True))


@pytest.fixture(scope="module")
def small(network, torch_network, sixteen):
    """Parts of them, (1, 12, 10)."""
    return in_both(network, torch_network, sixteen[0][:8, :, 8:20, 6:16].mean(axis=1, keepdims=True))


def in_both(network, torch_network, images):
    theirs = GreyModule(torch_network).eval()
    inputs = torch.tensor(images, requires_grad=True)
    logits = theirs(inputs)
    labels = logits.argmax(1)
    logits[torch.arange(8), labels].sum().backward()
    maps = inputs.grad.numpy()[:, 0] * images[:, 0]
    view = View(Network(GreyCell(network)), images, np.arange(8), labels.numpy())
    return Explanation(Gradient(view.network.cell), view, maps), theirs


def of_quantus(metric, grey):
    ours, theirs = grey
    return metric(
        model=theirs, x_batch=ours.view.images, y_batch=ours.view.labels, a_batch=ours.maps[:, None], device="cpu",
        softmax=True,
    )  # fmt: skip


def test_pixel_flipping(grey):
    theirs = np.array(of_quantus(quantus.PixelFlipping(features_in_step=32, **BLACK), grey))  # after each of 24 steps
    metric = PixelFlipping(10, nn.Softmax(), steps=24)
    np.testing.assert_allclose([curve.heights[1:] for (curve,) in metric.curves(grey[0])], theirs, **CLOSE)
    whole = grey[0].untouched(metric.covering((32, 24)))
    np.testing.assert_allclose(metric.score(grey[0]), (24 * whole - theirs.sum(axis=1)) / 25, **CLOSE)


def test_selectivity(grey):
    theirs = np.array(of_quantus(quantus.Selectivity(patch_size=8, **BLACK), grey))  # after each of 12 patches
    metric = Selectivity(10, nn.Softmax(), patch_size=8)
    np.testing.assert_allclose([curve.heights[1:] for (curve,) in metric.curves(grey[0])], theirs, **CLOSE)
    curves = np.concatenate([grey[0].untouched(metric.covering((32, 24)))[:, None], theirs], axis=1)
    np.testing.assert_allclose(metric.score(grey[0]), (curves[:, 1:] + curves[:, :-1]).sum(axis=1) / 24, **CLOSE)


def test_faithfulness_correlation(grey, monkeypatch):
    ours, samples = grey[0], 40
    subsets = RandomSubsets((60,), samples, 0.0)
    masks = [subsets.masks(ImageOfView(ours.view, row, {})).of(slice(0, samples)) for row in range(8)]
    drawn = iter([np.flatnonzero(of_image[draw]) for draw in range(samples) for of_image in masks])
    monkeypatch.setattr(np.random, "choice", lambda *_, **__: next(drawn))
    metric = quantus.FaithfulnessCorrelation(nr_runs=samples, subset_size=60, return_aggregate=False, **BLACK)
    theirs = of_quantus(metric, grey)
    found = FaithfulnessCorrelation(10, nn.Softmax(), subset_size=60, samples=samples).score(ours)
    np.testing.assert_allclose(found, theirs, **CLOSE)


def test_faithfulness_estimate(small):
    theirs = of_quantus(quantus.FaithfulnessEstimate(features_in_step=1, **BLACK), small)
    found = FaithfulnessEstimate(10, nn.Softmax(), groups="pixels").score(small[0])
    np.testing.assert_allclose(found, theirs, **CLOSE)


def in_order(segments):
    """What gives Quantus the segments of one image after the other."""
    left = iter(segments)
    return lambda *_, **__: next(left)


def test_irof(network, torch_network, photos, monkeypatch):
    """Beside all curves but their first point, which Quantus leaves out, as it does the division by how many there are.

    Its own replacement takes one channel alone, so ours is handed in: the mean of each channel. Of several images at a
    time those with fewer segments lose half of their last answer, so it is asked about one alone.
    """
    images, rng = photos[0][:8], np.random.default_rng(2)
    labels = Network(network).logits(images).argmax(axis=1)
    maps = rng.random((8, 4, 5)).repeat(8, axis=1).repeat(6, axis=2)[:, :, :26].astype(np.float32)
    maps += 0.01 * rng.random(maps.shape, np.float32)
    view = View(Network(network), images, np.arange(8), labels)
    metric = IROF(10, nn.Softmax(), segmentation_options={"n_segments": 30})
    ours = Explanation(Gradient(network), view, maps)
    [groups] = {curve.groups for curve in metric.read_curves}
    segments = [ImageOfView(view, row, {}).groups(groups) for row in range(8)]

    def theirs(rows):
        monkeypatch.setattr(quantus_utils, "get_superpixel_segments", in_order([segments[row] for row in rows]))
        means = images[rows].mean(axis=(2, 3), keepdims=True)
        of_means = quantus.IROF(
            perturb_func=lambda arr, mask, **_: np.where(mask, means, arr), return_aggregate=False, **PLAIN
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that images of fewer segments do not change any more
            return np.array(
                of_means(
                    model=torch_network, x_batch=images[rows], y_batch=labels[rows], a_batch=maps[rows, None],
                    device="cpu", softmax=True,
                )
            )  # fmt: skip

    heights = [curve.heights / curve.heights[0] for (curve,) in metric.curves(ours)]
    first_pieces = np.array([(one[0] + one[1]) / 2 for one in heights])
    numbers = np.array([one.max() + 1 for one in segments])
    alone = np.concatenate([theirs([row]) for row in range(8)])
    np.testing.assert_allclose(metric.score(ours), (alone - first_pieces) / numbers, **CLOSE)
    lost = np.array([one[-1] / 2 for one in heights]) * (numbers < numbers.max())
    assert lost.max() > 0.01
    np.testing.assert_allclose(theirs([*range(8)]), alone - lost, rtol=0, atol=1e-3)


def test_irof_is_0_where_nothing_changes_and_1_with_quantus(monkeypatch):
    """By hand 0: a network that always gives one half loses nothing, whatever is removed."""
    module = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(24, 2, bias=False)).eval()
    module[1].weight.data = torch.zeros(2, 24)
    cell = nn.SequentialCell(nn.Flatten(), nn.Dense(24, 2, has_bias=False))
    cell[1].weight.set_data(Tensor(np.zeros((2, 24), np.float32)))
    images = np.random.default_rng(0).normal(size=(2, 1, 4, 6)).astype(np.float32)
    maps, segments = images[:, 0], np.arange(6)[None] // 2 + np.zeros((4, 1), int)
    monkeypatch.setattr(quantus_utils, "get_superpixel_segments", in_order([segments] * 2))
    theirs = quantus.IROF(return_aggregate=False, **BLACK)(
        model=module, x_batch=images, y_batch=np.zeros(2, int), a_batch=maps[:, None], device="cpu", softmax=True
    )
    np.testing.assert_allclose(theirs, [1, 1], atol=1e-6)  # of three segments two intervals, of which 3 are expected
    view = View(Network(cell), images, np.arange(2), np.zeros(2, int))
    metric = IROF(2, nn.Softmax(), segmentation=lambda _: segments)
    np.testing.assert_allclose(metric.score(Explanation(Gradient(cell), view, maps)), [0, 0], atol=1e-6)


def test_monotonicity_correlation(small):
    """Each pixel alone, drawn as often; Quantus goes through them in the order of its map."""
    ours, draws = small[0], 3
    metric = MonotonicityCorrelation(10, nn.Softmax(), groups="pixels", samples=draws)
    drawn = metric.perturbation((12, 10))
    copies = np.stack([
        np.concatenate([*drawn.block(ImageOfView(ours.view, row, {})).parts(360)]) for row in range(8)
    ]).reshape(8, 120, draws, 120)  # fmt: skip
    asked = iter(range(120 * draws))

    def perturb(arr, indices, **_):
        return copies[np.arange(8), indices[:, 0], next(asked) % draws]

    theirs = of_quantus(
        quantus.MonotonicityCorrelation(nr_samples=draws, perturb_func=perturb, **{**PLAIN, "abs": True}), small
    )
    np.testing.assert_allclose(metric.score(ours), theirs, **CLOSE)


@pytest.mark.parametrize("scaled", [False, True])
def test_infidelity(grey, scaled):
    ours, theirs = grey
    copies = Noisy(30, 0.1)
    moved = np.stack([
        ours.view.images[row] - np.concatenate([*copies.block(ImageOfView(ours.view, row, {})).parts(30)])
        for row in range(8)
    ])  # fmt: skip

    def perturb(inputs):
        noise = torch.tensor(moved.reshape(-1, 1, 32, 24))
        return noise, inputs - noise

    found = infidelity(
        theirs, perturb, torch.tensor(ours.view.images), torch.tensor(ours.maps[:, None]),
        target=torch.tensor(ours.view.labels), n_perturb_samples=30, max_examples_per_batch=240, normalize=scaled,
    )  # fmt: skip
    score = Infidelity(10, nn.Softmax(), samples=30, scaled=scaled).score(ours)
    np.testing.assert_allclose(score, found.detach().numpy(), rtol=1e-4)


def test_imputation(sixteen):
    images, rng = sixteen[0][:4], np.random.default_rng(0)
    for image, share in zip(images, (0.05, 0.3, 0.7, 0.95), strict=True):
        covered = rng.random((32, 24)) < share
        theirs = NoisyLinearImputer(noise=0.0)(torch.tensor(image), torch.tensor(~covered, dtype=torch.float)).numpy()
        np.testing.assert_allclose(imputed(image, covered), theirs[:, covered], **CLOSE)


def test_average_drop_and_increase(network, torch_network, sixteen):
    """By their formulas in PyTorch; torchcam's ``ClassificationMetric`` has the same for its own maps alone."""
    images, labels = sixteen
    maps = np.random.default_rng(1).random((16, 32, 24)).astype(np.float32) ** 3
    low, high = (bound(maps, axis=(1, 2), keepdims=True) for bound in (np.min, np.max))
    with torch.no_grad():
        whole, blended = (
            torch_network(torch.tensor(inputs)).softmax(1).numpy()[np.arange(16), labels]
            for inputs in (images, images * ((maps - low) / (high - low))[:, None])
        )
    arguments = (Gradient(network), Tensor(images), labels, maps[:, None])
    drop, increase = AverageDrop(10, nn.Softmax()), AverageIncrease(10, nn.Softmax())
    np.testing.assert_allclose(drop.evaluate(*arguments), np.maximum(0, whole - blended) / whole, **CLOSE)
    np.testing.assert_array_equal(increase.evaluate(*arguments), blended > whole)


def test_sensitivity_n_is_1_for_parts_of_a_linear_network_and_not_with_quantus(linear_in_both):
    """By hand 1 at each n. Quantus compares falls that add up with sums over the last step alone."""
    cell, theirs, images, maps = linear_in_both
    metric = quantus.SensitivityN(features_in_step=6, n_max_percentage=1.0, return_aggregate=False, **BLACK)
    found = metric(
        model=theirs, x_batch=images, y_batch=np.zeros(4, int), a_batch=maps[:, None], device="cpu", softmax=False
    )
    assert not np.allclose(np.ravel(found), 1, atol=0.1)
    view = View(Network(cell), images, np.arange(4), np.zeros(4, int))
    ours = SensitivityN(2, nn.Softmax(), sizes=[6, 12, 18], answer="logit")
    np.testing.assert_allclose(ours.score(Explanation(Gradient(cell), view, maps)), np.ones(4), atol=1e-5)


@pytest.fixture
def linear_in_both(linear):
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(2, 1, 4, 6)).astype(np.float32)
    images = rng.normal(size=(4, 1, 4, 6)).astype(np.float32)
    module = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(24, 2, bias=False))
    module[1].weight.data = torch.tensor(weights.reshape(2, 24))
    return linear(weights), module.eval(), images, (weights[0] * images)[:, 0]
