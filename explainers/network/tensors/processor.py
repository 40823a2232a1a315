"""MindSpore on a CPU: how its convolutions, its operations and its threads run fastest, the numbers being the same."""

from __future__ import annotations

import logging
import os
import re
from contextlib import suppress
from pathlib import Path

import mindspore as ms

_log = logging.getLogger("explainrun")
_THREADS = Path("/proc/self/task")  # on Linux, a folder for each
_WORKER = re.compile(r"(Actor|Kernel)Thread_\d+")  # those among which MindSpore's kernels divide their work
_placed: set[int] = set()  # processes whose workers were looked for


def set_up_processor() -> None:
    """On CPU, choose what makes passes several times as fast; it helps before the process's first operation alone.

    oneDNN is kept off the AVX-512 code whose convolutions are 60 to 100 times slower, unless the user chose. Operations
    run where they are called: handed to another thread, as on other devices, they gain nothing, since MindSpore waits
    for them on a core that they need. Called when this module is imported too.
    """
    if ms.get_context("device_target") != "CPU":
        return
    if "ONEDNN_MAX_CPU_ISA" not in os.environ:
        os.environ["ONEDNN_MAX_CPU_ISA"] = "AVX2"
        _log.info("Explainrun has set ONEDNN_MAX_CPU_ISA=AVX2, since MindSpore's CPU convolutions crawl with AVX-512")
    ms.runtime.launch_blocking()


def place_workers() -> None:
    """Give each of MindSpore's worker threads a core of its own, where there are no fewer of them than cores.

    A kernel ends when its slowest worker does, and MindSpore's waiting threads keep cores busy meanwhile: left to
    itself, the system often has two workers share a core for milliseconds. Workers that have a place already stay where
    they are, and so does everything where MindSpore is not on a CPU, or the system is not Linux. It is done once, after
    a pass, since only then they exist.
    """
    if os.getpid() in _placed or not hasattr(os, "sched_setaffinity") or ms.get_context("device_target") != "CPU":
        return
    _placed.add(os.getpid())
    workers = sorted(thread for thread, name in _threads() if _WORKER.fullmatch(name))  # in the order of their making
    cores = os.sched_getaffinity(0)
    try:
        if len(workers) >= len(cores) > 1 and all(os.sched_getaffinity(one) == cores for one in workers):
            for place, worker in enumerate(workers):
                os.sched_setaffinity(worker, {sorted(cores)[place % len(cores)]})
    except OSError as error:  # forbidden, or a thread has ended
        _log.info("MindSpore's threads stay where the system puts them: %s", error)


def _threads() -> list[tuple[int, str]]:
    """The process's threads, by id and name; those that have just ended left out."""
    found = []
    for folder in _THREADS.glob("*"):
        with suppress(OSError):
            found.append((int(folder.name), (folder / "comm").read_text().strip()))
    return found


set_up_processor()
