"""Maps of an archive: a chunk of HDF5 each, packed by threads.

HDF5 packs one chunk after the other and looks for what repeats. Gradient maps are mostly noise, in which little does,
and take as long to pack as a small network takes to make them. So threads pack here, and look for runs of one byte
alone where few neighbours are equal: in half the time, and hardly larger. HDF5 reads both as its gzip.
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
    shuffled = values.view(np.uint8).reshape(-1, 4).T.tobytes()
    flat = values.ravel()
    alike = (
        2 * np.count_nonzero(flat[1:] == flat[:-1]) > flat.size
    )  # such as windows of Occlusion, which repeat in rows
    strategy = zlib.Z_DEFAULT_STRATEGY if alike else zlib.Z_RLE
    stream = zlib.compressobj(_LEVEL, strategy=strategy)
    return stream.compress(shuffled) + stream.flush()
