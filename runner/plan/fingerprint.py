"""What a plan holds, in plain values: what JSON gives back as it was, and what distinguishes two of them.

A value is described with all that it holds, or refused. What is not looked at: the content of files that a path names,
and whether a dict was filled in another order.
"""

from __future__ import annotations

import copyreg
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from inspect import unwrap
from pathlib import PurePath
from types import FunctionType, MappingProxyType, MethodType, ModuleType
from typing import Any

import numpy as np
from mindspore import Tensor, nn

from ...benchmarks import Metric
from ...explainers.core.construction import Configured
from ...explainers.core.sample_pool import PooledSamples, SamplePool
from ...explainers.network.tensors import exact_bytes
from ...summary_format.errors import ExplainrunError
from ...summary_format.plan_diff import CELL_STRUCTURE
from ...summary_format.plural import plural
from ...summary_format.problem import Problem
from .code_fingerprint import checksum, closed_over, has_a_version, named_code, unversioned_code
from .mindspore_values import text_of_mindspores
from .network_fingerprint import held_values, is_mindspores, parameters_digest, structure_digest

THE_NETWORK = "the run's network"
_OURS = ("class", "code", "resolved")  # what is said of an explainer or metric beside its arguments
_AS_THEY_ARE = (bytearray, complex, range, slice, PurePath, np.dtype, type(...), np.longdouble, np.clongdouble)
_VIEWS: tuple[type[Any], ...] = (type({}.keys()), type({}.values()), type({}.items()))
_LONGEST_TEXT, _LONGEST_LIST = 2000, 1000  # longer ones are known by a checksum
_LARGEST_NUMBER = 1 << 63


class UndescribedError(ExplainrunError, ValueError):
    """A value that no later process could compare with its own, so that a run could not be recognised by it."""


