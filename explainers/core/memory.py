"""How much memory there is for passes, and how much they take: the device's, or the process's on CPU."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import mindspore as ms

# By the controllers that /proc/self/cgroup names ("" in version 2): the folder, and in it the files of the limit and of
# what is used, and the line of memory.stat with the file cache that goes when memory is short.
_GROUPS = {
    "": ("sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"),
    "memory": ("sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
}


@dataclass(frozen=True)
class HostMemory:
    """The memory of this process, as Linux says it.

    Args:
        root: what all paths are under.
    """

    root: Path = Path("/")

    def used(self) -> float:
        """Bytes that are resident; 0 where that is not said."""
        with suppress(OSError, ValueError, IndexError):
            return int((self.root / "proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        return 0.0

    def available(self) -> float:
        """Bytes that it may take more: the machine's, or what its control groups leave if that is less.

        NaN where nothing is said, as on other systems.
        """
        machine = _named_number(self.root / "proc/meminfo", "MemAvailable:") * 1024
        return min((left for left in (machine, *self._left_by_groups()) if not math.isnan(left)), default=math.nan)

    def _left_by_groups(self) -> Iterator[float]:
        """What each control group leaves; NaN where it has no limit, or much more than the machine has."""
        for folder, limit, usage, cache in self._groups():
            most, used = (_number(folder / name) for name in (limit, usage))
            dropped = _named_number(folder / "memory.stat", cache)
            yield max(most - used + (0.0 if math.isnan(dropped) else dropped), 0.0)

    def _groups(self) -> Iterator[tuple[Path, str, str, str]]:
        """The folder of each control group that the process is in, up to the outermost, with the names of its files."""
        lines: list[str] = []
        with suppress(OSError, ValueError):
            lines = (self.root / "proc/self/cgroup").read_text().splitlines()
        for _, controllers, place in (line.split(":", 2) for line in lines if line.count(":") >= 2):
            for controller in set(controllers.split(",")) & _GROUPS.keys():
                outermost, *names = _GROUPS[controller]
                inner = Path(place.lstrip("/"))
                # A container shows its own group as the outermost one, whatever its place is called outside.
                for folder in dict.fromkeys((inner, *inner.parents, Path())):
                    yield (self.root / outermost / folder, *names)  # type: ignore[misc]  # three of them


@dataclass(frozen=True)
class DeviceMemory:
    """The memory of the device that MindSpore is set to; nothing else is asked of it."""

    def used(self) -> float:
        """Bytes: the most that tensors took at once since the last call."""
        most = float(ms.runtime.max_memory_allocated())
        ms.runtime.reset_max_memory_allocated()
        return most

    def available(self) -> float:
        """Bytes that tensors may take more; NaN where MindSpore does not say how much the device has."""
        with suppress(RuntimeError, ValueError, TypeError, AttributeError):
            properties = ms.hal.get_device_properties(ms.get_context("device_id"))
            total = float(properties.total_memory)
            return total - float(ms.runtime.memory_allocated()) if total else math.nan
        return math.nan


def pass_memory() -> HostMemory | DeviceMemory:
    """The memory that passes take."""
    return HostMemory() if ms.get_context("device_target") == "CPU" else DeviceMemory()


def _number(file: Path) -> float:
    """A number that is all that a file holds; NaN where it holds something else, or is not there."""
    with suppress(OSError, ValueError):
        return float(int(file.read_text()))
    return math.nan


def _named_number(file: Path, name: str) -> float:
    """The number after a name, at the beginning of a line; NaN without one."""
    with suppress(OSError, ValueError):
        for line in file.read_text().splitlines():
            first, *rest = line.split()
            if first == name:
                return float(int(rest[0]))
    return math.nan
