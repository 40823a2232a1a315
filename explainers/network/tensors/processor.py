"""MindSpore on a CPU: how its convolutions, its operations and its threads run fastest, the numbers being the same."""

from __future__ import annotations

import logging
import os
import re
from contextlib import suppress
from functools import cache
from pathlib import Path

import mindspore as ms

KEEP_THREADS = "EXPLAINRUN_KEEP_THREADS"  # set in the environment, threads and operations stay as MindSpore has them

_log = logging.getLogger("explainrun")
_THREADS = Path("/proc/self/task")  # on Linux, a folder for each
_WORKER = re.compile(r"(Actor|Kernel)Thread_\d+")  # those among which MindSpore's kernels divide their work
_placed: dict[int, set[int]] = {}  # by process, the cores that it had when its workers were looked at


def set_up_processor() -> None:
    """On CPU, choose what makes passes several times as fast; it helps before the process's first operation alone.

    oneDNN is kept off the AVX-512 code whose convolutions are 60 to 100 times slower, unless the user chose. Operations
    run where they are called: MindSpore otherwise hands them to another thread, and waits for it on a core that kernels
    need. Called when this module is imported too.
    """
    if ms.get_context("device_target") != "CPU":
        return
    if "ONEDNN_MAX_CPU_ISA" not in os.environ:
        os.environ["ONEDNN_MAX_CPU_ISA"] = "AVX2"
        _log.info("Explainrun has set ONEDNN_MAX_CPU_ISA=AVX2, since MindSpore's CPU convolutions crawl with AVX-512")
    if KEEP_THREADS not in os.environ:
        _run_operations_where_called()


@cache
def _run_operations_where_called() -> None:
    ms.runtime.launch_blocking()
    _log.info("Explainrun has called mindspore.runtime.launch_blocking(), since %s is not set", KEEP_THREADS)


def place_workers() -> None:
    """Keep each of MindSpore's worker threads to one core, where there are at least as many of them as cores.

    A kernel ends when its slowest worker does, and MindSpore's waiting threads keep cores busy meanwhile: left to
    itself, the system often has two workers share a core for milliseconds. Workers that have been placed already stay
    where they are, and so do all where MindSpore is not on a CPU, or the system is not Linux. Called after each pass,
    since there are none before the first; looks at them again only where the process has got other cores.
    """
    if KEEP_THREADS in os.environ or not hasattr(os, "sched_setaffinity") or ms.get_context("device_target") != "CPU":
        return
    process, cores = os.getpid(), os.sched_getaffinity(0)
    if _placed.get(process) != cores:
        _placed[process] = cores
        workers = sorted(thread for thread, name in _threads() if _WORKER.fullmatch(name))  # as they were made
        try:
            if len(workers) >= len(cores) > 1 and all(os.sched_getaffinity(one) == cores for one in workers):
                _spread(workers, sorted(cores), process)
        except OSError as error:  # forbidden, or a thread has ended
            _log.info("MindSpore's threads stay where the system puts them: %s", error)


def _spread(workers: list[int], cores: list[int], process: int) -> None:
    """A core for each worker, from another one on in each process; all as they were where that fails.

    Raises:
        OSError: then.
    """
    try:
        for place, worker in enumerate(workers, process):
            os.sched_setaffinity(worker, {cores[place % len(cores)]})
    except OSError:
        for worker in workers:
            with suppress(OSError):
                os.sched_setaffinity(worker, cores)
        raise


def _threads() -> list[tuple[int, str]]:
    """The process's threads, by id and name; those that have just ended left out."""
    found = []
    for folder in _THREADS.glob("*"):
        with suppress(OSError):  # of a name that is cut within a character, what can be read
            found.append((int(folder.name), (folder / "comm").read_text("ascii", "replace").strip()))
    return found


set_up_processor()
