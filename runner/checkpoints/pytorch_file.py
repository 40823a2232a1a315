"""Checkpoints of PyTorch, ``torch.save(network.state_dict(), path)``: plain tensors by name, and nothing else.

There are two forms. The older one is a stream: pickles of a magic number, a version, the machine, the state dict and
the names of storages, then each storage, its count of numbers (8 bytes) before it. The newer one is a zip without
compression: a pickle of the state dict and a member for each storage.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from ...summary_format.untrusted.stored_zip import stored_members
from .plain_pickle import Maker, Named, Reference, plain_value
from .stored_tensors import RAW_KINDS, StoredTensor, strided

_MAGIC, _VERSION = 0x1950A86A20F9469CFC6C, 1001
_KINDS = {
    "torch.DoubleStorage": "float64", "torch.FloatStorage": "float32", "torch.HalfStorage": "float16",
    "torch.BFloat16Storage": "bfloat16", "torch.LongStorage": "int64", "torch.IntStorage": "int32",
    "torch.ShortStorage": "int16", "torch.CharStorage": "int8", "torch.ByteStorage": "uint8",
    "torch.BoolStorage": "bool",
}  # fmt: skip
_MOST = 2**63


@dataclass(frozen=True, kw_only=True)
class _Tensor:
    """What a pickle says of a tensor: its storage's place, then where it lies in that."""

    kind: str
    key: str
    count: int
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def pytorch_tensors(content: bytes) -> dict[str, StoredTensor]:
    """The tensors of a checkpoint by name; nothing in it is run.

    Args:
        content: of the file, of either form.

    Raises:
        ValueError: if it is none, is cut off, holds anything but plain tensors, or one lies outside of its storage.
    """
    described, storages = _of_zip(content) if content.startswith(b"PK") else _of_stream(content)
    made = {}
    for name, tensor in described.items():
        try:
            made[name] = strided(tensor.kind, storages[tensor.key], tensor.offset, tensor.shape, tensor.strides)
        except ValueError as error:
            raise ValueError(f"{name!r} {error}") from None
    return made


def _of_stream(content: bytes) -> tuple[dict[str, _Tensor], dict[str, memoryview]]:
    stream = BytesIO(content)
    if plain_value(stream, {}) != _MAGIC or plain_value(stream, {}) != _VERSION:
        raise ValueError("it does not begin as PyTorch's files do")
    machine = plain_value(stream, {})
    if not isinstance(machine, dict) or machine.get("little_endian") is not True:
        raise ValueError("its numbers are not stored with the lowest byte first")
    described = _described(stream)
    keys = plain_value(stream, {})
    counts = _storage_sizes(described)
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys) or sorted(keys) != sorted(counts):
        raise ValueError("it does not hold the storages that its tensors lie in")
    rest, storages = memoryview(content)[stream.tell() :], {}
    for key in keys:
        count, itemsize = counts[key]
        if int.from_bytes(rest[:8], "little") != count or len(rest) < 8 + count * itemsize:
            raise ValueError(f"a storage of {count} numbers is cut off, or is of another size")
        storages[key], rest = rest[8 : 8 + count * itemsize], rest[8 + count * itemsize :]
    if len(rest):
        raise ValueError(f"{len(rest)} bytes follow its last storage")
    return described, storages


def _of_zip(content: bytes) -> tuple[dict[str, _Tensor], dict[str, memoryview]]:
    members = stored_members(content, "it", "PyTorch's files")
    pickles = [name for name in members if name.count("/") == 1 and name.endswith("/data.pkl")]
    if len(pickles) != 1:
        raise ValueError("it is a zip without the one data.pkl of a checkpoint")
    folder = pickles[0].removesuffix("data.pkl")
    if members.get(f"{folder}byteorder", b"little") != b"little":
        raise ValueError("its numbers are not stored with the lowest byte first")
    described = _described(BytesIO(members[pickles[0]]))
    storages = {}
    for key, (count, itemsize) in _storage_sizes(described).items():
        stored = members.get(f"{folder}data/{key}")
        if stored is None or len(stored) != count * itemsize:
            raise ValueError(f"a storage of {count} numbers is missing, or is of another size")
        storages[key] = memoryview(stored)
    return described, storages


def _described(stream: BytesIO) -> dict[str, _Tensor]:
    """What the next pickle says of its tensors, by name."""
    makers: dict[str, Maker] = {"collections.OrderedDict": _mapping, "torch._utils._rebuild_tensor_v2": _tensor}
    found = plain_value(stream, makers)
    if not isinstance(found, dict) or not found:
        raise ValueError("it holds no tensors by name; save network.state_dict()")
    other = next((name for name, value in found.items() if not isinstance(value, _Tensor)), None)
    if other is not None:
        raise ValueError(f"its {other[:80]!r} is not a tensor; save network.state_dict() alone")
    return found


def _mapping(*arguments: Any) -> dict[str, Any]:
    if arguments:
        raise ValueError("its pickle makes a mapping in a way that PyTorch does not")
    return {}


def _tensor(storage: Any, offset: Any, shape: Any, strides: Any, gradient: Any, hooks: Any, *metadata: Any) -> _Tensor:
    """What PyTorch's function of that name would make of its arguments."""
    kind, key, count = _storage(storage)
    if not isinstance(key, str) or not isinstance(shape, tuple) or not isinstance(strides, tuple) or hooks or metadata:
        raise ValueError("a tensor is not a plain one")
    if not all(type(number) is int and 0 <= number < _MOST for number in (count, offset, *shape, *strides)):
        raise ValueError("a tensor's shape, strides, offset or storage is out of range")
    return _Tensor(kind=kind, key=key, count=count, offset=offset, shape=shape, strides=strides)


def _storage(storage: Any) -> tuple[str, Any, Any]:
    """Kind, place and count of numbers of what a pickle refers to as ("storage", type, place, device, count)."""
    place = storage.place if isinstance(storage, Reference) else None
    if not isinstance(place, tuple) or len(place) not in (5, 6) or place[0] != "storage" or any(place[5:]):
        raise ValueError("a tensor does not lie in a storage")
    _, kind, key, _, count = place[:5]
    if not isinstance(kind, Named) or kind.name not in _KINDS:
        raise ValueError(f"a tensor is of the unknown type {kind.name[:80] if isinstance(kind, Named) else '?'!r}")
    return _KINDS[kind.name], key, count


def _storage_sizes(described: Mapping[str, _Tensor]) -> dict[str, tuple[int, int]]:
    """How many numbers each storage has, and of how many bytes each is."""
    sizes: dict[str, tuple[int, int]] = {}
    for tensor in described.values():
        size = (tensor.count, RAW_KINDS[tensor.kind].itemsize)
        if sizes.setdefault(tensor.key, size) != size:
            raise ValueError("two tensors say different things of the storage that they share")
    return sizes
