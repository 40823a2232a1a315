"""Files that may be anything: a pipe would block its reader, a device never end, a sparse file fill the memory."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from ..errors import NotRegularError

MOST_BYTES = 64 * 2**20  # of a text that is read as a whole


def open_regular(path: str | os.PathLike[str]) -> BinaryIO:
    """A regular file, or a link to one, to read.

    Raises:
        NotRegularError: if it is a pipe, a device or a socket.
        OSError: if it cannot be opened, or is a folder.
    """
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    kind = os.fstat(descriptor).st_mode
    if stat.S_ISREG(kind):
        if hasattr(os, "set_blocking"):
            os.set_blocking(descriptor, True)
        return os.fdopen(descriptor, "rb")
    with suppress(OSError):
        os.close(descriptor)
    if stat.S_ISDIR(kind):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    raise NotRegularError(Path(path), "it is not a regular file")


def read_regular(path: str | os.PathLike[str], most: int = MOST_BYTES) -> bytes:
    """What a regular file holds.

    Args:
        path: which one.
        most: bytes that it may have.

    Raises:
        NotRegularError: if it is something else, or larger.
        OSError: if it cannot be read.
    """
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > most:
            raise NotRegularError(Path(path), f"it is larger than {most // 2**20} MiB")
        return file.read(size)  # of so many bytes, since memory is allotted for as many as are asked for
