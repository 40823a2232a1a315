"""A file of maps that another library or a person made, so that a run can score, rank and show them beside its own.

HDF5, with these datasets at its top:

``maps``    (Q, height, width) numbers, of the size of the run's images; larger is more important; NaN or infinity
            in a map says that it could not be computed. They are taken as float32.
``sample``  (Q,) whole numbers: which sample each map is of, by its position in the run's dataset, from 0.
``label``   (Q,) whole numbers: which class it explains, by the index of the network's output.
``source``  a text of up to 200 characters, which may be missing: who made them, such as "captum 0.8, Saliency".

No sample and label may stand twice; their order is free. Values must lie in the file itself, plain or by gzip (also
with the filters shuffle and fletcher32), in chunks that hold few maps: ``chunks=(1, height, width)`` is best, and what
h5py chooses fits small files only. Everything else in the file is ignored.

The file is read through once, in a process of its own: HDF5 that was damaged, or made to break its reader, may hang or
end that. Afterwards maps are read here, each compared with its checksum of then.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from ..problem import Problem
from .checked_index import MAPS, float_maps, hdf5, map_digest
from .map_store import Integers, Maps, MapsFileError, MapStore, stretches
from .reading_process import index_read_apart


class MapsFile(MapStore):
    """The maps of a file; they are read when they are asked for.

    Args:
        path: the file, as described above.

    Raises:
        MapsFileError: if it is not one of maps, damaged, or made to break its reader; with a code for each reason.
        OSError: if it cannot be read.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        self._stamp = self._found()
        index = index_read_apart(self._path)
        self.questions, self.size, self.source = index.questions, index.size, index.source
        self.digest, self._digests = index.digest, index.digests

    def read(self, places: Integers) -> Maps:
        maps = np.zeros((len(places), *self.size), np.float32)
        if self._found() != self._stamp:
            raise self._changed()
        with hdf5(self._path) as file:
            for which, rows in stretches(places):
                maps[which] = float_maps(file[MAPS][rows])
        for one, place in zip(maps, places.tolist(), strict=True):
            if map_digest(self.questions[place], one) != self._digests[place].tobytes():
                raise self._changed()
        return maps

    def _found(self) -> tuple[int, int, int]:
        """By what the file is known again without reading it."""
        found = os.stat(self._path)
        return found.st_ino, found.st_size, found.st_mtime_ns

    def _changed(self) -> MapsFileError:
        words = "{file} was changed while its maps were being used; import it again"
        return MapsFileError(Problem.of("maps-file-changed", words, file=self._path))
