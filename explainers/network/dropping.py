"""Monte Carlo dropout: which layers act, whose masks they take, and what lies before them computed once."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any

import numpy as np
from mindspore import Tensor, mint, nn, ops
from mindspore.ops import Primitive

RATE_WITHOUT_LAYER = 0.5  # of the dropout put before the last dense layer of a network that has none
_BY_CHANNEL = (nn.Dropout2d, nn.Dropout3d)
_WHOLE = (nn.Dropout, mint.nn.Dropout)
_DENSE = (nn.Dense, mint.nn.Linear)
_REPEATED_BYTES = 1 << 28  # what the repeated output of a dropout may take
_FUNCTIONS = re.compile(r"dropout", re.IGNORECASE)


@dataclass(frozen=True)
class _Dropout:
    """Where masks come in: after a dropout layer, or before a dense one."""

    cell: nn.Cell
    rate: float
    by_channel: bool = False
    before: bool = False


@dataclass(frozen=True)
class Draws:
    """The masks of one pass.

    Attributes:
        generators: of each row that is masked, in order; the rows after them, which only fill up the pass, stay whole.
        images: rows of the pass.
        repeats: how many rows follow the first dropout for each image.
    """

    generators: Sequence[np.random.Generator]
    images: int
    repeats: int = 1

    def repeated(self, values: Tensor) -> Tensor:
        """Values of the images, each as often as it is needed; those that come from repeated ones stay."""
        if self.repeats == 1 or values.shape[0] != self.images:
            return values
        if values.nbytes * self.repeats > _REPEATED_BYTES:
            raise ValueError(f"repeated {self.repeats} times, what is dropped takes {values.nbytes * self.repeats:,} B")
        return ops.repeat_interleave(values, self.repeats, 0)

    def masked(self, values: Tensor, dropout: _Dropout) -> Tensor:
        """Values dropped at a layer's rate, what is left scaled up."""
        values = self.repeated(values)
        axes = values.shape[1:2] + (1,) * (values.ndim - 2) if dropout.by_channel else values.shape[1:]
        masks = np.ones((values.shape[0], *axes), np.float32)
        for mask, generator in zip(masks, self.generators, strict=False):
            mask[...] = (generator.random(axes, np.float32) >= dropout.rate) / max(1.0 - dropout.rate, 1e-12)
        return values * Tensor(masks).astype(values.dtype)

    def in_pieces(self, cell: nn.Cell, inputs: tuple[Any, ...], output: Tensor) -> Tensor:
        """A dense layer's output for repeated rows, computed in pieces of a pass.

        With more rows than that a few of them differ in their last bit by where they stand, and an image's spread
        would depend on its neighbours' number.
        """
        values = inputs[0]
        if self.repeats == 1 or values.shape[0] != self.images * self.repeats:
            return output
        pieces = range(0, values.shape[0], self.images)
        return ops.cat([cell.construct(values[first : first + self.images]) for first in pieces])


def check_droppable(network: nn.Cell) -> None:
    """Make sure that there is somewhere to put Monte Carlo dropout.

    Raises:
        ValueError: if a layer drops in ways that are not known, or there is neither a dropout layer nor a dense one.
    """
    _dropouts(network)


@contextmanager
def dropping(network: nn.Cell, draws: Draws) -> Iterator[None]:
    """Within, dropout acts with these masks: that of the dropout layers, else one put before the last dense layer."""
    with ExitStack() as stack:
        for dropout in _dropouts(network):
            stack.callback(_hooked(dropout, draws).remove)
        for _, cell in network.cells_and_names():
            if isinstance(cell, _DENSE):
                stack.callback(cell.register_forward_hook(draws.in_pieces).remove)
        yield


@contextmanager
def watching_dropout(network: nn.Cell) -> Iterator[None]:
    """Make sure that the pass within drops through layers alone, and through at least one.

    Raises:
        ValueError: if it calls a dropout function, whose masks nobody can choose, or none of the layers runs.
    """
    dropouts, ran, calling = _dropouts(network), set(), set()

    def note(cell: nn.Cell, *_: Any) -> None:
        ran.add(id(cell))

    def watch(frame: FrameType, event: str, _argument: Any) -> None:
        if event == "call" and _drops(frame):
            cell = _running_cell(frame.f_back)
            if cell is not None and id(cell) not in {id(dropout.cell) for dropout in dropouts}:
                calling.add(type(cell).__name__)

    before = sys.getprofile()
    with ExitStack() as stack:
        for dropout in dropouts:
            stack.callback(dropout.cell.register_forward_hook(note).remove)
        stack.callback(sys.setprofile, before)
        sys.setprofile(watch)
        yield
    if calling:
        raise ValueError(
            f"{', '.join(sorted(calling))} calls a dropout function, whose masks uncertainty cannot choose; "
            f"make it a layer (nn.Dropout)"
        )
    if not ran:
        raise ValueError("none of the network's dropout layers runs in a forward pass, so uncertainty would be zero")


def _dropouts(network: nn.Cell) -> list[_Dropout]:
    """Where masks come in.

    Raises:
        ValueError: if a layer drops in ways that are not known, or there is nowhere to drop.
    """
    found, dense = [], []
    for name, cell in network.cells_and_names():
        if isinstance(cell, _WHOLE):
            rate = getattr(cell, "p", None)
            found.append(_Dropout(cell, float(1.0 - cell.keep_prob if rate is None else rate)))
        elif isinstance(cell, _BY_CHANNEL):
            found.append(_Dropout(cell, float(1.0 - cell.keep_prob), by_channel=True))
        elif "dropout" in type(cell).__name__.lower():
            raise ValueError(f"uncertainty does not know how layer {name!r} ({type(cell).__name__}) drops")
        elif isinstance(cell, _DENSE):
            dense.append(_Dropout(cell, RATE_WITHOUT_LAYER, before=True))
    if not (found or dense):
        raise ValueError("uncertainty needs a dropout layer, or a dense one to put dropout before")
    return found or dense[-1:]


def _hooked(dropout: _Dropout, draws: Draws) -> Any:
    """Have a place of the network masked; returns what takes the hook off."""

    def before(_cell: Any, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        return (draws.masked(inputs[0], dropout), *inputs[1:])

    def after(_cell: Any, _inputs: Any, output: Tensor) -> Tensor:
        return draws.masked(output, dropout)

    register: Callable[[Any], Any] = dropout.cell.register_forward_hook
    if dropout.before:
        return dropout.cell.register_forward_pre_hook(before)
    return register(after)


def _drops(frame: FrameType) -> bool:
    """Whether a frame is the call of a dropout function or primitive of MindSpore."""
    if not str(frame.f_globals.get("__name__", "")).startswith("mindspore."):
        return False
    if frame.f_code.co_name == "__call__":
        primitive = frame.f_locals.get("self")
        return isinstance(primitive, Primitive) and bool(_FUNCTIONS.search(type(primitive).__name__))
    return "self" not in frame.f_locals and bool(_FUNCTIONS.search(frame.f_code.co_name))


def _running_cell(frame: FrameType | None) -> nn.Cell | None:
    """The innermost cell whose code runs."""
    while frame is not None:
        if isinstance(frame.f_locals.get("self"), nn.Cell):
            cell: nn.Cell = frame.f_locals["self"]
            return cell
        frame = frame.f_back
    return None
