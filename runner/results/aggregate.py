"""Scores summed up."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Aggregate:
    """Scores summed up.

    Attributes:
        mean: over the scored questions; NaN if there are none.
        count: how many questions were scored.
        unscored: how many could not be.
        low: lower end of the 95 % bootstrap interval of the mean, over samples; NaN where fewer than two samples have
            scores.
        high: upper end.
    """

    mean: float
    count: int
    unscored: int
    low: float = float("nan")
    high: float = float("nan")
