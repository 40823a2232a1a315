"""HDF5 files of others, read with suspicion.

An HDF5 file may send its reader elsewhere (links and data in other files), have it load code (filters) or claim sizes
that it does not hold. None of that is needed for plain arrays of numbers, so none is followed. What remains is HDF5
itself, which is not made for files that somebody built to break it: where a file may come from anybody, look at it in a
process that may die.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py

from ..errors import BrokenRecordError
from .regular_files import open_regular

_FILTERS = {h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32}
_MOST_DEFLATED = 1032  # no byte of deflate stands for more
_SMALL_CHUNK = 2**20


@contextmanager
def opened(path: Path) -> Iterator[h5py.File]:
    """An HDF5 file for reading, whose errors name it.

    Raises:
        BrokenRecordError: within, where HDF5 or a check of ours finds something wrong.
        FileNotFoundError: if it is not there.
    """
    try:
        open_regular(path).close()
        with h5py.File(path, "r") as file:
            yield file
    except (BrokenRecordError, FileNotFoundError):
        raise
    except (OSError, RuntimeError, ValueError, KeyError, TypeError, OverflowError) as error:
        reason = " ".join(str(error.args[0] if isinstance(error, KeyError) and error.args else error).split())
        raise BrokenRecordError(path, 0, 0, f"it cannot be read: {reason or type(error).__name__}") from error


def plain_dataset(file: h5py.Group, name: str) -> h5py.Dataset:
    """A dataset of a file that lies in that file.

    Raises:
        ValueError: if it is missing or something else.
    """
    found = file
    for part in name.split("/"):
        link = found.get(part, getlink=True) if isinstance(found, h5py.Group) else None
        if link is None:
            raise ValueError(f"{name} is missing")
        if not isinstance(link, h5py.HardLink):
            raise ValueError(f"{name} is reached by a link, which may lead to another file; put the data itself there")
        found = found[part]
    if not isinstance(found, h5py.Dataset):
        raise ValueError(f"{name} is not a dataset")
    made = found.id.get_create_plist()
    if made.get_layout() == h5py.h5d.VIRTUAL or made.get_external_count():
        raise ValueError(f"{name} takes its values from other files; put the data itself there")
    return found


def stored_dataset(file: h5py.Group, name: str) -> h5py.Dataset:
    """A plain dataset whose values are all there, so that reading them takes no more than the file can hold.

    Raises:
        ValueError: if it is something else.
    """
    dataset = plain_dataset(file, name)
    made = dataset.id.get_create_plist()
    filters = {made.get_filter(i)[0] for i in range(made.get_nfilters())}
    if not filters <= _FILTERS:
        raise ValueError(f"{name} is stored through filters that are not read here; store it plain or with gzip")
    if dataset.shape is None:
        raise ValueError(f"{name} holds nothing")
    if any(most not in (None, size) for size, most in zip(dataset.shape, dataset.maxshape, strict=True)):
        raise ValueError(f"{name} of shape {dataset.shape} could grow to {dataset.maxshape}")
    itemsize, stored = dataset.id.get_type().get_size(), dataset.id.get_storage_size()
    ratio = _MOST_DEFLATED if h5py.h5z.FILTER_DEFLATE in filters else 1
    chunk = 0 if dataset.chunks is None else math.prod(dataset.chunks) * itemsize
    if math.prod(dataset.shape) * itemsize > stored * ratio or chunk > max(stored * ratio, _SMALL_CHUNK):
        raise ValueError(f"{name} is of shape {dataset.shape}, of which {stored} bytes are stored")
    return dataset


def whole_number_of(file: h5py.File, name: str) -> int:
    """An attribute of a file that is one whole number.

    Raises:
        ValueError: if it is something else.
    """
    if name not in file.attrs:
        raise ValueError(f"its attribute {name} is missing")
    found = file.attrs.get_id(name)
    if found.shape != () or found.dtype.kind not in "iu":
        raise ValueError(f"its attribute {name} must be a whole number")
    return int(file.attrs[name])


def text_of(file: h5py.Group, name: str) -> str:
    """What a dataset says that is one text of fixed length.

    Raises:
        ValueError: if it is something else.
    """
    dataset = stored_dataset(file, name)
    kind = h5py.check_string_dtype(dataset.dtype)
    if dataset.shape != () or kind is None:
        raise ValueError(f"{name} must be a text")
    if kind.length is None:
        raise ValueError(f"{name} is a text of variable length, which archives of this version do not hold")
    return str(dataset.asstr()[()])
