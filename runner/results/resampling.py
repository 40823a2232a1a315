"""How far scores of samples can be trusted: bootstrap intervals, paired permutation tests, Holm's correction.

Everything resamples whole samples, since the questions of one sample depend on each other; of more than 5,000 samples,
so many groups of them. What is estimated is a mean over questions, hence a ratio: the sum of the scores of the drawn
samples over how many they are.

SciPy's ``bootstrap`` and ``permutation_test`` draw for each cell of a table by itself. Here all cells share their
draws, so that a table of thirty takes the time of one, and cells can be compared. Tests hold the numbers to SciPy's.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

RESAMPLES = 9_999  # draws, of the bootstrap and of permutations; p values come in steps of 1 / (RESAMPLES + 1)
CONFIDENCE = 0.95
_MOST_RESAMPLES = 99_999  # of signs, where many tests or a small alpha need more than usual
_CELLS_AT_ONCE = 1 << 22  # of drawn numbers in memory
_MOST_GROUPS = 5_000  # drawn as they are; an interval's width is then off by 1 %, as by the number of draws


def by_sample(samples: npt.NDArray[np.int64], values: Array) -> tuple[Array, Array]:
    """Scores of questions summed up by sample.

    Args:
        samples: (Q,) the sample of each question.
        values: (Q, cells) scores; NaN where there is none.

    Returns:
        Sums (N, cells) and counts (N, cells) of the scores there are, of each sample that has a question.
    """
    ids, rows = np.unique(samples, return_inverse=True)
    scored = np.isfinite(values)
    sums, counts = np.zeros((len(ids), values.shape[1])), np.zeros((len(ids), values.shape[1]))
    np.add.at(sums, rows, np.where(scored, values, 0.0))
    np.add.at(counts, rows, scored)
    return sums, counts


def bootstrap_intervals(
    sums: Array,
    counts: Array,
    seed: int = 0,
    *,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
) -> Array:
    """Percentile bootstrap intervals of means over questions (Efron, Tibshirani 1993, section 13.3).

    Args:
        sums: (N, cells) sums of scores by sample.
        counts: (N, cells) how many they are.
        seed: what is drawn depends on it alone, so that all cells see the same resamples.
        confidence: of each interval.
        resamples: how often N samples are drawn.

    Returns:
        Lower and upper ends (2, cells); NaN where fewer than two samples have scores, which say nothing of noise.
    """
    return intervals_of(bootstrap_means(sums, counts, seed, resamples=resamples), counts, confidence)


def intervals_of(means: Array, counts: Array, confidence: float = CONFIDENCE) -> Array:
    """Percentile intervals of means that are drawn already, for several confidences from the same draws.

    Args:
        means: (resamples, cells), as ``bootstrap_means`` gives them.
        counts: (N, cells) how many scores the samples have.
        confidence: of each interval.

    Returns:
        Lower and upper ends (2, cells); NaN where fewer than two samples have scores.
    """
    outside = (1.0 - confidence) / 2.0
    enough, ends = (counts > 0).sum(axis=0) >= 2, np.full((2, means.shape[1]), np.nan)
    if enough.any():
        ends[:, enough] = np.nanquantile(means[:, enough], [outside, 1.0 - outside], axis=0)
    return ends


def bootstrap_means(sums: Array, counts: Array, seed: int = 0, *, resamples: int = RESAMPLES) -> Array:
    """Means (resamples, cells) over the questions of samples that are drawn with replacement, as many as there are.

    Args:
        sums: (N, cells) sums of scores by sample.
        counts: (N, cells) how many they are.
        seed: what is drawn depends on it alone, so that all cells see the same resamples.
        resamples: how often N samples are drawn.
    """
    sums, counts = _grouped(sums, seed), _grouped(counts, seed)
    rng, samples = np.random.default_rng((seed, 0)), len(sums)
    means = np.full((resamples, sums.shape[1]), np.nan)
    for rows in _chunks(resamples, samples):
        drawn = rng.integers(samples, size=(rows.stop - rows.start, samples)) + samples * _column(rows)
        weights = np.bincount(drawn.reshape(-1), minlength=drawn.size).reshape(drawn.shape).astype(np.float64)
        total = weights @ counts
        np.divide(weights @ sums, total, out=means[rows], where=total > 0)
    return means


def sign_flip_p_values(differences: Array, seed: int = 0, *, resamples: int = RESAMPLES) -> Array:
    """One-sided paired permutation tests: how often chance alone makes a sum of differences as large as it is.

    Under the hypothesis that the two things compared are alike, the sign of every sample's difference is a coin toss.
    All assignments of signs are gone through where they are no more than ``resamples``, else so many are drawn; then
    the observed one counts as drawn too, so that no p value is 0 (Phipson, Smyth 2010).

    Args:
        differences: (N, cells) sums over the questions of each sample; 0 where a sample has none.
        seed: what is drawn depends on it alone, so that all cells see the same signs.
        resamples: how many assignments of signs are drawn.

    Returns:
        (cells,) p values of the sums being above 0; of ``-differences`` for the other side.
    """
    differences = _grouped(differences, seed)
    observed = differences.sum(axis=0)
    slack = 1e-12 * np.abs(differences).sum(axis=0)  # sums in another order have other last bits
    reached, total = np.zeros(differences.shape[1]), 0
    exact = 2 ** min(len(differences), 63) <= resamples
    for signs in _all_signs(len(differences)) if exact else _drawn_signs(len(differences), seed, resamples):
        for rows in _chunks(len(signs), differences.shape[1]):
            reached += (signs[rows] @ differences >= observed - slack).sum(axis=0)
        total += len(signs)
    p_values: Array = reached / total if exact else (reached + 1.0) / (total + 1.0)
    return p_values


def least_p_value(samples: int, resamples: int = RESAMPLES) -> float:
    """The smallest p value that a sign flip test of so many samples can give."""
    return max(2.0 ** -min(samples, 1000), 1.0 / (resamples + 1.0))


def resamples_for(tests: int, alpha: float, resamples: int = RESAMPLES) -> int:
    """So many assignments of signs that one of so many one-sided tests could be below alpha after Holm's correction."""
    return max(resamples, min(4 * math.ceil(tests / alpha), _MOST_RESAMPLES))


