"""What stands where pixels are removed, and ROAD, which is known for one of these rules."""

import numpy as np
import pytest
from mindspore import nn

from explainrun.benchmarks import ROAD
from explainrun.benchmarks.core.imputation import imputed
from explainrun.benchmarks.core.removal import NOISE, REMOVALS, Remover
from explainrun.explainers.core.view import keyed_generator
from explainrun.explainers.perturbation.baselines import baseline_image

IMAGE = np.random.default_rng(0).normal(size=(3, 5, 7)).astype(np.float32)


def generator():
    return keyed_generator(3, 8, "imputation noise")


def relaxed(image, covered):
    """The same by going over the pixels again and again, each becoming the weighted mean of its neighbours."""
    values = np.where(covered, 0.0, image.astype(np.float64))
    height, width = covered.shape
    for _ in range(400):
        for row, column in np.argwhere(covered):
            total, weights = 0.0, 0.0
            for down in (-1, 0, 1):
                for right in (-1, 0, 1):
                    y, x = row + down, column + right
                    if (down or right) and 0 <= y < height and 0 <= x < width:
                        weight = 1 / 12 if down and right else 1 / 6
                        total, weights = total + weight * values[:, y, x], weights + weight
            values[:, row, column] = total / weights
    return values[:, covered]


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_imputed_as_by_relaxation(share):
    covered = np.random.default_rng(1).random((5, 7)) < share
    covered[0, :3] = True  # the border, where neighbours are lacking
    np.testing.assert_allclose(imputed(IMAGE, covered), relaxed(IMAGE, covered), atol=1e-6)


def test_imputed_by_hand():
    # A pixel in the middle of 3 x 3 is (1 + 2 + 3 + 4) / 6 of its direct neighbours and (6 + 6 + 6 + 6) / 12.
    image = np.array([[[6, 1, 6], [2, 99, 3], [6, 4, 6]]], np.float32)
    middle = np.zeros((3, 3), bool)
    middle[1, 1] = True
    np.testing.assert_allclose(imputed(image, middle), [[10 / 6 + 2]], atol=1e-12)
    # One at the corner has two direct neighbours and a diagonal one: (1/6 + 2/6 + 99/12) / (5/12).
    corner = np.zeros((3, 3), bool)
    corner[0, 0] = True
    np.testing.assert_allclose(imputed(image, corner), [[(3 / 6 + 99 / 12) / (5 / 12)]], atol=1e-12)
    # A row of three, of which the first two are open: both become the third.
    np.testing.assert_allclose(
        imputed(np.array([[[7.0, 8.0, 5.0]]], np.float32), np.array([[True, True, False]])), [[5, 5]], atol=1e-12
    )
    np.testing.assert_allclose(imputed(image, np.ones((3, 3), bool)), np.full((1, 9), 133 / 9), atol=1e-12)


@pytest.mark.parametrize("removal", [0.5, *REMOVALS[1:]])
def test_pixels_of_many_copies_are_removed_as_of_one(removal):
    removed = np.random.default_rng(2).random((4, 5, 7)) < [[[0.0]], [[0.3]], [[0.9]], [[1.0]]]
    out = np.empty((4, *IMAGE.shape), np.float32)
    remover = Remover(IMAGE, removal, generator())
    remover.write(removed, out)
    for mask, copy in zip(removed, out, strict=True):
        if removal == "noisy_linear":
            noise = NOISE * generator().standard_normal(IMAGE.shape)
            expected = IMAGE.copy()
            expected[:, mask] = imputed(IMAGE, mask) + noise[:, mask]
        else:
            expected = np.where(mask, baseline_image(removal, IMAGE), IMAGE)
        np.testing.assert_array_equal(copy, expected)
    alone = np.empty_like(out[:1])
    remover.write(removed[2:3], alone)
    np.testing.assert_array_equal(alone[0], out[2])


def test_road_by_hand(linear, explained, same):
    # Five pixels in a row, of which the network sees the second. Without it, alone, the mean of 4 and 2 stands there.
    image = np.array([[[[4, 9, 2, 2, 2]]]], np.float32)
    weights = np.zeros((1, 1, 1, 5), np.float32)
    weights[..., 1] = 0.1
    maps = np.array([[[1, 5, 2, 3, 4]], [[5, 1, 4, 3, 2]]], np.float32)
    found = explained(linear(weights), np.repeat(image, 2, axis=0), maps)
    drawn = [found.view.generator(row, "imputation noise").standard_normal((1, 1, 5)) for row in (0, 1)]
    noise = [0.1 * NOISE * of_image[0, 0, 1] for of_image in drawn]
    options = {"shares": [0.2, 0.4, 0.8]}
    # Best first the pixel lacks from the start: it becomes 3; then 3 again; with the last four gone, 4.
    best, worst = (0.3 + 0.3 + 0.4) / 3 + noise[0], 0.9
    np.testing.assert_allclose(ROAD(1, same, **options).score(found), [best, worst], atol=1e-6)
    best_last = (0.3 + 0.3 + 0.4) / 3 + noise[1]
    np.testing.assert_allclose(ROAD(1, same, order="lerf", **options).score(found), [0.9, best_last], atol=1e-6)
    combined = [(0.9 - best) / 2, (best_last - worst) / 2]
    np.testing.assert_allclose(ROAD(1, same, order="combined", **options).score(found), combined, atol=1e-6)


def test_road_of_accuracy_counts_where_the_label_stays_the_likeliest(linear, explained):
    # Class 0 has 9 of the second pixel, class 1 always 3.8. Third in line, it becomes 3.5, between 4 and 2.
    image = np.array([[[[4, 9, 2, 2, 2]]]], np.float32)
    weights = np.zeros((2, 1, 1, 5), np.float32)
    weights[0, ..., 1], weights[1, ..., 0] = 1, 0.95
    found = explained(linear(weights), image, [[[1, 3, 5, 4, 2]]])
    assert ROAD(2, nn.Softmax(), shares=[0.2, 0.4, 0.6], answer="accuracy").score(found) == pytest.approx([2 / 3])


def test_directions_and_what_is_refused(raising):
    assert [ROAD(2, nn.Softmax(), order=order).higher_is_better for order in ("morf", "lerf", "combined")] == [
        False,
        True,
        True,
    ]
    for shares in ([], [0.5, 0.2], [0.1, 0.1], 0.5):
        with raising(ValueError, "shares-not-rising"):
            ROAD(2, nn.Softmax(), shares=shares)
    with raising(ValueError, "not-a-share"):
        ROAD(2, nn.Softmax(), shares=[0.5, 1.5])
    with raising(ValueError, "option-value-unknown", what="answer"):
        ROAD(2, nn.Softmax(), answer="logit")
    with raising(ValueError, "option-value-unknown", what="order"):
        ROAD(2, nn.Softmax(), order="both")
