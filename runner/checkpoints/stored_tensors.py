"""Tensors as files store them: views of the file's bytes, which take no memory of their own until they are used."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

RAW_KINDS: Mapping[str, np.dtype[Any]] = {
    kind: np.dtype(raw)
    for kind, raw in {
        "float64": "<f8", "float32": "<f4", "float16": "<f2", "bfloat16": "<u2",
        "int64": "<i8", "int32": "<i4", "int16": "<i2", "int8": "|i1",
        "uint64": "<u8", "uint32": "<u4", "uint16": "<u2", "uint8": "|u1", "bool": "|u1",
    }.items()
}  # fmt: skip
MOST_DIMENSIONS = 16


@dataclass(frozen=True)
class StoredTensor:
    """A tensor in a file.

    Attributes:
        kind: of its numbers, a key of ``RAW_KINDS``.
        raw: its numbers as the file has them; those of bfloat16 as whole numbers of the same bits.
    """

    kind: str
    raw: npt.NDArray[Any]

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape."""
        return self.raw.shape

    @property
    def number_kind(self) -> str:
        """What NumPy calls the kind of its numbers: "f", "i", "u" or "b"."""
        return "f" if self.kind == "bfloat16" else np.dtype(self.kind).kind

    def values(self) -> npt.NDArray[Any]:
        """A copy that NumPy can compute with; bfloat16 becomes float32."""
        if self.kind == "bfloat16":
            return (self.raw.astype(np.uint32) << 16).view(np.float32)
        return self.raw != 0 if self.kind == "bool" else self.raw.copy()


def strided(
    kind: str, storage: memoryview, offset: int, shape: Sequence[int], strides: Sequence[int] | None = None
) -> StoredTensor:
    """The tensor that lies in a storage.

    Args:
        kind: a key of ``RAW_KINDS``.
        storage: the bytes.
        offset: of its first number, in numbers.
        shape: its shape.
        strides: numbers from one place to the next, for each dimension; by default the last lie side by side.

    Raises:
        ValueError: if the storage does not hold it, or more of it than the storage has would be repeated.
    """
    numbers = np.frombuffer(storage, RAW_KINDS[kind])
    if len(shape) > MOST_DIMENSIONS or len(shape if strides is None else strides) != len(shape):
        raise ValueError(f"has {len(shape)} dimensions, or not as many strides")
    if strides is None:
        strides = [math.prod(shape[place + 1 :]) for place in range(len(shape))]
    if min((offset, *shape, *strides)) < 0:
        raise ValueError(f"is of shape {tuple(shape)}, strides {tuple(strides)} and offset {offset}")
    count = math.prod(shape)
    last = offset + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True)) if count else offset
    if count > len(numbers) or last >= len(numbers) + (not count):
        words = f"is of shape {tuple(shape)}, strides {tuple(strides)} and offset {offset}"
        raise ValueError(f"{words}, which {len(numbers)} stored numbers do not hold")
    steps = [stride * numbers.itemsize if size > 1 else 0 for size, stride in zip(shape, strides, strict=True)]
    first = numbers[offset : offset + 1] if count else numbers[:0]
    view: npt.NDArray[Any] = np.lib.stride_tricks.as_strided(first, tuple(shape), steps, writeable=False)
    return StoredTensor(kind, view)
