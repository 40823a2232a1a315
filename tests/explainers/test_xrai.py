"""XRAI against numbers worked out on paper, a slow twin, and its regions against scikit-image's."""

import numpy as np
import pytest
from mindspore import Tensor, nn, ops
from scipy.ndimage import binary_dilation
from skimage.morphology import disk

from explainrun.explainers import XRAI, IntegratedGradients
from explainrun.explainers.gradients.regions import over_segmented, ranked, ranked_fast, regions_of

SIZE = (3, 5)
LEFT = np.array([[1, 1, 0, 0, 0], [1, 1, 0, 0, 0], [1, 1, 0, 0, 0]])
ROWS = np.array([[0, 0, 0, 0, 0], [1, 1, 1, 1, 1], [2, 2, 2, 2, 2]])
VALUES = np.array([[6, 6, 1, 1, 1], [0, 0, 0, 0, 0], [3, 3, -2, -2, -2]], np.float32)


def regions(*segmentations):
    return regions_of(np.stack(segmentations), 0)


def test_by_hand():
    """Means: the left two columns 3, the others -1/3, the rows 3, 0 and 0; the left ones, as the first, begin.

    Of the rows, (1, 1, 1), (0, 0, 0) and (-2, -2, -2) are left: 1, 0 and -2; the other columns are in the map then.
    """
    found = ranked(VALUES, regions(LEFT)[[1, 0]], least=1, area=1.0)
    np.testing.assert_allclose(found, np.where(LEFT, 3, -1 / 3), atol=1e-6)
    both = np.concatenate([regions(LEFT)[[1, 0]], regions(ROWS)])
    expected = [[3, 3, 1, 1, 1], [3, 3, 0, 0, 0], [3, 3, -2, -2, -2]]
    np.testing.assert_allclose(ranked(VALUES, both, least=1, area=1.0), expected, atol=1e-6)


def test_what_adds_too_little_is_left_out():
    """Three pixels are too few: what no region covers then has its own mean."""
    both = np.concatenate([regions(LEFT)[1:], regions(ROWS)])
    found = ranked(VALUES, both, least=4, area=1.0)
    np.testing.assert_allclose(found, np.where(LEFT, 3, -1 / 3), atol=1e-6)


def test_area_threshold():
    """The first region covers 6 of 15 pixels; 0.3 of the image is less, 0.4 is not."""
    both = np.concatenate([regions(LEFT)[1:], regions(ROWS)])
    found = ranked(VALUES, both, least=1, area=0.3)
    np.testing.assert_allclose(found, np.where(LEFT, 3, -1 / 3), atol=1e-6)
    np.testing.assert_allclose(ranked(VALUES, both, least=1, area=0.4)[0, 2:], 1, atol=1e-6)


def test_fast_ranks_by_whole_regions():
    """The rows' means are 3, 0 and 0; those of the columns 3 and -1/3: the first row is as good, and comes later."""
    both = np.concatenate([regions(ROWS), regions(LEFT)[[1, 0]]])
    expected = [[3, 3, 3, 3, 3], [1.5, 1.5, 0, 0, 0], [1.5, 1.5, -2, -2, -2]]
    np.testing.assert_allclose(ranked_fast(VALUES, both, least=1), expected, atol=1e-6)


def twin(values, regions, least, area):
    """Pixel by pixel."""
    pixels = [set(np.flatnonzero(region).tolist()) for region in regions]
    flat, found, covered = values.astype(np.float64).ravel(), np.full(values.size, np.nan), set()
    while len(covered) / values.size <= area:
        pixels = [one for one in pixels if len(one - covered) >= least]
        if not pixels:
            break
        means = [np.mean([flat[pixel] for pixel in sorted(one - covered)]) for one in pixels]
        best = int(np.argmax(means))
        for pixel in pixels[best] - covered:
            found[pixel] = means[best]
        covered |= pixels.pop(best)
    rest = sorted(set(range(values.size)) - covered)
    if rest:
        found[rest] = flat[rest].mean()
    return found.reshape(values.shape)


@pytest.mark.parametrize("least", [1, 3, 9])
@pytest.mark.parametrize("area", [0.0, 0.6, 1.0])
@pytest.mark.parametrize("seed", range(3))
def test_as_a_slow_twin_and_complete(seed, area, least):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(7, 11)).astype(np.float32)
    some = np.concatenate([regions_of(rng.integers(0, 4, (2, 7, 11)), 0), rng.random((9, 7, 11)) < 0.3])
    found = ranked(values, some, least=least, area=area)
    np.testing.assert_allclose(found, twin(values, some, least, area), atol=1e-6)
    assert found.sum() == pytest.approx(values.sum(), abs=1e-4)
    assert ranked_fast(values, some, least=least).sum() == pytest.approx(values.sum(), abs=1e-4)


