"""Numbers that users give."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..summary_format.problem import Problem


def whole_number(value: Any, name: str, least: int = 1) -> int:
    """A whole number.

    Raises:
        ValueError: if it is none, or below the least.
    """
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        words = "{name} must be a whole number from {least}, got {given!r}"
        raise ValueError(Problem.of("not-a-whole-number", words, name=name, least=least, given=value))
    return int(value)


def yes_or_no(value: Any, name: str) -> bool:
    """True or False.

    Raises:
        ValueError: if it is neither.
    """
    if not isinstance(value, (bool, np.bool_)):
        words = "{name} must be True or False, got {given!r}"
        raise ValueError(Problem.of("not-yes-or-no", words, name=name, given=value))
    return bool(value)


def positive_number(value: Any, name: str) -> float:
    """A finite number above 0.

    Raises:
        ValueError: if it is none.
    """
    if real_number(value, name) <= 0:
        raise ValueError(Problem.of("not-above-zero", "{name} must be above 0, got {given!r}", name=name, given=value))
    return float(value)


def share(value: Any, name: str) -> float:
    """A number from 0 to 1.

    Raises:
        ValueError: if it is none.
    """
    if not 0 <= real_number(value, name) <= 1:
        raise ValueError(Problem.of("not-a-share", "{name} must lie in 0..1, got {given!r}", name=name, given=value))
    return float(value)


def real_number(value: Any, name: str) -> float:
    """A finite number.

    Raises:
        ValueError: if it is none.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)) or not np.isfinite(value):
        words = "{name} must be a finite number, got {given!r}"
        raise ValueError(Problem.of("not-a-number", words, name=name, given=value))
    return float(value)
