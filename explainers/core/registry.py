"""Names that users write, and the classes they stand for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from ...summary_format.errors import nearest
from ...summary_format.problem import Problem


class Registry(Mapping[str, Any]):
    """Classes by name; a mistyped name is answered with the nearest known ones.

    Other packages add theirs as entry points of the group, which are imported when first asked for. A name that two
    classes have is refused when it is asked for.

    Args:
        kind: what the names stand for, for error messages ("explainer").
        group: the entry point group ("explainrun.explainers").
        classes: our own, each known by its ``__name__``.
        other_names: further names of these, which are found and not listed.
    """

    def __init__(
        self, kind: str, group: str, classes: Iterable[type[Any]], other_names: Mapping[str, type[Any]] | None = None
    ) -> None:
        self._kind, self._group, self._other_names = kind, group, dict(other_names or {})
        self._own = {f"{cls.__module__}:{cls.__qualname__}": cls for cls in classes}

    @cached_property
    def _targets(self) -> dict[str, list[str]]:
        """Where each name's class is, as "package.module:Class"; more than one is one too many."""
        targets: dict[str, list[str]] = {}
        named = [(cls.__name__, target) for target, cls in self._own.items()]
        named += [(entry.name, entry.value) for entry in entry_points(group=self._group)]
        for name, target in named:
            known = targets.setdefault(name, [])
            if target not in known:
                known.append(target)
        return targets

    def __getitem__(self, name: str) -> Any:
        """The class of that name.

        Raises:
            ValueError: if there is none, or several packages give one.
            ImportError: if the package that gives it cannot be imported.
            AttributeError: if its module has no such class.
        """
        if name not in self._targets and name in self._other_names:
            return self._other_names[name]
        if name not in self._targets:
            words = "no {kind} {name!r}; {nearest}"
            raise ValueError(Problem.of("name-unknown", words, kind=self._kind, name=name, nearest=nearest(name, self)))
        target, *others = self._targets[name]
        if others:
            words = "{kind} {name!r} is given by several packages: {packages:list}"
            raise ValueError(
                Problem.of("name-ambiguous", words, kind=self._kind, name=name, packages=(target, *others))
            )
        return self._own[target] if target in self._own else _imported(target)

    def __iter__(self) -> Iterator[str]:
        return iter(self._targets)

    def __len__(self) -> int:
        return len(self._targets)

    def __contains__(self, name: object) -> bool:
        return name in self._targets or name in self._other_names


def _imported(target: str) -> Any:
    module, _, attribute = target.partition(":")
    return getattr(import_module(module), attribute)
