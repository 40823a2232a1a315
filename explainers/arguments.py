"""Numbers that users give."""

from __future__ import annotations

from typing import Any

import numpy as np


def whole_number(value: Any, name: str, least: int = 1) -> int:
    """A whole number.

    Raises:
        ValueError: if it is none, or below the least.
    """
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise ValueError(f"{name} must be a whole number from {least}, got {value!r}")
    return int(value)


def yes_or_no(value: Any, name: str) -> bool:
    """True or False.

    Raises:
        ValueError: if it is neither.
    """
    if not isinstance(value, (bool, np.bool_)):
        raise ValueError(f"{name} must be True or False, got {value!r}")
    return bool(value)


def positive_number(value: Any, name: str) -> float:
    """A finite number above 0.

    Raises:
        ValueError: if it is none.
    """
    if real_number(value, name) <= 0:
        raise ValueError(f"{name} must be above 0, got {value!r}")
    return float(value)


def share(value: Any, name: str) -> float:
    """A number from 0 to 1.

    Raises:
        ValueError: if it is none.
    """
    if not 0 <= real_number(value, name) <= 1:
        raise ValueError(f"{name} must lie in 0..1, got {value!r}")
    return float(value)


def real_number(value: Any, name: str) -> float:
    """A finite number.

    Raises:
        ValueError: if it is none.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)) or not np.isfinite(value):
        raise ValueError(f"{name} must be a finite number, got {value!r}")
    return float(value)
