"""The checksums within HDF5 (Jenkins' lookup3), so that damage can be put under ones that are right."""

from __future__ import annotations

import struct
from collections.abc import Iterator

_WORD = 0xFFFFFFFF
_MIX = ((0, 2, 4, 1), (1, 0, 6, 2), (2, 1, 8, 0), (0, 2, 16, 1), (1, 0, 19, 2), (2, 1, 4, 0))
_END = ((2, 1, 14), (0, 2, 11), (1, 0, 25), (2, 1, 16), (0, 2, 4), (1, 0, 14), (2, 1, 24))
_FIXED = {b"\x89HDF\r\n\x1a\n": 44, b"FAHD": 24}  # superblock, head of an index of chunks


def lookup3(data: bytes) -> int:
    """``hashlittle`` of lookup3.c with a start of 0."""
    state = [(0xDEADBEEF + len(data)) & _WORD] * 3
    if not data:
        return state[2]
    whole = (len(data) - 1) // 12 * 12
    for words in struct.iter_unpack("<3I", data[:whole]):
        state = [(value + word) & _WORD for value, word in zip(state, words, strict=True)]
        for x, y, bits, z in _MIX:
            state[x] = (state[x] - state[y]) & _WORD ^ _turned(state[y], bits)
            state[y] = (state[y] + state[z]) & _WORD
    last = struct.unpack("<3I", data[whole:].ljust(12, b"\0"))
    state = [(value + word) & _WORD for value, word in zip(state, last, strict=True)]
    for x, y, bits in _END:
        state[x] = ((state[x] ^ state[y]) - _turned(state[y], bits)) & _WORD
    return state[2]


def checked_blocks(hdf5: bytes) -> Iterator[tuple[int, int]]:
    """Where blocks of metadata begin and where their checksums are: superblock, object headers, heads of indices."""
    for start in range(len(hdf5) - 8):
        end = next((start + size for magic, size in _FIXED.items() if hdf5.startswith(magic, start)), None)
        if hdf5.startswith(b"OHDR\x02", start):
            flags = hdf5[start + 5]
            place = start + 6 + 16 * bool(flags & 32) + 4 * bool(flags & 16)
            width = 1 << (flags & 3)
            end = place + width + int.from_bytes(hdf5[place : place + width], "little")
        if end is not None and lookup3(hdf5[start:end]).to_bytes(4, "little") == hdf5[end : end + 4]:
            yield start, end


def _turned(value: int, bits: int) -> int:
    return (value << bits | value >> (32 - bits)) & _WORD
