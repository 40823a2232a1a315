"""``results.h5``: everything that a finished run computed, joined from its segments.

``class_names``, ``plan`` and ``costs`` (JSON); ``samples/id``, ``digest`` (CRC-32C of what the dataset gave), ``truth``
(padded with -1), ``probabilities``, ``computed``, ``beyond``, and with uncertainty ``sd``, ``low``, ``high``;
``questions/sample`` and ``label``; for each explainer ``explainers/<name>/maps`` (questions, H, W), ``computed`` and
``error``, and for each metric ``explainers/<name>/scores/<metric>`` (questions,). With hierarchical occlusion the
tables of ``segments.Searched`` under ``hierarchical_occlusion``.

HDF5 leaves the first 512 bytes to us: they hold the checksum of all that follows, which is checked before HDF5 sees
the file, since damaged ones can hang it.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import google_crc32c
import h5py
import numpy as np

from .disk import open_new, replace, sync, write_at
from .frames import BrokenRecordError
from .segments import Array, BatchResults, Segments

SCHEMA_VERSION = 1
SPREAD = ("sd", "low", "high")
SEARCHED = ("outcomes", "blurred", "sigmas", "layers", "probabilities", "boxes")
_HEADER_BYTES = 512
_BLOCK_BYTES = 1 << 20


def write_archive(segments: Segments, plan: Mapping[str, Any], check: Callable[[], None] = lambda: None) -> None:
    """Join a run's complete batches into its ``results.h5``, which is there whole or not at all.

    Args:
        segments: of the run; of maps, memory holds those of one segment at a time.
        plan: what the run did; names its class_names, explainers and metrics.
        check: called now and then; raises where this shall not go on.

    Raises:
        BrokenRecordError: if a segment is damaged.
        OSError: if the disk refuses.
    """
    partial, final = segments.run.partial(), segments.run.archive
    handle = open_new(partial)
    try:
        with (
            _Unfailing(handle, partial) as file,
            h5py.File(file, "w", userblock_size=_HEADER_BYTES, libver=("v110", "v110")) as archive,
        ):
            _fill(archive, segments, plan, check)
        write_at(handle, _header(handle), 0, partial)
        sync(handle, partial)
    finally:
        os.close(handle)
    replace(partial, final)


def check_archive(path: Path) -> None:
    """Make sure that an archive is as it was written.

    Raises:
        BrokenRecordError: if it is not, or is no archive of ours.
        OSError: if it cannot be read.
    """
    with path.open("rb") as file:
        if file.read(_HEADER_BYTES) != _header(file.fileno()):
            raise BrokenRecordError(path, 0, 0, "its checksum does not match: it is damaged, or no archive of a run")


def tables(batch: BatchResults, metrics: tuple[str, ...]) -> dict[str, Array]:
    """What a batch says, but for maps, by the names under which the archive holds it."""
    samples = batch.samples
    found = {
        "samples/id": samples.ids,
        "samples/digest": samples.digests,
        "samples/truth": samples.truth,
        "samples/probabilities": samples.probabilities,
        "samples/computed": samples.computed,
        "samples/beyond": samples.beyond,
        "questions/sample": samples.questions[:, 0],
        "questions/label": samples.questions[:, 1],
        **{f"samples/{name}": values for name, values in zip(SPREAD, samples.spread, strict=False)},
    }
    for name, said in batch.explained.items():
        found[f"explainers/{name}/computed"] = said.computed
        found[f"explainers/{name}/error"] = said.errors
        found |= {f"explainers/{name}/scores/{metric}": said.scores[i] for i, metric in enumerate(metrics)}
    if batch.searched is not None:
        searched = vars(batch.searched)
        found |= {f"hierarchical_occlusion/{name}": searched[name] for name in SEARCHED}
    return found


def joined(parts: list[Array]) -> Array:
    """Tables of several batches below one another, rows of truth padded to the longest."""
    width = max((part.shape[1] for part in parts if part.ndim == 2), default=0)
    return np.concatenate(
        [
            part if part.ndim < 2 else np.pad(part, ((0, 0), (0, width - part.shape[1])), constant_values=-1)
            for part in parts
        ]
    )


def _fill(archive: h5py.File, segments: Segments, plan: Mapping[str, Any], check: Callable[[], None]) -> None:
    archive.attrs["schema_version"] = SCHEMA_VERSION
    archive["class_names"] = list(plan["class_names"])
    archive["plan"] = json.dumps(plan)
    metrics = tuple(plan["metrics"])
    small: dict[str, list[Array]] = {}
    for batch in segments.batches():
        for name, table in tables(batch, metrics).items():
            small.setdefault(name, []).append(table)
    archive["costs"] = json.dumps(segments.costs())
    for name, several in small.items():
        archive[name] = joined(several)
    questions, batches = len(archive["questions/label"]), segments.complete()
    for explainer in segments.explainers:
        parts = (segments.maps(index, explainer) for index in range(batches))
        _fill_maps(archive, explainer, questions, parts, check)


def _fill_maps(
    archive: h5py.File, explainer: str, questions: int, parts: Iterator[Array], check: Callable[[], None]
) -> None:
    path, first = f"explainers/{explainer}/maps", 0
    for maps in parts:
        check()
        if path not in archive:
            options = {"chunks": (1, *maps.shape[1:]), "compression": "gzip", "compression_opts": 1, "shuffle": True}
            shape = (questions, *maps.shape[1:])
            stored = archive.create_dataset(path, shape, np.float32, **(options if questions else {}))
        stored[first : first + len(maps)] = maps
        first += len(maps)


def _header(handle: int) -> bytes:
    """The first bytes of an archive: the checksum of all others."""
    checksum, offset = 0, _HEADER_BYTES
    while block := os.pread(handle, _BLOCK_BYTES, offset):
        checksum = int(google_crc32c.extend(checksum, block))
        offset += len(block)
    said = f"explainrun results, {offset} bytes, CRC-32C {checksum:08x} from byte {_HEADER_BYTES} on\n"
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
