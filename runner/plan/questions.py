"""Which labels of a sample are explained."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import numpy as np

from ...explainers.arguments import is_whole, plain_text
from ...explainers.network.tensors import FloatArray, IntArray
from ...summary_format import InferenceBatch
from ...summary_format.archive.sample_labels import predicted, true_labels
from ...summary_format.problem import Problem

TRUTH_AND_CONFIDENT, TRUTH, PREDICTED = "truth and confident", "truth", "predicted"
_TOP = re.compile(r"top-([1-9][0-9]{0,8})")
_FORMS = (TRUTH_AND_CONFIDENT, TRUTH, PREDICTED, "top-K", "a list of class names")


def checked_labels(given: Any) -> str | list[str | int]:
    """Which labels are asked about: one of the rules, or a list of class names or indices.

    Raises:
        ValueError: if it is something else.
    """
    plain = given.tolist() if isinstance(given, np.ndarray) else given
    if isinstance(plain, str):
        plain = plain_text(plain, "labels")
        if plain in (TRUTH_AND_CONFIDENT, TRUTH, PREDICTED) or _TOP.fullmatch(plain):
            return plain
    if isinstance(plain, (list, tuple)) and plain and all(_names_class(one) for one in plain):
        return [plain_text(one, "labels") if isinstance(one, str) else int(one) for one in plain]
    words = "labels must be one of {known:list}, got {given!r}"
    raise ValueError(Problem.of("labels-unknown", words, known=_FORMS, given=given))


def _names_class(one: Any) -> bool:
    return isinstance(one, str) or is_whole(one)


def top_count(labels: Any) -> int | None:
    """K where labels are "top-K", 1 where they are "predicted"; else None."""
    if isinstance(labels, str) and labels == PREDICTED:
        return 1
    top = _TOP.fullmatch(labels) if isinstance(labels, str) else None
    return None if top is None else int(top[1])


def top_count_of(labels: Any, classes: int) -> int | None:
    """The same of so many classes.

    Raises:
        ValueError: if there are fewer than K.
    """
    count = top_count(labels)
    if count is not None and count > classes:
        words = "labels {given!r} asks for more labels than the {classes:plural class}"
        raise ValueError(Problem.of("labels-too-many", words, given=labels, classes=classes))
    return count


def most_probable(probabilities: FloatArray, count: int) -> list[int]:
    """So many classes of the largest probabilities (classes,), the largest first; of equals the first."""
    return [int(label) for label in np.argsort(-probabilities, kind="stable")[:count]]


def questions(inference: InferenceBatch, labels: str | list[int]) -> IntArray:
    """(Q, 2) sample id and label of what is asked about a batch, ascending.

    Nothing is asked of a sample for which the network gives no numbers.
    """
    asked = [
        (int(inference.ids[row]), label)
        for row in np.flatnonzero(inference.computed)
        for label in sorted(set(_labels(inference, int(row), labels)))
    ]
    return np.array(asked, np.int64).reshape(-1, 2)


def _labels(inference: InferenceBatch, row: int, labels: str | list[int]) -> Iterable[int]:
    if not isinstance(labels, str):
        return labels
    count = top_count(labels)
    if count is not None:
        return most_probable(inference.probabilities[row], count)
    confident = predicted(inference, row) if labels == TRUTH_AND_CONFIDENT else []
    return [*true_labels(inference, row), *confident]
