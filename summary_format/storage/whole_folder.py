"""Folders of the user's that are there whole or not at all: filled beside their place, then renamed.

A writer that is killed leaves its folder. Each locks the one that it fills, as writers of whole files do, so the next
one that writes to the same place can see which are left, and removes them.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .durable import about, move_aside, remove_tree
from .whole_file import lock_new, new_partial, remove_unlocked

_OPEN = os.O_RDONLY | os.O_DIRECTORY


@contextmanager
def written_folder(path: str | Path, inside: Collection[str]) -> Iterator[Path]:
    """A folder to fill, which takes the place of what stands there once it is complete, or goes.

    Args:
        path: where it goes; folders above it are made.
        inside: names of all that may stand in it. What was left beside it and holds anything else is not touched.

    Raises:
        OSError: if it cannot be written.
    """
    target = Path(path).absolute()  # "." has no name of its own
    target.parent.mkdir(parents=True, exist_ok=True)

    def remove_left(handle: int, left: Path) -> None:
        if set(os.listdir(handle)) <= set(inside):
            remove_tree(left)

    remove_unlocked(target, _OPEN, remove_left)
    with about(target):
        handle, partial = _begun(target)
    try:
        yield partial
        _take_place(partial, target)
    finally:
        with suppress(OSError):
            remove_tree(partial)
        os.close(handle)


def _begun(target: Path) -> tuple[int, Path]:
    """A new folder beside a place, open and locked."""
    while True:
        partial = new_partial(target)
        partial.mkdir()
        with suppress(FileNotFoundError):  # another writer took it for a leftover before it was locked
            handle = os.open(partial, _OPEN | os.O_NOFOLLOW)
            if lock_new(handle, partial):
                return handle, partial
            os.close(handle)


def _take_place(partial: Path, target: Path) -> None:
    if not target.exists():
        partial.rename(target)
        return
    old = new_partial(target)
    move_aside(target, old)
    partial.rename(target)
    remove_tree(old)
