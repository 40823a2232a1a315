"""Who holds a summary folder, as its lock file says; for those that want to know and do not want to hold it."""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..untrusted.numpy_json import json_of

LOCK_FILE = ".explainrun.lock"
STALE_SECONDS = 60.0

# Record locks do not distinguish two runs of one process, and closing a second handle would let go of the first's.
held_here: set[Path] = set()
changing = threading.Lock()


@dataclass(frozen=True)
class Holder:
    """Whom a lock file names.

    Attributes:
        host: where it runs, as far as the file says.
        pid: its process there, as far as the file says.
        silent: seconds since it last said that it is alive.
        alive: whether the next start would find the folder in use.
    """

    host: str | None
    pid: int | None
    silent: float
    alive: bool


def holder_of(root: Path) -> Holder | None:
    """Who writes to a summary folder, or did until it died; None where there is no lock file.

    Takes no lock and writes nothing.

    Raises:
        OSError: if the folder cannot be looked at.
    """
    path = root / LOCK_FILE
    try:
        silent = max(time.time() - path.stat().st_mtime, 0.0)
        if not path.is_file():
            return Holder(None, None, silent, alive=False)
        with changing:
            if root.resolve() in held_here:  # opening and closing the file would let go of this process's own lock
                return Holder(socket.gethostname(), os.getpid(), silent, alive=True)
            content, locked = _looked_at(path)
    except FileNotFoundError:
        return None
    host, pid = content.get("host"), content.get("pid")
    if locked is None or (not locked and host != socket.gethostname()):
        locked = silent < STALE_SECONDS
    return Holder(host if isinstance(host, str) else None, pid if isinstance(pid, int) else None, silent, locked)


def content_of(file: int) -> dict[str, Any]:
    """What an open lock file holds: host, pid and token of its owner; empty where they are not written yet."""
    with suppress(ValueError):
        content = json_of(os.pread(file, 4096, 0))
        if isinstance(content, dict):
            return content
    return {}


def fresh_content_of(file: int) -> dict[str, Any]:
    """The same as other hosts left it: a network file system may have pages of its own, of what the file held before.

    Through the same handle, since opening the file again would give up the record lock when that is closed.
    """
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
    return content_of(file)


def named(content: dict[str, Any]) -> str:
    """The process that a lock file names, in words."""
    return f"process {content.get('pid', '?')} on {content.get('host', 'an unknown host')}"


def _looked_at(path: Path) -> tuple[dict[str, Any], bool | None]:
    """What a lock file holds, and whether another process has a record lock on it; None where that cannot be known."""
    try:
        file = os.open(path, os.O_RDONLY)
    except PermissionError:
        return {}, None
    try:
        return content_of(file), _locked(file)
    finally:
        os.close(file)


def _locked(file: int) -> bool | None:
    if sys.platform != "linux":  # where the layout below is another
        return None
    layout = "hhqqi4x"  # struct flock: type, whence, start, length, process
    asked = struct.pack(layout, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
    try:
        answer = fcntl.fcntl(file, fcntl.F_GETLK, asked)
    except OSError:  # a file system without record locks
        return None
    return bool(struct.unpack(layout, answer)[0] != fcntl.F_UNLCK)
