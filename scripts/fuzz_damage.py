"""Ways to damage the files of a run; each takes a random generator and what a file holds."""

from __future__ import annotations

import io
import json
import random
import struct
import tempfile
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from hdf5_checksums import checked_blocks, lookup3

from explainrun.summary_format.archive import results_file
from explainrun.summary_format.event_file.frames import framed

Damage = Callable[[random.Random, bytes], bytes]
ODD_NUMBERS = (2**63, 2**63 - 1, 2**64 - 1, 2**32, 2**31 - 1, 65536, 255, 0)
ODD_VALUES: tuple[Any, ...] = (
    None,
    True,
    -1,
    2**63,
    1e308,
    "",
    "..",
    "../../x",
    "\0",
    "\ud800",
    "x" * 5000,
    [],
    {},
    [[]],
    {"a": 1},
    [1],
)


def _block(rng: random.Random, data: bytes) -> tuple[int, int]:
    """Where a block of up to 200 bytes begins and ends."""
    start = rng.randrange(len(data))
    return start, min(len(data), start + rng.choice((1, 4, 8, 16, 64, 200)))


def flipped(rng: random.Random, data: bytes) -> bytes:
    """One bit, or a few."""
    damaged = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 8))):
        damaged[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(damaged)


def cut(rng: random.Random, data: bytes) -> bytes:
    """The end is missing."""
    return data[: rng.randrange(len(data))]


def swapped(rng: random.Random, data: bytes) -> bytes:
    """Two blocks stand in each other's place."""
    start, end = _block(rng, data)
    other = rng.randrange(len(data) - (end - start) + 1)
    first, second = sorted(((start, end), (other, other + end - start)))
    if first[1] > second[0]:
        return flipped(rng, data)
    return (
        data[: first[0]] + data[slice(*second)] + data[first[1] : second[0]] + data[slice(*first)] + data[second[1] :]
    )


def zeroed(rng: random.Random, data: bytes) -> bytes:
    """A block is empty, as after a power cut."""
    start, end = _block(rng, data)
    return data[:start] + bytes(end - start) + data[end:]


def scribbled(rng: random.Random, data: bytes) -> bytes:
    """A block holds something else."""
    start, end = _block(rng, data)
    return data[:start] + rng.randbytes(end - start) + data[end:]


def lost(rng: random.Random, data: bytes) -> bytes:
    """A block is missing."""
    start, end = _block(rng, data)
    return data[:start] + data[end:]


def doubled(rng: random.Random, data: bytes) -> bytes:
    """A block stands twice."""
    start, end = _block(rng, data)
    return data[:end] + data[start:]


def inserted(rng: random.Random, data: bytes) -> bytes:
    """A block too much."""
    start, end = _block(rng, data)
    return data[:start] + rng.randbytes(end - start) + data[start:]


def misnumbered(rng: random.Random, data: bytes) -> bytes:
    """An odd number, such as a length of 2^63, somewhere."""
    start, size = rng.randrange(len(data)), rng.choice((2, 4, 8))
    return data[:start] + struct.pack("<Q", rng.choice(ODD_NUMBERS))[:size] + data[start + size :]


RAW: tuple[Damage, ...] = (flipped, flipped, cut, swapped, zeroed, scribbled, lost, doubled, inserted, misnumbered)


def raw(rng: random.Random, data: bytes) -> bytes:
    """Damage as disks and copies make it."""
    return rng.choice(RAW)(rng, data) if data else rng.randbytes(9)


def _frames(data: bytes) -> list[bytes]:
    payloads = []
    while data:
        length = struct.unpack("<Q", data[:8])[0]
        payloads.append(data[12 : 12 + length])
        data = data[16 + length :]
    return payloads


def resealed_frames(rng: random.Random, data: bytes) -> bytes:
    """Damage within frames, or among them, with their CRCs right."""
    payloads = _frames(data)
    place = rng.randrange(len(payloads))
    if rng.random() < 0.1:
        payloads[place : place + 1] = rng.choice(([], payloads[place : place + 1] * 2, [b""], payloads[::-1]))
    else:
        payloads[place] = raw(rng, payloads[place])
    return b"".join(map(framed, payloads))


def resealed_segment(rng: random.Random, data: bytes) -> bytes:
    """Damage within the arrays of a segment, with all CRCs right, or other arrays."""
    payloads = _frames(data)
    if rng.random() < 0.3:
        return resealed_frames(rng, data)
    place = rng.randrange(len(payloads))
    payloads[place] = _other_array(rng, payloads[place]) if place else _other_arrays(rng, payloads[place])
    return b"".join(map(framed, payloads))


def _other_arrays(rng: random.Random, data: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as packed:
        arrays = {name: packed.read(name) for name in packed.namelist()}
    name = rng.choice(sorted(arrays))
    if rng.random() < 0.1:
        del arrays[name]
    elif name == "costs.npy" and rng.random() < 0.7:
        arrays[name] = _npy(np.array(json.dumps(other_values(rng, json.loads(str(np.load(io.BytesIO(arrays[name]))))))))
    else:
        arrays[name] = _other_array(rng, arrays[name])
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", rng.choice((zipfile.ZIP_STORED,) * 5 + (zipfile.ZIP_DEFLATED,))) as packed:
        for member, array in arrays.items():
            packed.writestr(member, array)
    return made.getvalue()


def _other_array(rng: random.Random, data: bytes) -> bytes:
    """An ``npy`` with damage in its bytes, or of another dtype, shape or values."""
    if rng.random() < 0.4:
        return raw(rng, data)
    return _npy(other_table(rng, np.load(io.BytesIO(data))))


def _npy(array: Any) -> bytes:
    made = io.BytesIO()
    np.save(made, array, allow_pickle=True)
    return made.getvalue()


def other_table(rng: random.Random, table: Any) -> Any:
    """An array of another dtype, shape or values."""
    kind = rng.randrange(5)
    if kind == 0:
        return (
            table.astype(rng.choice(("<f8", "<f4", "<i8", "<u1", "<i2", "?", "<c16", "S7")), copy=False)
            if table.dtype.kind != "U"
            else np.array("x" * 100)
        )
    if kind == 1:
        return rng.choice((table[..., None], table.ravel(), table.ravel()[:-1], table.ravel()[:0], np.array(3.0)))
    if kind == 2:
        return np.array([{"a": 1}, None], object)
    if kind == 3 and table.size and table.dtype.kind in "iuf":
        table = table.copy()
        with np.errstate(all="ignore"):
            table.ravel()[rng.randrange(table.size)] = np.array(rng.choice((-1, 255, 2**31, np.nan))).astype(
                table.dtype
            )
        return table
    return np.concatenate([table, table]) if table.ndim else table


def other_values(rng: random.Random, value: Any) -> Any:
    """Plain values with one of them, anywhere, missing or something odd."""
    if isinstance(value, dict) and value and rng.random() < 0.85:
        key = rng.choice(sorted(value))
        fate = rng.random()
        if fate < 0.15:
            return {one: inner for one, inner in value.items() if one != key}
        if fate < 0.3:
            return {**value, rng.choice(("..", "a/b", "", "\0", "x" * 300, "\ud800")): value[key]}
        return {**value, key: other_values(rng, value[key])}
    if isinstance(value, list) and value and rng.random() < 0.85:
        place = rng.randrange(len(value))
        return [*value[:place], other_values(rng, value[place]), *value[place + 1 :]]
    return rng.choice(ODD_VALUES)


def other_json(rng: random.Random, data: bytes) -> bytes:
    """Sound JSON that says something odd, or nests without end."""
    if rng.random() < 0.1:
        return rng.choice((b"[", b'{"state":')) * 100_000
    return json.dumps(other_values(rng, json.loads(data))).encode()


def sealed(body: bytes) -> bytes:
    """An archive of that HDF5, under a checksum that is right."""
    with tempfile.TemporaryFile() as file:
        file.write(bytes(512) + body)
        file.flush()
        return results_file._header(file.fileno()) + body


def resealed_archive(rng: random.Random, data: bytes) -> bytes:
    """Damage in HDF5, with our checksum right."""
    return sealed(raw(rng, data[512:]))


def forged_archive(rng: random.Random, data: bytes) -> bytes:
    """Damage in the metadata of HDF5, with its own checksums right as well as ours."""
    hdf5 = bytearray(data[512:])
    for _ in range(rng.choice((1, 1, 2))):
        start, end = rng.choice(_checked_blocks(data[512:]))
        inside = rng.choice((flipped, misnumbered, scribbled))(rng, bytes(hdf5[start + 4 : end]))
        hdf5[start + 4 : end] = inside[: end - start - 4]
        hdf5[end : end + 4] = lookup3(bytes(hdf5[start:end])).to_bytes(4, "little")
    return sealed(bytes(hdf5))


@cache
def _checked_blocks(hdf5: bytes) -> list[tuple[int, int]]:
    return list(checked_blocks(hdf5))


def rebuilt_archive(rng: random.Random, data: bytes) -> bytes:
    """An archive that holds something else than ours, as HDF5 and our checksum have it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "archive.h5"
        path.write_bytes(data)
        with h5py.File(path, "r+", libver=("v110", "v110")) as file:
            _rebuild(rng, file)
        return sealed(path.read_bytes()[512:])


def _rebuild(rng: random.Random, file: h5py.File) -> None:
    names: list[str] = []
    file.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
    name = rng.choice(sorted(names))
    if rng.random() < 0.1:
        file.attrs["schema_version"] = rng.choice(("1", 1.5, [1, 1], h5py.Empty("i8"), -1, 1, 2))
        return
    if name in ("plan", "costs") and rng.random() < 0.8:
        said = other_values(rng, json.loads(file[name].asstr()[()]))
        del file[name]
        text = rng.choice((json.dumps(said), "[" * 100_000, json.dumps(said)[:-1]))
        if rng.random() < 0.3:  # of variable length, as earlier versions wrote it
            file.attrs["schema_version"] = rng.choice((2, 2, 3))
            file[name] = text
        else:
            file[name] = np.bytes_(text)
        return
    table = file[name][...]
    del file[name]
    rng.choice(HOSTILE)(rng, file, name, table)


def _missing(rng: random.Random, file: h5py.File, name: str, table: Any) -> None:
    del rng, file, name, table


def _changed(rng: random.Random, file: h5py.File, name: str, table: Any) -> None:
    table = np.zeros(3) if table.dtype.kind in "OS" else other_table(rng, table)
    file[name] = table if table.dtype.kind not in "OU" else "x"


def _linked(rng: random.Random, file: h5py.File, name: str, table: Any) -> None:
    del table
    file[name] = rng.choice(
        (h5py.SoftLink(f"/{name}"), h5py.SoftLink("/samples/id"), h5py.ExternalLink("/dev/zero", "/x"),
         h5py.ExternalLink("/etc/passwd", "/x"))
    )  # fmt: skip


def _elsewhere(rng: random.Random, file: h5py.File, name: str, table: Any) -> None:
    shape = table.shape or (3,)
    if rng.random() < 0.5:
        file.create_dataset(name, shape, "f8", external=[("/dev/zero", 0, h5py.h5f.UNLIMITED)])
    else:
        layout = h5py.VirtualLayout(shape, "f8")
        layout[...] = h5py.VirtualSource("/etc/hostname", "x", shape)
        file.create_virtual_dataset(name, layout)


def _huge(rng: random.Random, file: h5py.File, name: str, table: Any) -> None:
    shape = rng.choice(((2**40,), (2**31, 2**20), (5, 2**20, 2**20), (2**62,)))
    dtype = "f4" if table.dtype.kind in "OS" else table.dtype
    chunks = tuple(rng.choice((1, 2**14)) if size > 2**14 else 1 for size in shape)
    file.create_dataset(name, shape, dtype, chunks=chunks, compression=rng.choice((None, "gzip")))


def _typed(rng: random.Random, file: h5py.File, name: str, table: Any) -> None:
    dtype = rng.choice((h5py.ref_dtype, h5py.vlen_dtype("f8"), h5py.string_dtype(), np.dtype([("a", "f8")]), "S9"))
    file.create_dataset(name, table.shape or (3,), dtype)


def _grouped(rng: random.Random, file: h5py.File, name: str, table: Any) -> None:
    del rng
    file.create_group(name)["x"] = table if table.dtype.kind not in "OS" else 1


def _filtered(rng: random.Random, file: h5py.File, name: str, table: Any) -> None:
    del table
    file.create_dataset(name, (6,), "f8", chunks=(3,), **rng.choice(({"compression": "lzf"}, {"scaleoffset": 2})))


HOSTILE = (_missing, _changed, _changed, _linked, _elsewhere, _huge, _typed, _grouped, _filtered)
