#!/usr/bin/env python3
"""Keep a worker to its part of the host and become a command: pinned.py I/N COMMAND [ARGUMENT]...

Worker I of N gets the I-th part of the cores: MindSpore starts a thread for each core that it may use, whatever
OMP_NUM_THREADS says, and processes that share cores are together no faster than one. It also sees the I-th device
alone, as device 0. "auto" instead of I/N takes what msrun sets.
"""

from __future__ import annotations

import os
import sys

VISIBLE = ("ASCEND_RT_VISIBLE_DEVICES", "CUDA_VISIBLE_DEVICES")


def own_cores(allowed: list[int], number: int, count: int) -> list[int]:
    """The ``number``-th (from 1) of ``count`` parts; all cores where there are too few to part."""
    total = len(allowed)
    return allowed[(number - 1) * total // count : number * total // count] or allowed


def own_device(visible: str, number: int) -> str:
    """The ``number``-th device of those that are visible, all of them where none is named."""
    devices = visible.split(",") if visible else [str(device) for device in range(number)]
    if number > len(devices):
        raise SystemExit(f"pinned.py: worker {number} has no device of its own, visible are {visible}")
    return devices[number - 1]


def main() -> None:
    part, *command = sys.argv[1:]
    if part == "auto":
        part = f"{int(os.environ['RANK_ID']) + 1}/{os.environ['RANK_SIZE']}"
    number, _, count = part.partition("/")
    os.sched_setaffinity(0, own_cores(sorted(os.sched_getaffinity(0)), int(number), int(count)))
    # DEVICE_ID, which msrun sets, would count among the visible ones.
    os.environ |= {name: own_device(os.environ.get(name, ""), int(number)) for name in VISIBLE} | {"DEVICE_ID": "0"}
    os.execvp(command[0], command)


if __name__ == "__main__":
    main()
