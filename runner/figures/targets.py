"""Which classes of a picture are explained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...explainers.network.tensors import FloatArray
from ...summary_format.problem import Problem
from ..data.class_names import ClassFinder
from ..plan.questions import PREDICTED, TRUTH, TRUTH_AND_CONFIDENT, most_probable, top_count_of

Target = int | str | None
_LISTS = (list, tuple, np.ndarray)


def targets_of(given: Any, pictures: int) -> list[tuple[Target, ...]]:
    """The classes asked about of each picture.

    Args:
        given: a class for all pictures; a list of one for each; a list that holds such lists, one for each picture or
            one for all; of a single picture also its list alone.
        pictures: how many there are.

    Raises:
        ValueError: if it is a list of another length, or one that names nothing.
    """
    plain = given.tolist() if isinstance(given, np.ndarray) else given
    if not isinstance(plain, _LISTS):
        return [(plain,)] * pictures
    nested = any(isinstance(one, _LISTS) for one in plain)
    entries = [tuple(one) if isinstance(one, _LISTS) else (one,) for one in plain]
    if pictures == 1 and not nested:
        entries = [tuple(plain)]
    if nested and len(entries) == 1:
        entries *= pictures
    if not all(entries):
        raise ValueError(Problem.of("targets-empty", "target names no class; leave it out for the network's first"))
    if len(entries) != pictures:
        words = (
            "target must be one class for all pictures or one each, got {targets} for {pictures}; several classes of "
            "each are a list in a list, [[3, 5]]"
        )
        raise ValueError(Problem.of("targets-not-pictures", words, targets=len(entries), pictures=pictures))
    return entries


def labels_of(targets: Sequence[Target], names: Sequence[str], logits: FloatArray) -> list[int]:
    """The classes that targets mean for a picture, each once, in the order of the targets.

    Args:
        targets: names or indices, "predicted" (or None) or "top-K"; a class that is called so goes before.
        names: of all classes; none where they have no names.
        logits: of the picture (classes,).

    Raises:
        ValueError: if there is no such class, or a target asks for a true label.
    """
    finder = ClassFinder(names, len(logits))
    return list(dict.fromkeys(label for target in targets for label in _labels(target, finder, logits)))


def _labels(target: Target, finder: ClassFinder, logits: FloatArray) -> list[int]:
    count = None if target in finder.names else top_count_of(PREDICTED if target is None else target, len(logits))
    if count is not None:
        return most_probable(logits, count)
    if target in (TRUTH, TRUTH_AND_CONFIDENT) and target not in finder.names:
        words = "a picture comes without a true label, so there is no {given!r}; name classes, {predicted} or top-K"
        raise ValueError(Problem.of("target-is-truth", words, given=target, predicted=PREDICTED))
    try:
        return [finder.index(target)]
    except ValueError as error:
        _check_not_joined(target, finder)
        raise error from None


def _check_not_joined(target: Target, finder: ClassFinder) -> None:
    """Say how several classes are named, where they stand in one text; names of classes may hold commas."""
    parts = [part.strip() for part in str(target).split(",")]
    try:
        known = len(parts) > 1 and [finder.index(part) for part in parts]
    except ValueError:
        return
    if known:
        words = "no class {given!r}; name {parts:repr and} one by one"
        raise ValueError(Problem.of("targets-joined", words, given=target, parts=parts))
