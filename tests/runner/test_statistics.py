"""Bootstrap, sign flips and Holm's correction: by hand, against scipy, and over repeated draws."""

import itertools

import numpy as np
import pytest
from scipy import stats

from explainrun.runner.results import resampling
from explainrun.runner.results.resampling import (
    bootstrap_intervals,
    by_sample,
    holm,
    least_p_value,
    sign_flip_p_values,
    two_sided,
)


def test_scores_are_summed_up_by_sample():
    scores = np.array([[1.0, np.nan], [2.0, 5.0], [4.0, np.nan], [np.inf, 3.0]])
    sums, counts = by_sample(np.array([7, 3, 7, 9]), scores)
    assert sums.tolist() == [[2, 5], [5, 0], [0, 3]]  # of samples 3, 7, 9
    assert counts.tolist() == [[1, 1], [2, 0], [0, 1]]


def by_hand(sums, counts):
    """All resamples of two samples, as likely as each other."""
    drawn = list(itertools.product(range(2), repeat=2))
    return sorted((sums[a] + sums[b]) / (counts[a] + counts[b]) for a, b in drawn)


def test_an_interval_of_two_samples_by_hand():
    # one question of score 1, three of sum 6: means 1, 7/4 (twice as likely), 2
    assert by_hand([1, 6], [1, 3]) == [1, 1.75, 1.75, 2]
    sums, counts = np.array([[1.0], [6.0]]), np.array([[1.0], [3.0]])
    np.testing.assert_allclose(bootstrap_intervals(sums, counts), [[1], [2]])  # a quarter of the draws lies at each
    np.testing.assert_allclose(bootstrap_intervals(sums, counts, confidence=0.4), [[1.75], [1.75]])


