"""What an explainer or a metric was constructed with, by which a run knows it again."""

from __future__ import annotations

from collections.abc import Mapping
from inspect import Parameter, signature
from typing import Any, NamedTuple, TypeVar

import numpy as np

Made = TypeVar("Made", bound="Configured")


class Configuration(NamedTuple):
    """A class, and the arguments that its constructor was given or has by default, by name."""

    kind: type[Any]
    arguments: Mapping[str, Any]


class Configured:
    """Keeps the arguments that the constructor of a subclass is given, whatever the subclass makes of them.

    Kept before the constructor runs, containers and arrays as copies, so that nothing done to them later counts.
    """

    _constructed_with: tuple[tuple[Any, ...], Mapping[str, Any]]

    def __new__(cls: type[Made], *args: Any, **kwargs: Any) -> Made:
        made = super().__new__(cls)
        made._constructed_with = _kept(args), _kept(kwargs)
        return made

    def configuration(self) -> Configuration:
        """The class and its arguments; an object that stands for another one gives that one's.

        Raises:
            ValueError: if a ``__new__`` of the subclass did not pass the arguments on.
        """
        args, kwargs = self._constructed_with
        kind = type(self)
        constructor = signature(kind.__init__)
        try:
            bound = constructor.bind(self, *args, **kwargs)
        except TypeError as error:
            raise ValueError(f"the arguments of {kind.__name__} are not known ({error}); its __new__ must pass them "
                             f"on to super().__new__") from error  # fmt: skip
        bound.apply_defaults()
        _, *named = bound.arguments.items()
        found: dict[str, Any] = {}
        for name, value in named:
            packed = constructor.parameters[name].kind is Parameter.VAR_KEYWORD
            found |= value if packed else {name: value}
        return Configuration(kind, found)


def _kept(value: Any) -> Any:
    """A value with copies in place of the containers and arrays in it."""
    if isinstance(value, np.ndarray):
        return value.copy()
    if type(value) is dict:
        return {key: _kept(inner) for key, inner in value.items()}
    if type(value) in (list, tuple, set):
        return type(value)(map(_kept, value))
    return value
