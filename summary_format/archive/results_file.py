"""``results.h5``: everything that a finished run computed, joined from its segments.

``class_names``, ``plan`` and ``costs`` (JSON), texts of fixed length; ``samples/id``, ``digest`` (CRC-32C of what the
dataset gave), ``truth`` (padded with -1), ``logits``, ``probabilities``, ``computed``, ``beyond``, and with uncertainty
``sd``, ``low`` and ``high``; ``questions/sample`` and ``label``; for each explainer ``explainers/<name>/maps``
(questions, H, W), ``computed`` and ``error``, and for each metric ``explainers/<name>/scores/<metric>`` (questions,)
and, where its curves are kept, ``explainers/<name>/curves/<metric>`` (questions, curves, 2, points) of float64.
With hierarchical occlusion the tables of ``search_batch.SearchBatch`` under ``hierarchical_occlusion``. From
``schema_version`` 2 on also ``samples/picture`` and ``explainers/<name>/picture``, the CRC-32C of each picture, 0 where
there is none; a merge of shards whose archives have none of those has none either, and is of version 1. Up to version 2
texts were of variable length, which only a parser of ours reads safely (``untrusted/variable_text.py``).

HDF5 leaves the first 512 bytes to us: they hold the checksum of all that follows, which is checked before HDF5 sees
the file, since damaged ones can hang it.
"""

from __future__ import annotations

import io
import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, cast

import google_crc32c
import h5py
import numpy as np

from ..errors import BrokenRecordError
from ..plan_record import PlanRecord
from ..storage.durable import open_new, sync, write_at
from ..storage.run_folder import RunFolder
from ..untrusted.array_schema import picture_specs
from ..untrusted.regular_files import open_regular
from .curves import padded
from .map_chunks import ChunkWriter
from .segments import Array, BatchResults
from .tables import nothing, tables

SCHEMA_VERSION = 3
VARIABLE_TEXT_VERSION = 2  # and before: texts may be of variable length
UNPICTURED_VERSION = 1  # without checksums of pictures
_HEADER_BYTES = 512
_BEGINS = "explainrun results, {size} bytes"
_BLOCK_BYTES = 1 << 20


class Batches(Protocol):
    """A run's complete batches, in order: its segments, or something that stands for them."""

    run: RunFolder
    explainers: tuple[str, ...]

    def batches(self) -> Iterator[BatchResults]:
        """All that is known of each but its maps."""
        ...

    def maps_of_all(self, explainer: str) -> Iterator[Array]:
        """An explainer's maps (Q, H, W) of each."""
        ...

    def costs(self) -> Mapping[str, Mapping[str, float]]:
        """What all took."""
        ...


def write_archive(batches: Batches, plan: PlanRecord, check: Callable[[], None] = lambda: None) -> None:
    """Join a run's complete batches into its ``results.h5``, which is there whole or not at all.

    Args:
        batches: of the run; memory holds one at a time.
        plan: what the run did.
        check: called now and then; raises to stop this.

    Raises:
        BrokenRecordError: if a segment is damaged.
        OSError: if the disk refuses.
    """
    partial, final = batches.run.partial(), batches.run.archive
    write_archive_at(partial, batches, plan, check)
    batches.run.put(partial, final)


def write_archive_at(partial: Path, batches: Batches, plan: PlanRecord, check: Callable[[], None]) -> None:
    """The same at a path where nothing is yet; other arguments and errors as those of ``write_archive``."""
    handle = open_new(partial)
    try:
        with (
            _Unfailing(handle, partial) as file,
            h5py.File(file, "w", userblock_size=_HEADER_BYTES, libver=("v110", "v110")) as archive,
        ):
            _fill(archive, batches, plan, check)
        write_at(handle, _header(handle), 0, partial)
        sync(handle, partial)
    finally:
        os.close(handle)


def check_archive(path: Path) -> None:
    """Make sure that an archive is as it was written.

    Raises:
        BrokenRecordError: if it is not, or is not an archive of ours.
        OSError: if it cannot be read.
    """
    with open_regular(path) as file:
        header, size = file.read(_HEADER_BYTES), os.fstat(file.fileno()).st_size
        # Its size first: what may be anything may also be endless.
        if not header.startswith(_BEGINS.format(size=size).encode()) or header != _header(file.fileno()):
            raise BrokenRecordError(path, 0, 0, "its checksum does not match: it is damaged, or no archive of a run")


