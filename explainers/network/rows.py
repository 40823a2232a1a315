"""Rows of images that become passes, and rows of logits: gathered, cut again, compared."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import mindspore as ms
import numpy as np
import numpy.typing as npt

from ...summary_format.probe import AGREES
from .graphs.compiling import GraphRefusedError
from .tensors import FloatArray, IntArray, check_labels

ACTIVATED_TOGETHER = 256  # rows of logits: waiting for a device costs more than the activation of one pass
_ROWS_AT_FIRST = 64  # of a pass, which may be given room for more than there will be
_STEPS: Mapping[Any, float] = {ms.float16: 2.0**-10, ms.bfloat16: 2.0**-7}  # from 1 to the next number


def filled_up(rows: npt.NDArray[Any], size: int) -> npt.NDArray[Any]:
    """So many rows: these, and copies of the last one."""
    lacking = size - len(rows)
    return np.concatenate([rows, np.repeat(rows[-1:], lacking, axis=0)]) if lacking else np.ascontiguousarray(rows)


@dataclass(frozen=True)
class Block:
    """Rows that are made many at once, in the memory that a pass is read from.

    Attributes:
        shape: of all of them, such as (rows, C, H, W).
        write: given a slice of them, and an array of so many rows, makes those rows in the array, which holds anything
            before. Slices come in order, each row once.
    """

    shape: tuple[int, ...]
    write: Callable[[slice, FloatArray], None]

    @classmethod
    def of(cls, row: FloatArray | Block, times: int = 1) -> Block:
        """One row, so often."""
        if isinstance(row, Block):
            return row
        return cls((times, *np.shape(row)), lambda _, out: np.copyto(out, row, casting="same_kind"))

    def parts(self, size: int = 16) -> Iterator[FloatArray]:
        """Its rows, so many at a time, each part in the same memory as the one before."""
        memory = np.empty((min(size, self.shape[0]), *self.shape[1:]), np.float32)
        for first in range(0, self.shape[0], size):
            part = memory[: self.shape[0] - first]
            self.write(slice(first, first + len(part)), part)
            yield part


def in_passes(rows: Iterable[FloatArray | Block], size: int) -> Iterator[FloatArray]:
    """Rows, each alone or many in a block, as passes (up to ``size``, ...): each in the same memory as the one before.

    No row is drawn or made before those of earlier passes have been used.

    Raises:
        ValueError: if rows are of several shapes.
    """
    if isinstance(rows, np.ndarray):
        yield from (rows[first : first + size] for first in range(0, len(rows), size))
        return
    memory, filled = np.empty((0,), np.float32), 0
    for block in map(Block.of, rows):
        if not len(memory):
            memory = np.empty((min(size, _ROWS_AT_FIRST), *block.shape[1:]), np.float32)
        if block.shape[1:] != memory.shape[1:]:
            raise ValueError(f"all images must have one shape, got {memory.shape[1:]} and {block.shape[1:]}")
        first = 0
        while first < block.shape[0]:
            if filled == len(memory):
                memory = np.concatenate([memory, np.empty_like(memory)])[:size]
            many = min(len(memory) - filled, block.shape[0] - first)
            block.write(slice(first, first + many), memory[filled : filled + many])
            first, filled = first + many, filled + many
            if filled == size:
                yield memory
                filled = 0
    if filled:
        yield memory[:filled]


def asked_columns(parts: Iterable[FloatArray], rows: Iterable[int], labels: Iterable[IntArray]) -> Iterator[FloatArray]:
    """Of parts of any length, cut again, what is said of labels alone, so that memory does not grow with the classes.

    Args:
        parts: (any number, classes, ...), drawn as they are needed.
        rows: how many belong to each image.
        labels: (L,) the labels of each image.

    Yields:
        (rows, L, ...) for each image, float32.

    Raises:
        ValueError: if a label is out of range.
    """
    return _cut_again(parts, zip(rows, labels, strict=True))


def gathered(parts: Iterable[FloatArray]) -> Iterator[FloatArray]:
    """Rows of several parts below one another, as many as are activated together."""
    waiting: list[FloatArray] = []
    for part in parts:
        waiting.append(part)
        if sum(map(len, waiting)) >= ACTIVATED_TOGETHER:
            yield np.concatenate(waiting)
            waiting = []
    if waiting:
        yield np.concatenate(waiting)


def by_image(parts: Iterable[FloatArray], rows: Iterable[int]) -> Iterator[FloatArray]:
    """Parts of any length, drawn as they are needed, cut again into so many rows, then so many, and so on."""
    return _cut_again(parts, ((many, None) for many in rows))


def _cut_again(parts: Iterable[FloatArray], wanted: Iterable[tuple[int, IntArray | None]]) -> Iterator[FloatArray]:
    """Parts cut again into so many rows each time, of which these columns are kept, or all."""
    parts = iter(parts)
    left = np.zeros(0, np.float32)
    for many, columns in wanted:
        found, filled = left[:0], 0
        while filled < many:
            left = left if len(left) else next(parts)
            taken, left = left[: many - filled], left[many - filled :]
            if columns is not None:
                check_labels(columns, taken.shape[1])
                taken = taken[:, columns]
            if not filled:
                found = np.empty((many, *taken.shape[1:]), taken.dtype)
            found[filled : filled + len(taken)] = taken
            filled += len(taken)
        yield found


def check_agreement(expected: FloatArray, found: FloatArray, how: str, kind: Any = ms.float32) -> None:
    """Make sure that logits made in another way are the same, up to rounding in a type.

    Raises:
        GraphRefusedError: if they are not.
    """
    if not agree(expected, found, kind):
        finite = np.isfinite(expected)
        apart = np.abs(found[finite] - expected[finite]).max(initial=0.0)
        raise GraphRefusedError(f"{how}, the network gives logits that are {apart:.2g} apart")


def check_same_values(expected: FloatArray, found: FloatArray, what: str, kind: Any = ms.float32) -> None:
    """Make sure that a graph gives the same numbers, up to rounding in a type, as a share of the largest of them.

    Args:
        expected: from a pass that runs as it is.
        found: from the graph.
        what: they are, in words.
        kind: the type.

    Raises:
        GraphRefusedError: if they are others, or there is no finite one that would show it.
    """
    finite = np.isfinite(expected)
    if not np.array_equal(np.isfinite(found), finite) or not finite.any():
        raise GraphRefusedError(f"compiled, the {what} are not finite in the same places, or nowhere")
    apart, largest = (np.abs(of).max(initial=0.0) for of in (found[finite] - expected[finite], expected[finite]))
    if apart > tolerance(kind) * largest:
        raise GraphRefusedError(f"compiled, the {what} are {apart:.2g} apart, of {largest:.2g} at most")


def agree(expected: FloatArray, found: FloatArray, kind: Any = ms.float32, times: float = 1.0) -> bool:
    """Whether logits are the same up to so many times rounding in a type, and finite in the same places."""
    finite = np.isfinite(expected)
    if not np.array_equal(np.isfinite(found), finite):
        return False
    apart, largest = (np.abs(of).max(initial=0.0) for of in (found[finite] - expected[finite], expected[finite]))
    return bool(apart <= times * tolerance(kind) * max(1.0, largest))


def tolerance(kind: Any) -> float:
    """How far apart, as a share of the largest value, rounding in a type brings numbers that are made alike."""
    return max(AGREES, 4 * _STEPS.get(kind, 0.0))
