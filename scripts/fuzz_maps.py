"""A file of imported maps for ``fuzz_readers.py``, and ways to build hostile ones."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from fuzz_damage import HOSTILE, raw

from explainrun.summary_format import RunFolder
from explainrun.summary_format.imported_maps import reading_process
from explainrun.summary_format.imported_maps.maps_file import MapsFile

FOLDER = "imported"  # in that of a run, whose readers know nothing of it
PATIENCE = 4.0  # seconds, so that a file that hangs HDF5 takes no longer here
_NAMES = ("maps", "sample", "label", "source")


def write_maps(folder: Path) -> None:
    """Twelve maps as h5py writes them by default, and compressed."""
    folder.mkdir(exist_ok=True)
    reading_process.PATIENCE = PATIENCE
    maps = np.random.default_rng(0).random((12, 8, 10), dtype=np.float32)
    for name, how in (("plain", {}), ("gzip", {"chunks": (1, 8, 10), "compression": "gzip", "shuffle": True})):
        with h5py.File(folder / f"{name}.h5", "w") as file:
            file.create_dataset("maps", data=maps, **how)
            file["sample"], file["label"], file["source"] = np.arange(12) // 2, np.arange(12) % 2, "a stranger"


def read_maps(run: RunFolder, name: str) -> Any:
    """All that a file of maps says."""
    found = MapsFile(run.root / FOLDER / name)
    maps = found.read(np.arange(len(found.questions)))
    return [found.questions, found.size, found.source, found.digest, maps]


def rebuilt_maps(rng: random.Random, data: bytes) -> bytes:
    """A file that HDF5 finds sound, and that holds something else than maps, or is damaged besides."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "maps.h5"
        path.write_bytes(data)
        with h5py.File(path, "r+") as file:
            name = rng.choice(_NAMES)
            table = file[name][...] if name != "source" else np.array(b"x" * 300)
            del file[name]
            rng.choice((*HOSTILE, _bomb))(rng, file, name, table)
        built = path.read_bytes()
    return raw(rng, built) if rng.random() < 0.2 else built


def _bomb(rng: random.Random, file: h5py.File, name: str, table: Any) -> None:
    """Little that becomes much: zeros, compressed, in chunks that hold many rows."""
    del table
    shape = rng.choice(((12, 1000, 800), (40, 500, 700), (3_000_000,)))
    chunks = shape if len(shape) == 1 else rng.choice((True, (1, *shape[1:]), (shape[0], 100, 100)))
    file.create_dataset(name, shape, "i1", data=np.zeros(shape, np.int8), chunks=chunks, compression="gzip")
