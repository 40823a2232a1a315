"""Where the files of a run lie in its summary folder, and under which names the viewer finds them.

``events.summary.<seconds>.<device>.<host>_explain``   the records
``_explain_<seconds>/origin_images/<thousand>/<id>.jpg``
``_explain_<seconds>/heatmap/<explainer>/<thousand>/<id>_<label>.png``
``_explain_<seconds>/manifest.json``                    written last: the run is finished
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import time
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

_EVENT_FILE = re.compile(r"events\.summary\.(\d+)\..*_explain")
_DATA_FOLDER = re.compile(r"_explain_(\d+)")
_OURS = re.compile(r"(?:events\.summary\.|_explain_)(\d+)")
_BUCKET = 1000


@dataclass(frozen=True)
class RunFolder:
    """The files of one run.

    Attributes:
        root: the summary folder.
        timestamp: seconds since the epoch at which the run began; what its files share.
        event_file: the records.
    """

    root: Path
    timestamp: int
    event_file: Path

    @classmethod
    def create(cls, root: str | Path, device: str) -> RunFolder:
        """Make the folders of a run that begins now.

        Args:
            root: the summary folder; made if missing.
            device: "CPU", "GPU" or "Ascend"; becomes part of the event file's name.

        Raises:
            OSError: if a folder cannot be made.
        """
        root = Path(root)
        make_private_folder(root)
        host = re.sub(r"[^A-Za-z0-9-]", "-", socket.gethostname())
        taken = [int(match[1]) for path in root.iterdir() if (match := _OURS.match(path.name))]
        for timestamp in count(max([int(time.time()), *(before + 1 for before in taken)])):
            run = cls(root, timestamp, root / f"events.summary.{timestamp}.{device}.{host}_explain")
            try:
                run.data.mkdir(mode=0o700)
            except FileExistsError:  # another run began in this second
                continue
            return run
        raise AssertionError("unreachable: seconds do not end")

    @property
    def data(self) -> Path:
        """The folder of pictures beside the event file."""
        return self.root / f"_explain_{self.timestamp}"

    @property
    def manifest(self) -> Path:
        """The file whose presence means finished."""
        return self.data / "manifest.json"

    @property
    def finished(self) -> bool:
        """Whether the run came to its end."""
        return self.manifest.is_file()

    def image_path(self, sample_id: int) -> str:
        """Path of a sample's original picture, relative to the root."""
        return f"{self.data.name}/origin_images/{_bucket(sample_id)}/{sample_id}.jpg"

    def heatmap_path(self, explainer: str, sample_id: int, label: int) -> str:
        """Path of the picture of one map, relative to the root."""
        return f"{self.data.name}/heatmap/{explainer}/{_bucket(sample_id)}/{sample_id}_{label}.png"

    def write_file(self, relative: str, data: bytes) -> None:
        """Write a new file, readable by its owner alone, making the folders above it.

        Raises:
            OSError: if it exists already or cannot be written.
        """
        path = self.root / relative
        make_private_folder(path.parent)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400), "wb") as file:
            file.write(data)

    def write_manifest(self, *, saliency_map: bool, benchmark: bool, uncertainty: bool) -> None:
        """Say that the run is finished and what is in it; atomically, since half a manifest stops the viewer."""
        content = {
            "saliency_map": saliency_map,
            "benchmark": benchmark,
            "uncertainty": uncertainty,
            "hierarchical_occlusion": False,
        }
        write_atomically(self.manifest, json.dumps(content))


def make_private_folder(folder: Path) -> None:
    """Make a folder and those above it, the new ones for their owner alone."""
    for missing in reversed([path for path in (folder, *folder.parents) if not path.exists()]):
        missing.mkdir(mode=0o700, exist_ok=True)


def write_atomically(path: Path, text: str) -> None:
    """Write a file, readable by its owner alone, that is there either whole or not at all, even after a power cut."""
    partial = path.with_name(f".{path.name}.partial")
    partial.unlink(missing_ok=True)
    with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def find_runs(root: str | Path) -> list[RunFolder]:
    """The runs in a summary folder, oldest first; finished ones and others."""
    root = Path(root)
    found = (_EVENT_FILE.fullmatch(path.name) for path in root.glob("events.summary.*_explain"))
    runs = [RunFolder(root, int(match[1]), root / match[0]) for match in found if match]
    return sorted(runs, key=lambda run: (run.timestamp, run.event_file.name))


def remove_runs(root: str | Path, keep: RunFolder | None = None) -> None:
    """Remove the event files and data folders of all runs in a summary folder but one, and nothing else."""
    root = Path(root)
    for run in find_runs(root):
        if keep is None or run.event_file.name != keep.event_file.name:
            run.event_file.unlink()
    for path in root.glob("_explain_*"):
        if _DATA_FOLDER.fullmatch(path.name) and path.is_dir() and (keep is None or path.name != keep.data.name):
            shutil.rmtree(path)


def read_manifest(run: RunFolder) -> dict[str, Any] | None:
    """What a run's manifest says, or None for an unfinished run."""
    return json.loads(run.manifest.read_text("utf-8")) if run.finished else None


def _bucket(sample_id: int) -> int:
    return sample_id // _BUCKET * _BUCKET
