"""What a file of maps holds, checked throughout. To be called in a process that may die: see ``maps_file``.

It is a stranger's: HDF5 that was damaged, or made to break its reader, may hang or end the process. Everything else is
refused here, each thing with a code. Memory holds 40 bytes for each map, and one block of maps.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import h5py
import numpy as np

from ..names import is_text
from ..problem import Problem
from ..untrusted.hdf5 import stored_dataset
from ..untrusted.regular_files import open_regular
from ..untrusted.variable_text import text_of_any_length
from .map_store import LABEL_BITS, SAMPLE_BITS, Integers, Maps, MapsFileError, question_keys

MAPS, SAMPLE, LABEL, SOURCE = "maps", "sample", "label", "source"
DIGEST_BYTES = 16
LONGEST_SOURCE = 200  # characters
_MAGIC = b"\x89HDF\r\n\x1a\n"
_FIRST_PLACES = (0, *(512 << power for power in range(12)))  # where HDF5 looks for it
_BLOCK_BYTES, _MOST_BLOCK_BYTES = 2**23, 2**25  # of maps that are read together
_FREE_ROWS, _BYTES_A_ROW = 2**20, 8  # more maps than that must be so large on disk
_ADVICE = "write them plain, or with chunks=(1, height, width)"


@dataclass(frozen=True, kw_only=True)
class CheckedIndex:
    """All of a file of maps but the maps.

    Attributes:
        questions: (Q, 2) sample id and label of each map.
        digests: (Q, 16) checksum of each map with its question, as bytes.
        size: height and width of the maps.
        source: who made them; empty where the file does not say that.
    """

    questions: Integers
    digests: np.ndarray[tuple[int, int], np.dtype[np.uint8]]
    size: tuple[int, int]
    source: str

    @property
    def digest(self) -> str:
        """Checksum of all maps with their questions and their size, whatever order they stand in."""
        ordered = self.digests[np.argsort(question_keys(*self.questions.T))]
        return blake2b(f"{self.size} ".encode() + ordered.tobytes(), digest_size=DIGEST_BYTES).hexdigest()


def checked_index(path: Path, alive: Callable[[], None] = lambda: None) -> CheckedIndex:
    """Read a file of maps through.

    Args:
        path: the file.
        alive: called after each block of maps.

    Raises:
        MapsFileError: if it is not one; says what is wrong.
        NotRegularError: if it is a pipe, a device or a socket.
        OSError: if it cannot be read.
    """
    with hdf5(path) as file:
        maps, sample, label = (_dataset(path, file, name) for name in (MAPS, SAMPLE, LABEL))
        _check_forms(path, maps, sample, label)
        questions = _questions(path, sample, label)
        digests = np.zeros((len(questions), DIGEST_BYTES), np.uint8)
        for first, block in _blocks(maps):
            for place, one in enumerate(block, first):
                digests[place] = np.frombuffer(map_digest(questions[place], one), np.uint8)
            alive()
        return CheckedIndex(questions=questions, digests=digests, size=maps.shape[1:], source=_source(path, file))


def map_digest(question: Integers, one: Maps) -> bytes:
    """Checksum of a map (H, W) and the sample id and label (2,) that it belongs to."""
    said = blake2b(np.ascontiguousarray(question, "<i8").tobytes(), digest_size=DIGEST_BYTES)
    said.update(np.ascontiguousarray(one, "<f4").tobytes())
    return said.digest()


def float_maps(values: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> Maps:
    """Numbers as maps of float32; what is too large for it becomes infinite."""
    with np.errstate(over="ignore"):
        maps: Maps = np.asarray(values).astype(np.float32)
    return maps


@contextmanager
def hdf5(path: Path) -> Iterator[h5py.File]:
    """A file of maps, open to be read, whose errors name it.

    Raises:
        MapsFileError: within, where HDF5 finds something wrong, or if the file is not of HDF5.
        NotRegularError: if it is a pipe, a device or a socket.
        OSError: if it cannot be opened.
    """
    with open_regular(path) as content:
        size = os.fstat(content.fileno()).st_size
        if not any(_begins_at(place, content.fileno()) for place in _FIRST_PLACES if place < size):
            words = "{file} is not an HDF5 file; docs/how-to/later.md says how to write maps that can be imported"
            raise MapsFileError(Problem.of("maps-file-not-hdf5", words, file=path))
    try:
        with h5py.File(path, "r") as file:
            yield file
    except MapsFileError:
        raise
    except Exception as error:  # of a damaged file h5py raises nearly anything
        said = " ".join(str(error).split()) or type(error).__name__
        raise MapsFileError(
            Problem.of("maps-file-damaged", "{file} cannot be read: {said}", file=path, said=said)
        ) from error


def _begins_at(place: int, descriptor: int) -> bool:
    return os.pread(descriptor, len(_MAGIC), place) == _MAGIC


def _dataset(path: Path, file: h5py.File, name: str) -> h5py.Dataset:
    """A dataset that lies in the file, all of it.

    Raises:
        MapsFileError: if it is missing, or is something else.
    """
    if file.get(name, getlink=True) is None:
        words = "{file} has no dataset {name!r}; a file of maps holds {wanted:list}"
        raise MapsFileError(Problem.of("maps-file-lacks", words, file=path, name=name, wanted=[MAPS, SAMPLE, LABEL]))
    try:
        return stored_dataset(file, name)
    except ValueError as error:
        raise MapsFileError(
            Problem.of("maps-file-stored-otherwise", "{file}: {said}", file=path, name=name, said=str(error))
        ) from error


def _check_forms(path: Path, maps: h5py.Dataset, sample: h5py.Dataset, label: h5py.Dataset) -> None:
    """Make sure that maps are (Q, H, W) numbers, the others (Q,) whole numbers, and that one map can be read alone."""
    for name, dataset, kinds, axes in ((MAPS, maps, "fiub", 3), (SAMPLE, sample, "iu", 1), (LABEL, label, "iu", 1)):
        if dataset.dtype.kind not in kinds or dataset.dtype.fields is not None:
            words = "{file}: {name} must hold {what}, it is of type {kind}"
            what = "numbers" if name == MAPS else "whole numbers"
            values = {"file": path, "name": name, "what": what, "kind": str(dataset.dtype)}
            raise MapsFileError(Problem.of("maps-file-no-numbers", words, **values))
        if len(dataset.shape) != axes or len(dataset) != len(maps):
            words = "{file}: {name} must be of shape {wanted}, it is {shape}, and maps are {maps}"
            wanted = "(maps, height, width)" if name == MAPS else "(maps,)"
            values = {"name": name, "wanted": wanted, "shape": dataset.shape, "maps": maps.shape}
            raise MapsFileError(Problem.of("maps-file-shapes", words, file=path, **values))
    if not maps.size:
        raise MapsFileError(
            Problem.of("maps-file-empty", "{file} holds no map: maps are {maps}", file=path, maps=maps.shape)
        )
    if len(maps) > max(_FREE_ROWS, path.stat().st_size // _BYTES_A_ROW):
        words = "{file} claims {count} maps and is too small for them"
        raise MapsFileError(Problem.of("maps-file-too-many", words, file=path, count=len(maps)))
    if _rows_together(maps) * _map_bytes(maps) > _MOST_BLOCK_BYTES and maps.chunks is not None:
        words = "{file}: maps are stored in chunks {chunks}, of which a single map cannot be read; {advice}"
        raise MapsFileError(Problem.of("maps-file-chunks", words, file=path, chunks=maps.chunks, advice=_ADVICE))


def _rows_together(maps: h5py.Dataset) -> int:
    """How many maps HDF5 has to read to read one."""
    return 1 if maps.chunks is None else min(maps.chunks[0], len(maps))


def _map_bytes(maps: h5py.Dataset) -> int:
    return int(np.prod(maps.shape[1:], dtype=np.int64)) * int(maps.dtype.itemsize)


def _questions(path: Path, sample: h5py.Dataset, label: h5py.Dataset) -> Integers:
    """(Q, 2) sample id and label of each map.

    Raises:
        MapsFileError: if one is negative or far too large, or a pair stands twice.
    """
    for name, dataset, bits in ((SAMPLE, sample, SAMPLE_BITS), (LABEL, label, LABEL_BITS)):
        values = dataset[...]
        wrong = np.flatnonzero((values < 0) | (values >= 1 << bits))
        if len(wrong):
            words = "{file}: {name} {value} of map {place} is not a whole number from 0, as positions and indices are"
            found = {"name": name, "value": int(values[wrong[0]]), "place": int(wrong[0])}
            raise MapsFileError(Problem.of("maps-file-negative", words, file=path, **found))
    questions: Integers = np.stack([sample[...].astype(np.int64), label[...].astype(np.int64)], axis=1)
    keys = question_keys(*questions.T)
    order = np.argsort(keys, kind="stable")
    again = order[1:][np.diff(keys[order]) == 0]
    if len(again):
        words = "{file} holds {count:plural map} too many: label {label} of sample {sample} has two"
        of_sample, of_label = questions[again[0]].tolist()
        values = {"count": len(again), "sample": of_sample, "label": of_label}
        raise MapsFileError(Problem.of("maps-file-repeated", words, file=path, **values))
    return questions


def _blocks(maps: h5py.Dataset) -> Iterator[tuple[int, Maps]]:
    """Blocks of maps in order, each with the place of its first one, cut where chunks are."""
    together = _rows_together(maps)
    rows = max(_BLOCK_BYTES // (_map_bytes(maps) * together), 1) * together
    for first in range(0, len(maps), rows):
        yield first, float_maps(maps[first : first + rows])


def _source(path: Path, file: h5py.File) -> str:
    """Who made the maps, if the file says that.

    Raises:
        MapsFileError: if it says something else there.
    """
    if file.get(SOURCE, getlink=True) is None:
        return ""
    try:
        said = text_of_any_length(file, SOURCE)
    except ValueError as error:
        said_instead = str(error)
    else:
        if is_source(said):
            return said
        said_instead = f"it has {len(said)} characters, or some that cannot be shown"
    words = "{file}: {name} must be a text in one line, of up to {most} characters; {said}"
    values = {"name": SOURCE, "most": LONGEST_SOURCE, "said": said_instead}
    raise MapsFileError(Problem.of("maps-file-source", words, file=path, **values))


def is_source(text: str) -> bool:
    """Whether a text can say who made maps: one short line that can be shown."""
    return len(text) <= LONGEST_SOURCE and is_text(text) and (text.isprintable() or not text)
