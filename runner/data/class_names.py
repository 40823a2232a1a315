"""Names of classes: as users have them, each to its place, and which one is meant."""

from __future__ import annotations

import logging
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...explainers.arguments import is_whole, plain_text
from ...summary_format.errors import nearest
from ...summary_format.problem import Problem

_SHOWN = 2  # numbered names, in the log
_LONGEST_INDEX = 20  # characters; Python refuses to read thousands
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
    plain = [plain_text(name, f"{what}[{place}]") for place, name in enumerate(_listed(given, what))]
    repeated = [name for name, count in Counter(plain).items() if count > 1 and name.strip()]
    found = tuple(f"{name} ({place})" if name in repeated else name for place, name in enumerate(plain))
    numbered = [name for name, before in zip(found, plain, strict=True) if name != before]
    if numbered:
        more = f" and {len(numbered) - _SHOWN} more" if len(numbered) > _SHOWN else ""
        words = "class names that stand several times get their index: %s%s"
        _log.warning(words, ", ".join(numbered[:_SHOWN]), more)
    return found


def _listed(given: Any, what: str) -> list[Any]:
    if isinstance(given, Mapping):
        indices = [int(key) if is_whole(key) else key for key in given]
        if sorted(map(str, indices)) != sorted(map(str, range(len(indices)))) or not all(
            type(index) is int for index in indices
        ):
            words = "{what} of a dictionary need every index from 0 to {last} once, got {given}"
            raise ValueError(Problem.of("class-indices", words, what=what, last=len(indices) - 1, given=indices[:20]))
        return [name for _, name in sorted(zip(indices, given.values(), strict=True), key=lambda pair: pair[0])]
    if isinstance(given, np.ndarray) and given.ndim == 1:
        return list(given.tolist())
    if not isinstance(given, (list, tuple)):
        words = "{what} must be a list, array or dictionary of texts, got {kind}"
        raise TypeError(Problem.of("class-names-kind", words, what=what, kind=type(given).__name__))
    return list(given)


class ClassFinder:
    """Finds classes that are named or given by their indices.

    Args:
        names: of all classes; none where they have no names.
        classes: how many there are; by default as many as names.
    """

    def __init__(self, names: Sequence[str], classes: int | None = None) -> None:
        self.names = tuple(names)
        self._classes = len(names) if classes is None else classes
        self._places = {name: place for place, name in reversed(list(enumerate(names)))}
        self._composed: dict[str, list[str]] = {}
        for name in dict.fromkeys(self.names):
            self._composed.setdefault(_composed(name), []).append(name)

    def index(self, given: Any) -> int:
        """The index of a class: by its name, whether its accents are letters of their own or not, else by its index.

        Raises:
            ValueError: if there is no such class, or a name stands for several.
        """
        if isinstance(given, str):
            if given in self._places:
                return self._places[given]
            alike = self._composed.get(_composed(given), []) or self._numbered(_composed(given))
            if len(alike) == 1 and _composed(alike[0]) == _composed(given):
                return self._places[alike[0]]
            if alike:
                words = "class {name!r} stands for {several:list}; name one of them"
                raise ValueError(Problem.of("class-ambiguous", words, name=given, several=alike))
        index = given.strip() if isinstance(given, str) else str(given)
        if isinstance(given, bool) or not (index.isascii() and index.isdigit() and len(index) < _LONGEST_INDEX):
            words = "no class {name!r}; {nearest}"
            known = nearest(str(given), self.names) if self.names else "classes have no names here, give an index"
            raise ValueError(Problem.of("class-unknown", words, name=given, nearest=known))
        if int(index) >= self._classes:
            words = "no class {index}; the network's classes are 0..{last}"
            raise ValueError(Problem.of("class-out-of-range", words, index=int(index), last=self._classes - 1))
        return int(index)

    def _numbered(self, name: str) -> list[str]:
        """The names that this one got where it stood several times."""
        return [one for place, one in enumerate(self.names) if _composed(one) == f"{name} ({place})"]


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)
