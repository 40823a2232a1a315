"""On what and with what was measured."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from contextlib import suppress
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from .subjects import ROOT

_PACKAGES = ("mindspore", "numpy", "torch", "torchvision", "captum", "grad-cam", "torchcam", "mindcv")


def now() -> str:
    """The time, to the minute, in UTC."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")


def device_name(device: str) -> str:
    """A processor's name and how many cores may be used, or a GPU's name."""
    if device == "GPU":
        return _said("nvidia-smi", "--query-gpu=name", "--format=csv,noheader").splitlines()[0] or "GPU"
    with suppress(OSError):
        if found := re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text("utf-8")):
            return f"{found[1].strip()}, {len(os.sched_getaffinity(0))} cores"
    return f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores"


def machine() -> dict[str, Any]:
    """What stands in a result beside its rows."""
    versions = {"python": platform.python_version()}
    for package in _PACKAGES:
        with suppress(PackageNotFoundError):
            versions[package] = version(package)
    return {
        "at": now(),
        "system": platform.platform(),
        "commit": _said("git", "-C", str(ROOT), "rev-parse", "--short", "HEAD").strip(),
        "cores": len(os.sched_getaffinity(0)),
        "load": [round(load, 1) for load in os.getloadavg()],
        "versions": versions,
    }


def _said(*command: str) -> str:
    with suppress(OSError):
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout or "\n"
    return "\n"
