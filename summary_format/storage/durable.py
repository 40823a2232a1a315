"""Every change that a run makes to the file system, made durable; an error names the path that it is about.

Packages for atomic writes sync a folder after each file. A run writes thousands of pictures: folders are synced once a
commit, before the segment that says that they are there. And each renames within the target's folder, where a writer
that lost its lock could still do so.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

OWNER_READS = 0o400  # the viewer runs as the same user
OWNER_ENTERS = 0o700
_BLOCK_BYTES = 1 << 20


@contextmanager
def about(path: Path) -> Iterator[None]:
    """Name the path in an ``OSError`` that names none."""
    try:
        yield
    except OSError as error:
        if error.filename is None and error.errno is not None:
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, the new ones for their owner alone."""
    for missing in reversed([path for path in (folder, *folder.parents) if not path.exists()]):
        with suppress(FileExistsError):
            make_new_folder(missing)


def make_new_folder(folder: Path) -> None:
    """Make a folder in one that is there.

    Raises:
        FileExistsError: if it is there already.
        OSError: if it cannot be made.
    """
    with about(folder):
        os.mkdir(folder, OWNER_ENTERS)
    sync_folder(folder.parent)


def write_new(path: Path, data: bytes) -> None:
    """Write a new file, durably, readable by its owner alone.

    Raises:
        OSError: if it exists already or the disk refuses.
    """
    handle = open_new(path)
    try:
        append(handle, data, path)
    finally:
        os.close(handle)


def open_new(path: Path) -> int:
    """A handle on a new file, readable by its owner alone.

    Raises:
        OSError: if it exists already or cannot be made.
    """
    with about(path):
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, OWNER_READS)


def append(handle: int, data: bytes, path: Path) -> None:
    """Write at a handle's place and make everything durable that was written through it."""
    write(handle, data, path)
    sync(handle, path)


def write(handle: int, data: bytes, path: Path) -> None:
    """Write at a handle's place; ``sync`` makes it durable."""
    with about(path):
        left = memoryview(data)
        while left:
            left = left[os.write(handle, left) :]


def write_at(handle: int, data: bytes | memoryview, offset: int, path: Path) -> None:
    """Write at an offset; ``sync`` makes it durable."""
    with about(path):
        left = memoryview(data)
        while left:
            written = os.pwrite(handle, left, offset)
            left, offset = left[written:], offset + written


def sync(handle: int, path: Path) -> None:
    """Make what was written through a handle durable."""
    with about(path):
        os.fsync(handle)


def replace(source: Path, target: Path, *, durable: bool = True) -> None:
    """Give a file its final name, at once and whole; not durable until ``sync_folder`` where asked so."""
    with about(target):
        os.replace(source, target)
    if durable:
        sync_folder(target.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    with about(folder):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def remove(path: Path) -> None:
    """Remove a file; one that is gone already is fine."""
    with suppress(FileNotFoundError), about(path):
        os.unlink(path)


def move_aside(path: Path, aside: Path) -> None:
    """Take a file or folder away from where it is, at once and whole, to a name that is not there yet."""
    with about(path):
        os.replace(path, aside)


def remove_tree(path: Path) -> None:
    """Remove a folder with all it holds, a file, or of a symbolic link the link alone; what is gone already is fine."""
    if path.is_symlink() or not path.is_dir():
        remove(path)
        return

    def unless_gone(_function: object, _path: object, error: tuple[type[BaseException], BaseException, object]) -> None:
        if not isinstance(error[1], FileNotFoundError):
            raise error[1]

    try:
        shutil.rmtree(path, onerror=unless_gone)
    except OSError as error:
        if error.errno != errno.ENOTEMPTY:
            raise
        shutil.rmtree(path, onerror=unless_gone)  # whoever writes there made a file meanwhile, the last that it can


def copy(source: Path, made: Path) -> None:
    """Have a file under another name too: as a hard link, or where that cannot be as a copy.

    Args:
        source: the file, which does not change any more.
        made: a path where nothing is yet.
    """
    try:
        os.link(source, made)
    except FileNotFoundError:
        raise
    except OSError:  # another file system, or one without links
        _write_copy(source, made)


def _write_copy(source: Path, made: Path) -> None:
    handle = open_new(made)
    try:
        with source.open("rb") as file:
            while block := file.read(_BLOCK_BYTES):
                write(handle, block, made)
        sync(handle, made)
    finally:
        os.close(handle)
