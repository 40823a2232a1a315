"""Which passes run as graphs: when that pays, and what was tried."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, get_args

import mindspore as ms
from mindspore import nn

from ....summary_format.errors import ExplainrunError
from ....summary_format.problem import Problem
from ...arguments import plain_text
from .cell_state import cell_state, hooked_layer
from .compiling import ONE_AT_A_TIME, Graph, GraphRefusedError, first_words, may_compile
from .for_each_network import ForEachNetwork

Jit = Literal["auto", "on", "off"]
Key = tuple[Hashable, ...]

# How many passes a direct call sees of a kind before it compiles them. A graph saves what it takes to begin every
# operation, and what it costs goes by their number too: on two cores a forward graph has paid after 35 to 75 passes,
# one of gradients after 40 (a small network) to 200 (EfficientNet-Lite0).
PAYS_BACK = 64
# How many times as much a pass of a kind saves as others do: of a tail, most of it.
WORTH = {"tail": 8}
# Worth of one pass from which on a run compiles what it asks for more than logits, in values of its images and so many
# for each cell; it must not matter there how many samples there are, since runs grow and are sharded.
PAYS_IN_RUNS = 100_000
VALUES_A_CELL = 6_000

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
        seen: what graphs would have saved in the passes of each kind so far, in passes.
    """

    state: int | None = None
    programs: dict[Key, Any] = field(default_factory=dict)
    seen: Counter[Key] = field(default_factory=Counter)


_libraries = ForEachNetwork(Library)  # that all direct calls on a network share


class Graphs:
    """Decides which passes of a network run as graphs, and keeps these.

    Args:
        cell: the network.
        mode: "off" for none, "on" for all that compile, "auto" for those that pay.
        own: whether they are made for this user alone, by a rule that depends on the size of a pass alone, so that a
            run takes the same decisions whenever it starts.
        shared: whether all users of the network share them otherwise, for as long as the network stays the same.

    Attributes:
        refused: why passes of a kind are not compiled, by kind.
    """

    def __init__(self, cell: nn.Cell, mode: Jit = "off", *, own: bool = False, shared: bool = True) -> None:
        self.mode: Jit = mode
        self.refused: dict[str, str] = {}
        self.own, self._cell = own, cell
        self._library = None if shared and not own else Library()
        self._alone = self._verified = self._library is not None

    def program(self, key: Key, values: int, make: Callable[[], Any]) -> Any:
        """The graph of a kind of pass; None where its passes run as they are.

        Args:
            key: what it computes, for which shape.
            values: how many values the images of the pass at hand hold.
            make: makes it and makes sure of its numbers; raises ``GraphRefusedError`` where they are others.
        """
        if not self._possible:
            return None
        with ONE_AT_A_TIME:  # another thread's pass may just change what a state is made of
            library = self._opened()
            if key in library.programs:
                return library.programs[key]
            worth = WORTH.get(str(key[0]), 1)
            library.seen[key] += worth
            if not self._pays(library.seen[key], worth * (values + self._in_cells)):
                return None
            if not self._alone:
                self._verify(library)
            library.programs[key] = self._made(str(key[0]), make)
            return library.programs[key]

    def demanded(self, key: Key, make: Callable[[], Any]) -> Any:
        """The graph of a kind of pass that runs in no other way, whatever the mode.

        Args:
            key: see ``program``.
            make: makes it.

        Raises:
            GraphRefusedError: if there is none.
        """
        with ONE_AT_A_TIME:
            library = self._opened()
            if library.programs.get(key) is None:
                self._refuse_hooks()
                if not self._alone:
                    self._verify(library)
                library.programs[key] = make()
            return library.programs[key]

    def has(self, key: Key) -> bool:
        """Whether there is a graph of a kind of pass."""
        with ONE_AT_A_TIME:
            return self._possible and self._opened().programs.get(key) is not None

    def compiles(self, forward: object) -> bool:
        """Whether a forward pass runs compiled: as a graph, or since MindSpore compiles every cell that is called."""
        return isinstance(forward, Graph) or ms.get_context("mode") == ms.GRAPH_MODE

    @property
    def _possible(self) -> bool:
        """Whether MindSpore compiles now, and only what it is asked to."""
        return self.mode != "off" and ms.get_context("mode") != ms.GRAPH_MODE and may_compile()

    @cached_property
    def _in_cells(self) -> int:
        """What the network's cells are worth to a run, in values of images."""
        return VALUES_A_CELL * sum(1 for _ in self._cell.cells_and_names())

    def _pays(self, seen: int, values: int) -> bool:
        if self.mode == "on":
            return True
        return values >= PAYS_IN_RUNS if self.own else seen >= PAYS_BACK

    def _opened(self) -> Library:
        """The library, empty where the network is not the one any more that it was made for: that must pay again."""
        if self._library is None:
            self._library = _libraries[self._cell]
        if self._library.programs and not self._verified:
            self._verify(self._library)
        return self._library

    def _verify(self, library: Library) -> None:
        """Empty a library that was made for the network as it was."""
        self._verified, state = True, cell_state(self._cell)
        if library.state not in (None, state):
            library.programs.clear()
            library.seen.clear()
        library.state = state

    def _made(self, what: str, make: Callable[[], Any]) -> Any:
        """A graph; None where it is refused, or fails.

        Raises:
            OutOfMemoryError: in a run, whose decisions must not depend on how much memory is free.
        """
        try:
            with self.noting_refusal(what):
                return make()
        except GraphRefusedError:
            pass
        except (RuntimeError, TypeError) as error:
            if self.own and isinstance(error, ExplainrunError):
                raise
            self.refused[what] = f"{type(error).__name__}: {first_words(error)}"
        _log.info("%s passes are not compiled: %s", what, self.refused[what])
        return None

    @contextmanager
    def noting_refusal(self, what: str) -> Iterator[None]:
        """Keep why passes of a kind are not compiled, if that is what is found within, or before that a hook."""
        try:
            self._refuse_hooks()
            yield
        except GraphRefusedError as error:
            self.refused[what] = str(error)
            raise

    def _refuse_hooks(self) -> None:
        """Refuse to compile a network with hooks; a trial does not show one that changes nothing on its images.

        Raises:
            GraphRefusedError: then.
        """
        hooked = hooked_layer(self._cell)
        if hooked is not None:
            where = f"layer {hooked!r}" if hooked else "it"
            raise GraphRefusedError(f"{where} has a hook, which a graph does not run")