@pytest.mark.parametrize("radius", [1, 2, 5])
def test_dilation_is_by_a_disk(radius):
    rng = np.random.default_rng(0)
    segments = rng.integers(0, 9, (2, 9, 14))
    found = regions_of(segments, radius)
    expected = [binary_dilation(of_one == label, disk(radius)) for of_one in segments for label in np.unique(of_one)]
    np.testing.assert_array_equal(found, expected)


def test_segments_go_from_fine_to_coarse():
    rows, columns = np.indices((40, 56))
    rng = np.random.default_rng(1)
    image = np.stack([rows / 40, columns / 56, (rows > 18) * 1.0]) + rng.normal(0, 0.05, (3, 40, 56))
    found = over_segmented(image.astype(np.float32))
    assert found.shape == (6, 40, 56)
    counts = [len(np.unique(one)) for one in found]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > counts[-1] > 1
    assert len(np.unique(over_segmented(np.full((1, 9, 14), 2.5, np.float32)))) == 1


def test_maps_are_made_of_integrated_gradients(linear):
    """Of a linear network from the smallest and the largest value, whose mean is (max + min) / 2."""
    rng = np.random.default_rng(2)
    network, images = linear(rng.normal(size=(2, 2, *SIZE))), rng.normal(size=(2, 2, *SIZE)).astype(np.float32)
    middle = (images.min(axis=(1, 2, 3)) + images.max(axis=(1, 2, 3))).reshape(2, 1, 1, 1) / 2
    slopes = network.weights.asnumpy()
    options = {"segmentation": lambda picture: np.stack([LEFT, ROWS]), "dilation": 0, "min_pixel_diff": 1}
    found = XRAI(network, 3, **options)(Tensor(images), [[0, 1]] * 2).asnumpy()
    for image, row in zip(images - middle, found, strict=True):
        for label in range(2):
            expected = twin((slopes[label] * image).max(axis=0), regions(LEFT, ROWS), 1, 1.0)
            np.testing.assert_allclose(row[label], expected, atol=1e-5)
    black = XRAI(network, 3, [0.0], "fast", **options)(Tensor(images), 0).asnumpy()[0, 0]
    attribution = (slopes[0] * images[0]).max(axis=0)
    np.testing.assert_allclose(black, ranked_fast(attribution, regions(LEFT, ROWS), least=1), atol=1e-5)


def test_its_passes_are_those_of_integrated_gradients(linear):
    network = linear(np.ones((2, 3, 9, 14)))
    for baselines, paths in ((None, 2), ([0.0, "blur", 1.0], 3)):
        needed = XRAI(network, 4, baselines).images_needed(2, 5, (3, 9, 14))
        assert needed == {"integrate": 5 * 4 * paths}
    assert XRAI(network, 4, 0.0).images_needed(2, 5, (3, 9, 14)) == IntegratedGradients(network, 4).images_by_channel(
        5, (3, 9, 14)
    )


@pytest.mark.parametrize(
    ("options", "error", "code"),
    [
        ({"segmentation": "slic"}, TypeError, "regions-not-a-function"),
        ({"algorithm": "slow"}, ValueError, "option-value-unknown"),
        ({"area_threshold": 2}, ValueError, "not-a-share"),
        ({"min_pixel_diff": 0}, ValueError, "not-a-whole-number"),
        ({"dilation": -1}, ValueError, "not-a-whole-number"),
        ({"steps": 0}, ValueError, "not-a-whole-number"),
    ],
)
def test_bad_options(linear, options, error, code, raising):
    with raising(error, code):
        XRAI(linear(np.ones((1, 1, 2, 3))), **options)


@pytest.mark.parametrize(
    "given", [np.zeros((3, 4), int), np.zeros(SIZE), None, np.zeros((0, *SIZE), int), np.zeros((1, 1, *SIZE), int)]
)
def test_segmentations_that_give_something_else(linear, given, raising):
    network, image = linear(np.ones((1, 1, *SIZE))), Tensor(np.ones((1, 1, *SIZE), np.float32))
    with raising(ValueError, "regions-not-labels"):
        XRAI(network, 2, segmentation=lambda picture: given)(image, 0)


def test_attributions_that_are_not_finite_leave_no_map():
    class Roots(nn.Cell):
        def construct(self, x):
            return ops.sqrt(x.reshape(x.shape[0], -1)).sum(1, keepdims=True)

    images = np.arange(1, 16, dtype=np.float32).reshape(1, 1, *SIZE) * np.array([1, -1]).reshape(2, 1, 1, 1)
    options = {"segmentation": lambda picture: LEFT, "min_pixel_diff": 1}
    found = XRAI(Roots(), 2, **options)(Tensor(np.float32(images)), 0, show=False).asnumpy()[:, 0]
    assert np.isfinite(found[0]).all()
    assert np.isnan(found[1]).all()
