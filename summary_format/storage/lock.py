"""One writer per summary folder.

The lock file is held by a POSIX record lock, which the kernel lets go when its process dies, however it dies; so the
next start on the same host, or on another one where the file system passes locks on, takes over at once. Where it does
not, the file's age decides: its holder touches it every few seconds, and one left alone for ``STALE_SECONDS`` is free.

Whose token the file holds owns the folder. An owner that stood still for too long may have been taken over without
noticing, so it reads the file before each change, of pictures before the commit that they belong to, and makes each
change from its own folder (see ``writer_folder``).

The package filelock has neither a sign of life for file systems that pass no locks on, nor the holder's name for those
who are refused.
"""

from __future__ import annotations

import errno
import fcntl
import json
import math
import os
import secrets
import socket
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from ..errors import ExplainrunError
from ..exit_codes import EXIT_RESUMABLE
from ..problem import Problem
from .durable import make_folder, remove, write_at
from .lock_holder import LOCK_FILE, STALE_SECONDS, changing, content_of, fresh_content_of, held_here, named
from .writer_folder import OwnFolder

BEAT_SECONDS = 5.0
SETTLE_SECONDS = 0.5
_NO_RECORD_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)


class FolderInUseError(ExplainrunError, OSError):
    """Another run is writing to the folder."""

    exit_code = EXIT_RESUMABLE


class FolderLock:
    """Holds a summary folder for this run alone; a context manager.

    Whatever error leaves it after the folder was taken over by another run, becomes a ``FolderInUseError``: what the
    other one changes looks like damage to this one.

    Args:
        root: the summary folder; made if missing, and removed again at the end if nothing was put there.

    Attributes:
        own: the folder in which what this run writes is made.

    Raises:
        FolderInUseError: at entering, if another run holds it; says who.
        OSError: if the lock file cannot be written.
    """

    def __init__(self, root: Path) -> None:
        self.root, self.path = root, root / LOCK_FILE
        self._place, self._token = root.resolve(), secrets.token_hex(8)
        self.own = OwnFolder(root, self._token, self.check)
        self._done, self._own_is_made = threading.Event(), False

    def check(self) -> None:
        """Make sure that the folder is still this run's, by what the lock file holds now.

        Raises:
            FolderInUseError: if another run took it over, since this one was silent for too long.
            OSError: if the lock file cannot be read.
        """
        if not self._is_ours():
            words = "lost the lock on {folder}: another run took it over, or its file was removed; run again to resume"
            raise FolderInUseError(Problem.of("lock-lost", words, folder=self.root))

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
        try:
            self.own.make()
            self._own_is_made = True
            self.own.discard_others()
        except BaseException as error:
            self.__exit__(type(error), error, error.__traceback__)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._beating.join()
        try:
            self._let_go()
        except FolderInUseError as lost:
            if isinstance(error, Exception) and not isinstance(error, FolderInUseError):
                raise lost from error
        except OSError:
            if kind is None:  # else what went wrong before matters more
                raise
        finally:
            with suppress(OSError):
                self.own.clear()
            os.close(self._file)
            with changing:
                held_here.discard(self._place)
            self._leave_no_folder()

    def _let_go(self) -> None:
        """Remove the file, before the record lock goes, so that no one finds it without that."""
        self.check()
        (self.own.discard if self._own_is_made else remove)(self.path)

    def _acquire(self) -> None:
        with changing:
            if self._place in held_here:
                raise FolderInUseError(self._in_use("this process, in another run"))
            while not self._claimed():  # its last holder removed the file between its opening and its locking
                pass
            held_here.add(self._place)

    def _claimed(self) -> bool:
        """Open and lock the file; False if it is not the one under its name any more."""
        self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            seen = self._claim()
            if self._still_there():
                content = {"host": socket.gethostname(), "pid": os.getpid(), "token": self._token}
                write_at(self._file, json.dumps(content).encode().ljust(os.fstat(self._file).st_size), 0, self.path)
                if not seen:
                    time.sleep(SETTLE_SECONDS)  # another start may have claimed it in the same moment
                if self._is_ours():
                    return True
                if self._still_there():
                    raise FolderInUseError(self._in_use(named(content_of(self._file))))
        except BaseException:
            os.close(self._file)
            raise
        os.close(self._file)
        return False

    def _claim(self) -> bool:
        """Take the record lock, and make sure that no holder whose record lock cannot be seen is alive.

        Answers whether there are record locks here.
        """
        seen = True
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EAGAIN, errno.EACCES):
                raise FolderInUseError(self._in_use(named(content_of(self._file)))) from None
            if error.errno not in _NO_RECORD_LOCKS:
                raise
            seen = False
        holder = fresh_content_of(self._file)
        if holder and (not seen or holder.get("host") != socket.gethostname()):
            self._refuse_living(named(holder))
        return seen

    def _refuse_living(self, who: str) -> None:
        """Refuse a folder whose holder may be alive, by the age of its lock.

        Ages are read off the file system's clock, which gives a file its times on whatever host it is written: with a
        clock of this host that is ahead a living run's lock would look old. A time in the future, from a clock that was
        wrong, becomes now, lest it block the folder until then.
        """
        touched = os.fstat(self._file).st_mtime
        age = self.own.now() - touched
        if age < 0:
            os.utime(self._file)
            sign = f"the time of its lock was {-age:.0f} s ahead and is now the present"
        else:
            sign = f"alive {age:.0f} s ago"
        left = math.ceil(STALE_SECONDS - max(age, 0))
        if left > 0:
            raise FolderInUseError(self._in_use(f"{who}, {sign}; if it is dead, the folder is free in {left} s"))

    def _is_ours(self) -> bool:
        """Whether the lock's file says that this run holds it."""
        try:
            return self._still_there() and fresh_content_of(self._file).get("token") == self._token
        except OSError as error:
            if error.errno == errno.ESTALE:  # another host removed it, once it had taken it over and was done
                return False
            raise

    def _still_there(self) -> bool:
        """Whether the open file is the one under the lock's name."""
        with suppress(FileNotFoundError):
            return os.path.samestat(os.stat(self.path), os.fstat(self._file))
        return False

    def _beat(self) -> None:
        while not self._done.wait(BEAT_SECONDS):
            with suppress(OSError):  # whoever takes the folder over meanwhile is noticed by the next check
                if not self._is_ours():
                    return
                os.utime(self._file)

    def _leave_no_folder(self) -> None:
        for folder in self._made:
            with suppress(OSError):
                os.rmdir(folder)

    def _in_use(self, who: str) -> Problem:
        return Problem.of("folder-in-use", "another run is writing to {folder}: {who}", folder=self.root, who=who)
