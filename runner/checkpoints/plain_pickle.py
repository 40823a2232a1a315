"""Pickles read without Python's unpickler: nothing is imported or called, whatever a pickle names.

Python's own, even with an allow-list of what may be imported, sets attributes of what it was given, hashes keys for as
long as they nest and grows its memo to any size that a few bytes ask for. A pickle of a state dict takes the few
operations below, on plain values; any other is refused.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any, NoReturn
from warnings import catch_warnings, simplefilter

_MOST_OPERATIONS = 2**20  # some 40 a tensor


@dataclass(frozen=True)
class Named:
    """What a pickle would have imported; here a name and no more."""

    name: str


@dataclass(frozen=True)
class Reference:
    """What lies outside of a pickle, by which it says where."""

    place: Any


Maker = Callable[..., Any]


def plain_value(stream: BytesIO, makers: Mapping[str, Maker]) -> Any:
    """What the pickle says that comes next in a stream.

    Args:
        stream: is left where the pickle ends.
        makers: by the full name of what a pickle calls, what is called instead, with plain values.

    Raises:
        ValueError: if it is none, is cut off, or holds anything but plain values, names and what the makers make.
    """
    machine = _Machine(makers)
    try:
        with catch_warnings():
            simplefilter("ignore", DeprecationWarning)  # Python's, of escapes in the names that damaged files hold
            for name, argument in _operations(stream):
                if name not in _OPERATIONS:
                    raise ValueError(f"its pickle asks for {name}, which plain tensors do not need")
                _OPERATIONS[name](machine, argument)
    except (IndexError, KeyError, TypeError, OverflowError, UnicodeError) as error:
        raise ValueError("its pickle is damaged") from error
    if len(machine.stack) != 1 or machine.marks:
        raise ValueError("its pickle is damaged")
    return machine.stack[0]


def _operations(stream: BytesIO) -> Iterator[tuple[str, Any]]:
    """The name and argument of each operation, up to the last."""
    steps = pickletools.genops(stream)
    for _ in range(_MOST_OPERATIONS):
        try:
            operation, argument, _ = next(steps)
        except ValueError as error:
            raise ValueError("its pickle is cut off or damaged") from error
        if operation.name == "STOP":
            return
        yield operation.name, argument
    raise ValueError(f"its pickle is longer than {_MOST_OPERATIONS} operations")


class _Machine:
    """The state of a pickle that is being read: its stack, what is marked on it, and what was put aside."""

    def __init__(self, makers: Mapping[str, Maker]) -> None:
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self._memo: dict[int, Any] = {}
        self._makers = makers

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def mark(self, _: Any) -> None:
        self.marks.append(len(self.stack))

    def since_mark(self) -> list[Any]:
        start = self.marks.pop()
        taken, self.stack[start:] = self.stack[start:], []
        return taken

    def put(self, place: int) -> None:
        self._memo[place] = self.stack[-1]

    def memoize(self, _: Any) -> None:
        self.put(len(self._memo))

    def get(self, place: int) -> None:
        self.push(self._memo[place])

    def tuple_of(self, count: int) -> None:
        self.push(tuple([self.stack.pop() for _ in range(count)][::-1]))

    def append(self, values: list[Any]) -> None:
        target = self.stack[-1]
        (target if isinstance(target, list) else _damaged()).extend(values)

    def set_items(self, flat: list[Any]) -> None:
        target, keys = self.stack[-1], flat[::2]
        if not isinstance(target, dict) or len(flat) % 2 or not all(isinstance(key, str) for key in keys):
            raise ValueError("its pickle holds a mapping of something else than names")
        target.update(zip(keys, flat[1::2], strict=True))

    def name_of_two(self, _: Any) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        if not isinstance(module, str) or not isinstance(name, str):
            _damaged()
        self.push(Named(f"{module}.{name}"))

    def call(self, _: Any) -> None:
        arguments, called = self.stack.pop(), self.stack.pop()
        if not isinstance(called, Named) or called.name not in self._makers:
            what = called.name[:80] if isinstance(called, Named) else "something"
            raise ValueError(f"its pickle would call {what!r}, which plain tensors do not need; nothing was called")
        self.push(self._makers[called.name](*(arguments if isinstance(arguments, tuple) else _damaged())))

    def build(self, _: Any) -> None:
        """Leave out what a mapping's attributes would become: PyTorch puts versions of layers there."""
        self.stack.pop()
        if not isinstance(self.stack[-1], dict):
            raise ValueError("its pickle sets attributes, which plain tensors do not need; nothing was set")


def _damaged() -> NoReturn:
    raise ValueError("its pickle is damaged")


_VALUES = ("BININT", "BININT1", "BININT2", "LONG1", "BINUNICODE", "SHORT_BINUNICODE", "BINFLOAT")
_OPERATIONS: dict[str, Callable[[_Machine, Any], None]] = {
    **dict.fromkeys(("PROTO", "FRAME"), lambda machine, _: None),
    **dict.fromkeys(_VALUES, _Machine.push),
    "NONE": lambda machine, _: machine.push(None),
    "NEWTRUE": lambda machine, _: machine.push(True),
    "NEWFALSE": lambda machine, _: machine.push(False),
    "EMPTY_DICT": lambda machine, _: machine.push({}),
    "EMPTY_LIST": lambda machine, _: machine.push([]),
    "EMPTY_TUPLE": lambda machine, _: machine.push(()),
    "MARK": _Machine.mark,
    "TUPLE": lambda machine, _: machine.push(tuple(machine.since_mark())),
    "TUPLE1": lambda machine, _: machine.tuple_of(1),
    "TUPLE2": lambda machine, _: machine.tuple_of(2),
    "TUPLE3": lambda machine, _: machine.tuple_of(3),
    **dict.fromkeys(("BINPUT", "LONG_BINPUT"), _Machine.put),
    "MEMOIZE": _Machine.memoize,
    **dict.fromkeys(("BINGET", "LONG_BINGET"), _Machine.get),
    "APPEND": lambda machine, _: machine.append([machine.stack.pop()]),
    "APPENDS": lambda machine, _: machine.append(machine.since_mark()),
    "SETITEM": lambda machine, _: machine.set_items([machine.stack.pop(-2), machine.stack.pop()]),
    "SETITEMS": lambda machine, _: machine.set_items(machine.since_mark()),
    "GLOBAL": lambda machine, name: machine.push(Named(name.replace(" ", "."))),
    "STACK_GLOBAL": _Machine.name_of_two,
    "BINPERSID": lambda machine, _: machine.push(Reference(machine.stack.pop())),
    "REDUCE": _Machine.call,
    "BUILD": _Machine.build,
}
