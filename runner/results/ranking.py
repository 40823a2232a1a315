"""Which explainers are better than which, as far as the samples show. Loads no MindSpore."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from .resampling import Array, bootstrap_intervals, by_sample, holm, resamples_for, sign_flip_p_values, two_sided

ALPHA = 0.05  # what a corrected p value must not exceed for a difference to count


@dataclass(frozen=True, kw_only=True)
class Difference:
    """How two explainers differ in a metric, over the questions that both have scores of.

    Attributes:
        first: name of one.
        second: name of the other.
        mean: of the differences, first minus second; NaN where no question is scored by both.
        low: lower end of its 95 % bootstrap interval over samples.
        high: upper end.
        p_value: of a paired permutation test over samples, two-sided, Holm-corrected over all pairs of explainers in
            the metric; NaN without questions.
        questions: how many both have scores of.
    """

    first: str
    second: str
    mean: float
    low: float
    high: float
    p_value: float
    questions: int

    def better(self, *, higher_is_better: bool) -> str | None:
        """The name of the one that is better beyond noise, if one is."""
        if not self.p_value <= ALPHA:
            return None
        return self.first if (self.mean > 0) == higher_is_better else self.second


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """The order of explainers in a metric.

    Attributes:
        metric: its name.
        differences: of all pairs of explainers that have scores.
        places: (place, name) of each explainer that has scores, best first. A place is 1 plus how many explainers are
            better beyond noise.
        ties: the largest groups of explainers of which no two differ beyond noise, best first; an explainer may stand
            in several. Tables give each group a letter (Piepho: An Algorithm for a Letter-Based Representation of
            All-Pairwise Comparisons, 2004).
        unbeaten: for each explainer with scores that is not a control, the controls that it is not better than beyond
            noise; controls without scores are left out.
        samples: how many have scores of two explainers or more.
        samples_needed: of fewer no test can show that any two explainers differ beyond noise, whatever their scores.
    """

    metric: str
    differences: tuple[Difference, ...]
    places: tuple[tuple[int, str], ...]
    ties: tuple[tuple[str, ...], ...]
    unbeaten: dict[str, tuple[str, ...]]
    samples: int
    samples_needed: int

    @property
    def too_few(self) -> bool:
        """Whether there are too few samples for any difference to be shown, so that all are ties for that reason."""
        return self.samples < self.samples_needed

    @classmethod
    def of(
        cls,
        metric: str,
        explainers: Sequence[str],
        controls: Sequence[str],
        samples: npt.NDArray[np.int64],
        values: Array,
        *,
        higher_is_better: bool = True,
    ) -> Ranking:
        """Rank explainers.

        Args:
            metric: its name.
            explainers: their names.
            controls: those of them that are there to be beaten.
            samples: (Q,) the sample of each question.
            values: (Q, explainers) scores, NaN where there is none.
            higher_is_better: which way they go.
        """
        scored = [place for place in range(len(explainers)) if np.isfinite(values[:, place]).any()]
        pairs = pairwise_differences([explainers[place] for place in scored], samples, values[:, scored])
        worse_than: dict[str, set[str]] = {explainers[place]: set() for place in scored}
        for pair in pairs:
            if (better := pair.better(higher_is_better=higher_is_better)) is not None:
                worse_than[pair.second if better == pair.first else pair.first].add(better)
        means = {explainers[place]: np.nanmean(values[:, place]) for place in scored}
        order = sorted(worse_than, key=lambda name: (len(worse_than[name]), -means[name] * (2 * higher_is_better - 1)))
        known = [name for name in controls if name in worse_than]
        unbeaten = {
            name: tuple(control for control in known if name not in worse_than[control])
            for name in worse_than
            if name not in controls
        }
        return cls(
            metric=metric,
            differences=pairs,
            places=tuple((1 + len(worse_than[name]), name) for name in order),
            ties=tied(order, worse_than),
            unbeaten=unbeaten,
            samples=len(np.unique(samples[np.isfinite(values).sum(axis=1) > 1])),
            samples_needed=least_samples(sum(pair.questions > 0 for pair in pairs)),
        )


def least_samples(pairs: int) -> int:
    """The fewest samples of which a sign flip test of one of so many pairs, corrected for all, can reach ``ALPHA``."""
    return math.ceil(math.log2(2 * pairs / ALPHA)) if pairs else 0


def tied(order: Sequence[str], worse_than: Mapping[str, set[str]]) -> tuple[tuple[str, ...], ...]:
    """The largest groups of which no two differ, by Piepho's insert and absorb.

    Args:
        order: names, best first.
        worse_than: for each name those that are better.
    """
    groups = [frozenset(order)] if order else []
    for pair in ({name, better} for name in order for better in worse_than[name]):
        whole = [group for group in groups if pair <= group]
        parts = [group - {name} for group in whole for name in pair]
        kept = [group for group in groups if group not in whole]
        new = [part for part in dict.fromkeys(parts) if not any(part <= group for group in kept)]
        groups = kept + [part for part in new if not any(part < other for other in new)]
    ordered = sorted([name for name in order if name in group] for group in groups)
    return tuple(map(tuple, sorted(ordered, key=lambda group: [order.index(name) for name in group])))


def pairwise_differences(names: Sequence[str], samples: npt.NDArray[np.int64], values: Array) -> tuple[Difference, ...]:
    """How all pairs of explainers differ.

    Args:
        names: of the explainers.
        samples: (Q,) the sample of each question.
        values: (Q, explainers) scores, NaN where there is none.
    """
    pairs = list(combinations(range(len(names)), 2))
    if not pairs:
        return ()
    first, second = np.asarray(pairs).T
    apart = values[:, first] - values[:, second]
    sums, counts = by_sample(samples, apart)
    low, high = bootstrap_intervals(sums, counts)
    both = counts.sum(axis=0)
    resamples = resamples_for(2 * len(pairs), ALPHA)
    chances = two_sided(*np.split(sign_flip_p_values(np.concatenate([sums, -sums], axis=1), resamples=resamples), 2))
    p_values = holm(np.where(both > 0, chances, np.nan))
    means = np.divide(sums.sum(axis=0), both, out=np.full(len(pairs), np.nan), where=both > 0)
    return tuple(
        Difference(first=names[a], second=names[b], mean=mean, low=left, high=right, p_value=p_value, questions=count)
        for (a, b), mean, left, right, p_value, count in zip(
            pairs, *(array.tolist() for array in (means, low, high, p_values, both.astype(int))), strict=True
        )
    )
