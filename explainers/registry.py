"""Names that users write, and what they stand for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from ..summary_format.problems import nearest


class Registry(Mapping[str, Any]):
    """Classes by name, imported when first asked for; a mistyped name is answered with the nearest known ones.

    Other packages add theirs as entry points of the group; a name that two give is refused when it is asked for.

    Args:
        kind: what the names stand for, for error messages ("explainer").
        group: the entry point group ("explainrun.explainers").
        targets: "package.module:Class" by name.
    """

    def __init__(self, kind: str, group: str, targets: Mapping[str, str]) -> None:
        self._kind, self._group, self._own = kind, group, dict(targets)

    @cached_property
    def _targets(self) -> dict[str, list[str]]:
        """What each name stands for; more than one thing is one too many."""
        targets = {name: [target] for name, target in self._own.items()}
        for entry in entry_points(group=self._group):
            values = targets.setdefault(entry.name, [])
            if entry.value not in values:
                values.append(entry.value)
        return targets

    def __getitem__(self, name: str) -> Any:
        if name not in self._targets:
            raise ValueError(f"no {self._kind} {name!r}; {nearest(name, self)}")
        target, *others = self._targets[name]
        if others:
            raise ValueError(f"{self._kind} {name!r} is given by several packages: {', '.join((target, *others))}")
        module, _, attribute = target.partition(":")
        return getattr(import_module(module), attribute)

    def __iter__(self) -> Iterator[str]:
        return iter(self._targets)

    def __len__(self) -> int:
        return len(self._targets)

    def __contains__(self, name: object) -> bool:
        return name in self._targets
