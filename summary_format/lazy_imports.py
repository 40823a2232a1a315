"""Public names that a package imports when they are first used, so that what needs few of them starts at once."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any


def from_home(package: str, homes: Mapping[str, str], name: str) -> Any:
    """What a package's ``__getattr__`` gives.

    Args:
        package: the package's own name.
        homes: by public name, the module in it, or the sub-package, that has it.
        name: what is asked for.

    Raises:
        AttributeError: if it is none of them.
    """
    if name not in homes:
        raise AttributeError(f"module {package!r} has no attribute {name!r}")
    return getattr(import_module(f".{homes[name]}", package), name)
