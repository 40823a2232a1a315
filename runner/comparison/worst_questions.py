"""The questions whose scores fell most."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from .formats.findings import Change, WorstQuestion
from .scored_run import FloatArray

if TYPE_CHECKING:
    from .pairs import Pairs

WORST = 10


def worst_questions(pairs: Pairs, changes: Sequence[Change], most: int = WORST) -> tuple[WorstQuestion, ...]:
    """The questions that got worst, each once, with the row in which it did.

    Rows that fail count, or all if none does, and take turns, so that each shows its worst. Turns go by size: metrics
    have units of their own, so that falls are given in standard deviations of the baseline's scores in the metric, over
    all questions and explainers; where those are all alike, of both runs' scores. Lost scores come first; equals in
    the order of samples and labels.

    Args:
        pairs: the scores.
        changes: the rows.
        most: how many questions at most.
    """
    failing = [change.verdict.failing for change in changes]
    rows = np.flatnonzero(failing if any(failing) else [True] * len(failing))
    falls = (pairs.falls / spreads(pairs))[:, rows]
    lost = np.isfinite(pairs.before) & ~np.isfinite(pairs.now)
    sizes = np.where(lost[:, rows], np.inf, np.where(falls > 1e-12, falls, -np.inf))
    cells = list(islice(_in_turns(sizes), most))
    return tuple(_worst(pairs, place, rows[row]) for place, row in cells)


def _in_turns(sizes: FloatArray) -> Iterator[tuple[int, int]]:
    """Question and row of falls (P, rows) above 0: in each turn every row's largest of a question not yet named."""
    left = np.where(sizes > 0, sizes, -np.inf)
    while left.size and left.max() > 0:
        for row in np.argsort(-left.max(axis=0), kind="stable").tolist():
            place = int(left[:, row].argmax())
            if left[place, row] > 0:
                yield place, row
                left[place] = -np.inf


def _worst(pairs: Pairs, place: int, row: int) -> WorstQuestion:
    explainer, metric = pairs.rows[row]
    sample, label = pairs.questions[place].tolist()
    return WorstQuestion(
        sample=sample,
        label=label,
        explainer=explainer,
        metric=metric,
        baseline=float(pairs.before[place, row]),
        candidate=float(pairs.now[place, row]),
        baseline_picture=pairs.baseline.picture(explainer, sample, label),
        candidate_picture=pairs.candidate.picture(explainer, sample, label),
    )


def spreads(pairs: Pairs) -> FloatArray:
    """(rows,) what a metric's scores vary by; 1 where they never do."""
    metrics = np.array([metric for _, metric in pairs.rows])
    spreads = np.ones(len(metrics))
    for metric in dict.fromkeys(metrics.tolist()):
        own = metrics == metric
        spreads[own] = _spread(pairs.before[:, own]) or _spread([*pairs.before[:, own], *pairs.now[:, own]]) or 1.0
    return spreads


def _spread(values: FloatArray | Iterable[FloatArray]) -> float:
    array = np.asarray(values)
    scored = array[np.isfinite(array)]
    return float(scored.std()) if len(scored) else 0.0
