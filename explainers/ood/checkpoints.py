"""MindSpore checkpoints, looked through before MindSpore loads them.

A ``.ckpt`` is one protobuf message, so nothing in it is ever run; but MindSpore copies as many bytes as a parameter has
into as much memory as its shape takes, without comparing the two (seen in 2.10): a file made for it writes over the
memory of the process.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import mindspore as ms
from google.protobuf.message import DecodeError
from mindspore.train.checkpoint_pb2 import Checkpoint

from ...summary_format.problem import Problem

_BYTES = {
    "Bool": 1, "Int8": 1, "UInt8": 1, "Int16": 2, "UInt16": 2, "Float16": 2, "BFloat16": 2, "Int32": 4, "UInt32": 4,
    "Float32": 4, "Int64": 8, "UInt64": 8, "Float64": 8,
}  # fmt: skip
_TRAILER = b"crc_num"  # and ten bytes, where MindSpore was asked to write a checksum


def read_checkpoint(path: str | Path) -> dict[str, ms.Parameter]:
    """The parameters of a checkpoint by name; texts that it holds beside them are left out.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is not a MindSpore checkpoint, or a parameter's shape and bytes do not fit.
        OSError: if it cannot be read.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(Problem.of("checkpoint-missing", "no checkpoint {file}", file=path))
    if path.suffix != ".ckpt":
        raise ValueError(_no_checkpoint(path, "its name must end with .ckpt"))
    differing = next(_problems(path.read_bytes()), None)
    if differing is not None:
        raise ValueError(_no_checkpoint(path, differing))
    try:
        found = ms.load_checkpoint(str(path))
    except ValueError as error:
        raise ValueError(_no_checkpoint(path)) from error
    return {name: value for name, value in found.items() if isinstance(value, ms.Parameter)}


def _no_checkpoint(path: Path, why: str = "") -> Problem:
    words = "{file} is not a MindSpore checkpoint{why}"
    return Problem.of("not-a-checkpoint", words, file=path, why=f": {why}" if why else "")


def _problems(content: bytes) -> Iterator[str]:
    """What MindSpore must not be given."""
    if content[-17:-10] == _TRAILER:
        content = content[:-17]
    message = Checkpoint()
    try:
        message.ParseFromString(content)
    except DecodeError:
        yield ""
        return
    if not message.value:
        yield "it holds nothing"
    for name, group in groupby(message.value, key=lambda element: element.tag):  # a large parameter comes in parts
        problem = _problem(list(group))
        if problem is not None:
            yield f"{name!r} {problem}"


def _problem(parts: list[Any]) -> str | None:
    if not all(part.HasField("tensor") for part in parts):
        return "is not a tensor"
    kind, shape = parts[0].tensor.tensor_type, list(parts[0].tensor.dims)
    if any(part.tensor.tensor_type != kind or list(part.tensor.dims) != shape for part in parts):
        return "comes in parts that differ"
    length = sum(len(part.tensor.tensor_content) for part in parts)
    if kind == "str":
        return _text_problem(parts)
    if kind not in _BYTES:
        return f"is of the unknown type {kind!r}"
    scalar = shape in ([], [0])  # MindSpore writes a shape of [0] for one number
    if not scalar and min(shape) < 1:
        return f"is of shape {shape}"
    wanted = _BYTES[kind] * (1 if scalar else math.prod(shape))
    return f"is of shape {shape}, which takes {wanted} bytes, and has {length}" if length != wanted else None


def _text_problem(parts: list[Any]) -> str | None:
    content = b"".join(part.tensor.tensor_content for part in parts)
    try:
        sound = len(parts) == 1 and bool(content.decode("utf-32-le"))
    except UnicodeDecodeError:
        sound = False
    return None if sound else "is not a text"
