"""Numbers, words and texts that users give, as Python's own."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from ..summary_format.errors import nearest
from ..summary_format.problem import Problem


def whole_number(value: Any, name: str, least: int = 1) -> int:
    """A whole number.

    Raises:
        ValueError: if it is none, or below the least.
    """
    if not is_whole(value) or value < least:
        words = "{name} must be a whole number from {least}, got {given!r}"
        raise ValueError(Problem.of("not-a-whole-number", words, name=name, least=least, given=value))
    return int(value)


def is_whole(value: Any) -> bool:
    """Whether a value is a whole number, Python's or NumPy's."""
    return isinstance(value, (int, np.integer)) and not isinstance(value, (bool, np.timedelta64))


def plain_text(value: Any, name: str) -> str:
    """A text; of a subclass, such as NumPy's or an Enum's member, the text that it is, whatever it shows itself as.

    Raises:
        TypeError: if it is none.
    """
    if not isinstance(value, str):
        words = "{name} must be a text, got {kind}"
        raise TypeError(Problem.of("not-a-text", words, name=name, kind=type(value).__name__))
    return str.__str__(value)


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


def number_from(value: Any, name: str, least: float = 0.0) -> float:
    """A finite number, no less than the least.

    Raises:
        ValueError: if it is none.
    """
    if real_number(value, name) < least:
        words = "{name} must be at least {least}, got {given!r}"
        raise ValueError(Problem.of("number-too-small", words, name=name, least=least, given=value))
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
    if not (is_whole(value) or isinstance(value, (float, np.floating))) or not math.isfinite(_float(value)):
        words = "{name} must be a finite number, got {given!r}"
        raise ValueError(Problem.of("not-a-number", words, name=name, given=value))
    return float(value)


def one_of(given: Any, known: Iterable[str], what: str) -> str:
    """A name among those that are known.

    Raises:
        ValueError: if it is none of them.
    """
    if not isinstance(given, str) or given not in set(known):
        words = "no {what} {given!r}; {nearest}"
        values = {"what": what, "given": given, "nearest": nearest(str(given), known)}
        raise ValueError(Problem.of("option-value-unknown", words, **values))
    return str.__str__(given)


def _float(value: Any) -> float:
    """Infinity for whole numbers that are too large."""
    try:
        return float(value)
    except OverflowError:
        return math.inf
