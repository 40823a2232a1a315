"""The questions whose scores fell most."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from .comparison import Change, WorstQuestion
from .scored_run import FloatArray

if TYPE_CHECKING:
    from .comparing import Pairs

WORST = 10


def worst_questions(pairs: Pairs, changes: Sequence[Change], most: int = WORST) -> tuple[WorstQuestion, ...]:
    """The questions that got worst, each once, with the row in which it did.

    Rows that fail count, or all if none does. Metrics have units of their own, so that falls are told in standard
    deviations of the baseline's scores in the metric, over all questions and explainers; where those are all alike,
    of both runs' scores. Lost scores come first, then falls by size; equals in the order of samples and labels.

    Args:
        pairs: the scores.
        changes: the rows.
        most: how many questions at most.
    """
    failing = [change.verdict.failing for change in changes]
    rows = np.flatnonzero(failing if any(failing) else [True] * len(failing))
    falls = (pairs.falls / _spreads(pairs))[:, rows]
    lost = np.isfinite(pairs.before) & ~np.isfinite(pairs.now)
    sizes = np.where(lost[:, rows], np.inf, np.where(falls > 1e-12, falls, -np.inf))
    cells = sizes.argmax(axis=1)
    size = sizes[np.arange(len(sizes)), cells]
    order = [place for place in np.argsort(-size, kind="stable") if size[place] > 0][:most]
    return tuple(_worst(pairs, place, rows[cells[place]]) for place in order)


def _worst(pairs: Pairs, place: int, row: int) -> WorstQuestion:
    explainer, metric = pairs.rows[row]
    sample, label = pairs.questions[place].tolist()
    return WorstQuestion(
        sample,
        label,
        explainer,
        metric,
        float(pairs.before[place, row]),
        float(pairs.now[place, row]),
        pairs.baseline.picture(explainer, sample, label),
        pairs.candidate.picture(explainer, sample, label),
    )


def _spreads(pairs: Pairs) -> FloatArray:
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
