"""Checkpoints in the format safetensors: the length of a JSON header (8 bytes), that header, and the tensors' bytes.

The library of that name checks the same, but hands tensors out through frameworks; bfloat16 NumPy does not have.
"""

from __future__ import annotations

import math
from typing import Any, TypeGuard

from ...summary_format.untrusted.numpy_json import json_of
from .stored_tensors import MOST_DIMENSIONS, RAW_KINDS, StoredTensor, strided

_KINDS = {
    "F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16",
    "I64": "int64", "I32": "int32", "I16": "int16", "I8": "int8",
    "U64": "uint64", "U32": "uint32", "U16": "uint16", "U8": "uint8", "BOOL": "bool",
}  # fmt: skip
_MOST_HEADER = 100_000_000  # the format's own bound


def safetensors(content: bytes) -> dict[str, StoredTensor]:
    """The tensors of a file by name.

    Args:
        content: of the file.

    Raises:
        ValueError: if it is none, is cut off, or its tensors overlap, leave bytes unused, or do not fit their shapes.
    """
    length = int.from_bytes(content[:8], "little")
    if len(content) < 8 or length > min(_MOST_HEADER, len(content) - 8):
        raise ValueError(f"its header of {length} bytes is cut off, or too long")
    header = json_of(content[8 : 8 + length], unique_keys=True)
    if not isinstance(header, dict):
        raise ValueError("its header is not a mapping")
    header.pop("__metadata__", None)
    stored = memoryview(content)[8 + length :]
    made, ranges = {}, []
    for name, entry in header.items():
        kind, shape, first, last = _entry(name, entry)
        if not first <= last <= len(stored) or last - first != math.prod(shape) * RAW_KINDS[kind].itemsize:
            raise ValueError(f"{name[:80]!r} of shape {shape} does not fit bytes {first} to {last} of {len(stored)}")
        made[name] = strided(kind, stored[first:last], 0, shape)
        ranges.append((first, last))
    ranges.sort()
    ends = [0, *(last for _, last in ranges)]
    if [first for first, _ in ranges] != ends[:-1] or ends[-1] != len(stored):
        raise ValueError("its tensors overlap, or do not fill it")
    if not made:
        raise ValueError("it holds no tensors")
    return made


def _entry(name: str, entry: Any) -> tuple[str, list[int], int, int]:
    """Kind, shape, and the bytes from where to where, of a tensor in the header."""
    given: dict[str, Any] = entry if isinstance(entry, dict) else {}
    kind, shape, place = given.get("dtype"), given.get("shape"), given.get("data_offsets")
    if not _whole_numbers(shape, MOST_DIMENSIONS) or not _whole_numbers(place, 2) or len(place) != 2:
        raise ValueError(f"{name[:80]!r} has no shape and place")
    if not isinstance(kind, str) or kind not in _KINDS:
        raise ValueError(f"{name[:80]!r} is of the unknown type {str(kind)[:80]!r}")
    return _KINDS[kind], shape, place[0], place[1]


def _whole_numbers(values: Any, most: int) -> TypeGuard[list[int]]:
    """Whether these are a list of as many numbers, each of which a file may have."""
    return (
        isinstance(values, list)
        and len(values) <= most
        and all(type(number) is int and 0 <= number < 2**63 for number in values)
    )
