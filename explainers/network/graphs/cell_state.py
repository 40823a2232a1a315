"""By what a network is known again between calls: a graph of it holds only as long as this stays the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import google_crc32c
import mindspore as ms
import numpy as np
from mindspore import Tensor, nn

from ..tensors import exact_bytes

# Passes themselves take care of these, or they are looked at in other ways.
_ELSEWHERE = {"training", "phase", "requires_grad", "_func_graph_flags", "use_batch_statistics"}
_OF_EVERY_CELL = {name for name in vars(nn.Cell()) if not name.endswith("_hook")} - {"_buffers"}


def cell_state(network: nn.Cell) -> int:
    """A number that changes when anything does that a graph of the network may hold.

    That is its parameters and buffers, layers, hooks, flags, the attributes of its cells and of their classes, and what
    lists, dictionaries, arrays and plain objects among these hold; of other objects, which they are.
    """
    state = _State()
    state.add_cell(network)
    return state.checksum


def hooked_layer(network: nn.Cell) -> str | None:
    """The name of the first layer with a hook, of whatever kind; "" is the network itself, None where there is none."""
    return next((name for name, cell in network.cells_and_names() if any(_hooks(cell))), None)


class _State:
    def __init__(self) -> None:
        self.checksum = 0
        self._seen: set[int] = set()

    def add(self, what: Any) -> None:
        data = what if isinstance(what, bytes) else repr(what).encode()
        self.checksum = google_crc32c.extend(self.checksum, data)

    def add_cell(self, network: nn.Cell) -> None:
        cells = [(name, cell) for name, cell in network.cells_and_names() if id(cell) not in self._seen]
        self._seen.update(id(cell) for _, cell in cells)
        for name, cell in cells:
            self.add((name, id(cell), sorted(_flags(cell))))
            for attribute, value in (*_attributes(cell), *_of_classes(type(cell))):
                self.add(attribute)
                self.add_value(value)
        for name, values in network.parameters_and_names():
            self.add((name, values.shape, values.dtype))
            self.add(_content(values))

    def add_value(self, value: Any) -> None:
        if isinstance(value, (bool, int, float, complex, str, bytes, type(None))):
            self.add(value)
        elif isinstance(value, Tensor):
            self.add((value.shape, value.dtype))
            self.add(_content(value))
        elif isinstance(value, np.ndarray):
            self.add((value.shape, value.dtype))
            self.add(value.tobytes() if value.dtype != object else repr(value))
        elif id(value) in self._seen:
            self.add(id(value))
        else:
            self._seen.add(id(value))
            self._add_container(value)

    def _add_container(self, value: Any) -> None:
        if isinstance(value, nn.Cell):
            self._seen.discard(id(value))
            self.add_cell(value)
        elif isinstance(value, Mapping):
            for key, inner in value.items():
                self.add(key if isinstance(key, (str, int)) else id(key))
                self.add_value(inner)
        elif isinstance(value, (tuple, list)):
            self.add(len(value))
            for inner in value:
                self.add_value(inner)
        elif isinstance(value, (set, frozenset)):
            self.add(sorted(map(repr, value)))
        else:
            self.add(id(value))
            if type(value).__module__.partition(".")[0] != "mindspore" and not callable(value):
                self.add_value(getattr(value, "__dict__", None))


def _flags(cell: nn.Cell) -> Iterator[tuple[str, str]]:
    flags = vars(cell).get("_func_graph_flags") or {}
    yield from ((name, repr(value)) for name, value in flags.items() if name != "training")


def _hooks(cell: nn.Cell) -> Iterator[tuple[str, Mapping[Any, Any]]]:
    """The tables of hooks that hold some; an empty one comes with a first call."""
    tables = [(name, value) for name, value in vars(cell).items() if name.endswith("_hook")]
    yield from ((name, value) for name, value in tables if isinstance(value, Mapping) and value)


def _attributes(cell: nn.Cell) -> Iterator[tuple[str, Any]]:
    yield from ((name, [id(hook) for hook in table.values()]) for name, table in _hooks(cell))
    for name, value in vars(cell).items():
        if name == "_buffers":
            yield from (value or {}).items()
        elif name not in _OF_EVERY_CELL and name not in _ELSEWHERE and not name.endswith("_hook"):
            yield name, value


def _of_classes(kind: type[Any]) -> Iterator[tuple[str, Any]]:
    """The plain attributes of a user's classes."""
    for one in kind.__mro__:
        if one.__module__.partition(".")[0] not in ("mindspore", "builtins"):
            plain = (bool, int, float, str, tuple, list, dict)
            yield from ((n, v) for n, v in vars(one).items() if isinstance(v, plain) and not n.startswith("__"))


def _content(values: Tensor) -> bytes:
    """The values of a parameter, copied once only, since this is done at every call."""
    return values.asnumpy().tobytes() if values.dtype != ms.bfloat16 else exact_bytes(values)
