"""PointingGame and IoSR by hand; wide images, boxes in corners."""

import numpy as np
import pytest
from mindspore import Tensor

from explainrun.benchmarks import Explanation, IoSR, Localization, PointingGame
from explainrun.explainers import Gradient, Network, View

HEIGHT, WIDTH = 10, 60
TOP_RIGHT = np.zeros((HEIGHT, WIDTH), bool)
TOP_RIGHT[0:3, 50:60] = True  # x 50, y 0, width 10, height 3


def peak(row, column):
    map_ = np.zeros((HEIGHT, WIDTH), np.float32)
    map_[row, column] = 1
    return map_


def test_a_box_in_the_top_right_corner(score):
    maps = np.stack([peak(1, 58), peak(9, 2), peak(2, 9), peak(9, 58)])
    assert score(PointingGame(1), maps, np.stack([TOP_RIGHT] * 4)) == [1, 0, 0, 1]
    assert score(PointingGame(1, tolerance=7), maps, np.stack([TOP_RIGHT] * 4)) == [1, 0, 0, 0]


def test_the_number_of_classes_may_be_left_out(score):
    maps, masks = np.stack([peak(1, 58), peak(9, 2)]), np.stack([TOP_RIGHT] * 2)
    for metric in (PointingGame(), Localization(), Localization(metric="PointingGame", tolerance=7), PointingGame(2)):
        assert score(metric, maps, masks) == [1, 0]
    assert score(IoSR(), maps, masks) == score(Localization(metric="IoSR"), maps, masks) == [1, 0]
    assert [metric.num_labels for metric in (IoSR(), Localization(), Localization(num_labels=3))] == [None, None, 3]


def test_tolerance_is_a_euclidean_distance_and_not_reached(score):
    # (6, 47) is 4 below row 2 and 3 left of column 50: 5 pixels away.
    maps, masks = peak(6, 47)[None], TOP_RIGHT[None]
    assert score(PointingGame(1, tolerance=5), maps, masks) == [0]
    assert score(PointingGame(1, tolerance=5.01), maps, masks) == [1]
    assert score(PointingGame(1, tolerance=0.5), peak(2, 50)[None], masks) == [1]


def test_iosr_is_the_share_of_salient_pixels_in_the_box(score):
    map_ = np.zeros((HEIGHT, WIDTH), np.float32)
    map_[0, 48:52] = (2, 1.01, 1.5, 1)  # above half of 2: columns 48, 49, 50; in the box: column 50
    map_[9, 0] = -5
    assert score(IoSR(1), map_[None], TOP_RIGHT[None]) == [pytest.approx(1 / 3)]
    assert score(IoSR(1, threshold=0.49), map_[None], TOP_RIGHT[None]) == [pytest.approx(2 / 4)]


def test_what_cannot_be_scored_is_nan(score):
    maps = np.stack([np.full((HEIGHT, WIDTH), 3.0), peak(1, 1) * np.nan, peak(1, 58), -1 - peak(0, 0)]).astype(
        np.float32
    )
    masks = np.stack([TOP_RIGHT, TOP_RIGHT, np.zeros_like(TOP_RIGHT), TOP_RIGHT])
    assert np.isnan(score(PointingGame(1), maps, masks)).tolist() == [True, True, True, False]
    assert np.isnan(score(IoSR(1), maps, masks)).tolist() == [True] * 4  # the last has no positive value


def test_one_of_several_maxima_is_drawn_by_the_sample_not_by_position(linear):
    map_ = peak(1, 58) + peak(9, 2)
    cell = linear(np.zeros((1, 1, HEIGHT, WIDTH)))
    images, zeros = np.zeros((40, 1, HEIGHT, WIDTH), np.float32), np.zeros(40, int)
    view = View(Network(cell), images, np.arange(40), zeros)
    hits = PointingGame(1, tolerance=1).score(
        Explanation(Gradient(cell), view, np.stack([map_] * 40), np.stack([TOP_RIGHT] * 40))
    )
    assert 8 <= hits.sum() <= 32


def test_direct_call(linear):
    weights = np.zeros((2, 1, HEIGHT, WIDTH))
    weights[0, 0, 1, 58], weights[1, 0, 9, 2] = 1, 1
    explainer = Gradient(linear(weights))
    images = Tensor(np.zeros((2, 1, HEIGHT, WIDTH), np.float32))
    mask = np.stack([TOP_RIGHT] * 2)[:, None]
    metric = Localization(2)
    assert metric.evaluate(explainer, images, 0, mask=mask).tolist() == [1, 1]
    assert metric.evaluate(explainer, images, [0, 1], mask=Tensor(mask.astype(np.float32))).tolist() == [1, 0]
    both = np.stack([TOP_RIGHT, TOP_RIGHT])[None].repeat(2, axis=0)
    assert metric.evaluate(explainer, images, [[0, 1], [1, 0]], mask=both).tolist() == [[1, 0], [0, 1]]
    assert Localization(2, metric="IoSR").evaluate(explainer, images, [0, 1], mask=mask).tolist() == [1, 0]
    with pytest.raises(ValueError, match="PointingGame needs a mask"):
        metric.evaluate(explainer, images, 0)
    with pytest.raises(ValueError, match=r"mask must have shape \(2, 1, 10, 60\), got \(2, 1, 60, 10\)"):
        metric.evaluate(explainer, images, 0, mask=mask.transpose(0, 1, 3, 2))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Localization(2, metric="IoSr"), "did you mean 'IoSR'"),
        (lambda: PointingGame(2, tolerance=0), "tolerance must be above 0 pixels, got 0"),
        (lambda: IoSR(2, threshold=1), "threshold must be at least 0 and below 1, got 1"),
    ],
)
def test_bad_options(make, words):
    with pytest.raises(ValueError, match=words):
        make()
