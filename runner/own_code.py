"""A checksum of the user's own code: of a function or class, and of what its code names.

Names are followed to functions, classes and constants (in capitals) of the user's modules, and from there on; no code
runs. Not followed is what only shows when code runs: imports within functions, what objects hold, names made of texts.
"""

from __future__ import annotations

import hashlib
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from inspect import getattr_static, getsource, unwrap
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

import numpy as np

DIGEST_LENGTH = 16
_INSTALLED = [Path(path) for name, path in sysconfig.get_paths().items() if name in ("stdlib", "purelib", "platlib")]
_STANDARD_LIBRARY = Path(sysconfig.get_path("stdlib"))
_WITH_A_VERSION = {"builtins", "explainrun", "mindspore", "numpy"}
_PACKAGES = {"site-packages", "dist-packages"}
_CONSTANTS = (bool, int, float, complex, str, bytes, type(None))


def own_code(thing: Any, *, package: bool = False) -> str:
    """A checksum of a function or class with all of the user's own code that it names.

    The same in every process, wherever files lie and whatever else they hold. The thing itself counts whosever it is.

    Args:
        thing: the function or class.
        package: whether the rest of the package that it comes from counts as the user's own.
    """
    said, waiting, seen = set[str](), [thing], set[int]()
    home = _package(unwrap(thing)) if package else None
    while waiting:
        one = unwrap(waiting.pop())
        if id(one) in seen or not (one is unwrap(thing) or _is_own(one) or (home and _package(one) == home)):
            continue
        seen.add(id(one))
        said.add(_text(one))
        for name, value in _named(one):
            if (followed := _followed(value)) is not None:
                waiting.append(followed)
            elif name.isupper() and _is_constant(value):
                said.add(f"{name} = {_constant(value)}")
    return checksum("\n".join(sorted(said)).encode())


def other_code(thing: Any, *, package: bool = False) -> str:
    """The same of a function or class that has no version in a run's plan; nothing of what comes with Python, of
    MindSpore, NumPy or Explainrun.

    Of a function also the constants count that its defaults and closure hold, and the functions there.
    """
    if _has_a_version(str(getattr(unwrap(thing), "__module__", ""))):
        return ""
    if not isinstance(thing, FunctionType):
        return own_code(thing, package=package)
    held = [*(thing.__defaults__ or ()), *(thing.__kwdefaults__ or {}).values(), *closed_over(thing).values()]
    said = [other_code(one) if isinstance(one, FunctionType) else _constant(one) for one in held if _is_said(one)]
    return checksum(repr((own_code(thing, package=package), said)).encode())


def closed_over(function: FunctionType) -> dict[str, Any]:
    """What the names of a function stand for that belong to functions around it, but for itself."""
    found = {}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        with suppress(ValueError):  # it stands for nothing yet
            found[name] = cell.cell_contents
    return {name: value for name, value in found.items() if value is not function}


def checksum(data: bytes) -> str:
    """The checksum that tells pieces of a plan apart."""
    return hashlib.sha256(data).hexdigest()[:DIGEST_LENGTH]


def _code_text(code: CodeType) -> str:
    """What compiled code says, wherever it stands."""
    constants = [_code_text(one) if isinstance(one, CodeType) else _constant(one) for one in code.co_consts]
    return repr((code.co_code, constants, code.co_names, code.co_varnames))


def _followed(value: Any) -> Any:
    """The function or class that a value is, wraps or calls in part; None of anything else, which is not asked."""
    if type(value) is partial:
        return _followed(value.func)
    if issubclass(type(value), (FunctionType, type)):
        return value
    wrapped = getattr_static(value, "__wrapped__", None)
    return wrapped if isinstance(wrapped, FunctionType) else None


def _text(thing: Any) -> str:
    """What a function or class says: a class its source, where there is any."""
    if isinstance(thing, FunctionType):
        defaults = thing.__defaults__ or ()
        return f"{thing.__qualname__} {_code_text(thing.__code__)} {defaults if _is_constant(defaults) else ''}"
    with suppress(OSError, TypeError):
        return getsource(thing)
    return " ".join([thing.__qualname__, *(_code_text(function.__code__) for function in _functions(thing))])


def _named(thing: Any) -> Iterator[tuple[str, Any]]:
    """Names in the code of a function or class, with what they stand for in modules; and a class's bases."""
    if isinstance(thing, type):
        yield from ((base.__name__, base) for base in thing.__bases__)
    for function in _functions(thing):
        names = dict.fromkeys(name for code in _codes(function.__code__) for name in code.co_names)
        scopes = [function.__globals__]
        scopes += [vars(value) for name in names if _is_own_module(value := function.__globals__.get(name))]
        yield from ((name, scope[name]) for scope in scopes for name in names if name in scope)


def _functions(thing: Any) -> list[FunctionType]:
    """A function itself, or those that a class defines: methods of all kinds and what properties call."""
    if isinstance(thing, FunctionType):
        return [thing]
    found: list[Any] = []
    for member in vars(thing).values():
        parts = (member, *(getattr(member, name, None) for name in ("__func__", "fget", "fset", "func")))
        found += [unwrap(part) for part in parts if isinstance(part, FunctionType)]
    return [function for function in found if isinstance(function, FunctionType)]


def _codes(code: CodeType) -> Iterator[CodeType]:
    """A code and those within it: of inner functions, lambdas and comprehensions."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _constant(value: Any) -> str:
    """Sets have another order in each process, and long arrays are cut when they are shown."""
    if type(value) in (tuple, list):
        return f"{type(value).__name__} [{', '.join(map(_constant, value))}]"
    if isinstance(value, (np.ndarray, np.generic)):
        array = np.asarray(value)
        return f"array {array.shape} {array.dtype} {'' if array.dtype.hasobject else checksum(array.tobytes())}"
    return f"set {sorted(map(repr, value))}" if isinstance(value, frozenset) else repr(value)


def _is_constant(value: Any) -> bool:
    if type(value) in (tuple, list):
        return all(map(_is_constant, value))
    return type(value) in _CONSTANTS or issubclass(type(value), (np.ndarray, np.generic))


def _is_said(value: Any) -> bool:
    return _is_constant(value) or isinstance(value, FunctionType)


def _package(thing: Any) -> str:
    return str(getattr(thing, "__module__", "")).partition(".")[0]


def _has_a_version(name: str) -> bool:
    """Whether a module is one whose version a run's plan holds, or comes with Python."""
    if name.partition(".")[0] in _WITH_A_VERSION or name in sys.builtin_module_names:
        return True
    file = getattr(sys.modules.get(name), "__file__", None)
    return file is not None and Path(file).is_relative_to(_STANDARD_LIBRARY) and _PACKAGES.isdisjoint(Path(file).parts)


def _is_own(thing: Any) -> bool:
    """Whether it is the user's: of no module of Python, of an installed package or of this one."""
    return _is_own_module(sys.modules.get(str(getattr(thing, "__module__", ""))))


def _is_own_module(module: Any) -> bool:
    if not issubclass(type(module), ModuleType):
        return False
    name, file = str(module.__name__), getattr(module, "__file__", None)
    if file is None or _has_a_version(name):
        return name == "__main__"
    # Environments may use another one's packages, whose places only their names show.
    installed = any(Path(file).is_relative_to(place) for place in _INSTALLED)
    return not installed and _PACKAGES.isdisjoint(Path(file).parts)
