"""Arrays and JSON read with suspicion: nothing is run, and nothing is allotted that the bytes at hand do not hold.

NumPy's own reader unpacks compressed members of any size, believes every shape and evaluates headers. What we write
needs none of that, so anything else than it is refused.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

import numpy as np
import numpy.typing as npt

from ..problem import Problem
from .stored_zip import stored_members

_MAGIC = b"\x93NUMPY\x01\x00"
_KINDS = rb"\|b1|\|[iu]1|<[iu][248]|<f[248]|<U[1-9]\d{0,8}"
_HEADER = re.compile(
    rb"\{'descr': '(" + _KINDS + rb")', 'fortran_order': (True|False), 'shape': \(((?:\d{1,18}(?:, |,)?)*)\), \} *\n"
)


def json_of(data: bytes | str, *, unique_keys: bool = False) -> Any:
    """What a JSON text says.

    Args:
        data: the text.
        unique_keys: refuse a key that stands twice in an object, of which the last would count.

    Raises:
        ValueError: if it is none, is not UTF-8, or nests too deep.
    """
    try:
        return json.loads(data, object_pairs_hook=_unique if unique_keys else None)
    except (ValueError, RecursionError) as error:
        words = "it is not JSON that can be read: {said}"
        raise ValueError(Problem.of("not-json", words, said=str(error))) from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(key for i, (key, _) in enumerate(pairs) if key in dict(pairs[:i]))
        raise ValueError(f"the key {twice[:80]!r} stands twice")
    return found


def array_of(data: bytes) -> npt.NDArray[Any]:
    """The array of an ``npy``, a view of its bytes.

    Raises:
        ValueError: if it is none as we write them: numbers, truths or text, as many as its shape says.
    """
    end = 10 + int.from_bytes(data[8:10], "little")
    header = _HEADER.fullmatch(data, 10, end) if data.startswith(_MAGIC) else None
    if header is None:
        raise ValueError("an array has no header of ours")
    dtype, shape = np.dtype(header[1].decode()), tuple(int(part) for part in re.findall(rb"\d+", header[3]))
    if math.prod(shape) * dtype.itemsize != len(data) - end:
        raise ValueError(f"an array of {dtype} {shape} cannot fill {len(data) - end} bytes")
    order = "F" if header[2] == b"True" else "C"
    return np.frombuffer(data, dtype, offset=end).reshape(shape, order=order)  # type: ignore[call-overload, no-any-return]


def arrays_of(data: bytes) -> dict[str, npt.NDArray[Any]]:
    """The arrays of an ``npz`` by name.

    Raises:
        ValueError: if it is none as we write them: a zip of arrays as they are, each name once, all of them within it.
    """
    members = stored_members(data, "its arrays", "ours")
    return {name.removesuffix(".npy"): array_of(array).copy() for name, array in members.items()}
