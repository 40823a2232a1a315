"""Maps of an archive: a chunk of HDF5 each, packed by threads.

HDF5 packs one chunk after the other and looks for what repeats. Gradient maps are mostly noise, in which little does,
and take as long to pack as a small network takes to make them. So threads pack here, and where little repeats in a part
of a map they look for runs of one byte alone, in half the time. HDF5 reads both as its gzip.
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
_TRIED_ROWS = 8
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
            for place, chunk in enumerate(self._threads.map(packed, maps), first):
                archive[path].id.write_direct_chunk((place, 0, 0), chunk)
            first += len(maps)
        if path not in archive:  # of a shard without samples
            archive.create_dataset(path, (0, 0, 0), np.float32)


def packed(saliency: Array) -> bytes:
    """A map (H, W) as a chunk of HDF5: the first bytes of all values, then the second ones, and so on, deflated."""
    values = np.ascontiguousarray(saliency, "<f4")
    planes = np.ascontiguousarray(np.moveaxis(values.view(np.uint8).reshape(*values.shape, 4), 2, 0))
    return _deflated(planes, _strategy(planes))


def _strategy(planes: Array) -> int:
    """What to look for in bytes (4, H, W): runs of one byte, unless the middle rows are smaller packed otherwise."""
    middle = planes.shape[1] // 2
    part = planes[:, max(0, middle - _TRIED_ROWS // 2) : middle + _TRIED_ROWS // 2]
    runs, all_repeats = (len(_deflated(part, strategy)) for strategy in (zlib.Z_RLE, zlib.Z_DEFAULT_STRATEGY))
    return zlib.Z_RLE if runs <= all_repeats else zlib.Z_DEFAULT_STRATEGY


def _deflated(values: Array, strategy: int) -> bytes:
    stream = zlib.compressobj(_LEVEL, strategy=strategy)
    return stream.compress(values.tobytes()) + stream.flush()
