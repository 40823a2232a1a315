"""Mistyped keywords answered with the nearest known ones, those of another method with that method."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from functools import wraps
from inspect import signature
from typing import Any, TypeVar, cast

from ..summary_format.errors import nearest_or_place

Function = TypeVar("Function", bound=Callable[..., Any])
_BY_CLASS: dict[str, dict[str, list[str]]] = defaultdict(dict)  # keywords by method, as users write it, of each class


def checks_keywords(function: Function) -> Function:
    """Have a method answer an unknown keyword with the method of its class that takes it, or the nearest of its own.

    Raises:
        TypeError: in the method's stead, naming the keyword.
    """
    known = [name for name in signature(function).parameters if name != "self"]
    owner = function.__qualname__.removesuffix(".__init__")
    beside = _BY_CLASS[owner.partition(".")[0]]
    beside[owner] = known

    @wraps(function)
    def checked(*arguments: Any, **keywords: Any) -> Any:
        for name in keywords:
            if name not in known:
                raise TypeError(f"{owner} takes no keyword {name!r}; {nearest_or_place(name, known, beside)}")
        return function(*arguments, **keywords)

    return cast(Function, checked)
