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
from functools import lru_cache, partial
from inspect import getattr_static, getsource, unwrap
from pathlib import Path, PosixPath, WindowsPath
from types import CodeType, FunctionType, ModuleType
from typing import Any

import numpy as np

DIGEST_LENGTH = 16
_INSTALLED = [Path(path) for name, path in sysconfig.get_paths().items() if name in ("stdlib", "purelib", "platlib")]
_STANDARD_LIBRARY = Path(sysconfig.get_path("stdlib"))
_WITH_A_VERSION = {"builtins", "explainrun", "mindspore", "numpy"}
_PACKAGES = {"site-packages", "dist-packages"}
_CONSTANTS = (bool, int, float, complex, str, bytes, type(None), type(...), PosixPath, WindowsPath)


def fingerprint_user_code(thing: Any, *, package: bool = False) -> str:
    """A checksum of a function or class with all of the user's own code that it names.

    Stable across processes and file locations. The object itself is always hashed, even if it is not user code.

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
        said.add(_definition_text(one))
        for name, value in _referenced_values(one):
            if (followed := _followed(value)) is not None:
                waiting.append(followed)
            if _is_constant(value) and name.isupper():
                said.add(f"{name} = {_constant(value)}")
        for function in _functions(one):
            held = [*_defaults(function), *closed_over(function).values()]
            waiting += [followed for value in held if (followed := _followed(value)) is not None]
    return checksum("\n".join(sorted(said)).encode())


def unversioned_code(thing: Any, *, package: bool = False) -> str:
    """The same, but empty for what comes with Python, MindSpore, NumPy or Explainrun: a plan holds their versions."""
    if has_a_version(str(getattr(unwrap(thing), "__module__", ""))):
        return ""
    return fingerprint_user_code(thing, package=package)


def named_code(function: FunctionType) -> str:
    """A function's code, or its name where that has a version."""
    return unversioned_code(function) or f"{function.__module__}.{function.__qualname__}"


def closed_over(function: FunctionType) -> dict[str, Any]:
    """What the names of a function stand for that belong to functions around it, but for itself."""
    found = {}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        with suppress(ValueError):  # it stands for nothing yet
            found[name] = cell.cell_contents
    return {name: value for name, value in found.items() if value is not function}


def checksum(data: bytes) -> str:
    """The checksum that distinguishes pieces of a plan."""
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


def _definition_text(thing: Any) -> str:
    """What a function or class says: a class also its source, where there is any, or else its constants."""
    if isinstance(thing, FunctionType):
        return _function_text(thing)
    functions = " ".join(map(_function_text, _functions(thing)))
    given = {name: value for name, value in vars(thing).items() if not name.startswith("__") and _is_constant(value)}
    return f"{thing.__qualname__} {functions} {_source(thing) or _constant(dict(sorted(given.items())))}"


def _function_text(function: FunctionType) -> str:
    held = [*_defaults(function), *closed_over(function).values()]
    named = (value for name, value in _global_values(function) if type(value) is partial)
    constants = [_constant(value) for value in (*held, *named) if _is_constant(value)]
    return f"{function.__qualname__} {_code_text(function.__code__)} {constants}"


@lru_cache(maxsize=4096)  # reading a class takes milliseconds, and what its file holds later did not run
def _source(kind: type[Any]) -> str:
    with suppress(OSError, TypeError):
        return getsource(kind)
    return ""


def _defaults(function: FunctionType) -> list[Any]:
    keywords = function.__kwdefaults__ or {}
    return [*(function.__defaults__ or ()), *(keywords[name] for name in sorted(keywords))]


def _referenced_values(thing: Any) -> Iterator[tuple[str, Any]]:
    """Names in the code of a function or class, with what they stand for in modules; a class's bases and attributes."""
    if isinstance(thing, type):
        yield from ((base.__name__, base) for base in thing.__bases__)
        yield from ((name, value) for name, value in vars(thing).items() if _followed(value) is not None)
    for function in _functions(thing):
        yield from _global_values(function)


def _global_values(function: FunctionType) -> Iterator[tuple[str, Any]]:
    """What the names in a function stand for, in its module and in the user's modules that it names."""
    names = dict.fromkeys(name for code in _codes(function.__code__) for name in code.co_names)
    scopes, seen = [function.__globals__], set[int]()
    for scope in scopes:
        for name in names:
            if name in scope:
                value = scope[name]
                yield name, value
                if _is_own_module(value) and id(value) not in seen:
                    seen.add(id(value))
                    scopes.append(vars(value))


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
    if type(value) is partial:
        return f"partial {_constant(value.args)} {_constant(value.keywords)}"
    if type(value) in (tuple, list):
        return f"{type(value).__name__} [{', '.join(map(_constant, value))}]"
    if type(value) is dict:
        return f"dict [{', '.join(f'{_constant(key)}: {_constant(inner)}' for key, inner in value.items())}]"
    if type(value) in (set, frozenset):
        return f"set {sorted(map(_constant, value))}"
    if _is_tensor(value) or isinstance(value, (np.ndarray, np.generic)):
        array = value.asnumpy() if _is_tensor(value) else np.asarray(value)
        return f"array {array.shape} {array.dtype} {'' if array.dtype.hasobject else checksum(array.tobytes())}"
    return repr(value)


def _is_constant(value: Any) -> bool:
    if type(value) is partial:
        return _is_constant(value.args) and _is_constant(value.keywords)
    if type(value) in (tuple, list, set, frozenset):
        return all(map(_is_constant, value))
    if type(value) is dict:
        return all(_is_constant(key) and _is_constant(inner) for key, inner in value.items())
    return type(value) in _CONSTANTS or issubclass(type(value), (np.ndarray, np.generic)) or _is_tensor(value)


def _is_tensor(value: Any) -> bool:
    return type(value).__module__ == "mindspore.common.tensor" and type(value).__name__ == "Tensor"


def _package(thing: Any) -> str:
    return str(getattr(thing, "__module__", "")).partition(".")[0]


def has_a_version(name: str) -> bool:
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
    if file is None or has_a_version(name):
        return name == "__main__"
    # Environments may use another one's packages, whose places only their names show.
    installed = any(Path(file).is_relative_to(place) for place in _INSTALLED)
    return not installed and _PACKAGES.isdisjoint(Path(file).parts)
