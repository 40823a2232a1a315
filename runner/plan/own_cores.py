"""Cores that a process has for itself, as far as all who share its host take theirs here.

Ray counts CPUs and binds no process to them, and MindSpore starts a thread for each core that it may use.
"""

from __future__ import annotations

import fcntl
import logging
import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from tempfile import gettempdir
from zlib import crc32

_log = logging.getLogger("explainrun")
_CHOOSING = 2**20  # the byte that who chooses cores locks, lest two take half of what each needs; cores lie before it


@contextmanager
def own_cores(count: int) -> Iterator[list[int]]:
    """Hold this process, with all its threads, to so many cores that no other holds; gives none where fewer are free.

    A core is a byte of a file of the host and user. The record lock on it goes when the process ends, however it ends,
    and processes that it starts do not inherit it.
    """
    allowed = sorted(os.sched_getaffinity(0))
    begin = crc32(socket.gethostname().encode()) % len(allowed)  # containers that share cores do not see others' file
    path = Path(gettempdir()) / f"explainrun-cores-{os.getuid()}"
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.lockf(file, fcntl.LOCK_EX, 1, _CHOOSING)
        mine = list(islice((core for core in allowed[begin:] + allowed[:begin] if _locked(file, core)), count))
        mine = mine if len(mine) == count else []
        fcntl.lockf(file, fcntl.LOCK_UN, *((1, _CHOOSING) if mine else (0, 0)))  # all, where there are too few
        if len(mine) < count:
            _log.warning("%s has too few free cores: what runs there shares them, and is slower", socket.gethostname())
        _hold_to(mine or allowed)
        yield mine
    finally:
        _hold_to(allowed)
        os.close(file)


def _locked(file: int, core: int) -> bool:
    with suppress(BlockingIOError, PermissionError):  # which say that another process has it
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, core)
        return True
    return False


def _hold_to(cores: Sequence[int]) -> None:
    for thread in os.listdir("/proc/self/task"):  # those that libraries started before too
        with suppress(ProcessLookupError):  # it has ended meanwhile
            os.sched_setaffinity(int(thread), cores)
