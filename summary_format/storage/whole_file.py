"""Files of the user's that are there whole or not at all: written beside their place, then renamed.

A writer that is killed between the two leaves its file. Each locks the file that it writes; the kernel lets go of the
lock however a process dies. So whoever writes to the same place next can see which files are left, and removes them.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .durable import about, remove, replace, sync, write

_MODE = 0o666  # less what the user's mask takes: such files are committed and edited as any other
_NAME_KEPT = 40  # characters of the place's name, which may have 255 bytes


def write_whole(path: str | Path, data: bytes) -> None:
    """Write a file, durably; what stands there is replaced at once, or stays as it is.

    Raises:
        OSError: if it cannot be written.
    """
    with written_whole(path) as write_on:
        write_on(data)


@contextmanager
def written_whole(path: str | Path) -> Iterator[Callable[[bytes], None]]:
    """What writes a file part by part, which takes the place of what stands there once it is complete, or goes.

    Raises:
        OSError: if it cannot be written.
    """
    target = Path(path).resolve()  # since a link shall stay one
    remove_leftovers(target)
    with about(target):
        handle, partial = _begun(target)
    try:
        yield lambda data: write(handle, data, partial)
        sync(handle, partial)
        replace(partial, target)
    finally:
        remove(partial)
        os.close(handle)


def remove_leftovers(path: str | Path) -> None:
    """Remove what writers of a file left that were killed, as far as that can be known and done."""
    remove_unlocked(Path(path).resolve(), os.O_WRONLY | os.O_NONBLOCK, lambda _, left: remove(left))


def _begun(target: Path) -> tuple[int, Path]:
    """A new file beside a place, open and locked."""
    while True:
        partial = new_partial(target)
        handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _MODE)
        if lock_new(handle, partial):
            return handle, partial
        os.close(handle)


def lock_new(handle: int, partial: Path) -> bool:
    """Lock a new file or folder; False if another writer took it for a leftover before."""
    with suppress(OSError):  # a file system without locks: there it stays, if its writer is killed
        fcntl.flock(handle, fcntl.LOCK_EX)
    return _is_at(handle, partial)


def new_partial(target: Path) -> Path:
    """A path beside a place that is not there yet, where what takes the place is made."""
    return target.with_name(f"{_prefix(target)}{secrets.token_hex(8)}")


def _prefix(target: Path) -> str:
    return f".{target.name[:_NAME_KEPT]}.explainrun-"


def remove_unlocked(target: Path, flags: int, remove_one: Callable[[int, Path], None]) -> None:
    """Remove what writers left beside a place that were killed, as far as that can be known and done.

    Args:
        target: the place.
        flags: with which it is opened.
        remove_one: removes one that is open, and whose writer is dead.
    """
    ours = re.compile(re.escape(_prefix(target)) + "[0-9a-f]{16}")
    with suppress(OSError):
        for left in [path for path in target.parent.iterdir() if ours.fullmatch(path.name)]:
            with suppress(OSError):
                handle = os.open(left, flags | os.O_NOFOLLOW)
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)  # raises where its writer lives
                    if _is_at(handle, left):
                        remove_one(handle, left)
                finally:
                    os.close(handle)


def _is_at(handle: int, path: Path) -> bool:
    """Whether an open file or folder is the one of that name."""
    with suppress(FileNotFoundError):
        return os.path.samestat(os.stat(path, follow_symlinks=False), os.fstat(handle))
    return False
