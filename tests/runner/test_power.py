"""Bounds of means, and what samples can show: by hand, against scipy, and in the units that scores are in."""

import math

import numpy as np
import pytest
from scipy import optimize, stats

from explainrun.runner.results.mean_bounds import (
    Events,
    largest_share,
    mean_bounds,
    span_of,
    standard_errors,
    uneven_reach,
)
from explainrun.runner.results.power import detectable_falls, samples_needed
from explainrun.runner.results.resampling import bootstrap_means, sign_flip_p_values

NAN = math.nan


def column(*values):
    return np.array(values, float)[:, None]


def events(span=1.0, usual=0.0):
    return Events(np.array([usual]), np.array([span]))


def bounds(values, counts=None, *, error=0.025, **of):
    sums = column(*values)
    counts = np.ones_like(sums) if counts is None else column(*counts)
    return mean_bounds(sums, counts, events(**of), bootstrap_means(sums, counts, resamples=999), error=error)[:, 0]


def test_errors_by_hand():
    # 1, 2, 4, 5: variance 10/3 of 4; sums 2 and 9 of 1 and 3 questions: mean 11/4, apart -3/4 and 3/4
    assert standard_errors(column(1, 2, 4, 5), np.ones((4, 1))) == pytest.approx(math.sqrt(10 / 3 / 4))
    assert standard_errors(column(2, 9), column(1, 3)) == pytest.approx(math.sqrt(2 * 2 * 9 / 16) / 4)
    assert np.isnan(standard_errors(column(2, 0), column(1, 0))).all()


def test_few_samples_have_the_bounds_of_student():
    reach = stats.t.ppf(0.975, 3) * math.sqrt(10 / 12)
    assert bounds([1, 2, 4, 5]) == pytest.approx([3 - reach, 3 + reach])
    wide = bounds([1, 2, 4, 5], error=0.3)  # which the bootstrap is wider than
    assert wide[0] < 3 - stats.t.ppf(0.7, 3) * math.sqrt(10 / 12) + 1e-9


def test_uneven_samples_have_those_of_hall():
    """The twin solves his cubic for the studentised mean."""
    skew, samples = 2.0, 24.0

    def transformed(reach, of):
        root = math.sqrt(samples)
        return reach + of / root * (reach**2 / 3 + 1 / 6) + of**2 * reach**3 / (27 * samples)

    for of in (skew, -skew, 0.5):
        theirs = optimize.brentq(lambda reach, of=of: transformed(reach, of) - 2.07, -20, 40)
        found = uneven_reach(np.array([2.07]), np.array([of]), np.array([samples]))
        assert found == pytest.approx([theirs])
    even = uneven_reach(np.array([2.07]), np.array([0.0]), np.array([samples]))
    assert even == pytest.approx([2.07])
    rare = [0.0, 0.01, -0.01, 0.02, -0.02] * 5 + [0.9] * 2
    low, high = bounds(rare)
    assert high - np.mean(rare) > 1.2 * (np.mean(rare) - low)


def test_what_no_sample_shows_is_not_ruled_out():
    share = largest_share(np.array([0.0, 3.0, 24.0]), np.array([24.0] * 3), 0.05)
    assert share[0] == pytest.approx(1 - 0.05 ** (1 / 24))
    assert stats.binom.cdf(3, 24, share[1]) == pytest.approx(0.05)
    assert share[2] == 1
    assert bounds([0.0] * 24) == pytest.approx([-(1 - 0.025 ** (1 / 24)), 1 - 0.025 ** (1 / 24)])
    assert bounds([0.0] * 24, span=0.5)[1] == pytest.approx(0.5 * (1 - 0.025 ** (1 / 24)))
    hits = bounds([1.0] * 20 + [0.0] * 4, usual=1.0)
    assert hits[0] <= 1 - largest_share(np.array([4.0]), np.array([24.0]), 0.025)[0]
    many = bounds([1.0] * 60 + [0.0] * 40, usual=1.0)
    assert many[0] > 0.49  # samples that say enough are judged by what they show