def _fill(archive: h5py.File, batches: Batches, plan: PlanRecord, check: Callable[[], None]) -> None:
    forms = _forms(batches, plan)
    pictured = picture_specs(batches.explainers).keys() <= forms.keys()
    archive.attrs["schema_version"] = SCHEMA_VERSION if pictured else UNPICTURED_VERSION
    _write_text(archive, "class_names", plan.class_names)
    _write_text(archive, "plan", json.dumps(plan.raw))
    _write_text(archive, "costs", json.dumps(batches.costs()))
    for name, (shape, kind) in forms.items():
        archive.create_dataset(name, shape, kind)
    places: Counter[str] = Counter()
    for batch in batches.batches():
        check()
        for name, table in tables(batch, tuple(plan.metrics)).items():
            first, rows = places[name], len(table)
            if rows and name in forms:
                stored = archive[name]
                stored[first : first + rows] = table if table.ndim < 2 else padded(table, stored.shape[-1])
            places[name] += rows
    questions = len(archive["questions/label"])
    with ChunkWriter() as writer:
        for explainer in batches.explainers:
            parts = batches.maps_of_all(explainer)
            writer.write(archive, f"explainers/{explainer}/maps", questions, parts, check)


def _write_text(archive: h5py.File, name: str, text: str | Sequence[str]) -> None:
    """Write a text, or several, of the length that the longest needs."""
    encoded = [one.encode() for one in ([text] if isinstance(text, str) else text)]
    kind = h5py.string_dtype("utf-8", max([1, *map(len, encoded)]))
    archive[name] = np.array(encoded[0] if isinstance(text, str) else encoded, kind)


def _forms(batches: Batches, plan: PlanRecord) -> dict[str, tuple[tuple[int, ...], Any]]:
    """Shape and type of every table of all batches, so that they can be filled one batch at a time."""
    metrics = tuple(plan.metrics)
    forms = {name: (table.shape, table.dtype) for name, table in tables(nothing(plan), metrics).items()}
    pictures, lacking = picture_specs(batches.explainers), set[str]()
    for number, batch in enumerate(batches.batches()):
        found = tables(batch, metrics)
        for name, table in found.items():
            (rows, *widths), kind = forms[name]
            shape = (rows + len(table), *map(max, widths, table.shape[1:]))
            forms[name] = shape, np.promote_types(kind, table.dtype) if number else table.dtype
        lacking |= forms.keys() - found.keys()  # checksums of pictures, where an earlier version wrote those
    return {name: form for name, form in forms.items() if not lacking or name not in pictures}


def _header(handle: int) -> bytes:
    """The first bytes of an archive: the checksum of all others."""
    checksum, offset = 0, _HEADER_BYTES
    while block := os.pread(handle, _BLOCK_BYTES, offset):
        checksum = int(google_crc32c.extend(checksum, block))
        offset += len(block)
    said = f"{_BEGINS.format(size=offset)}, CRC-32C {checksum:08x} from byte {_HEADER_BYTES} on\n"
    return said.encode().ljust(_HEADER_BYTES, b"\0")


class _Unfailing(io.RawIOBase):
    """The file that HDF5 writes to, which raises an error only at its end: HDF5 cannot close a file after one.

    Args:
        handle: where bytes go.
        path: what errors name.
    """

    def __init__(self, handle: int, path: Path) -> None:
        self._handle, self._path, self._place = handle, path, 0
        self._error: OSError | None = None

    def __exit__(self, *_: object) -> None:
        if self._error is not None:  # what HDF5 made of it is of no interest
            raise self._error

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: os.fstat(self._handle).st_size}[whence]
        self._place = start + offset
        return self._place

    def tell(self) -> int:
        return self._place

    def readinto(self, buffer: Any) -> int:
        data = os.pread(self._handle, len(buffer), self._place)
        buffer[: len(data)] = data
        buffer[len(data) :] = bytes(len(buffer) - len(data))  # what could not be written reads as nothing
        self._place += len(buffer)
        return len(buffer)

    def write(self, data: Any) -> int:
        if self._error is None:
            try:
                write_at(self._handle, cast(memoryview, data), self._place, self._path)
            except OSError as error:
                self._error = error
        self._place += len(data)
        return len(data)

    def truncate(self, size: int | None = None) -> int:
        size = self._place if size is None else size
        if self._error is None:
            try:
                os.ftruncate(self._handle, size)
            except OSError as error:
                self._error = error
        return size
