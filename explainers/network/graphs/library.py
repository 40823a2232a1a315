"""Which passes run as graphs: when that pays, and what was tried."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, Literal, get_args
from weakref import WeakKeyDictionary

import mindspore as ms
from mindspore import nn

from ....summary_format.problem import Problem
from ...arguments import plain_text
from .cell_state import cell_state

Jit = Literal["auto", "on", "off"]
Key = tuple[Hashable, ...]

# Values of images in the passes after which a graph has paid for its compilation: four passes of 16 photos of 224
# pixels (a gradient of EfficientNet-Lite0 costs 1.2 seconds less there, and 3 to compile), or 160 of CIFAR's.
PAYS_BACK = 8_000_000
# How many times as much a pass of a kind saves as a gradient does: of a tail, most of it.
WORTH = {"tail": 8}
# Values of images in one pass from which on a run compiles what it asks for more than logits; it must not matter there
# how many samples there are, since runs grow and are sharded.
PAYS_IN_RUNS = 100_000

_log = logging.getLogger("explainrun")


def checked_jit(value: object) -> Jit:
    """Whether passes run compiled.

    Raises:
        ValueError: if it is not one of the three.
    """
    known = get_args(Jit)
    if not isinstance(value, str) or value not in known:
        raise ValueError(
            Problem.of("jit-unknown", "jit must be one of {known:list}, got {given!r}", known=known, given=value)
        )
    found: Jit = plain_text(value, "jit")  # type: ignore[assignment]  # one of them
    return found


@dataclass
class Library:
    """The graphs of one network.

    Attributes:
        state: of the network for which they hold.
        programs: by what they compute; None where the network does not compile or gives other numbers.
        seen: how many values of images passes of each kind have held.
    """

    state: int | None = None
    programs: dict[Key, Any] = field(default_factory=dict)
    seen: Counter[Key] = field(default_factory=Counter)


_libraries: WeakKeyDictionary[nn.Cell, Library] = WeakKeyDictionary()


class Graphs:
    """Decides which passes of a network run as graphs, and keeps these.

    Args:
        cell: the network.
        mode: "off" for none, "on" for all that compile, "auto" for those that pay.
        own: whether they are made for this user alone, by a rule that depends on the size of a pass alone, so that a
            run takes the same decisions whenever it starts; otherwise all users of the network share them as long as
            its parameters and layers stay the same.

    Attributes:
        refused: why passes of a kind are not compiled, by kind.
    """

    def __init__(self, cell: nn.Cell, mode: Jit = "off", *, own: bool = False) -> None:
        self.mode: Jit = mode
        self.refused: dict[str, str] = {}
        self.own, self._cell = own, cell
        self._library = Library() if own else None

    def program(self, key: Key, values: int, make: Callable[[], Any]) -> Any:
        """The graph of a kind of pass; None where its passes run as they are.

        Args:
            key: what it computes, for which shape.
            values: how many values the images of the pass at hand hold.
            make: makes it and makes sure of its numbers; raises a ValueError to refuse.
        """
        if self.mode == "off" or ms.get_context("mode") == ms.GRAPH_MODE:
            return None
        library = self._library or _libraries.setdefault(self._cell, Library())
        worth = WORTH.get(str(key[0]), 1)
        library.seen[key] += worth * values
        if not self._pays(library.seen[key], worth * values):
            return None
        library = self._library = self._verified(library)
        if key not in library.programs:
            library.programs[key] = self._made(key, make)
        return library.programs[key]

    def _pays(self, seen: int, values: int) -> bool:
        if self.mode == "on":
            return True
        return values >= PAYS_IN_RUNS if self.own else seen >= PAYS_BACK

    def _verified(self, library: Library) -> Library:
        """The library, or an empty one where the network is not the one any more that it was made for."""
        if library is self._library:
            return library
        state = cell_state(self._cell)
        if library.state != state:
            seen = library.seen if library.state is None else Counter[Key]()  # what changes must pay again
            library = _libraries[self._cell] = Library(state, seen=seen)
        return library

    def _made(self, key: Key, make: Callable[[], Any]) -> Any:
        what = str(key[0])
        try:
            program = make()
        except ValueError as error:
            self.refused[what] = str(error)
            _log.info("%s passes are not compiled: %s", what, error)
            return None
        program.release_with(self._library)
        return program
