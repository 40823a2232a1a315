"""Maps of an archive: a chunk of HDF5 each, packed by threads.

HDF5 packs one chunk after the other and looks for what repeats. Gradient maps are mostly noise, in which little does,
and take as long to pack as a small network takes to make them. So threads pack here, and where little repeats they look
for runs of one byte alone, and pack the four bytes of floats apart: a code that suits exponents does not suit noise,
and what is nothing but noise is stored as it is. This takes two fifths of HDF5's time, which reads it as its gzip.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

_THREADS = 4
_LEVEL = 1
_SMALL = 1 << 14  # bytes of a map that HDF5's own way packs sooner than the better way is found
_TRIED = 1 << 12  # bytes that are packed both ways to see which is better
_TRIED_PLANE = 2  # exponents repeat even in noise, the lowest bytes hardly ever
_NOISE = 0.98  # of their size: bytes that do not become smaller are stored as they are
_HEADER, _END = b"\x78\x01", b"\x03\x00"  # of a zlib stream (RFC 1950); of its last block, which is empty (RFC 1951)
_FILTERS: dict[str, Any] = {"compression": "gzip", "compression_opts": _LEVEL, "shuffle": True}


class ChunkWriter:
    """Writes maps; a context, within which its threads live."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_THREADS, "explainrun-pack")

    def __enter__(self) -> ChunkWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._threads.shutdown()

    def write(
        self, archive: h5py.File, path: str, questions: int, parts: Iterator[Array], check: Callable[[], None]
    ) -> None:
        """Make a dataset of all maps, float32 (questions, H, W).

        Args:
            archive: the file.
            path: where in it.
            questions: how many maps come.
            parts: maps (n, H, W) of some questions each, in order; memory holds one part at a time.
            check: called before each; raises to stop this.
        """
        first = 0
        for maps in parts:
            check()
            if path not in archive:
                options = {"chunks": (1, *maps.shape[1:]), **_FILTERS} if questions else {}
                archive.create_dataset(path, (questions, *maps.shape[1:]), np.float32, **options)
            stored = archive[path].id
            for place, chunk in enumerate(self._threads.map(packed, maps), first):
                stored.write_direct_chunk((place, 0, 0), chunk)
            first += len(maps)
        if path not in archive:  # of a shard without samples
            archive.create_dataset(path, (0, 0, 0), np.float32)


def packed(saliency: Array) -> bytes:
    """A map (H, W) as a chunk of HDF5: the first bytes of all values, then the second ones, and so on, deflated."""
    bits = np.ascontiguousarray(saliency, np.float32).view(np.uint32)
    planes = np.stack([(bits >> lowest).astype(np.uint8) for lowest in range(0, 32, 8)])
    if planes.nbytes <= _SMALL or not _suit_runs(planes[_TRIED_PLANE]):
        return zlib.compress(planes.tobytes(), _LEVEL)  # as HDF5 does
    parts = [_deflated(plane, zlib.Z_RLE, 0 if _is_noise(plane) else _LEVEL) for plane in planes]
    return b"".join([_HEADER, *parts, _END, zlib.adler32(planes.tobytes()).to_bytes(4, "big")])


def _suit_runs(plane: Array) -> bool:
    """Whether looking for runs of one byte alone makes the middle rows of bytes (H, W) as small as anything."""
    height, width = plane.shape
    above = max(0, height - max(1, _TRIED // width)) // 2
    rows = plane[above : height - above]
    runs, all_repeats = (len(_deflated(rows, strategy)) for strategy in (zlib.Z_RLE, zlib.Z_DEFAULT_STRATEGY))
    return runs <= all_repeats


def _is_noise(plane: Array) -> bool:
    """Whether bytes (H, W) hardly become smaller, by some rows, one in so many."""
    rows = plane[:: max(1, plane.size // _TRIED)]
    return len(_deflated(rows, zlib.Z_RLE)) > _NOISE * rows.size


def _deflated(values: Array, strategy: int, level: int = _LEVEL) -> bytes:
    """Blocks of a deflate stream, which end at a whole byte, so that others can follow; packed at all above level 0."""
    stream = zlib.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS, strategy=strategy)
    return stream.compress(values.tobytes()) + stream.flush(zlib.Z_SYNC_FLUSH)
