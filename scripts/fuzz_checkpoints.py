"""Checkpoints of PyTorch, of both its forms, and of safetensors, for ``fuzz_readers.py``, and ways to damage them."""

from __future__ import annotations

import io
import json
import random
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from fuzz_damage import other_json, raw

from explainrun.runner.checkpoints.pytorch_file import pytorch_tensors
from explainrun.runner.checkpoints.safetensors_file import safetensors
from explainrun.summary_format import RunFolder

FOLDER = "weights"  # in that of a run, whose readers know nothing of it
_ORDERED = b"ccollections\nOrderedDict\n"
# Name, kind, storage, numbers in it, offset, shape and strides: of tensors that share a storage, and one turned round.
_TENSORS = (
    ("conv.weight", "Float", "0", 24, 0, (2, 3, 2), (6, 2, 1)),
    ("conv.bias", "Float", "0", 24, 12, (3, 4), (1, 3)),
    ("norm.running_mean", "Half", "1", 5, 1, (2,), (2,)),
    ("norm.num_batches_tracked", "Long", "2", 1, 0, (), ()),
)
_BYTES = {"Float": 4, "Half": 2, "Long": 8}


def write_checkpoints(folder: Path) -> None:
    """One of each form."""
    folder.mkdir(exist_ok=True)
    (folder / "stream.pth").write_bytes(_stream())
    (folder / "zip.pth").write_bytes(_zip(b"\x80\x02" + _state() + b"."))
    (folder / "tensors.safetensors").write_bytes(_safetensors())


def read_pytorch(run: RunFolder, name: str) -> Any:
    """All that a PyTorch checkpoint says."""
    return _said(run.root / FOLDER / name, pytorch_tensors)


def read_safetensors(run: RunFolder) -> Any:
    """All that a safetensors file says."""
    return _said(run.root / FOLDER / "tensors.safetensors", safetensors)


def other_pickle(rng: random.Random, data: bytes) -> bytes:
    """A sound zip whose pickle is damaged, or asks for something."""
    with zipfile.ZipFile(io.BytesIO(data)) as packed:
        pickled = packed.read("archive/data.pkl")
    return _zip(asking(rng, pickled) if rng.random() < 0.5 else raw(rng, pickled))


def asking(rng: random.Random, data: bytes) -> bytes:
    """Operations of pickles put in somewhere: such as call something, need much memory or never end."""
    place = rng.randrange(len(data))
    return data[:place] + rng.choice(_HOSTILE) * rng.choice((1, 1, 1, 1000)) + data[place:]


def other_header(rng: random.Random, data: bytes) -> bytes:
    """A safetensors file whose header says something odd, of the length that it has."""
    length = struct.unpack("<Q", data[:8])[0]
    header = other_json(rng, data[8 : 8 + length])
    return struct.pack("<Q", len(header)) + header + data[8 + length :]


_HOSTILE = (
    b"cos\nsystem\n(X\x04\x00\x00\x00trueoR", b"cbuiltins\neval\nX\x03\x00\x00\x001/0\x85R", b"\x80\xff", b"(", b"]",
    b"}", b"0", b"2", b"a", b"e", b"s", b"u", b"t", b"R", b"b", b"Q", b"\x8a\xff", b"\x8b\xff\xff\xff\x7f",
    b"B\xff\xff\xff\x7f", b"X\xff\xff\xff\xff", b"\x8d\xff\xff\xff\xff\xff\xff\xff\x7f", b"r\xff\xff\xff\xff",
    b"j\xff\xff\xff\x7f", b"I9999\n", b"L" + b"9" * 5000 + b"L\n", b"F1e999\n", b"2]a", b"2\x86",
    b"\x95\xff\xff\xff\xff\xff\xff\xff\x7f",
)  # fmt: skip


def _said(path: Path, reader: Any) -> list[Any]:
    try:
        found = reader(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    said: list[Any] = []
    for name, tensor in found.items():
        said += [name, tensor.kind, tensor.values()]
    return said


def _text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def _number(value: int) -> bytes:
    return b"J" + struct.pack("<i", value)


def _tuple(values: tuple[int, ...]) -> bytes:
    return b"(" + b"".join(map(_number, values)) + b"t"


def _state() -> bytes:
    """The pickle of a state dict, but for its first and last operation."""
    made = _ORDERED + b")R("
    for name, kind, key, count, offset, shape, strides in _TENSORS:
        storage = (
            b"(" + _text("storage") + f"ctorch\n{kind}Storage\n".encode() + _text(key) + _text("cpu") + _number(count)
        )
        where = storage + b"tQ" + _number(offset) + _tuple(shape) + _tuple(strides) + b"\x89" + _ORDERED + b")R"
        made += _text(name) + b"ctorch._utils\n_rebuild_tensor_v2\n(" + where + b"tR"
    return made + b"u"


def _storages() -> dict[str, tuple[int, bytes]]:
    """How many numbers each has, and their bytes."""
    rng = np.random.default_rng(0)
    return {key: (count, rng.bytes(count * _BYTES[kind])) for _, kind, key, count, *_ in _TENSORS}


def _stream() -> bytes:
    keys = b"](" + b"".join(map(_text, _storages())) + b"e"
    parts = (
        b"\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19",
        b"M\xe9\x03",
        b"}" + _text("little_endian") + b"\x88s",
        _state(),
        keys,
    )
    stored = b"".join(struct.pack("<q", count) + content for count, content in _storages().values())
    return b"".join(b"\x80\x02" + part + b"." for part in parts) + stored


def _zip(pickled: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as packed:
        packed.writestr("archive/data.pkl", pickled)
        for key, (_, content) in _storages().items():
            packed.writestr(f"archive/data/{key}", content)
    return made.getvalue()


def _safetensors() -> bytes:
    values = {"weight": np.arange(6, dtype="<f4").reshape(2, 3), "count": np.array(7, "<i8")}
    header: dict[str, dict[str, Any]] = {"__metadata__": {"format": "pt"}}
    content = b""
    for name, value in values.items():
        place = [len(content), len(content) + value.nbytes]
        kind = {"f": "F32", "i": "I64"}[value.dtype.kind]
        header[name] = {"dtype": kind, "shape": list(value.shape), "data_offsets": place}
        content += value.tobytes()
    said = json.dumps(header).encode()
    return struct.pack("<Q", len(said)) + said + content