def test_bounds_have_the_unit_of_scores():
    rng = np.random.default_rng(3)
    for values in (rng.normal(size=12), rng.exponential(size=12), [0.0] * 11 + [-1.0]):
        one, hundred = bounds(values, span=4.0), bounds(100 * np.asarray(values), span=400.0)
        np.testing.assert_allclose(hundred, 100 * one, rtol=1e-9)
        np.testing.assert_allclose(bounds(-np.asarray(values), span=4.0), -one[::-1], rtol=0.05, atol=0.02)


def test_bounds_of_nothing_are_unknown():
    assert np.isnan(bounds([1.0, 0.0], counts=[1, 0])).all()
    none = np.zeros((0, 1))
    assert np.isnan(mean_bounds(none, none, events(), bootstrap_means(none, none, resamples=99), error=0.05)).all()
    assert span_of([np.array([0.25, NAN]), np.array([-0.5])]) == 0.75
    assert span_of([np.zeros(3)]) == span_of([np.full(2, NAN)]) == 1


def detectable(values, tolerance=0.0, level=0.05, span=1.0):
    sums = column(*values)
    given = {"tolerances": np.array([tolerance]), "level": level}
    return detectable_falls(sums, np.ones_like(sums), events(span), **given)[0]


def needed(values, tolerance, level=0.05, span=1.0):
    sums = column(*values)
    given = {"tolerances": np.array([tolerance]), "level": level}
    return samples_needed(sums, np.ones_like(sums), events(span), **given)[0]


def test_many_samples_detect_what_textbooks_say():
    """1.645 + 0.842 standard errors at 5 % and 80 %, of a normal sample; (2.486 s / f)^2 samples for f."""
    values = stats.norm.ppf((np.arange(4000) + 0.5) / 4000)
    assert detectable(values) == pytest.approx(2.4865 / math.sqrt(4000), rel=0.005)
    assert needed(values, 0.02) == pytest.approx((2.4865 / 0.02) ** 2, rel=0.005)
    assert detectable(values, tolerance=0.5) == pytest.approx(0.5 + 0.8416 / math.sqrt(4000), rel=0.005)


def test_few_samples_find_what_they_are_said_to():
    """By draws: both what the spread of a first sample makes one say, and the test of a second one."""
    rng, tries = np.random.default_rng(8), 1500
    for samples, level in ((9, 0.05), (9, 0.003), (24, 0.01)):
        first, second = rng.normal(size=(2, samples, tries))
        given = {"tolerances": np.zeros(tries), "level": level}
        stated = detectable_falls(first, np.ones_like(first), Events(np.zeros(tries), np.ones(tries)), **given)
        found = (sign_flip_p_values(second + stated, resamples=4999) <= level).mean()
        assert 0.75 <= found <= 0.95, (samples, level, found)


def test_samples_that_did_not_change_detect_what_would_change_enough_of_them():
    # at 0.02 six samples must fall, since 2^-6 is 0.016; of 24 four times of five if they do with this chance
    fall = detectable([0.0] * 24, level=0.02, span=0.5)
    assert stats.binom.sf(5, 24, fall / 0.5) == pytest.approx(0.8)
    assert math.isnan(detectable([0.0] * 5, level=0.02))
    # a fall of 1 in every 100 samples stays unseen in fewer, and varies by 0.01 * 0.99 each
    unseen = stats.gamma.ppf(0.8, 6) / 0.01
    varying = 0.99 / 0.01 * (stats.norm.ppf(0.975) + stats.norm.ppf(0.8)) ** 2
    assert max(unseen, varying) < needed([0.0] * 24, 0.01, level=0.025) < 1.1 * max(unseen, varying)


def test_no_number_of_samples_shows_a_fall_of_nothing():
    rng = np.random.default_rng(1)
    values = rng.normal(size=30)
    assert math.isnan(needed(values, 0.0))
    assert math.isnan(needed(values, NAN))
    assert math.isnan(needed([1.0], 0.1))
    counted = [needed(values, tolerance) for tolerance in (1.0, 0.5, 0.1, 0.01)]
    assert counted == sorted(counted)
    assert all(count == int(count) for count in counted)
