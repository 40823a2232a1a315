"""How alike maps are: by hand, and against a slow twin."""

import math

import numpy as np
import pytest
from scipy.stats import spearmanr

from explainrun.runner.comparison import compare, map_similarity, scored_run
from explainrun.runner.comparison.map_similarity import similarities, top_intersections
from explainrun.summary_format.rank_correlation import rank_correlations


def twin(first, second):
    """Slow and obvious: pixels sorted by (value, place)."""
    correlation = spearmanr(first.ravel(), second.ravel()).statistic
    count = math.ceil(first.size / 10)
    tops = [
        {place for _, place in sorted((-value, place) for place, value in enumerate(one.ravel().tolist()))[:count]}
        for one in (first, second)
    ]
    return correlation, len(tops[0] & tops[1]) / count


def test_maps_by_hand():
    """Ranks 1 to 12 against 2, 1, 3 ... 12: 1 - 6 * 2 / (12 * 143); the two highest of twelve pixels are the top."""
    first = np.arange(12, dtype=np.float32).reshape(1, 3, 4)
    second = first.copy()
    second[0, 0, :2] = [1, 0]
    assert rank_correlations(first, second) == pytest.approx([1 - 12 / (12 * 143)])
    assert top_intersections(first, second).tolist() == [1]
    second[0, 2] = [8, 11, 10, 9]
    assert top_intersections(first, second).tolist() == [0.5]  # places 9 and 10 instead of 10 and 11
    assert rank_correlations(first, -first).tolist() == [-1]
    assert top_intersections(first, -first).tolist() == [0]


def test_equal_pixels_share_ranks_and_the_first_ones_are_on_top():
    first = np.zeros((1, 4, 5), np.float32)
    first[0, 0, 0] = 1
    second = np.zeros((1, 4, 5), np.float32)
    second[0, 0, 3] = 1
    assert top_intersections(first, second).tolist() == [0.5]  # places 0 and 1; 3 and 0
    assert rank_correlations(first, second) == pytest.approx([-1 / 19])


@pytest.mark.parametrize("levels", [None, 3])
@pytest.mark.parametrize("size", [(3, 10), (7, 4), (1, 5)])
def test_maps_against_the_slow_twin(size, levels):
    rng = np.random.default_rng(0)
    first = rng.normal(size=(20, *size)).astype(np.float32)
    second = (first + rng.normal(size=first.shape)).astype(np.float32)
    if levels is not None:
        first, second = (np.round(maps) for maps in (first, second))
    expected = np.array([twin(*pair) for pair in zip(first, second, strict=True)])
    np.testing.assert_allclose(rank_correlations(first, second), expected[:, 0], atol=1e-12)
    np.testing.assert_allclose(top_intersections(first, second), expected[:, 1])


class Maps:
    """Stands for a run's results."""

    def __init__(self, maps):
        self._maps, self.asked = maps, []

    def maps(self, explainer, first, last):
        self.asked.append(last - first)
        return self._maps[explainer][first:last]


def with_maps(make_scored, maps, **changes):
    count = len(next(iter(maps.values())))
    return make_scored(np.zeros((count, len(maps))), tuple(maps), results=Maps(maps), **changes)


def test_pairs_that_cannot_be_compared_are_counted(make_scored):
    rng = np.random.default_rng(1)
    maps = rng.normal(size=(6, 3, 5)).astype(np.float32)
    other = maps + rng.normal(size=maps.shape).astype(np.float32)
    before, now = maps.copy(), other.copy()
    before[0], now[1], now[2, 0, 0], before[3, 1, 1] = 0.25, 4.0, np.nan, np.inf
    (found,) = similarities(with_maps(make_scored, {"E": before}), with_maps(make_scored, {"E": now}))
    expected = np.mean([twin(maps[i], other[i]) for i in (4, 5)], axis=0)
    assert (found.spearman, found.top_intersection) == pytest.approx(tuple(expected))
    assert (found.explainer, found.compared, found.not_compared) == ("E", 2, 4)


def test_maps_of_another_size_or_of_no_question(make_scored):
    maps = np.random.default_rng(2).normal(size=(3, 3, 5)).astype(np.float32)
    before = with_maps(make_scored, {"E": maps})
    (found,) = similarities(before, with_maps(make_scored, {"E": maps.transpose(0, 2, 1)}))
    assert (found.compared, found.not_compared) == (0, 3)
    assert math.isnan(found.spearman)
    assert math.isnan(found.top_intersection)
    fewer = with_maps(make_scored, {"E": maps}, questions=np.array([[2, 0], [1, 0], [1, 2]]))
    (found,) = similarities(before, fewer)
    expected = np.mean([twin(maps[2], maps[0]), twin(maps[1], maps[1])], axis=0)
    assert (found.spearman, found.top_intersection) == pytest.approx(tuple(expected))
    assert (found.compared, found.not_compared) == (2, 1)
    assert similarities(before, make_scored(np.zeros(3))) == ()


@pytest.mark.parametrize("at_once", [15, 15 * 4, 15 * 7])
def test_memory_holds_some_maps_at_a_time(make_scored, monkeypatch, at_once):
    """Other questions lie between the true labels'; the candidate asks in another order."""
    rng = np.random.default_rng(3)
    maps, other = (rng.normal(size=(40, 3, 5)).astype(np.float32) for _ in range(2))
    samples, order = np.repeat(np.arange(20), 2), rng.permutation(40)
    asked = np.stack([samples, np.tile([0, 1], 20)], axis=1)
    truth = np.full((20, 1), 1)
    before = with_maps(make_scored, {"E": maps}, samples=samples, labels=asked[:, 1], truth=truth)
    now = with_maps(make_scored, {"E": other[order]}, samples=samples, labels=asked[:, 1], truth=truth)
    now = type(now)(**{**vars(now), "questions": asked[order]})
    monkeypatch.setattr(map_similarity, "_PIXELS_AT_ONCE", at_once)
    (found,) = similarities(before, now)
    expected = np.mean([twin(maps[i], other[i]) for i in range(1, 40, 2)], axis=0)
    assert (found.spearman, found.top_intersection) == pytest.approx(tuple(expected))
    assert (found.compared, found.not_compared) == (20, 0)
    assert max(before.results.asked) <= at_once // 15
    assert max(now.results.asked) <= 2 * at_once // 15


def test_maps_of_runs(make_run):
    one, two = make_run("one", nan=[7]), make_run("two", seed=5, nan=[7, 8])  # one asked of sample 8, neither of 7
    found = compare(one.root, two.root, alpha=0.3).similarities
    results = [scored_run(run.root).results for run in (one, two)]
    for similar in found:
        pairs = [(sample, sample % 3) for sample in range(12) if sample not in (7, 8)]
        expected = np.mean([twin(*(of.map(similar.explainer, *pair) for of in results)) for pair in pairs], axis=0)
        assert (similar.spearman, similar.top_intersection) == pytest.approx(tuple(expected))
        assert (similar.compared, similar.not_compared) == (10, 1)
        assert 0.5 < similar.spearman < 0.99
    (chosen,) = compare(one.root, two.root, alpha=0.3, explainers=["RISE"]).similarities
    assert chosen == found[1]
