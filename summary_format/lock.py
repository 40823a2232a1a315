"""One writer a summary folder.

The lock file is held by a POSIX record lock, which the kernel lets go when its process dies, however it dies; so the
next start on the same host, or on another one where the file system passes locks on, takes over at once. Where it does
not, the file's age tells: its holder touches it every few seconds, and one left alone for ``STALE_SECONDS`` is free.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import secrets
import socket
import struct
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from .disk import make_folder, remove, write_at
from .untrusted import json_of

BEAT_SECONDS = 5.0
STALE_SECONDS = 60.0
SETTLE_SECONDS = 0.5

# Record locks do not tell two runs of one process apart, and closing a second handle would let go of the first's.
_held: set[Path] = set()
_changing = threading.Lock()


@dataclass(frozen=True)
class Holder:
    """Whom a lock file tells of.

    Attributes:
        host: where it runs, as far as the file says.
        pid: its process there, likewise.
        silent: seconds since it last said that it is alive.
        alive: whether the next start would find the folder in use.
    """

    host: str | None
    pid: int | None
    silent: float
    alive: bool


class FolderInUseError(OSError):
    """Another run is writing to the folder."""


class FolderLock:
    """Holds a summary folder for this run alone; a context manager.

    Args:
        root: the summary folder; made if missing, and removed again at the end if nothing was put there.

    Raises:
        FolderInUseError: at entering, if another run holds it; says who.
        OSError: if the lock file cannot be written.
    """

    def __init__(self, root: Path) -> None:
        self.root, self.path = root, root / ".explainrun.lock"
        self._place, self._token = root.resolve(), secrets.token_hex(8)
        self._lost: str | None = None
        self._done = threading.Event()

    def check(self) -> None:
        """Make sure that the folder is still this run's.

        Raises:
            FolderInUseError: if another run took it over, since this one was silent for too long.
            OSError: if the lock file cannot be kept alive.
        """
        if self._lost is not None:
            raise FolderInUseError(f"lost the lock on {self.root}: {self._lost}; run again to go on")

    def __enter__(self) -> FolderLock:
        self._made = [folder for folder in (self.root, *self.root.parents) if not folder.exists()]
        make_folder(self.root)
        try:
            self._acquire()
        except BaseException:
            self._leave_no_folder()
            raise
        self._beating = threading.Thread(target=self._beat, name="explainrun-lock", daemon=True)
        self._beating.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._beating.join()
        try:
            if self._is_ours():
                remove(self.path)  # before the record lock goes, so that nobody finds a file without one
        except OSError:
            if kind is None:  # else what went wrong before matters more
                raise
        finally:
            os.close(self._file)
            with _changing:
                _held.discard(self._place)
            self._leave_no_folder()

    def _acquire(self) -> None:
        with _changing:
            if self._place in _held:
                raise FolderInUseError(self._told("this process, in another run"))
            while not self._claimed():  # its last holder removed the file between its opening and its locking
                pass
            _held.add(self._place)

    def _claimed(self) -> bool:
        """Open and lock the file; False if it is not the one under its name any more."""
        self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            told_of = self._claim()
            if self._still_there():
                said = {"host": socket.gethostname(), "pid": os.getpid(), "token": self._token}
                write_at(self._file, json.dumps(said).encode().ljust(os.fstat(self._file).st_size), 0, self.path)
                if not told_of:
                    time.sleep(SETTLE_SECONDS)  # another start may have claimed it in the same moment
                if not self._is_ours():
                    raise FolderInUseError(self._told(_name(_holder(self._file))))
                return True
        except BaseException:
            os.close(self._file)
            raise
        os.close(self._file)
        return False

    def _claim(self) -> bool:
        """Take the record lock, and make sure that no holder whom it does not tell of is alive.

        Answers whether there are record locks here.
        """
        told_of = True
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EAGAIN, errno.EACCES):
                raise FolderInUseError(self._told(_name(_holder(self._file)))) from None
            if error.errno not in (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL):
                raise
            told_of = False  # a file system without record locks
        holder = _holder(self._file)
        age = time.time() - os.fstat(self._file).st_mtime
        elsewhere = holder.get("host") != socket.gethostname()
        if holder and age < STALE_SECONDS and (elsewhere or not told_of):
            left = STALE_SECONDS - age
            raise FolderInUseError(
                self._told(f"{_name(holder)}, alive {age:.0f} s ago; if it is dead, the folder is free in {left:.0f} s")
            )
        return told_of

    def _is_ours(self) -> bool:
        """Whether the lock's file says that this run holds it."""
        return self._still_there() and _holder(self._file).get("token") == self._token

    def _still_there(self) -> bool:
        """Whether the open file is the one under the lock's name."""
        with suppress(FileNotFoundError):
            return os.path.samestat(os.stat(self.path), os.fstat(self._file))
        return False

    def _beat(self) -> None:
        while not self._done.wait(BEAT_SECONDS):
            try:
                if not self._is_ours():
                    self._lost = "another run took it over, or its file was removed"
                    return
                os.utime(self._file)
            except OSError as error:
                self._lost = str(error)
                return

    def _leave_no_folder(self) -> None:
        for folder in self._made:
            with suppress(OSError):
                os.rmdir(folder)

    def _told(self, who: str) -> str:
        return f"another run is writing to {self.root}: {who}"


def _holder(file: int) -> dict[str, Any]:
    """What the lock file says of who writes; nothing where nobody said it yet."""
    with suppress(ValueError):
        said = json_of(os.pread(file, 4096, 0))
        if isinstance(said, dict):
            return said
    return {}


def _name(holder: dict[str, Any]) -> str:
    return f"process {holder.get('pid', '?')} on {holder.get('host', 'an unknown host')}"


def holder_of(root: Path) -> Holder | None:
    """Who writes to a summary folder, or did until it died; None where there is no lock file.

    Takes no lock and writes nothing.

    Raises:
        OSError: if the folder cannot be looked at.
    """
    path = root / ".explainrun.lock"
    try:
        silent = max(time.time() - path.stat().st_mtime, 0.0)
        if not path.is_file():
            return Holder(None, None, silent, alive=False)
        with _changing:
            if root.resolve() in _held:  # opening and closing the file would let go of this process's own lock
                return Holder(socket.gethostname(), os.getpid(), silent, alive=True)
            said, locked = _looked_at(path)
    except FileNotFoundError:
        return None
    host, pid = said.get("host"), said.get("pid")
    if locked is None or (not locked and host != socket.gethostname()):
        locked = silent < STALE_SECONDS
    return Holder(host if isinstance(host, str) else None, pid if isinstance(pid, int) else None, silent, locked)


def _looked_at(path: Path) -> tuple[dict[str, Any], bool | None]:
    """What a lock file says, and whether another process has a record lock on it; None where that cannot be told."""
    try:
        file = os.open(path, os.O_RDONLY)
    except PermissionError:
        return {}, None
    try:
        return _holder(file), _locked(file)
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