def test_an_interval_needs_two_samples_with_scores():
    sums, counts = np.array([[1.0, 1.0, 0.0], [3.0, 0.0, 0.0]]), np.array([[1.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    low, high = bootstrap_intervals(sums, counts)
    assert (low[0], high[0]) == (1, 3)
    assert np.isnan([*low[1:], *high[1:]]).all()
    empty = bootstrap_intervals(np.zeros((0, 2)), np.zeros((0, 2)))
    assert np.isnan(empty).all()
    assert empty.shape == (2, 2)


def test_intervals_are_those_of_scipy():
    rng = np.random.default_rng(5)
    counts = rng.integers(1, 5, size=(60, 3)).astype(float)
    sums = np.stack([rng.normal(1, 2, 60), rng.standard_t(3, 60), rng.exponential(2, 60)], axis=1) * counts

    def ratio(total, count, axis):
        return total.sum(axis=axis) / count.sum(axis=axis)

    found = bootstrap_intervals(sums, counts)
    for cell in range(3):
        theirs = stats.bootstrap(
            (sums[:, cell], counts[:, cell]), ratio, paired=True, method="percentile", rng=np.random.default_rng(1)
        ).confidence_interval
        # an end's Monte Carlo error is 0.027 standard errors for 9,999 draws; five of those, of both
        slack = (theirs.high - theirs.low) / 3.92 * 0.027 * 2**0.5 * 5
        np.testing.assert_allclose(found[:, cell], [theirs.low, theirs.high], rtol=0, atol=slack)
    assert (bootstrap_intervals(sums, counts, seed=1) != found).all()
    np.testing.assert_array_equal(bootstrap_intervals(sums, counts), found)


def test_cells_do_not_depend_on_each_other():
    rng = np.random.default_rng(2)
    sums, counts = rng.normal(size=(30, 4)), np.ones((30, 4))
    np.testing.assert_allclose(
        bootstrap_intervals(sums, counts)[:, 2:3], bootstrap_intervals(sums[:, 2:3], counts[:, :1])
    )
    np.testing.assert_array_equal(sign_flip_p_values(sums)[2:3], sign_flip_p_values(sums[:, 2:3]))


def test_intervals_cover_the_mean():
    rng, covered, draws = np.random.default_rng(0), 0, 300
    for _ in range(draws):
        counts = rng.integers(1, 4, size=(40, 1))
        own = rng.normal(size=(40, 1))  # what the questions of a sample share
        sums = counts * (0.3 + own) + np.sqrt(counts) * rng.normal(size=(40, 1))
        low, high = bootstrap_intervals(sums, counts.astype(float), resamples=499)
        covered += bool(low[0] <= 0.3 <= high[0])
    assert 0.90 <= covered / draws <= 0.98  # of questions taken for independent it would be 0.87


def test_signs_by_hand():
    # sums of +-1 +-2 +-3: 6, 4, 2, 0, 0, -2, -4, -6
    differences = np.array([[1.0, -1.0, 1.0, 0.0], [2.0, -2.0, -2.0, 0.0], [3.0, -3.0, 3.0, 0.0]])
    assert sign_flip_p_values(differences).tolist() == [1 / 8, 1, 3 / 8, 1]
    assert sign_flip_p_values(-differences).tolist() == [1, 1 / 8, 6 / 8, 1]


def test_exact_p_values_are_those_of_scipy():
    rng = np.random.default_rng(3)
    differences = np.stack([rng.normal(0.4, 1, 9), rng.integers(-1, 3, 9), rng.normal(size=9) * 0.1], axis=1)
    for cell, found in enumerate(sign_flip_p_values(differences)):
        theirs = stats.permutation_test(
            (differences[:, cell],), np.sum, permutation_type="samples", alternative="greater", n_resamples=np.inf
        )
        assert found == pytest.approx(theirs.pvalue, abs=1e-12)


def test_drawn_p_values_are_those_of_scipy():
    rng = np.random.default_rng(4)
    differences = np.stack([rng.normal(0.2, 1, 60), rng.standard_t(2, 60), rng.integers(-1, 2, 60)], axis=1)
    found = sign_flip_p_values(differences)
    for cell in range(3):
        theirs = stats.permutation_test(
            (differences[:, cell],),
            lambda of, axis: of.sum(axis=axis),
            permutation_type="samples",
            alternative="greater",
            n_resamples=9_999,
            rng=np.random.default_rng(1),
        ).pvalue
        slack = 5 * np.sqrt(2 * theirs * (1 - theirs) / 9_999)
        assert abs(found[cell] - theirs) < slack
    np.testing.assert_array_equal(sign_flip_p_values(differences), found)
    assert (sign_flip_p_values(differences, seed=1) != found).any()


def test_no_p_value_is_nought():
    assert sign_flip_p_values(np.full((40, 1), 1.0), resamples=99).tolist() == [1 / 100]
    assert sign_flip_p_values(np.full((3, 1), 1.0), resamples=99).tolist() == [1 / 8]
    assert sign_flip_p_values(np.zeros((0, 1))).tolist() == [1]
    assert [least_p_value(samples, 99) for samples in (0, 3, 7, 40, 5_000)] == [1, 1 / 8, 1 / 100, 1 / 100, 1 / 100]


def test_sums_in_another_order_reach_themselves():
    """As a product with ones these add up to one bit less than as a sum, and no assignment would reach that."""
    differences = np.array([[0.81, 0.81, 0.52, 0.29, 0.05, 0.38, 0.41, 0.05, 0.05, 1.0, 0.65]]).T
    assert sign_flip_p_values(differences).tolist() == [1 / 2048]
    many = np.full((30, 1), 0.1)
    many[0] = -0.1  # 30 of 2**30 assignments and the best one: 31 / 2**30
    assert sign_flip_p_values(many, resamples=999).tolist() == [1 / 1000]


def test_memory_holds_some_draws_at_a_time(monkeypatch):
    rng = np.random.default_rng(6)
    differences, counts = rng.normal(size=(20, 3)), np.ones((20, 3))
    whole = sign_flip_p_values(differences[:8]), bootstrap_intervals(differences, counts)
    monkeypatch.setattr(resampling, "_CELLS_AT_ONCE", 60)
    np.testing.assert_array_equal(sign_flip_p_values(differences[:8]), whole[0])
    np.testing.assert_allclose(bootstrap_intervals(differences, counts), whole[1])


def test_many_samples_are_drawn_in_groups(monkeypatch):
    """Which bounds time and memory: intervals and p values are those of samples, but for what is left to chance."""
    rng = np.random.default_rng(8)
    values = np.stack([np.sort(rng.normal(0.05, 1, 2_000)), rng.standard_t(3, 2_000) + 0.03], axis=1)  # one in order
    counts = np.where(np.arange(2_000)[:, None] % 3, 1.0, [[2.0, 0.0]])
    sums = values * counts
    intervals, chances = bootstrap_intervals(sums, counts), sign_flip_p_values(sums)
    monkeypatch.setattr(resampling, "_MOST_GROUPS", 500)
    grouped = bootstrap_intervals(sums, counts)
    width = intervals[1] - intervals[0]
    assert (grouped != intervals).all()
    np.testing.assert_allclose(grouped - intervals, 0, atol=0.1 * width.max())  # 500 groups tell widths within 10 %
    np.testing.assert_allclose(sign_flip_p_values(sums), chances, atol=0.05)
    monkeypatch.setattr(resampling, "_MOST_GROUPS", 3)
    # groups of 2, 2 and 3 samples, whatever the order: only one of eight sums +-2 +-2 +-3 is 7
    assert sign_flip_p_values(np.ones((7, 1))).tolist() == [1 / 8]
    np.testing.assert_array_equal(bootstrap_intervals(np.ones((7, 1)), np.ones((7, 1))), [[1], [1]])
    few = np.array([[1.0], *[[0.0]] * 6])
    assert np.isnan(bootstrap_intervals(few, few)).all()  # one sample has a score


def test_two_sides():
    assert two_sided(np.array([0.01, 0.7]), np.array([0.99, 0.6])).tolist() == [0.02, 1]


def test_holm_by_hand():
    # in order 0.01 * 4, 0.02 * 3, 0.03 * 2 -> not below 0.06, 0.5 * 1
    assert holm(np.array([0.03, 0.01, 0.5, 0.02])).tolist() == [0.06, 0.04, 0.5, 0.06]
    found = holm(np.array([0.3, np.nan, 0.4]))
    assert [found[0], found[2]] == [0.6, 0.6]
    assert np.isnan(found[1])
    assert holm(np.array([0.9, 0.8])).tolist() == [1, 1]
    assert np.isnan(holm(np.array([np.nan]))).all()
    assert holm(np.array([])).shape == (0,)
