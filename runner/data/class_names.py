"""Names of classes: as users have them, each to its place, and which one is meant."""

from __future__ import annotations

import logging
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...summary_format.errors import nearest
from ...summary_format.problem import Problem

_log = logging.getLogger("explainrun")


def class_names_from(given: Any, what: str = "class names") -> tuple[str, ...]:
    """The names in the order of the network's outputs; one that stands several times gets its index.

    ImageNet's own list has "crane" twice, the bird and the machine: they become "crane (134)" and "crane (517)".

    Args:
        given: a list, tuple or array of texts, or a dictionary from every index to a text.
        what: how errors call them.

    Raises:
        TypeError: if they are something else.
        ValueError: if indices of a dictionary are not 0, 1, 2 and so on.
    """
    names = _listed(given, what)
    for place, name in enumerate(names):
        if not isinstance(name, str):
            raise TypeError(f"{what}[{place}] must be a text, got {type(name).__name__}")
    plain = [str(name) for name in names]
    repeated = [name for name, count in Counter(plain).items() if count > 1 and name.strip()]
    found = tuple(f"{name} ({place})" if name in repeated else name for place, name in enumerate(plain))
    if repeated:
        now = [name for name, old in zip(found, plain, strict=True) if old == repeated[0]]
        others = f", and so are {len(repeated) - 1} others" if len(repeated) > 1 else ""
        _log.warning("class name %r stands several times: they are called %s%s", repeated[0], ", ".join(now), others)
    return found


def _listed(given: Any, what: str) -> list[Any]:
    if isinstance(given, Mapping):
        indices = [int(key) if isinstance(key, (int, np.integer)) else key for key in given]
        if sorted(map(str, indices)) != sorted(map(str, range(len(indices)))) or not all(
            isinstance(index, int) for index in indices
        ):
            words = "{what} of a dictionary need every index from 0 to {last} once, got {given}"
            raise ValueError(Problem.of("class-indices", words, what=what, last=len(indices) - 1, given=indices[:20]))
        return [name for _, name in sorted(zip(indices, given.values(), strict=True), key=lambda pair: pair[0])]
    if isinstance(given, np.ndarray) and given.ndim == 1:
        return list(given.tolist())
    if not isinstance(given, (list, tuple)):
        raise TypeError(f"{what} must be a list, array or dictionary of texts, got {type(given).__name__}")
    return list(given)


def class_index(given: Any, names: Sequence[str], classes: int | None = None) -> int:
    """The index of a class that is given by name or index; a name is looked for first, composed or not.

    Args:
        given: which class.
        names: of all classes; none where they have no names.
        classes: how many there are; by default as many as names.

    Raises:
        ValueError: if there is no such class, or a name stands for several.
    """
    count = len(names) if classes is None else classes
    text = _composed(str(given)) if isinstance(given, str) else None
    if text is not None:
        found = [place for place, name in enumerate(names) if _composed(name) == text]
        if found:
            return found[0]
        several = [name for place, name in enumerate(names) if _composed(name) == f"{text} ({place})"]
        if several:
            words = "class {name!r} stands for {several:list}; name one of them"
            raise ValueError(Problem.of("class-ambiguous", words, name=given, several=several))
    index = text.strip() if text is not None else str(given)
    if isinstance(given, bool) or not (index.isascii() and index.isdigit()):
        words = "no class {name!r}; {nearest}"
        known = nearest(str(given), names) if names else "classes have no names here, give an index"
        raise ValueError(Problem.of("class-unknown", words, name=given, nearest=known))
    if int(index) >= count:
        words = "no class {index}; the network's classes are 0..{last}"
        raise ValueError(Problem.of("class-out-of-range", words, index=int(index), last=count - 1))
    return int(index)


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)
