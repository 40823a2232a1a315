"""AverageDrop, AverageIncrease and AverageGain by hand."""

import numpy as np
import pytest
from mindspore import nn

from explainrun.benchmarks import AverageDrop, AverageGain, AverageIncrease, PixelFlipping

# Of 1 x 3 pixels the first two speak for the label and the third against it: .5 + .3 - .2.
IMAGE, WEIGHTS = np.array([[[[1, 2, 4]]]], np.float32), np.array([[[[0.5, 0.15, -0.05]]]], np.float32)
MAPS = np.array([[[7, 7, 3]], [[0, 2, 0]], [[-1, 3, 1]], [[2, 2, 2]]], np.float32)


@pytest.fixture
def found(linear, explained):
    return explained(linear(WEIGHTS), np.repeat(IMAGE, 4, axis=0), MAPS)


def test_by_hand(found, same):
    # Of .6: without the third pixel .8; with the second alone .3; with 0, 1 and .5 of them .3 - .1.
    np.testing.assert_allclose(AverageDrop(1, same).score(found), [0, 0.5, 2 / 3, np.nan], atol=1e-6)
    np.testing.assert_allclose(AverageIncrease(1, same).score(found), [1, 0, 0, np.nan])
    np.testing.assert_allclose(AverageGain(1, same).score(found), [0.5, 0, 0, np.nan], atol=1e-6)
    assert [one.higher_is_better for one in (AverageDrop, AverageIncrease, AverageGain)] == [False, True, True]


def test_what_is_removed_becomes_the_baseline_or_the_mean(found, same):
    # With 2 in place: (1, 2, 2), (2, 2, 2) and (2, 2, 3), hence .7, 1.2 and 1.15; the mean is 7/3, so that the last
    # pixel of the third is 19/6.
    np.testing.assert_allclose(AverageGain(1, same, baseline=2.0).score(found)[:3], [0.25, 1.5, 1.375], atol=1e-6)
    means = np.array([0.5 + 0.3 - 0.35 / 3, 3.5 / 3 + 0.3 - 0.35 / 3, 3.5 / 3 + 0.3 - 0.95 / 6])
    expected = (means - 0.6) / 0.4
    np.testing.assert_allclose(AverageGain(1, same, removal="mean").score(found)[:3], expected, atol=1e-6)


def test_best_and_worst(linear, explained, same):
    # All of the probability 1 lies in one pixel: nothing is lost where the map is there alone, all where it is not.
    weights = np.zeros((1, 1, 2, 3), np.float32)
    weights[0, 0, 1, 0] = 1
    maps = [weights[0, 0], 1 - weights[0, 0]]
    found = explained(linear(weights), np.ones((2, 1, 2, 3)), maps)
    np.testing.assert_allclose(AverageDrop(1, same).score(found), [0, 1], atol=1e-6)
    assert np.isnan(AverageGain(1, same).score(found)).all()  # of a probability of 1 nothing lacks
    nothing = explained(linear(0 * weights), np.ones((1, 1, 2, 3)), maps[:1])
    assert np.isnan(AverageDrop(1, same).score(nothing)).all()
    assert AverageIncrease(1, same).score(nothing).tolist() == [0]


def test_scale_and_offset_of_a_map_change_nothing(found, explained, linear, same):
    moved = explained(linear(WEIGHTS), np.repeat(IMAGE, 4, axis=0), 4 * MAPS - 8)
    for metric in (AverageDrop(1, same), AverageIncrease(1, same), AverageGain(1, same)):
        np.testing.assert_array_equal(metric.score(moved), metric.score(found))


def test_one_image_serves_all_three(linear, explained):
    cell, softmax = linear(np.concatenate([WEIGHTS, -WEIGHTS])), nn.Softmax()
    found = explained(cell, np.repeat(IMAGE, 4, axis=0), MAPS, logits=np.zeros((4, 2), np.float32))
    metrics = [kind(2, softmax) for kind in (AverageDrop, AverageIncrease, AverageGain)]
    found._coverings.extend(metric.covering((1, 3)) for metric in [*metrics, PixelFlipping(2, softmax, steps=3)])
    assert found.images_needed() == (3 + 3 * 2, {0.0})
    for metric in metrics:
        metric.score(found)
    assert sum(cell.calls) == 3 + 3 * 2 + 1
