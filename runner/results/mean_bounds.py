"""How far a true mean over questions may lie from the one that was found, also where few samples have anything to say.

A bootstrap interval sees what its samples show: it is too narrow where they are few or uneven, and empty where all are
alike, however few they are. So the bounds here are the most cautious of four: the bootstrap's, those of Student's t,
those of Hall for uneven samples, and, where nearly all samples are alike, what an event could do that so few samples
may not have shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import betaincinv, stdtrit

from .resampling import Array, intervals_of

FEW_EVENTS = 10  # samples that differ from the rest; below it a mean of them is far from normally distributed
_ALIKE = 1e-9  # of the scores' span


@dataclass(frozen=True)
class Events:
    """Samples whose scores are not those that the rest of them share.

    Attributes:
        usual: (cells,) the score that the rest have; 0 of changes.
        span: (cells,) how far from it a score can lie, at most.
    """

    usual: Array
    span: Array

    def counted(self, sums: Array, counts: Array) -> tuple[Array, Array]:
        """(cells,) how many samples lie below, and above."""
        apart = sums - self.usual * counts
        dust = _ALIKE * self.span * counts
        below: Array = (apart < -dust).sum(axis=0).astype(np.float64)
        above: Array = (apart > dust).sum(axis=0).astype(np.float64)
        return below, above

    def seldom(self, sums: Array, counts: Array) -> Array:
        """(cells,) whether most samples are alike, as of hits and misses."""
        most: Array = 2.0 * np.sum(self.counted(sums, counts), axis=0) < samples_of(counts)
        return most

    def rare(self, sums: Array, counts: Array) -> Array:
        """(cells,) whether, besides, so few samples differ from them that their variance says little."""
        few: Array = self.seldom(sums, counts) & (np.sum(self.counted(sums, counts), axis=0) < FEW_EVENTS)
        return few


def span_of(scores: Sequence[Array]) -> float:
    """How far scores lie apart, and from 0, which is taken for how far one could change at once; 1 if all are 0."""
    every = np.concatenate(scores)
    scored = every[np.isfinite(every)]
    return float(scored.max(initial=0.0) - scored.min(initial=0.0)) or 1.0


def samples_of(counts: Array) -> Array:
    """(cells,) how many samples have scores."""
    number: Array = (counts > 0).sum(axis=0).astype(np.float64)
    return number


def means_of(sums: Array, counts: Array) -> Array:
    """(cells,) means over questions; NaN where there is no score."""
    total = counts.sum(axis=0)
    means: Array = np.divide(sums.sum(axis=0), total, out=np.full(total.shape, np.nan), where=total > 0)
    return means


def standard_errors(sums: Array, counts: Array) -> Array:
    """Standard errors of means over questions, of which only whole samples are independent of each other.

    A mean is the ratio of two sums over samples, linearised (Cochran: Sampling Techniques, 3rd edition, 1977, 2.11).

    Args:
        sums: (N, cells) sums of scores by sample.
        counts: (N, cells) how many they are.

    Returns:
        (cells,) in the scores' unit; NaN where fewer than two samples have scores.
    """
    samples, total = samples_of(counts), counts.sum(axis=0)
    apart = sums - np.nan_to_num(means_of(sums, counts)) * counts
    enough = samples >= 2
    scale = np.divide(samples, samples - 1, out=np.full(total.shape, np.nan), where=enough)
    errors: Array = np.sqrt(scale * (apart**2).sum(axis=0)) / np.where(enough, total, 1.0)
    return errors


def kurtosis(sums: Array, counts: Array) -> Array:
    """(cells,) fourth moment of the samples' deviations over their squared variance; at least 3, as of a normal one."""
    return np.maximum(_moment(sums, counts, 4, otherwise=3.0), 3.0)


def skewness(sums: Array, counts: Array) -> Array:
    """(cells,) third moment of the samples' deviations over their standard deviation's third power; 0 if all alike."""
    return _moment(sums, counts, 3, otherwise=0.0)


def _moment(sums: Array, counts: Array, power: int, otherwise: float) -> Array:
    apart = sums - np.nan_to_num(means_of(sums, counts)) * counts
    samples = np.maximum(samples_of(counts), 1.0)
    second, higher = ((apart**degree).sum(axis=0) / samples for degree in (2, power))
    found: Array = np.divide(higher, second ** (power / 2), out=np.full(samples.shape, otherwise), where=second > 0)
    return found


def uneven_reach(reach: Array, skew: Array, samples: Array) -> Array:
    """How many standard errors below a mean the true one may lie, by Hall's cubic transformation.

    It undoes the skewness of the studentised mean (Hall: On the Removal of Skewness by Transformation, 1992, (4) with
    a = 1/3, b = 1/6). For the other side, turn the sign of the skewness.

    Args:
        reach: (cells,) quantile of Student's t for the error that is allowed, above 0.
        skew: (cells,) skewness of the samples.
        samples: (cells,) how many there are.
    """
    known = np.abs(skew) > 1e-6
    samples = np.maximum(samples, 1.0)
    turned, root = np.where(known, skew, 1.0), np.sqrt(samples)
    inner = 1.0 + turned * (reach / root - turned / (6.0 * samples))
    found: Array = np.where(known, 3.0 * root / turned * (np.cbrt(inner) - 1.0), reach)
    return found


def largest_share(events: Array, samples: Array, error: float) -> Array:
    """The largest share of all there are that would show so few events among some samples with a chance of ``error``.

    The upper end of Clopper and Pearson's interval (1934), one-sided.

    Args:
        events: how many samples show one.
        samples: how many there are.
        error: the chance, above 0.
    """
    rest = np.maximum(samples - events, 1e-9)
    share: Array = np.where(events >= samples, 1.0, betaincinv(events + 1.0, rest, 1.0 - error))
    return share


def mean_bounds(sums: Array, counts: Array, events: Events, drawn: Array, *, error: float) -> Array:
    """Bounds of true means, of which each is passed with a chance of about ``error`` at most.

    Args:
        sums: (N, cells) sums of scores by sample.
        counts: (N, cells) how many they are.
        events: what scores may do that few samples show.
        drawn: (resamples, cells) means of the bootstrap.
        error: of each bound by itself.

    Returns:
        Lower and upper bounds (2, cells); NaN where fewer than two samples have scores.
    """
    interval = intervals_of(drawn, counts, 1.0 - 2.0 * error)
    samples, means = samples_of(counts), means_of(sums, counts)
    errors, skew = standard_errors(sums, counts), skewness(sums, counts)
    reach = stdtrit(np.maximum(samples - 1.0, 1.0), 1.0 - error)
    down, up = (np.maximum(reach, uneven_reach(reach, way, samples)) * errors for way in (skew, -skew))
    rare, (below, above) = events.rare(sums, counts), events.counted(sums, counts)
    unseen = [
        np.where(rare, events.usual + sign * events.span * largest_share(some, samples, error), means)
        for sign, some in ((-1.0, below), (1.0, above))
    ]
    low = np.minimum(np.minimum(interval[0], means - down), unseen[0])
    high = np.maximum(np.maximum(interval[1], means + up), unseen[1])
    return np.stack([low, high])
