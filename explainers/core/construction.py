"""What an explainer or a metric was constructed with, by which a run knows it again."""

from __future__ import annotations

from collections.abc import Mapping
from inspect import Parameter, Signature, signature
from types import MethodType
from typing import Any, NamedTuple, TypeVar

import numpy as np

Made = TypeVar("Made", bound="Configured")


class Configuration(NamedTuple):
    """A class, and the arguments that its constructor was given or has by default, by name."""

    kind: type[Any]
    arguments: Mapping[str, Any]


class _SignatureOfConstructor:
    """What ``inspect.signature`` finds of a class: before Python 3.11.4 it takes ``__new__``'s for an inherited one."""

    def __get__(self, made: Configured | None, kind: type[Configured]) -> Signature:
        if made is not None or kind.__new__ is not Configured.__new__:
            raise AttributeError("__signature__")  # of an instance it is that of its __call__
        return signature(MethodType(kind.__init__, kind))


class Configured:
    """Keeps the arguments that the constructor of a subclass is given, whatever the subclass makes of them.

    Kept before the constructor runs, lists, dicts, sets and arrays as copies. Other objects are kept as they are.
    """

    __signature__ = _SignatureOfConstructor()

    _constructed_with: tuple[tuple[Any, ...], Mapping[str, Any]]

    def __new__(cls: type[Made], *args: Any, **kwargs: Any) -> Made:
        make = super().__new__
        made = make(cls) if make is object.__new__ else make(cls, *args, **kwargs)
        # Past what the class does when attributes are set: a frozen dataclass refuses, a Cell is not ready yet.
        object.__setattr__(made, "_constructed_with", (_kept(args), _kept(kwargs)))
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
        found: dict[str, Any] = {}
        for place, (name, value) in enumerate(bound.arguments.items()):
            how = constructor.parameters[name].kind
            if how is Parameter.VAR_KEYWORD and not found.keys() & value.keys():
                found |= value
            elif place == 0:  # with the object itself
                found |= {name: value[1:]} if how is Parameter.VAR_POSITIONAL else {}
            else:
                found[name] = value
        return Configuration(kind, found)


def _kept(value: Any, around: tuple[Any, ...] = ()) -> Any:
    """A value with copies in place of the containers and arrays in it; not of files in memory, which may be large."""
    if any(value is one for one in around):  # it holds itself
        return value
    if type(value) is np.ndarray:
        return value.copy()
    if type(value) is dict:
        return {key: _kept(inner, (*around, value)) for key, inner in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_kept(inner, (*around, value)) for inner in value)
    return set(value) if type(value) is set else value
