"""How scores changed, row by row: by how much, how certain that is, and the verdict."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from ..results.mean_bounds import Events, mean_bounds, samples_of
from ..results.power import detectable_falls, samples_needed
from ..results.resampling import (
    bootstrap_means,
    by_sample,
    holm,
    intervals_of,
    least_p_value,
    resamples_for,
    sign_flip_p_values,
)
from .formats.findings import Change, Verdict, fall_between
from .pairs import Pairs
from .rules.tolerances import Tolerances
from .scored_run import FloatArray, mean_of

_DUST = 1e-12  # of a mean: what adding up in another order changes

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Family:
    """Rows that are corrected for their number together: those of a table, or those of all labels.

    Attributes:
        parts: the scores; of all questions, or of one label each.
        tolerances: how much worse means may get.
        alpha: chance that noise makes any of the rows a regression, at most.
        error: chance that a row whose true fall is the tolerance is called non-inferior, at most.
        resamples: draws of the bootstrap and of the tests; of these more where the family needs more.
    """

    parts: Sequence[Pairs]
    tolerances: Tolerances
    alpha: float
    error: float
    resamples: int

    @cached_property
    def rows(self) -> tuple[Rows, ...]:
        """The statistics of each part."""
        return tuple(Rows(pairs, self.tolerances) for pairs in self.parts)

    @cached_property
    def paired(self) -> FloatArray:
        """(rows of all parts,) how many samples both runs have scores of."""
        return np.concatenate([samples_of(rows.counts) for rows in self.rows])

    @cached_property
    def signs(self) -> int:
        """How many assignments of signs the tests draw."""
        return resamples_for(int((self.paired > 0).sum()), self.alpha, self.resamples)

    @cached_property
    def tested(self) -> Flags:
        """(rows of all parts,) in which rows a fall of all samples would be found."""
        return testable(self.paired, self.alpha, self.signs)

    def changes(self) -> tuple[tuple[Change, ...], ...]:
        """The rows of each part."""
        both = [rows.p_values(self.signs) for rows in self.rows]
        corrected = [holm(np.where(self.tested, np.concatenate(side), np.nan)) for side in zip(*both, strict=True)]
        places = np.cumsum([len(rows.pairs.rows) for rows in self.rows])[:-1]
        worse, better = (np.split(p_values, places) for p_values in corrected)
        level = self.alpha / max(int(self.tested.sum()), 1)
        return tuple(
            rows.changes(one, two, family=self, level=level)
            for rows, one, two in zip(self.rows, worse, better, strict=True)
        )


def testable(paired: FloatArray, alpha: float, resamples: int) -> Flags:
    """In which rows a sign flip test could give a small enough p value after Holm's correction over these rows.

    As many rows as possible, those of more samples first, as rows of too few only weaken the others.

    Args:
        paired: (rows,) samples with scores in both runs.
        alpha: what a corrected p value must not exceed.
        resamples: how many assignments of signs are drawn.
    """
    for least in np.unique(paired[paired > 0]).tolist():
        enough: Flags = paired >= least
        if least_p_value(int(least), resamples) <= alpha / enough.sum():
            return enough
    return np.zeros(len(paired), bool)


class Rows:
    """The statistics of all rows of some scores, summed up by sample: explainers by metrics."""

    def __init__(self, pairs: Pairs, tolerances: Tolerances) -> None:
        self.pairs, self._tolerances = pairs, tolerances
        self.sums, self.counts = by_sample(pairs.questions[:, 0], pairs.falls)

    @cached_property
    def means(self) -> FloatArray:
        """(2, rows) mean scores of both runs over the questions that both scored; NaN where there is none."""
        both = self._had & self._has
        columns = zip(self.pairs.before.T, self.pairs.now.T, both.T, strict=True)
        means = [[mean_of(before[scored]), mean_of(now[scored])] for before, now, scored in columns]
        return np.asarray(means, np.float64).reshape(-1, 2).T

    @cached_property
    def tolerances(self) -> FloatArray:
        """(rows,) how much worse means may get, in the metrics' units."""
        rows = zip(self.pairs.rows, self.means[0].tolist(), strict=True)
        return np.asarray([self._tolerances.of(metric).absolute(mean) for (_, metric), mean in rows], np.float64)

    def p_values(self, resamples: int) -> tuple[FloatArray, FloatArray]:
        """(rows,) each: of falls being chance, and of rises; not corrected."""
        both = sign_flip_p_values(np.concatenate([self.sums, -self.sums], axis=1), resamples=resamples)
        worse, better = np.split(both, 2)
        return worse, better

    def changes(self, worse: FloatArray, better: FloatArray, *, family: Family, level: float) -> tuple[Change, ...]:
        """The rows with their verdicts.

        Args:
            worse: (rows,) corrected p values of falls; NaN where a row is not tested.
            better: those of rises.
            family: that the rows belong to.
            level: what an uncorrected p value must not exceed if no other row falls.
        """
        drawn = bootstrap_means(self.sums, self.counts, resamples=family.resamples)
        interval, events = intervals_of(drawn, self.counts), Events(np.zeros(len(self.pairs.rows)), self.pairs.spans)
        _, at_most = mean_bounds(self.sums, self.counts, events, drawn, error=family.error)
        detectable = detectable_falls(self.sums, self.counts, events, tolerances=self.tolerances, level=level)
        strictest = min(level, family.error)
        needed = samples_needed(self.sums, self.counts, events, tolerances=self.tolerances, level=strictest)
        return tuple(
            self._change(
                row,
                interval=(float(interval[0, row]), float(interval[1, row])),
                at_most=float(at_most[row]),
                detectable=math.nan if math.isnan(worse[row]) else float(detectable[row]),
                needed=None if math.isnan(needed[row]) else int(needed[row]),
                p_values=(float(worse[row]), float(better[row])),
                alpha=family.alpha,
            )
            for row in range(len(self.pairs.rows))
        )

    def _change(
        self,
        row: int,
        *,
        interval: tuple[float, float],
        at_most: float,
        detectable: float,
        needed: int | None,
        p_values: tuple[float, float],
        alpha: float,
    ) -> Change:
        explainer, metric = self.pairs.rows[row]
        had, has = self._had[:, row], self._has[:, row]
        before, now = self.means[:, row].tolist()
        higher, tolerance = bool(self.pairs.higher[row]), float(self.tolerances[row])
        lost, slack = int((had & ~has).sum()), _DUST * max(abs(before), abs(now), tolerance)
        fall, allowed = fall_between(before, now, higher), tolerance + slack
        low, high = sorted(-end for end in interval) if higher else interval
        return Change(
            explainer=explainer,
            metric=metric,
            higher_is_better=higher,
            baseline=before,
            candidate=now,
            low=low + 0.0,  # of -0.0 the sign is lost
            high=high + 0.0,
            tolerance=tolerance,
            p_value=p_values[0],
            fall_at_most=at_most,
            detectable_fall=detectable,
            samples_needed=needed,
            samples=int((self.counts[:, row] > 0).sum()),
            questions=int((had & has).sum()),
            lost=lost,
            gained=int((~had & has).sum()),
            unscored=int((~had & ~has).sum()),
            verdict=_verdict(fall, allowed, lost=lost, at_most=at_most, p_values=p_values, alpha=alpha),
        )

    @cached_property
    def _had(self) -> Flags:
        return np.isfinite(self.pairs.before)

    @cached_property
    def _has(self) -> Flags:
        return np.isfinite(self.pairs.now)


def _verdict(
    fall: float, allowed: float, *, lost: int, at_most: float, p_values: tuple[float, float], alpha: float
) -> Verdict:
    """What follows from how much worse a mean is, from how likely that, or the opposite, is chance, and from how much
    worse it may be.
    """
    worse, better = p_values
    if fall > allowed and worse <= alpha:
        return Verdict.REGRESSION
    if lost:
        return Verdict.SCORES_LOST
    if math.isnan(worse):
        return Verdict.NOT_TESTED
    if -fall > allowed and better <= alpha:
        return Verdict.BETTER
    return Verdict.NON_INFERIOR if at_most <= allowed else Verdict.INCONCLUSIVE
