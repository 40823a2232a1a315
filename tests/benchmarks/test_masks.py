"""RelevanceMass to IoU by hand, on wide images with boxes and masks off the centre."""

import numpy as np
import pytest
from mindspore import Tensor

from explainrun.benchmarks import (
    AUC,
    METRICS,
    AttributionLocalization,
    EnergyPointingGame,
    IoU,
    RelevanceMass,
    RelevanceRank,
    TopKIntersection,
)
from explainrun.explainers import Gradient

NAN = float("nan")
MAP = np.array([[5, 1, 0, 0, 2, 0], [3, -2, 0, 0, 0, 1], [0, 0, -4, 0, 0, 0]], np.float32)  # 12 above 0
BOX = np.zeros((3, 6), bool)
BOX[0:2, 0:2] = True  # 4 pixels, in the corner: 9 of 12
TWO_BOXES = BOX.copy()
TWO_BOXES[0:3, 4:6] = True  # 10 pixels: all 12
RING = ~np.pad(np.ones((1, 4), bool), 1)  # a mask that is no box: 14 pixels
EVERY = (
    RelevanceMass(),
    RelevanceRank(),
    TopKIntersection(k=4),
    AttributionLocalization(),
    AUC(),
    IoU(),
)


def named(metrics):
    return pytest.mark.parametrize("metric", metrics, ids=lambda metric: metric.name)


@pytest.mark.parametrize(
    ("metric", "mask", "expected"),
    [
        (RelevanceMass(), BOX, 9 / 12),
        (RelevanceMass(), TWO_BOXES, 1),
        (RelevanceMass(), RING, 1),
        (RelevanceMass(), ~BOX, 3 / 12),
        # 5, 3, 2 and one of the two 1s, of which one is inside: 5, 3 and half a pixel of 4.
        (RelevanceRank(), BOX, 2.5 / 4),
        # 5, 3, 2, 1, 1, and 5 of the 11 zeros, of which 4 are inside: 5 + 5 * 4/11 of 10.
        (RelevanceRank(), TWO_BOXES, (5 + 20 / 11) / 10),
        (TopKIntersection(k=1), BOX, 1),
        (TopKIntersection(k=3), BOX, 2 / 3),
        (TopKIntersection(k=5), BOX, 3 / 5),
        (TopKIntersection(k=3, concept_influence=True), BOX, 2 / 3 * 18 / 4),
        (TopKIntersection(k=99), BOX, 4 / 18),
        (TopKIntersection(), ~BOX, 0),  # a fiftieth of 18 pixels: one
        (AttributionLocalization(), BOX, 9 / 12),
        (AttributionLocalization(weighted=True), BOX, 9 / 12 * 18 / 4),
        (AttributionLocalization(max_share=4 / 18), BOX, 9 / 12),
        (AttributionLocalization(max_share=0.5), TWO_BOXES, NAN),
        # Of 4 x 14 pairs: 5 and 3 win 14 each; 1 loses to 2, ties with 1, wins 12: 12.5; -2 wins against -4 alone: 1.
        (AUC(), BOX, (14 + 14 + 12.5 + 1) / 56),
        (AUC(), np.ones_like(BOX), NAN),
        (IoU(threshold=0.5), BOX, 2 / 4),  # above 2.5: 5 and 3
        (IoU(), BOX, 2 / 5),  # above 1: 5, 3 and 2
        (IoU(threshold=0), BOX, 3 / 6),
        (IoU(), RING, 3 / 14),
    ],
)
def test_by_hand(score, metric, mask, expected):
    assert score(metric, MAP[None], mask[None]) == [pytest.approx(expected, abs=1e-12, nan_ok=True)]


@named(EVERY)
def test_the_best_map_is_that_of_the_mask(score, metric):
    for mask in (BOX, TWO_BOXES, RING):
        assert score(metric, mask[None].astype(np.float32) * 7, mask[None]) == [pytest.approx(1, abs=1e-6)]


@named(EVERY)
def test_the_worst_map_is_that_of_the_rest(score, metric):
    # 14 of 18 pixels are more salient than those of the box, so none of its 4 is among the first 4.
    assert score(metric, (~BOX)[None].astype(np.float32) * 7, BOX[None]) == [pytest.approx(0, abs=1e-6)]


@named((TopKIntersection(k=4, concept_influence=True), AttributionLocalization(weighted=True)))
def test_what_is_divided_by_the_size_is_best_at_its_inverse(score, metric):
    assert score(metric, BOX[None].astype(np.float32), BOX[None]) == [pytest.approx(18 / 4, abs=1e-6)]
    assert score(metric, (~BOX)[None].astype(np.float32), BOX[None]) == [pytest.approx(0, abs=1e-6)]


@named(EVERY)
@pytest.mark.parametrize("factor", [1e-30, 0.3, 1e30])
def test_scaling_a_map_changes_nothing(score, metric, factor):
    drawn = np.random.default_rng(0).normal(size=(5, 3, 6)).astype(np.float32)
    masks = np.stack([BOX, TWO_BOXES, RING, BOX, RING])
    assert score(metric, drawn * np.float32(factor), masks) == pytest.approx(score(metric, drawn, masks), abs=1e-6)


@named(EVERY)
def test_samples_in_another_order_have_the_same_bits(score, metric):
    drawn, order = np.random.default_rng(1).normal(size=(6, 3, 6)).astype(np.float32), [4, 0, 5, 2, 1, 3]
    masks = np.stack([BOX, TWO_BOXES, RING] * 2)
    scores = np.array(score(metric, drawn, masks))
    assert score(metric, drawn[order], masks[order]) == scores[order].tolist()


