"""What a plan holds, in plain values: what JSON gives back as it was, and what tells two of them apart.

Nothing is dropped: a value is described with all that it holds, or refused.
"""

from __future__ import annotations

import copyreg
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from inspect import unwrap
from pathlib import PurePath
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
from mindspore import Tensor, nn

from ..explainers.configured import Configured
from .network_identity import (
    exact_bytes,
    held_values,
    is_mindspores,
    parameters_digest,
    structure_digest,
    without_seeds,
)
from .own_code import checksum, closed_over, other_code

THE_NETWORK = "the run's network"
_LEFT_OUT = ("num_labels", "name")  # the plan has those itself
_OURS = ("class", "code", "resolved")  # what is said of an explainer or metric beside its arguments
_AS_THEY_ARE = (bytes, bytearray, complex, range, slice, PurePath, np.dtype, type(...))
_ADDRESS = re.compile(r"\bat 0x[0-9a-f]+|object at ")


class UndescribedError(ValueError):
    """A value that two processes cannot tell apart from another one, hence no run can be known again by it."""


class Description:
    """Describes what a run is given.

    Args:
        network: the run's own, of which no more is said where it stands among other things: the plan describes it.
    """

    def __init__(self, network: nn.Cell | None = None) -> None:
        self._network = network
        self._known = {id(cell) for _, cell in network.cells_and_names()} if network is not None else set()
        self._around: list[Any] = []  # what is being described, from the outside in

    def options(self, thing: Configured) -> dict[str, Any]:
        """The class of an explainer or metric and the arguments that it was constructed with.

        An attribute that is called as one of them and holds another plain value is named beside them.

        Raises:
            UndescribedError: if an argument cannot be described; says which.
        """
        try:
            kind, arguments = thing.configuration()
        except ValueError as error:
            raise UndescribedError(str(error)) from error
        given = {
            name: value
            for name, value in arguments.items()
            if name not in _LEFT_OUT and not (value is self._network and name == "network")
        }
        options = {name: self._about(f"argument {name!r}", value) for name, value in given.items()}
        resolved = dict(self._resolved(thing, options))
        options = {f"argument {name}" if name in _OURS else name: value for name, value in options.items()}
        code = other_code(kind, package=True)  # its package may be installed again under the same version
        ours = {"class": kind.__name__, "code": code, "resolved": resolved}
        return {**{name: value for name, value in ours.items() if value}, **options}

    def plain(self, value: Any) -> Any:  # noqa: PLR0911
        """A value in plain ones: arrays, Cells and functions become their name and a checksum.

        Raises:
            UndescribedError: if it, or something in it, cannot be described.
        """
        if isinstance(value, (str, bool, int, type(None))):
            return value if type(value) in (str, bool, int, type(None)) else self._of_a_subclass(value)
        if isinstance(value, float):
            return float(value) if math.isfinite(value) else str(float(value))  # NaN equals nothing
        if isinstance(value, np.generic):
            return self.plain(value.item()) if value.dtype.kind in "biufSU" else repr(value)
        if isinstance(value, (np.ndarray, Tensor)):
            return self._array(value)
        if isinstance(value, _AS_THEY_ARE):
            return repr(value)
        if any(value is one for one in self._around):
            return "what it stands in"
        with self._within(value):
            return self._compound(value)

    def _compound(self, value: Any) -> Any:
        """What holds others."""
        if isinstance(value, Mapping):
            return {key if isinstance(key, str) else str(self.plain(key)): self._about(f"[{key!r}]", inner)
                    for key, inner in value.items()}  # fmt: skip
        if isinstance(value, (list, tuple)):
            return [self._about(f"[{place}]", inner) for place, inner in enumerate(value)]
        if isinstance(value, (set, frozenset)):
            return sorted(repr(self.plain(inner)) for inner in value)
        if isinstance(value, Configured):
            return self.options(value)
        if isinstance(value, nn.Cell):
            return self._cell(value)
        return self._callable(value) if callable(value) else self._object(value)

    def _callable(self, value: Any) -> Any:  # noqa: PLR0911
        if isinstance(value, type):
            return {"class": f"{value.__module__}.{value.__qualname__}", **_code(value)}
        if isinstance(value, partial):
            called = {"partial": value.func, "arguments": value.args, "keywords": value.keywords}
            return {name: self._about(name, inner) for name, inner in called.items()}
        if isinstance(value, MethodType):
            return {"method": self.plain(value.__func__), "of": self._about("its object", value.__self__)}
        if isinstance(value, FunctionType):
            return f"{value.__qualname__} {self._function(value)}"
        if isinstance(unwrapped := unwrap(value), FunctionType):  # of a decorator such as functools.lru_cache
            return self.plain(unwrapped)
        if isinstance(value, (BuiltinFunctionType, np.ufunc)):
            return f"{getattr(value, '__module__', None)}.{value.__name__}"
        return self._object(value)

    def _object(self, value: Any) -> Any:
        """An object of any other class: the class, its code, and what pickling would keep of the object."""
        if isinstance(value, ModuleType):
            return f"module {value.__name__}"
        if is_mindspores(type(value)):
            return self._of_mindspore(value)
        try:
            reduce = copyreg.dispatch_table.get(type(value))  # before the method, as pickle does
            made = value.__reduce_ex__(4) if reduce is None else reduce(value)
        except Exception as error:
            raise UndescribedError(
                f"it is a {type(value).__qualname__}, which cannot be described ({error})"
            ) from error
        name = f"{type(value).__module__}.{type(value).__qualname__}"
        if isinstance(made, str):
            return f"{name} {made}"
        return {"object": name, **_code(type(value)), **self._parts(made)}

    def _parts(self, made: Sequence[Any]) -> dict[str, Any]:
        """What an object is made again from, as ``__reduce_ex__`` says it."""
        maker, arguments, state, items, pairs = (*made, None, None, None)[:5]
        parts = {
            "made by": f"{getattr(maker, '__module__', '')}.{getattr(maker, '__qualname__', type(maker).__name__)}",
            "arguments": [one for one in arguments if not isinstance(one, type)],
            "state": state,
            "items": None if items is None else list(items),
            "pairs": None if pairs is None else dict(pairs),
        }
        parts = {name: value for name, value in parts.items() if value is not None and value != []}
        if str(parts["made by"]).startswith(("copyreg.", "copy_reg.")):
            del parts["made by"]
        return {name: self._about(name, value) for name, value in parts.items()}

    def _of_a_subclass(self, value: Any) -> Any:
        """A text or number of a class of its own, such as a member of an Enum."""
        base = next(kind for kind in (str, bool, int) if isinstance(value, kind))
        return base(value)

    def _of_mindspore(self, value: Any) -> str:
        text = without_seeds(repr(value))
        if _ADDRESS.search(text):
            raise UndescribedError(f"it is a {type(value).__qualname__} of MindSpore, which cannot be described")
        return text

    def _cell(self, cell: nn.Cell) -> Any:
        """A Cell beside the run's network: its parameters and layers, and what the user's own ones hold."""
        if cell is self._network:
            return THE_NETWORK
        parts = {"cell": type(cell).__qualname__, "structure": structure_digest(cell, self._known)}
        if next(iter(cell.get_parameters()), None) is not None:
            parts["parameters"] = parameters_digest(cell, self._known)
        held: dict[str, Any] = {}
        for name, inner in cell.cells_and_names():
            if id(inner) not in self._known and not is_mindspores(type(inner)) and not _is_ours(type(inner)):
                held |= {f"{name}.{key}".strip("."): value for key, value in held_values(inner).items()}
        return {**parts, "holding": self._about("what it holds", held)} if held else parts

    def _array(self, value: np.ndarray[Any, Any] | Tensor) -> Any:
        if isinstance(value, np.ndarray) and value.dtype.hasobject:
            return self.plain(value.tolist())
        data = exact_bytes(value) if isinstance(value, Tensor) else np.ascontiguousarray(value).tobytes()
        kind = str(value.dtype).lower().removeprefix("mindspore.")
        return f"array {tuple(value.shape)} {kind} {checksum(data)}"

    def _function(self, function: FunctionType) -> str:
        """A checksum of what a function does: its code and what that names, its defaults and the values closed over."""
        held = {"its defaults": [function.__defaults__, function.__kwdefaults__], **closed_over(function)}
        said = {name: self._about(name, value) for name, value in held.items()}
        code = other_code(function) or function.__module__  # which has a version
        return checksum(repr((code, said)).encode())

    def _resolved(self, thing: Configured, options: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
        held = vars(thing)
        for name, given in options.items():
            value = held.get(name, held.get(f"_{name}"))
            if _is_plain(value) and (said := self.plain(value)) not in (given, [given], []):
                yield name, said

    def _about(self, where: str, value: Any) -> Any:
        """Describe a part, and say which it is if that fails."""
        try:
            return self.plain(value)
        except UndescribedError as error:
            raise UndescribedError(f"{where}: {error}") from error

    @contextmanager
    def _within(self, value: Any) -> Iterator[None]:
        self._around.append(value)
        try:
            yield
        finally:
            self._around.pop()


def _code(kind: type[Any]) -> dict[str, str]:
    """A checksum of a class's code and of what that names; nothing for classes of packages that have a version."""
    code = other_code(kind)
    return {"code": code} if code else {}


def _is_ours(kind: type[Any]) -> bool:
    return kind.__module__.partition(".")[0] == "explainrun"


def _is_plain(value: Any) -> bool:
    if type(value) in (list, tuple):
        return all(map(_is_plain, value))
    return type(value) in (bool, int, float, str, np.ndarray)
