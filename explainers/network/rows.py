"""Rows of logits: gathered, cut again, compared."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import mindspore as ms
import numpy as np

from ...summary_format.probe import AGREES
from .tensors import FloatArray

ACTIVATED_TOGETHER = 256  # rows of logits: waiting for a device costs more than the activation of one pass
_STEPS: Mapping[Any, float] = {ms.float16: 2.0**-10, ms.bfloat16: 2.0**-7}  # from 1 to the next number


def gathered(parts: Iterable[FloatArray]) -> Iterator[FloatArray]:
    """Rows of several parts below one another, as many as are activated together."""
    waiting: list[FloatArray] = []
    for part in parts:
        waiting.append(part)
        if sum(map(len, waiting)) >= ACTIVATED_TOGETHER:
            yield np.concatenate(waiting)
            waiting = []
    if waiting:
        yield np.concatenate(waiting)


def by_image(parts: Iterator[FloatArray], rows: int) -> Iterator[FloatArray]:
    """Parts of any length cut again, so many rows each."""
    waiting: list[FloatArray] = []
    for part in parts:
        waiting.append(part)
        while sum(map(len, waiting)) >= rows:
            together = np.concatenate(waiting)
            yield together[:rows]
            waiting = [together[rows:]]


def check_agreement(expected: FloatArray, found: FloatArray, how: str, kind: Any = ms.float32) -> None:
    """Make sure that logits made in another way are the same, up to rounding in a type.

    Raises:
        ValueError: if they are not.
    """
    if not agree(expected, found, kind):
        finite = np.isfinite(expected)
        apart = np.abs(found[finite] - expected[finite]).max(initial=0.0)
        raise ValueError(f"{how}, the network gives logits that are {apart:.2g} apart")


def check_same_values(expected: FloatArray, found: FloatArray, what: str, kind: Any = ms.float32) -> None:
    """Make sure that a graph gives the same numbers, up to rounding in a type, as a share of the largest of them.

    Args:
        expected: from a pass that runs as it is.
        found: from the graph.
        what: they are, in words.
        kind: the type.

    Raises:
        ValueError: if they are others.
    """
    finite = np.isfinite(expected)
    if not np.array_equal(np.isfinite(found), finite):
        raise ValueError(f"compiled, the {what} are not finite in the same places")
    apart, largest = (np.abs(of).max(initial=0.0) for of in (found[finite] - expected[finite], expected[finite]))
    if apart > tolerance(kind) * largest:
        raise ValueError(f"compiled, the {what} are {apart:.2g} apart, of {largest:.2g} at most")


def agree(expected: FloatArray, found: FloatArray, kind: Any = ms.float32, times: float = 1.0) -> bool:
    """Whether logits are the same up to so many times rounding in a type, and finite in the same places."""
    finite = np.isfinite(expected)
    if not np.array_equal(np.isfinite(found), finite):
        return False
    apart, largest = (np.abs(of).max(initial=0.0) for of in (found[finite] - expected[finite], expected[finite]))
    return bool(apart <= times * tolerance(kind) * max(1.0, largest))


def tolerance(kind: Any) -> float:
    """How far apart, as a share of the largest value, rounding in a type brings numbers that are made alike."""
    return max(AGREES, 4 * _STEPS.get(kind, 0.0))
