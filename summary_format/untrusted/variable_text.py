"""Texts of variable length, as archives of schema versions 1 and 2 hold them; none is written any more.

HDF5 keeps such a text in a global heap, its one structure without a checksum: where that is damaged, HDF5 may hang. So
it is read here.
"""

from __future__ import annotations

import os
import struct
from typing import BinaryIO

import h5py

from .hdf5 import stored_dataset, text_of

_REFERENCE, _COLLECTION, _OBJECT = struct.Struct("<IQI"), struct.Struct("<8sQ"), struct.Struct("<H6xQ")


def text_of_any_length(file: h5py.File, name: str) -> str:
    """What a dataset says that is one text, of fixed or variable length.

    Raises:
        ValueError: if it is something else.
    """
    dataset = stored_dataset(file, name)
    kind = h5py.check_string_dtype(dataset.dtype)
    if dataset.shape != () or kind is None or kind.length is not None:
        return text_of(file, name)
    place = dataset.id.get_offset()
    if place is None:
        raise ValueError(f"{name} is stored in chunks, where one text belongs")
    with open(file.filename, "rb") as content:
        length, address, index = _REFERENCE.unpack(_read(content, place, _REFERENCE.size))
        return _heap_object(content, file.userblock_size + address, index)[:length].decode()


def _heap_object(content: BinaryIO, start: int, wanted: int) -> bytes:
    """An object of a global heap.

    Layout: "GCOL", version, reserved, u64 size of all; then objects, each u16 index, u16 references, reserved, u64
    size, and its bytes, filled up to 8.
    """
    magic, size = _COLLECTION.unpack(_read(content, start, _COLLECTION.size))
    place, end = start + _COLLECTION.size, start + size
    if magic != b"GCOL\x01\0\0\0":
        raise ValueError("the heap of texts is damaged")
    while place + _OBJECT.size <= end:
        index, length = _OBJECT.unpack(_read(content, place, _OBJECT.size))
        if index == wanted:
            return _read(content, place + _OBJECT.size, length)
        if index == 0:  # what is left is free
            break
        place += _OBJECT.size + -(-length // 8) * 8
    raise ValueError("the heap of texts lacks one")


def _read(content: BinaryIO, start: int, length: int) -> bytes:
    """Bytes that must be there."""
    if start + length > os.fstat(content.fileno()).st_size:
        raise ValueError("a text lies out of range of the file")
    content.seek(start)
    return content.read(length)