@named((RelevanceRank(), TopKIntersection(k=4), AUC()))
def test_only_the_order_of_pixels_counts(score, metric):
    drawn, masks = np.random.default_rng(2).normal(size=(4, 3, 6)).astype(np.float32), np.stack([BOX, RING] * 2)
    assert score(metric, np.exp(drawn), masks) == pytest.approx(score(metric, drawn, masks), abs=1e-12)


def test_the_sign_turned_round_turns_auc_round(score):
    drawn, masks = np.random.default_rng(3).normal(size=(4, 3, 6)).astype(np.float32), np.stack([BOX, RING] * 2)
    drawn[0] = MAP  # with ties
    assert score(AUC(), -drawn, masks) == pytest.approx([1 - one for one in score(AUC(), drawn, masks)], abs=1e-12)


def test_values_below_zero_speak_against_and_count_nothing(score):
    for metric in (RelevanceMass(), AttributionLocalization(), IoU()):
        assert score(metric, np.maximum(MAP, 0)[None], BOX[None]) == score(metric, MAP[None], BOX[None])
        assert np.isnan(score(metric, -1 - np.abs(MAP)[None], BOX[None])).all()


@named(EVERY)
def test_what_cannot_be_scored_is_nan(score, metric):
    spoiled = MAP.copy()
    spoiled[2, 5] = np.inf
    maps = np.stack([np.full_like(MAP, 3), MAP * np.nan, spoiled, MAP, MAP])
    masks = np.stack([BOX, BOX, BOX, np.zeros_like(BOX), BOX])
    assert np.isnan(score(metric, maps, masks)).tolist() == [True, True, True, True, False]


def slow_auc(values, inside):
    """All pairs, looked at."""
    pairs = [(a > b) + (a == b) / 2 for a in values[inside] for b in values[~inside]]
    return np.mean(pairs)


def slow_top(values, inside, count, draws=4000):
    """The first so many pixels, ties in many orders."""
    rng, found = np.random.default_rng(0), []
    for _ in range(draws):
        order = np.lexsort((rng.random(values.size), -values.ravel()))
        found.append(inside.ravel()[order[:count]].mean())
    return np.mean(found)


@pytest.mark.parametrize("seed", range(5))
def test_against_slow_twins(score, seed):
    rng = np.random.default_rng(seed)
    map_ = rng.integers(-2, 3, (3, 6)).astype(np.float32)  # many ties
    mask = rng.random((3, 6)) < 0.4
    mask[0, 5], mask[2, 0] = True, False
    assert score(AUC(), map_[None], mask[None]) == [pytest.approx(slow_auc(map_, mask), abs=1e-12)]
    # The standard error of 4,000 draws is below 0.005 of a share.
    top = slow_top(map_, mask, int(mask.sum()))
    assert score(RelevanceRank(), map_[None], mask[None]) == [pytest.approx(top, abs=0.025)]
    assert score(TopKIntersection(k=5), map_[None], mask[None]) == [pytest.approx(slow_top(map_, mask, 5), abs=0.025)]


def test_a_map_that_knows_nothing_gets_what_docstrings_say(score):
    maps = np.random.default_rng(4).random((400, 3, 6)).astype(np.float32)
    masks = np.stack([BOX] * 400)
    for metric, expected in (
        (RelevanceMass(), 4 / 18),
        (RelevanceRank(), 4 / 18),
        (TopKIntersection(k=3, concept_influence=True), 1),
        (AttributionLocalization(weighted=True), 1),
        (AUC(), 0.5),
    ):
        assert np.mean(score(metric, maps, masks)) == pytest.approx(expected, rel=0.1), metric.name


def test_the_energy_based_pointing_game_is_another_name():
    assert EnergyPointingGame is RelevanceMass is METRICS["EnergyPointingGame"]
    assert "EnergyPointingGame" in METRICS
    assert "EnergyPointingGame" not in list(METRICS)


@named(EVERY)
def test_direct_call(linear, metric):
    weights = np.zeros((2, 1, 3, 6))
    weights[0, 0, 0, :2], weights[1, 0, 2, 5] = 1, 1
    explainer, images = Gradient(linear(weights)), Tensor(np.zeros((2, 1, 3, 6), np.float32))
    mask = (weights > 0)[:, :1]
    found = metric.evaluate(explainer, images, [0, 1], mask=mask)
    assert found.shape == (2,)
    assert (found > metric.evaluate(explainer, images, [1, 0], mask=mask)).all()
    with pytest.raises(ValueError, match=f"{metric.name} needs a mask"):
        metric.evaluate(explainer, images, 0)


@pytest.mark.parametrize(
    ("make", "code", "name"),
    [
        (lambda: TopKIntersection(k=0), "not-a-whole-number", "k"),
        (lambda: TopKIntersection(concept_influence=1), "not-yes-or-no", "concept_influence"),
        (lambda: AttributionLocalization(weighted="no"), "not-yes-or-no", "weighted"),
        (lambda: AttributionLocalization(max_share=1.1), "not-a-share", "max_share"),
    ],
)
def test_bad_options(raising, make, code, name):
    with raising(ValueError, code, name=name):
        make()


def test_a_bad_threshold():
    with pytest.raises(ValueError, match="threshold must be at least 0 and below 1, got 1"):
        IoU(threshold=1)
