"""What several metrics compute of numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]


def pearson(first: Numbers, second: Numbers) -> float:
    """Pearson's correlation of two rows of numbers; NaN if one of them is constant."""
    if not (np.ptp(first) and np.ptp(second)):
        return float("nan")
    first, second = first - first.mean(), second - second.mean()
    return float(np.clip((first * second).sum() / np.sqrt((first**2).sum() * (second**2).sum()), -1.0, 1.0))


def lengths(values: npt.NDArray[Any]) -> Numbers:
    """(N,) Euclidean length of each of some maps, or other arrays (N, ...), in double precision."""
    found: Numbers = np.linalg.norm(values.reshape(len(values), -1).astype(np.float64), axis=1)
    return found


def quotient(values: npt.NDArray[Any], by: npt.NDArray[Any]) -> Numbers:
    """Values divided by others, whose shapes fit together; NaN where those are not above 0."""
    nothing = np.full(np.broadcast_shapes(values.shape, by.shape), np.nan)
    with np.errstate(invalid="ignore"):  # of infinity by infinity, which is NaN too
        found: Numbers = np.divide(values, by, out=nothing, where=by > 0)
    return found
