"""Public names that were changed: the old ones still work, with a warning that says the new one."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import wraps
from inspect import getattr_static
from typing import Any, TypeVar

AnyClass = TypeVar("AnyClass", bound=type[Any])


def warn_of(old: str, new: str, stacklevel: int = 2) -> None:
    """Warn that a name is deprecated.

    Args:
        old: the name.
        new: its successor.
        stacklevel: whose line the warning is about: 1 for that of the caller, 2 for that of its caller.
    """
    warnings.warn(f"{old} is deprecated; use {new}", DeprecationWarning, stacklevel=stacklevel + 1)


class Renamed:
    """The old name of an attribute or a method, as a class attribute beside the new one.

    Args:
        new: the new name.
    """

    def __init__(self, new: str) -> None:
        self.new = new

    def __set_name__(self, owner: type[Any], old: str) -> None:
        self._old, self._owner = old, owner.__name__

    def __get__(self, instance: Any, owner: type[Any] | None = None) -> Any:
        warn_of(f"{self._owner}.{self._old}", self.new)
        return getattr(owner if instance is None else instance, self.new)

    def __set__(self, instance: Any, value: Any) -> None:
        warn_of(f"{self._owner}.{self._old}", self.new)
        setattr(instance, self.new, value)


def take_over(kind: type[Any], **names: str) -> None:
    """Give a new subclass under the new names what it, or a class beside its base, sets under the old ones.

    One that sets both, for several versions of Explainrun, is left alone. To be called by ``__init_subclass__``.

    Args:
        kind: the subclass.
        **names: the new name of each old one; the base has a ``Renamed`` under the latter.
    """
    for old, new in names.items():
        value = getattr_static(kind, old)
        if isinstance(value, Renamed):
            continue
        if new not in vars(kind):
            warn_of(f"{kind.__name__}.{old}", new, 4)  # the lines of __init_subclass__ and ABCMeta are between
            setattr(kind, new, value)
        renamed = Renamed(new)
        renamed.__set_name__(kind, old)
        setattr(kind, old, renamed)


def renamed_arguments(**names: str) -> Callable[[AnyClass], AnyClass]:
    """Decorate a class whose constructor takes arguments by their old names too.

    Args:
        **names: the new name of each old one.
    """

    def decorated(kind: AnyClass) -> AnyClass:
        construct = kind.__init__

        @wraps(construct)
        def construct_with(self: Any, *args: Any, **kwargs: Any) -> None:
            given = {names[old]: kwargs.pop(old) for old in names.keys() & kwargs.keys()}
            for old, new in names.items():
                if new in given:
                    warn_of(f"the argument {old} of {kind.__name__}", new)
            construct(self, *args, **given, **kwargs)

        kind.__init__ = construct_with
        return kind

    return decorated