def two_sided(above: Array, below: Array) -> Array:
    """P values of a difference in either direction, of those of both directions."""
    doubled: Array = np.minimum(1.0, 2.0 * np.minimum(above, below))
    return doubled


def holm(p_values: Array) -> Array:
    """P values corrected for their number (Holm 1979): rejecting those up to alpha errs anywhere with that chance.

    Args:
        p_values: (tests,); NaN for a test that could not be made, which does not count and stays NaN.
    """
    corrected, made = np.full(len(p_values), np.nan), np.flatnonzero(np.isfinite(p_values))
    order = made[np.argsort(p_values[made], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    corrected[order] = np.minimum(1.0, np.maximum.accumulate(p_values[order] * factors)) if len(order) else []
    return corrected


def _grouped(values: Array, seed: int) -> Array:
    """(N, cells) values of samples; of more than 5,000 samples the sums of so many groups, alike in size and put
    together by chance, which bounds what drawing takes.

    Groups are as independent as samples are, and if a sample's sign is a coin toss then so is a group's.
    """
    if len(values) <= _MOST_GROUPS:
        return values
    order = np.random.default_rng((seed, 2)).permutation(len(values))
    starts = np.arange(_MOST_GROUPS) * len(values) // _MOST_GROUPS
    sums: Array = np.add.reduceat(values[order], starts, axis=0)
    return sums


def _column(rows: slice) -> npt.NDArray[np.int64]:
    return np.arange(rows.stop - rows.start)[:, None]


def _chunks(rows: int, width: int) -> Iterator[slice]:
    step = max(1, _CELLS_AT_ONCE // max(width, 1))
    for first in range(0, rows, step):
        yield slice(first, min(first + step, rows))


def _all_signs(samples: int) -> Iterator[Array]:
    numbers = np.arange(2**samples)[:, None]
    yield 1.0 - 2.0 * ((numbers >> np.arange(samples)) & 1)


def _drawn_signs(samples: int, seed: int, resamples: int) -> Iterator[Array]:
    rng = np.random.default_rng((seed, 1))
    for rows in _chunks(resamples, samples):
        drawn = rng.integers(0, 2, size=(rows.stop - rows.start, samples), dtype=np.int8)
        yield 1.0 - 2.0 * drawn
