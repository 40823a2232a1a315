"""Sparseness, Complexity and EffectiveComplexity by hand, on wide maps."""

import numpy as np
import pytest
from mindspore import Tensor

from explainrun.benchmarks import Complexity, EffectiveComplexity, Sparseness
from explainrun.explainers import Gradient

ALL = (Sparseness(), Complexity(), EffectiveComplexity())
MAP = np.array([[0, 0, 1], [0, -3, 4]], np.float32)
ONE = np.array([[0, 0, 0], [0, -9, 0]], np.float32)
FLAT = np.full((2, 3), -0.25, np.float32)


def named(metrics):
    return pytest.mark.parametrize("metric", metrics, ids=lambda metric: metric.name)


@pytest.mark.parametrize(
    ("metric", "map_", "expected"),
    [
        (Sparseness(), MAP, (1 * 1 + 3 * 3 + 5 * 4) / (6 * 8)),  # weights of 6 values: -5, -3, -1, 1, 3, 5
        (Sparseness(), ONE, 1 - 1 / 6),
        (Sparseness(), FLAT, 0),
        (Complexity(), MAP, -(1 * np.log(1 / 8) + 3 * np.log(3 / 8) + 4 * np.log(4 / 8)) / 8),
        (Complexity(), ONE, 0),
        (Complexity(), FLAT, np.log(6)),
        (EffectiveComplexity(), MAP, 3),
        (EffectiveComplexity(eps=0.25), MAP, 2),
        (EffectiveComplexity(eps=0.8), MAP, 1),
        (EffectiveComplexity(), ONE, 1),
        (EffectiveComplexity(), FLAT, 6),
    ],
)
def test_by_hand(score, metric, map_, expected):
    assert score(metric, map_[None]) == [pytest.approx(expected, abs=1e-9)]


@named(ALL)
def test_scale_sign_and_places_change_nothing(score, metric):
    rng = np.random.default_rng(0)
    maps = rng.normal(size=(4, 2, 3)).astype(np.float32)
    expected = pytest.approx(score(metric, maps), abs=1e-6)
    for factor in (1e-30, -0.3, 1e30):
        assert score(metric, maps * np.float32(factor)) == expected
    assert score(metric, rng.permuted(maps.reshape(4, 6), axis=1).reshape(4, 3, 2)) == expected


@named(ALL)
def test_samples_in_another_order_have_the_same_bits(score, metric):
    maps, order = np.random.default_rng(1).normal(size=(6, 7, 9)).astype(np.float32), [4, 0, 5, 2, 1, 3]
    scores = np.array(score(metric, maps))
    assert score(metric, maps[order]) == scores[order].tolist()


def test_sparseness_against_all_pairs(score):
    maps = np.abs(np.random.default_rng(2).normal(size=(3, 4, 5))).astype(np.float32)
    for map_, found in zip(maps.reshape(3, -1), score(Sparseness(), maps), strict=True):
        pairs = np.abs(map_[:, None] - map_).sum()  # Gini: half of the mean difference, as a share of the mean
        assert found == pytest.approx(pairs / (2 * 20**2 * map_.mean()), abs=1e-6)


@named(ALL)
def test_what_cannot_be_scored_is_nan(score, metric):
    spoiled = MAP.copy()
    spoiled[0, 0] = np.inf
    scores = score(metric, np.stack([np.zeros_like(MAP), MAP * np.nan, spoiled, FLAT]))
    assert np.isnan(scores).tolist() == [True, True, True, False]


@named(ALL)
def test_direct_call_and_direction(linear, metric):
    weights = np.stack([ONE, FLAT])[:, None]
    images = Tensor(np.zeros((2, 1, 2, 3), np.float32))
    few, many = metric.evaluate(Gradient(linear(weights)), images, [0, 1])
    assert (few > many) == metric.higher_is_better
    assert not metric.control_sensitive


@pytest.mark.parametrize("eps", [-0.1, 1])
def test_bad_options(eps):
    with pytest.raises(ValueError, match=f"eps must be at least 0 and below 1, got {eps}"):
        EffectiveComplexity(eps=eps)
