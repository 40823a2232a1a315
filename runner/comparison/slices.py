"""The same rows for each true label: a fall of one class may drown in a mean over all."""

from __future__ import annotations

import math
from dataclasses import replace

from .changes import Family
from .formats.findings import Slice
from .worst_questions import spreads


def slices_of(family: Family) -> tuple[Slice, ...]:
    """The rows of a table label by label, the worst first.

    They are corrected for their number among themselves (Holm), at the table's part of alpha. Labels of too few samples
    are not tested, so that they weaken no other one.

    Regressions and lost scores come first, then what fell most, in standard deviations of the baseline's scores in the
    metric; equals in the order of labels, explainers and metrics.

    Args:
        family: that of the table, of all questions.
    """
    (pairs,) = family.parts
    parts = pairs.by_label()
    found = replace(family, parts=parts).changes()
    units = dict(zip(pairs.rows, spreads(pairs).tolist(), strict=True))
    slices = [
        Slice(part.label, change)
        for part, changes in zip(parts, found, strict=True)
        for change in changes
        if change.questions or change.lost
    ]
    return tuple(sorted(slices, key=lambda one: _badness(one, units)))


def _badness(one: Slice, units: dict[tuple[str, str], float]) -> tuple[bool, float]:
    change = one.change
    fall = change.fall / units[change.explainer, change.metric]
    return not change.verdict.failing, math.inf if math.isnan(fall) else -fall