class Description:
    """Describes what a run is given.

    Args:
        network: the run's own, of which, and of whose layers, only names are said where they stand among other things:
            the plan describes it elsewhere.
        pool: what gives the first so many samples of the run's dataset, which say what a pool is; None where there is
            no dataset.
    """

    def __init__(self, network: nn.Cell | None = None, pool: Callable[[int], PooledSamples] | None = None) -> None:
        self._network, self._pool = network, pool
        cells = network.cells_and_names() if network is not None else ()
        self._known = {id(cell): f"{THE_NETWORK}{name and ': '}{name}" for name, cell in cells}
        self._around: list[Any] = []  # what is being described, from the outside in
        # By their ids the objects that were described since the outermost one, which keeps the ids theirs.
        self._seen: dict[int, tuple[int, Any]] = {}
        self._codes: dict[type[Any], str] = {}

    def component_options(self, thing: Configured) -> dict[str, Any]:
        """The class of an explainer or metric, its code, and the arguments that it was constructed with.

        Where an attribute is called as an argument and holds something else, that is "resolved".

        Raises:
            UndescribedError: if an argument cannot be described; says which.
        """
        try:
            kind, arguments = thing.configuration()
        except ValueError as error:
            raise UndescribedError(str(error)) from error
        with self._within(thing):
            known = [name for name, value in arguments.items() if self._is_said_elsewhere(thing, name, value)]
            given = {name: value for name, value in arguments.items() if name not in known}
            options = {name: self._about(f"argument {name!r}", value) for name, value in given.items()}
            resolved = dict(self._resolved(thing, given, options))
        options = {f"argument {name}" if name in _OURS else name: value for name, value in options.items()}
        # The package may be installed again under the same version.
        ours = {"class": kind.__name__, "code": unversioned_code(kind, package=True), "resolved": resolved}
        return {**{name: value for name, value in ours.items() if value}, **options}

    def to_jsonable(self, value: Any) -> Any:  # noqa: PLR0911
        """A value in plain ones: arrays, Cells and functions become their name and a checksum.

        Raises:
            UndescribedError: if it, or something in it, cannot be described.
        """
        if type(value) in (bool, type(None)):
            return value
        if type(value) is int:
            return value if abs(value) < _LARGEST_NUMBER else f"{value:#x}"
        if type(value) is float:
            return value if math.isfinite(value) else str(value)  # NaN equals nothing
        if type(value) in (str, bytes):
            return _shortened(value)
        if isinstance(value, _AS_THEY_ARE):
            return repr(value)
        if isinstance(value, np.generic):
            return self.to_jsonable(value.item()) if value.dtype.kind in "biufSU" else repr(value)
        if type(value) is np.ndarray or isinstance(value, Tensor):
            return self._array(value)
        if any(value is one for one in self._around):
            return "what it stands in"
        with self._within(value):
            return self._compound(value)

    def _compound(self, value: Any) -> Any:  # noqa: PLR0911
        """What holds others."""
        if type(value) in (dict, MappingProxyType):
            return self._mapping(value)
        if type(value) in (list, tuple, *_VIEWS):
            return _shortened([self._about(f"[{place}]", inner) for place, inner in enumerate(value)])
        if type(value) in (set, frozenset):
            # Their order differs from process to process, so what they share with others is described again in each.
            return sorted(repr(Description(self._network, self._pool).to_jsonable(inner)) for inner in value)
        if isinstance(value, SamplePool):
            return self._pool_of_samples(value)
        if isinstance(value, nn.Cell) and id(value) in self._known:
            return self._known[id(value)]
        if id(value) in self._seen:
            return f"object {self._seen[id(value)][0]} again"
        self._seen[id(value)] = len(self._seen) + 1, value
        if isinstance(value, Configured):
            return self.component_options(value)
        if isinstance(value, nn.Cell):
            return self._cell(value)
        return self._callable(value) if callable(value) else self._object(value)

    def _mapping(self, value: Mapping[Any, Any]) -> Any:
        if not all(type(key) is str for key in value):
            return [[self.to_jsonable(key), self._about(f"[{key!r}]", inner)] for key, inner in value.items()]
        return {key: self._about(f"[{key!r}]", inner) for key, inner in value.items()}

    def _pool_of_samples(self, pool: SamplePool) -> Any:
        """A pool, by what the dataset gives for it."""
        if self._pool is None:
            return {"pool": pool.size}
        digests = self._pool(pool.size).digests
        return {"pool": pool.size, "samples": f"{plural(len(digests), 'sample')} {checksum(digests.tobytes())}"}

    def _callable(self, value: Any) -> Any:  # noqa: PLR0911
        if isinstance(value, type):
            return {"class": self._name(value), **self._code(value)}
        if isinstance(value, partial):
            called = {"partial": value.func, "arguments": value.args, "keywords": value.keywords}
            return {name: self._about(name, inner) for name, inner in called.items()}
        if isinstance(value, MethodType):
            return {"method": self.to_jsonable(value.__func__), "of": self._about("its object", value.__self__)}
        if isinstance(value, FunctionType):
            return self._function(value)
        if (unwrapped := unwrap(value)) is not value:  # of a decorator such as functools.lru_cache
            return self.to_jsonable(unwrapped)
        if hasattr(value, "__self__") and hasattr(value, "__name__"):
            owner = value.__self__  # a module, of a function that is not written in Python
            known = owner is None or isinstance(owner, ModuleType)
            name = f"{getattr(value, '__module__', None)}.{value.__name__}"
            return name if known else {"method": value.__name__, "of": self._about("its object", owner)}
        return f"numpy.{value.__name__}" if isinstance(value, np.ufunc) else self._object(value)

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
            said = f"it is a {type(value).__qualname__}, which cannot be described ({error})"
            raise UndescribedError(said) from error
        if isinstance(made, str):
            return f"{self._name(type(value))} {made}"
        if not isinstance(made, tuple) or len(made) < 2:
            words = "it is a {kind}, which pickling would not keep"
            raise UndescribedError(Problem.of("not-kept-by-pickling", words, kind=type(value).__qualname__))
        return {"object": self._name(type(value)), **self._code(type(value)), **self._parts(made)}

    def _parts(self, made: Sequence[Any]) -> dict[str, Any]:
        """What an object is made again from, as ``__reduce_ex__`` says it."""
        maker, arguments, state, items, pairs = (*made, None, None, None)[:5]
        names_class = getattr(maker, "__module__", "") in (
            "copyreg",
            "copy_reg",
        )  # which makes an object of the class named
        parts = {
            "made by": None if names_class else f"{getattr(maker, '__qualname__', type(maker).__qualname__)}",
            "arguments": list(arguments)[1:] if names_class else list(arguments),
            "state": state,
            "items": None if items is None else list(items),
            "pairs": None if pairs is None else [list(pair) for pair in pairs],
        }
        return {name: self._about(name, value) for name, value in parts.items() if value is not None and value != []}

    def _of_mindspore(self, value: Any) -> str:
        text = text_of_mindspores(value)
        if text is None:
            words = "it is a {kind} of MindSpore, which cannot be described"
            raise UndescribedError(Problem.of("mindspore-value", words, kind=type(value).__qualname__))
        return text

    def _cell(self, cell: nn.Cell) -> Any:
        """A Cell beside the run's network: its parameters and layers, and what the user's own ones hold."""
        parts = {"cell": type(cell).__qualname__, CELL_STRUCTURE: structure_digest(cell, self._known)}
        if next(iter(cell.get_parameters()), None) is not None:
            parts["cell parameters"] = parameters_digest(cell, self._known)
        held: dict[str, Any] = {}
        for name, inner in cell.cells_and_names():
            if id(inner) not in self._known and not has_a_version(type(inner).__module__):
                held |= {f"{name}.{key}".strip("."): value for key, value in held_values(inner).items()}
        return {**parts, "holding": self._about("what it holds", held)} if held else parts

    def _array(self, value: np.ndarray[Any, Any] | Tensor) -> Any:
        if isinstance(value, np.ndarray) and value.dtype.hasobject:
            return self.to_jsonable(value.tolist())
        data = exact_bytes(value) if isinstance(value, Tensor) else np.ascontiguousarray(value).tobytes()
        kind = str(value.dtype).lower().removeprefix("mindspore.")
        return f"array {tuple(value.shape)} {kind} {checksum(data)}"

    def _function(self, function: FunctionType) -> Any:
        """What a function does: its code and what that names, its defaults and the values closed over."""
        wrapped = getattr(function, "__wrapped__", None)
        if wrapped is not None and has_a_version(str(function.__globals__.get("__name__"))):
            return self.to_jsonable(wrapped)  # of a decorator such as mindspore.jit
        held = {"its defaults": [function.__defaults__, function.__kwdefaults__], **closed_over(function)}
        said = {name: self._about(name, value) for name, value in held.items()}
        return f"{function.__qualname__} {checksum(repr((named_code(function), said)).encode())}"

    def _is_said_elsewhere(self, thing: Any, name: str, value: Any) -> bool:
        """Whether the plan says an argument itself."""
        if name == "network":
            return value is self._network and value is not None
        if name == "curves" and isinstance(thing, Metric) and isinstance(value, (bool, np.bool_)):
            return bool(value) is bool(thing.kept_curves)
        return name in ("name", "num_labels") and (value is None or value == getattr(thing, name, ...)) is True

    def _resolved(
        self, thing: Configured, given: Mapping[str, Any], options: Mapping[str, Any]
    ) -> Iterator[tuple[str, Any]]:
        """What attributes hold that are called as an argument, where that is something else."""
        held = vars(thing)
        for name in options:
            value = held.get(name, held.get(f"_{name}", ...))
            if value is ... or value is given[name]:
                continue
            with suppress(UndescribedError):
                said = self.to_jsonable(value)
                if said not in (options[name], [options[name]]) and not (said == [] and given[name] is None):
                    yield name, said

    def _name(self, kind: type[Any]) -> str:
        """A class's name, with its module unless its code counts: a script is another module when it is imported."""
        return kind.__qualname__ if self._code(kind) else f"{kind.__module__}.{kind.__qualname__}"

    def _code(self, kind: type[Any]) -> dict[str, str]:
        """A checksum of a class's code and of what that names; nothing for classes of packages that have a version."""
        if kind not in self._codes:
            self._codes[kind] = unversioned_code(kind)
        return {"code": self._codes[kind]} if self._codes[kind] else {}

    def _about(self, where: str, value: Any) -> Any:
        """Describe a part, and say which it is if that fails."""
        try:
            return self.to_jsonable(value)
        except UndescribedError as error:
            raise UndescribedError(Problem.from_error(error).at(where)) from error

    @contextmanager
    def _within(self, value: Any) -> Iterator[None]:
        if not self._around:
            self._seen.clear()
        self._around.append(value)
        try:
            yield
        finally:
            self._around.pop()


def _shortened(value: Any) -> Any:
    """A text, bytes or a list of plain values, or what distinguishes a long one from others."""
    if isinstance(value, list):
        return value if len(value) <= _LONGEST_LIST else f"list of {len(value)} {checksum(json.dumps(value).encode())}"
    if len(value) <= _LONGEST_TEXT:
        return value if isinstance(value, str) else repr(value)
    data = value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value
    return f"{type(value).__name__} of {len(value)} {checksum(data)}"
