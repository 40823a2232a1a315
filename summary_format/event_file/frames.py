"""Record framing of an event file: length, its CRC, payload, its CRC, as TFRecord has it.

Layout of one frame, little endian: ``u64 length``, ``u32 masked_crc(length)``, payload, ``u32 masked_crc(payload)``,
where the CRC is CRC-32C (Castagnoli), rotated and offset so that a CRC of data holding CRCs stays sound.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import google_crc32c

from ..errors import BrokenRecordError
from ..untrusted.regular_files import open_regular

_HEADER = struct.Struct("<QI")
_FOOTER = struct.Struct("<I")
_MASK_DELTA = 0xA282EAD8


@dataclass(frozen=True)
class Frame:
    """One payload and where it stands in its file."""

    index: int
    offset: int
    payload: bytes


def masked_crc(data: bytes) -> int:
    """CRC-32C of the data, rotated right by 15 bits and offset."""
    crc = int(google_crc32c.value(data))
    return (((crc >> 15) | (crc << 17)) + _MASK_DELTA) & 0xFFFFFFFF


def framed(payload: bytes) -> bytes:
    """The payload with its header and footer."""
    length = struct.pack("<Q", len(payload))
    return b"".join((length, _FOOTER.pack(masked_crc(length)), payload, _FOOTER.pack(masked_crc(payload))))


def read_frames(path: str | Path) -> Iterator[Frame]:
    """The frames of a file in order, each checked against both of its CRCs.

    Memory stays at the size of the largest record that the file really holds, whatever a damaged length says.

    Raises:
        BrokenRecordError: at the first frame that is cut short or fails a CRC.
        OSError: if the file cannot be read.
    """
    path = Path(path)
    with _to_read(path) as file:
        size = os.fstat(file.fileno()).st_size
        index = offset = 0
        while offset < size:
            payload = _payload(file.read(_HEADER.size), size - offset, path, index, offset)
            data, footer = file.read(payload), file.read(_FOOTER.size)
            if len(data) + len(footer) < payload + _FOOTER.size:
                raise BrokenRecordError(path, index, offset, "the file ends within its payload")
            if _FOOTER.unpack(footer)[0] != masked_crc(data):
                raise BrokenRecordError(path, index, offset, "the CRC of its payload does not match")
            yield Frame(index, offset, data)
            index, offset = index + 1, offset + _HEADER.size + payload + _FOOTER.size


@contextmanager
def _to_read(path: Path) -> Iterator[BinaryIO]:
    """A file to read. A close that fails takes nothing from what was read, so nothing is said of it."""
    file = open_regular(path)
    try:
        yield file
    finally:
        with suppress(OSError):  # of a reader that stops early it would be printed, with a traceback, by Python
            file.close()


def _payload(header: bytes, left: int, path: Path, index: int, offset: int) -> int:
    """Length of the payload that the header announces, once the header is known to be sound."""
    if len(header) < _HEADER.size:
        raise BrokenRecordError(path, index, offset, "the file ends within its header")
    length, crc = _HEADER.unpack(header)
    if crc != masked_crc(header[:8]):
        raise BrokenRecordError(path, index, offset, "the CRC of its length does not match")
    if length > left - _HEADER.size - _FOOTER.size:
        raise BrokenRecordError(path, index, offset, "the file ends within its payload")
    return int(length)
