"""Masks that are optimised, as values on a grid: made, and differentiated, against slow twins."""

import math

import numpy as np
import pytest

from explainrun.explainers.optimized_masks.blends import Pyramid, blending
from explainrun.explainers.optimized_masks.coarse_masks import CoarseMasks, variation_slopes
from explainrun.explainers.optimized_masks.descent import Adam, Momentum
from explainrun.explainers.optimized_masks.smooth_masks import SmoothMasks
from explainrun.explainers.perturbation.baselines import blurred


def mask_twin(values, step, sigma):
    """Pixel by pixel, point by point; values may be complex, for derivatives."""
    border, reach = math.ceil(sigma), 1 + math.ceil(sigma / step)
    rows, columns = (range(-border, step * (length - 1) + border + 1) for length in values.shape)
    mask = np.empty((len(rows), len(columns)), values.dtype)
    for row, y in enumerate(rows):
        for column, x in enumerate(columns):
            parts = []
            for i in range(y // step - reach, y // step + reach + 1):
                for j in range(x // step - reach, x // step + reach + 1):
                    inside = 0 <= i < values.shape[0] and 0 <= j < values.shape[1]
                    far = math.hypot(y - step * i, x - step * j) / sigma
                    parts.append(math.exp(-2 * max(far - 0.5, 0) ** 2) * values[i, j] if inside else 0.0)
            powers = np.exp(20 * np.array(parts))
            mask[row, column] = (parts * powers).sum() / powers.sum()
    return mask


CASES = [((5, 7), 1, 3.0), ((9, 4), 2, 6.0), ((7, 10), 3, 3.0), ((8, 11), 3, 4.0), ((5, 9), 4, 2.5)]


@pytest.mark.parametrize(("size", "step", "sigma"), CASES)
def test_masks_and_their_gradient(size, step, sigma):
    smooth, rng = SmoothMasks(size, step, sigma), np.random.default_rng(0)
    values = rng.uniform(size=(2, *smooth.grid)).astype(np.float32)
    values[0, 0, 0], values[1, -1, -1] = 0, 1
    made = smooth.make(values)
    twins = [mask_twin(one.astype(float), step, sigma) for one in values]
    assert made.values.shape == (2, *smooth.extent)
    np.testing.assert_allclose(made.values, twins, rtol=2e-5, atol=1e-6)
    weights = rng.normal(size=made.values.shape).astype(np.float32)
    slopes = smooth.slopes(values, made, weights)
    for place in np.ndindex(*values.shape):
        moved = values[place[0]].astype(complex)
        moved[place[1:]] += 1e-20j
        expected = (mask_twin(moved, step, sigma).imag / 1e-20 * weights[place[0]]).sum()
        assert slopes[place] == pytest.approx(expected, rel=1e-3, abs=1e-4)


@pytest.mark.parametrize(("size", "step", "sigma"), CASES)
def test_the_image_lies_within_its_mask(size, step, sigma):
    smooth = SmoothMasks(size, step, sigma)
    assert smooth.grid == (-(-size[0] // step), -(-size[1] // step))
    for length, inner, whole in zip(size, smooth.image, smooth.extent, strict=True):
        assert (inner.start, inner.stop - inner.start) == (math.ceil(sigma), length)
        assert inner.stop <= whole
    one = np.zeros((1, *smooth.grid), np.float32)
    one[0, 1, 0] = 1  # the point that lies on the pixel of row ``step`` in the first column
    mask = smooth.make(one).values[0][smooth.image]
    assert mask[step, 0] == mask.max() > 0.9


def test_masks_do_not_depend_on_those_beside_them():
    smooth, rng = SmoothMasks((9, 13), 2, 5.0), np.random.default_rng(1)
    values = rng.uniform(size=(5, *smooth.grid)).astype(np.float32)
    weights = rng.normal(size=(5, *smooth.extent)).astype(np.float32)
    together = smooth.make(values)
    slopes = smooth.slopes(values, together, weights)
    for row in range(5):
        alone = smooth.make(values[row : row + 1])
        np.testing.assert_array_equal(alone.values[0], together.values[row])
        np.testing.assert_array_equal(
            smooth.slopes(values[row : row + 1], alone, weights[row : row + 1])[0], slopes[row]
        )


def test_a_pyramid_is_linear_between_its_levels():
    levels = np.array([[[[0, 0, 0, 0]]], [[[1, 10, 100, 1000]]], [[[3, 30, 300, 3000]]]], np.float32)
    found = Pyramid(levels)(np.array([[0, 0.25, 0.75, 1]], np.float32))
    assert found.image.tolist() == [[[0, 5, 200, 3000]]]
    assert found.slope.tolist() == [[[2, 20, 400, 4000]]]  # at 1 as just below it


def test_blends_show_the_image_at_1_and_its_cover_at_0():
    image = np.random.default_rng(0).normal(size=(3, 9, 12)).astype(np.float32)
    for baseline, cover in (("blur", blurred(image, 2.5)), (0.5, np.full_like(image, 0.5))):
        blend = blending(image, baseline, 2.5)
        np.testing.assert_allclose(blend(np.zeros((9, 12), np.float32)).image, cover, atol=1e-6)
        np.testing.assert_allclose(blend(np.ones((9, 12), np.float32)).image, image, atol=1e-6)
    third = np.full((9, 12), 3 / 7, np.float32)
    np.testing.assert_allclose(blending(image, "blur", 2.5)(third).image, blurred(image, 2.5 * 4 / 7), atol=1e-5)


def test_momentum_is_dampened_but_in_the_first_step():
    values = np.array([[0.5], [0.9], [0.1]], np.float32)
    descent = Momentum(values, 0.1, 0.9)
    descent.follow(np.array([0, 1]), np.array([[1.0], [-2.0]], np.float32))
    descent.follow(np.array([0, 2]), np.array([[2.0], [3.0]], np.float32))
    # 0.5 - 0.1 - 0.1 (0.9 + 0.2); 0.9 + 0.2 is kept at 1; 0.1 - 0.3 at 0
    np.testing.assert_allclose(values[:, 0], [0.29, 1, 0], atol=1e-6)
    assert descent.taken.tolist() == [2, 1, 1]


def test_adam_by_hand():
    values = np.array([[0.5], [0.5]], np.float32)
    descent = Adam(values, 0.1)
    descent.follow(np.array([1]), np.array([[-4.0]], np.float32))
    assert values[:, 0].tolist() == pytest.approx([0.5, 0.6])  # the first step is as long as the rate
    descent.follow(np.array([0, 1]), np.array([[3.0], [1.0]], np.float32))
    mean, square = (0.9 * -0.4 + 0.1) / 0.19, (0.999 * 0.016 + 0.001) / (1 - 0.999**2)
    assert values[:, 0].tolist() == pytest.approx([0.4, 0.6 - 0.1 * mean / np.sqrt(square)], rel=1e-5)


@pytest.mark.parametrize(("size", "cell"), [((6, 10), 2), ((7, 9), 3), ((4, 5), 1)])
def test_coarse_masks_are_linear_and_gather_as_they_enlarge(size, cell):
    coarse, rng = CoarseMasks(size, cell), np.random.default_rng(0)
    values = rng.uniform(size=(2, *coarse.grid)).astype(np.float32)
    gradient = rng.normal(size=(2, *size)).astype(np.float32)
    masks = coarse.enlarged(values)
    assert masks.shape == (2, *size)
    np.testing.assert_allclose((masks * gradient).sum(), (values * coarse.gathered(gradient)).sum(), rtol=1e-4)
    blocks = np.repeat(np.repeat(values, cell, 1), cell, 2)[:, : size[0], : size[1]]
    np.testing.assert_allclose(masks[0], blurred(blocks[:1], 5 / 8 * cell)[0], atol=1e-6)


@pytest.mark.parametrize("power", [1.0, 2.0, 3.0])
def test_slopes_of_the_total_variation(power):
    def variation(values):
        rows, columns = values.shape
        total = 0.0
        for y in range(rows):
            for x in range(columns):
                down = values[y + 1, x] - values[y, x] if y + 1 < rows else 0
                right = values[y, x + 1] - values[y, x] if x + 1 < columns else 0
                total += math.hypot(down, right) ** power
        return total

    values = np.random.default_rng(0).uniform(size=(1, 3, 4)).astype(np.float32)
    found = variation_slopes(values, power)[0]
    for place in np.ndindex(3, 4):
        ends = []
        for change in (1e-5, -1e-5):
            moved = values[0].astype(float)
            moved[place] += change
            ends.append(variation(moved))
        assert found[place] == pytest.approx((ends[0] - ends[1]) / 2e-5, rel=1e-3, abs=1e-4)
    assert not variation_slopes(np.full((1, 2, 3), 0.5, np.float32), power).any()
