"""Names that users write, and what they stand for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from importlib import import_module
from typing import Any


class Registry(Mapping[str, Any]):
    """Classes by name, imported when first asked for; a mistyped name is answered with the nearest known ones.

    Args:
        kind: what the names stand for, for error messages ("explainer").
        targets: "package.module:Class" by name.
    """

    def __init__(self, kind: str, targets: Mapping[str, str]) -> None:
        self._kind, self._targets = kind, dict(targets)

    def __getitem__(self, name: str) -> Any:
        if name not in self._targets:
            raise ValueError(f"no {self._kind} {name!r}; {nearest(name, self)}")
        module, _, attribute = self._targets[name].partition(":")
        return getattr(import_module(module), attribute)

    def __iter__(self) -> Iterator[str]:
        return iter(self._targets)

    def __len__(self) -> int:
        return len(self._targets)

    def __contains__(self, name: object) -> bool:
        return name in self._targets


def nearest(name: str, known: Iterable[str]) -> str:
    """Words that end an error on a mistyped name: the nearest known names, or all of them if none is near."""
    known = list(known)
    near = get_close_matches(name, known, n=3, cutoff=0.5)
    if near:
        return f"did you mean {' or '.join(map(repr, near))}?"
    return f"known: {', '.join(known)}" if known else "there are none"
