"""What a network answers to fixed images, and to the first of its dataset, by which a run recognises it.

Parameters and code do not say all that a network does: an attribute, a file that it reads or a setting may change what
it computes, and the same network may be written in several ways. Its answers show both.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

AGREES = 1e-5  # of the largest value: what two answers may be apart
_RANDOM = "{0} it gives different answers for the same image each time, and {1} the same"

FloatArray = npt.NDArray[np.float32]


class Answers(NamedTuple):
    """Logits (images, classes), and the probabilities (images, classes) that a run makes of them."""

    logits: FloatArray
    probabilities: FloatArray


@dataclass(frozen=True)
class Probe:
    """What a network answers.

    Attributes:
        shape: of an image, (C, H, W).
        answers: to two fixed images, of which it may take none, and to the first one or two of the dataset; None of a
            network that gives different answers for the same image each time.
    """

    shape: tuple[int, ...]
    answers: Answers | None

    def to_jsonable(self) -> dict[str, Any]:
        """What ``of`` reads back; a number that is not finite becomes None."""
        answers = {} if self.answers is None else self.answers._asdict()
        return {"shape": list(self.shape), **{name: _rows_of_numbers(values) for name, values in answers.items()}}

    @classmethod
    def of(cls, said: Any) -> Probe:
        """The probe that plain values say.

        Raises:
            ValueError: if they are something else.
        """
        if not isinstance(said, Mapping) or not isinstance(said.get("shape"), list):
            raise ValueError("the probe of its network has no shape")
        shape = tuple(said["shape"])
        if len(shape) != 3 or not all(type(size) is int and size > 0 for size in shape):
            raise ValueError("the probe of its network is not of an image (C, H, W)")
        given = [said[name] for name in Answers._fields if name in said]
        return cls(shape, Answers(*map(_array, given)) if len(given) == len(Answers._fields) else None)

    def difference(self, other: Probe) -> str | None:
        """How another probe differs from this one, in words; None where it does not.

        Nor can anything be seen where both networks give different answers each time.
        """
        if self.shape != other.shape:
            return f"images of shape {self.shape} there, {other.shape} here"
        if self.answers is None or other.answers is None:
            return None if self.answers is other.answers else _RANDOM.format(*_where(self.answers is None))
        return _difference(self.answers, other.answers)


def _difference(there: Answers, here: Answers) -> str | None:
    if there.logits.shape[1] != here.logits.shape[1]:
        return f"{there.logits.shape[1]} outputs there, {here.logits.shape[1]} here"
    if len(there.logits) != len(here.logits):
        return "it takes images of noise {1}, and not {0}".format(*_where(len(there.logits) < len(here.logits)))
    apart, largest = _apart(there.logits, here.logits), _largest(there.logits)
    if not apart <= AGREES * largest:
        return f"for the same image its logits are up to {apart:.2g} apart, the largest being {largest:.2g}"
    if there.probabilities.shape != here.probabilities.shape:
        return "its probabilities have another shape"
    moved = _apart(there.probabilities, here.probabilities)
    if not moved <= AGREES + apart:  # no usual activation moves further than its logits
        return f"for the same image its logits are the same, and its probabilities up to {moved:.2g} apart"
    return None


def _where(first: bool) -> tuple[str, str]:
    return ("there", "here") if first else ("here", "there")


def _apart(first: FloatArray, second: FloatArray) -> float:
    """How far values are apart; NaN where one is finite and the other is not."""
    finite = np.isfinite(first)
    if not np.array_equal(finite, np.isfinite(second)):
        return math.nan
    return float(np.abs(first[finite].astype(np.float64) - second[finite]).max(initial=0.0))


def _largest(values: FloatArray) -> float:
    return float(np.abs(values[np.isfinite(values)]).max(initial=0.0))


def _rows_of_numbers(values: FloatArray) -> list[list[float | None]]:
    """Nine digits distinguish all numbers of 32 bits."""
    return [[float(f"{value:.9g}") if math.isfinite(value) else None for value in row] for row in values.tolist()]


def _array(said: Any) -> FloatArray:
    rows = said if isinstance(said, list) else []
    if not rows or not all(isinstance(row, list) and len(row) == len(rows[0]) for row in rows):
        raise ValueError("the probe of its network does not hold the answers to images")
    if not all(value is None or type(value) in (int, float) for row in rows for value in row):
        raise ValueError("the probe of its network holds something that is not a number")
    return np.array([[math.nan if value is None else value for value in row] for row in rows], np.float32)
