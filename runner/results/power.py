"""How large a fall samples can show, and how many of them it takes: the power of a comparison of two runs."""

from __future__ import annotations

import math

import numpy as np
from scipy.special import betaincinv, gammaincinv, ndtri, stdtrit

from .mean_bounds import Events, kurtosis, samples_of, standard_errors
from .resampling import Array

POWER = 0.8  # a fall that is called detectable is found four times of five
_Z = float(ndtri(POWER))
_ROUNDS = 20  # of a fixed point that is found in about ten
_MOST_SAMPLES = 1e9  # above it nothing is learnt from a number


def detectable_falls(sums: Array, counts: Array, events: Events, *, tolerances: Array, level: float) -> Array:
    """The smallest true falls that are found beyond noise, and above a tolerance, with a power of 80 %.

    A fall f of a mean with standard error s is found if the mean that is seen, f + s Z, exceeds both the tolerance and
    t(level) s, hence four times of five if f = s (k + z sqrt(1 + w (k^2 + f^2 / s^2))) with k the larger of both over
    s, z the 80 % quantile of Z, and w what s, an estimate too, varies by: (kurtosis - 1) / 4N, at its first order. So
    the power holds on average over samples as these. Sign flips of few samples are a little weaker than t, for which f
    is larger by 2 / N. Where most samples are alike, as of hits and misses, a few of them fall by their whole span,
    which adds to s. And a sign flip test needs log2(1 / level) samples that fell where all others stayed as they were,
    which bounds f where few changed.

    Args:
        sums: (N, cells) falls, summed up by sample.
        counts: (N, cells) how many they are.
        events: what falls may be that few samples show.
        tolerances: (cells,) in the scores' unit.
        level: the p value that a fall must not exceed.

    Returns:
        (cells,) in the scores' unit; NaN where no fall could be found.
    """
    samples, errors = samples_of(counts), standard_errors(sums, counts)
    needed, seldom = _falling_samples(level), events.seldom(sums, counts)
    with np.errstate(divide="ignore", invalid="ignore"):
        varying = (kurtosis(sums, counts) - 1.0) / (4.0 * samples)
        falls = np.zeros(errors.shape)
        for _ in range(_ROUNDS):
            own = np.sqrt(errors**2 + np.where(seldom, _of_events(falls, events.span), 0.0) / samples)
            critical = np.maximum(tolerances / own, _critical(samples, level))
            reach = _reach(critical, varying, varying) * (1.0 + 2.0 / samples)
            falls = np.where(own > 0, own * reach, tolerances)
        falls = np.maximum(falls, _of_all(samples, level) * (1.0 + 1.5 * varying) * errors * np.sqrt(samples))
    rare = events.rare(sums, counts)
    share = betaincinv(needed, np.maximum(samples - needed + 1.0, 1.0), POWER)
    falls = np.where(rare, np.maximum(falls, share * events.span), falls)
    found: Array = np.where((samples >= needed) & np.isfinite(falls), falls, np.nan)
    return found


def samples_needed(sums: Array, counts: Array, events: Events, *, tolerances: Array, level: float) -> Array:
    """How many samples show a fall of the tolerance beyond noise with a power of 80 %, if they vary as these do.

    As many show, as often, that a mean that did not change has not fallen by more than the tolerance.

    Args:
        sums: (N, cells) falls, summed up by sample.
        counts: (N, cells) how many they are.
        events: what falls may be that few samples show.
        tolerances: (cells,) in the scores' unit.
        level: the p value that must not be exceeded, of both claims.

    Returns:
        (cells,) whole numbers; NaN where no number is enough, as for a tolerance of 0, or none is known.
    """
    samples, errors = samples_of(counts), standard_errors(sums, counts)
    least = _falling_samples(level)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        added = np.where(events.seldom(sums, counts), _of_events(tolerances, events.span), 0.0)
        spread = np.sqrt(errors**2 * samples + added) / tolerances
        peaked = (kurtosis(sums, counts) - 1.0) / 4.0
        needed = np.full(spread.shape, float(max(least, 2)))
        for _ in range(_ROUNDS):
            critical = _critical(needed, level)
            reach = _reach(critical, peaked / needed, peaked / samples)
            needed = np.clip((spread * reach * (1.0 + 2.0 / needed)) ** 2, max(least, 2), 2 * _MOST_SAMPLES)
        unseen = np.maximum(
            np.log(level) / np.log1p(-np.minimum(tolerances / events.span, 1.0 - 1e-12)),
            gammaincinv(least, POWER) / np.minimum(tolerances / events.span, 1.0),
        )
    needed = np.where(events.rare(sums, counts), np.maximum(needed, unseen), needed)
    known = (needed <= _MOST_SAMPLES) & (tolerances > 0) & (samples >= 2)
    return np.where(known, np.ceil(np.where(known, needed, 0.0)), np.nan)


def _of_events(falls: Array, span: Array) -> Array:
    """(cells,) by how much falls of a mean add to the variance of samples if a few of them fall by the whole span."""
    added: Array = np.maximum(falls * (span - falls), 0.0)
    return added


def _falling_samples(level: float) -> int:
    """How many samples must have fallen, the others being as before, for a sign flip test to give so small a p."""
    return math.ceil(math.log2(1.0 / level) - 1e-9)


def _critical(samples: Array, level: float) -> Array:
    """(cells,) how many standard errors a mean must lie from 0; a sign flip test's are about those of Student's t."""
    critical: Array = stdtrit(np.maximum(samples - 1.0, 1.0), 1.0 - level)
    return critical


def _of_all(samples: Array, level: float) -> Array:
    """(cells,) by how many standard deviations samples must fall for all to do so 4 times of 5; 0 if not all must."""
    tight = np.exp2(np.minimum(samples, 1000.0)) * level < 2.0
    return np.where(tight, ndtri(POWER ** (1.0 / np.maximum(samples, 1.0))), 0.0)


def _reach(critical: Array, test: Array, pilot: Array) -> Array:
    """The k of k = c + z sqrt(1 + c^2 test + k^2 pilot); infinite where there is none.

    Args:
        critical: c.
        test: relative variance of the standard error that the test will estimate.
        pilot: that of the standard error that is known.
    """
    square = 1.0 - _Z**2 * pilot
    rest = critical**2 - _Z**2 * (1.0 + critical**2 * test)
    root = np.sqrt(np.maximum(critical**2 - square * rest, 0.0))
    return np.where(square > 0, (critical + root) / square, np.inf)
