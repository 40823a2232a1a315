"""How much memory the process holds, and held at most (Linux)."""

from __future__ import annotations

import ctypes
import gc
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


class Peak:
    """MiB that were held at most, above what was held before; None where the system does not say."""

    mib: float | None = None


@contextmanager
def watched_memory() -> Iterator[Peak]:
    """Watch what happens within."""
    peak = Peak()
    gc.collect()
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
    with suppress(OSError):
        _CLEAR.write_text("5")  # starts the largest resident set again
    before = _resident("VmRSS")
    yield peak
    after = _resident("VmHWM")
    peak.mib = None if before is None or after is None else after - before


def _resident(what: str) -> float | None:
    with suppress(OSError):
        found = re.search(rf"{what}:\s+(\d+) kB", _STATUS.read_text("ascii"))
        return None if found is None else int(found[1]) / 1024
    return None
