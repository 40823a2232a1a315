"""Mistyped keywords answered with the nearest known ones."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from inspect import signature
from typing import Any, TypeVar, cast

from ..summary_format.errors import nearest

Function = TypeVar("Function", bound=Callable[..., Any])


def checks_keywords(function: Function) -> Function:
    """Have a method answer an unknown keyword with the nearest of its own.

    Raises:
        TypeError: in the method's stead, naming the keyword.
    """
    known = [name for name in signature(function).parameters if name != "self"]

    @wraps(function)
    def checked(*arguments: Any, **keywords: Any) -> Any:
        for name in keywords:
            if name not in known:
                owner = function.__qualname__.removesuffix(".__init__")
                raise TypeError(f"{owner} takes no keyword {name!r}; {nearest(name, known)}")
        return function(*arguments, **keywords)

    return cast(Function, checked)
