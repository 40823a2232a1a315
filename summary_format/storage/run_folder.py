"""Where the files of a run lie in its summary folder, and under which names the viewer finds them.

``events.summary.<seconds>.<device>.<host>_explain``   the records
``_explain_<seconds>/origin_images/<thousand>/<id>.jpg``
``_explain_<seconds>/heatmap/<explainer>/<thousand>/<id>_<label>.png``
``_explain_<seconds>/plan.json``                        there from the start: what the run does, and its format number
``_explain_<seconds>/segments/``                        finished work, while the run is not
``_explain_<seconds>/parts/``                           finished parts of unfinished segments (see ``archive/parts``)
``_explain_<seconds>/earlier/``                         archives of runs that this one grew out of (see ``growth``)
``_explain_<seconds>/results.h5``                       maps and scores, at the end
``_explain_<seconds>/manifest.json``                    written last: the run is finished
``.explainrun.lock``                                    whose folder it is, while a run is at work (see ``lock``)
``.explainrun.<token>/``                                what that run is writing or removing (see ``own_folder``)

Earlier versions wrote their files in ``_explain_<seconds>/partial/`` before they gave them their names.
"""

from __future__ import annotations

import json
import os
import re
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from ..errors import BrokenRecordError
from ..names import is_text
from ..untrusted.numpy_json import json_of
from ..untrusted.regular_files import read_regular
from .durable import make_folder, make_new_folder, sync_folder, write_new
from .lock import FolderLock
from .writer_folder import OwnFolder

_EVENT_FILE = re.compile(r"events\.summary\.(\d{1,20})\.[^/\0]{0,200}_explain")
_DATA_FOLDER = re.compile(r"_explain_(\d+)")
_OURS = re.compile(r"(?:events\.summary\.|_explain_)(\d+)")
_BUCKET = 1000
GROWS = "grows"  # in the state of a run: what it grew out of (see ``archive/growth_record``)
INSTEAD = "name another folder, or replace it: overwrite (--overwrite)"  # what to do where a folder holds another run
_PLAN, _EARLIER, _OLD_PARTIAL = "plan.json", "earlier", "partial"
RUN_FORMAT = (
    4  # of what an unfinished run holds: its plan file, segments and pictures; the first did not say its number
)


@dataclass(frozen=True)
class RunFolder:
    """The files of one run.

    Attributes:
        root: the summary folder.
        timestamp: seconds since the epoch at which the run began; what its files share.
        event_file: the records.
        lock: under which its files are written; None where nothing else can write, as in tests.
    """

    root: Path
    timestamp: int
    event_file: Path
    lock: FolderLock | None = field(default=None, compare=False, repr=False)

    @classmethod
    def create(
        cls,
        root: str | Path,
        device: str,
        state: Mapping[str, Any] | None = None,
        lock: FolderLock | None = None,
        *,
        earlier: Callable[[Path], None] | None = None,
    ) -> RunFolder:
        """Make the folder of a run that begins now; it is there with its plan file or not at all.

        Args:
            root: the summary folder; made if missing.
            device: "CPU", "GPU" or "Ascend"; becomes part of the event file's name.
            state: what a later start must know of the run, in plain values.
            lock: that holds the summary folder.
            earlier: puts what it grows out of into a new folder.

        Raises:
            FolderInUseError: if the lock is lost.
            OSError: if a folder cannot be made.
        """
        root = Path(root)
        make_folder(root)
        host = re.sub(r"[^A-Za-z0-9-]", "-", socket.gethostname())
        taken = [int(match[1]) for path in root.iterdir() if (match := _OURS.match(path.name))]
        for timestamp in count(max([int(time.time()), *(before + 1 for before in taken)])):
            run = cls(root, timestamp, root / f"events.summary.{timestamp}.{device}.{host}_explain", lock)
            made = run.partial()
            make_new_folder(made)
            write_new(made / _PLAN, run._plan_file(state or {}))
            if earlier is not None:
                make_new_folder(made / _EARLIER)
                earlier(made / _EARLIER)
                sync_folder(made / _EARLIER)
            sync_folder(made)
            if run._own.put_new(made, run.data):
                return run
            run._own.discard(made)  # another run began in this second
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
    def segments(self) -> Path:
        """Where finished work lies while the run is not."""
        return self.data / "segments"

    @property
    def parts(self) -> Path:
        """Where finished parts of segments lie that are not finished."""
        return self.data / "parts"

    @property
    def earlier(self) -> Path:
        """Where the archives lie that the run takes from, and, once it is finished, those that hold what it hides."""
        return self.data / _EARLIER

    @property
    def archive(self) -> Path:
        """Maps and scores of the finished run."""
        return self.data / "results.h5"

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

    @property
    def _own(self) -> OwnFolder:
        return OwnFolder(self.root) if self.lock is None else self.lock.own

    def partial(self) -> Path:
        """A fresh path for a file to be written at before ``put`` gives it its name."""
        return self._own.fresh()

    def put(self, partial: Path, path: Path, *, durable: bool = True) -> None:
        """Give a file that was written at a path of ``partial`` its name, at once and whole.

        Args:
            partial: the file.
            path: in the root; what stands there is replaced.
            durable: make the name durable at once.

        Raises:
            FolderInUseError: if the lock is lost.
            OSError: if it cannot be renamed.
        """
        self._own.make_folder(path.parent)
        self._own.put(partial, path, durable=durable)

    def write_file(self, path: Path, data: bytes, *, durable: bool = True) -> None:
        """Write a file that is there either whole or not at all, even after a power cut.

        Args:
            path: in the root; what stands there is replaced.
            data: its content.
            durable: make its name durable at once; its content always is.

        Raises:
            FolderInUseError: if the lock is lost.
            OSError: if it cannot be written.
        """
        partial = self.partial()
        write_new(partial, data)
        self.put(partial, path, durable=durable)

    def discard(self, path: Path) -> None:
        """Remove a file or folder of the run; one that is gone already is fine.

        Raises:
            FolderInUseError: if the lock is lost.
            OSError: if it cannot be removed.
        """
        self._own.discard(path)

    def write_manifest(
        self, *, saliency_map: bool, benchmark: bool, uncertainty: bool, hierarchical_occlusion: bool
    ) -> None:
        """Say that the run is finished and what is in it; atomically, since half a manifest stops the viewer."""
        content = {
            "saliency_map": saliency_map,
            "benchmark": benchmark,
            "uncertainty": uncertainty,
            "hierarchical_occlusion": hierarchical_occlusion,
        }
        self.write_file(self.manifest, json.dumps(content).encode())

    def state(self) -> dict[str, Any] | None:
        """What ``write_state`` wrote; None where it is not there."""
        kept = _read_state(self.data)
        return None if kept is None else kept["state"]

    def write_state(self, state: Mapping[str, Any]) -> None:
        """Keep what a later start must know of the run."""
        self.write_file(self.data / _PLAN, self._plan_file(state))

    def _plan_file(self, state: Mapping[str, Any]) -> bytes:
        content = {"format": RUN_FORMAT, "event_file": self.event_file.name, "state": state}
        return json.dumps(content, indent=1).encode()

    @property
    def format(self) -> int:
        """The format number of the version that began the run; today's where that cannot be read."""
        kept = _read_state(self.data)
        return RUN_FORMAT if kept is None else int(kept.get("format", 1))

    def why_not_resumed(self) -> str | None:
        """Why this version cannot resume the run, though it is whole: another version began it. None if it can.

        A finished run, or one whose plan file cannot be read, is none of those.
        """
        format_ = RUN_FORMAT if self.finished else self.format
        if format_ == RUN_FORMAT:
            return None
        return (
            f"{'an earlier' if format_ < RUN_FORMAT else 'a newer'} version of Explainrun began this run, and this one "
            "cannot resume it; finish it with that version, or replace it: overwrite (--overwrite)"
        )

    def link(self) -> Path | None:
        """A symbolic link that stands in the place of one of its folders, through which it would write elsewhere."""
        inside = [Path(above) / name for above, folders, _ in os.walk(self.data) for name in folders]
        return next((folder for folder in (self.data, *inside) if folder.is_symlink()), None)

    def sweep(self) -> None:
        """Remove what is of no use any more: half-written files, and a finished run's segments."""
        self.discard(self.data / _OLD_PARTIAL)
        if self.lock is None:
            self._own.clear()
        if self.finished:
            self.discard(self.segments)
            self.discard(self.parts)


def find_runs(root: str | Path, lock: FolderLock | None = None) -> list[RunFolder]:
    """The runs in a summary folder, oldest first; finished ones and others.

    Args:
        root: the summary folder.
        lock: that holds it, if they are to be written.
    """
    root = Path(root)
    events = {match[0]: int(match[1]) for path in root.glob("events.*") if (match := _EVENT_FILE.fullmatch(path.name))}
    for path in root.glob("_explain_*/"):
        match, kept = _DATA_FOLDER.fullmatch(path.name), _read_state(path)
        if match and kept is not None:
            events.setdefault(kept["event_file"], int(match[1]))
    runs = [RunFolder(root, timestamp, root / name, lock) for name, timestamp in events.items()]
    return sorted(runs, key=lambda run: (run.timestamp, run.event_file.name))


def runs_of(folder: Path) -> list[RunFolder]:
    """The runs in a summary folder, oldest first, or the one whose data folder it is."""
    return find_runs(folder) or [run for run in find_runs(folder.parent) if run.data == folder]


def shown_run(runs: Sequence[RunFolder]) -> RunFolder:
    """Which of the runs of a folder, oldest first, its readers see: the newest one.

    Where that one is not finished and grows out of a finished one, it is that, which stays whole until then.
    """
    newest = runs[-1]
    grows = None if newest.finished else (newest.state() or {}).get(GROWS)
    began = grows.get("began") if isinstance(grows, dict) else None
    return next((run for run in runs if run.timestamp == began and run.finished), newest)


def remove_runs(
    root: str | Path, keep: RunFolder | None = None, *, finished: bool = True, lock: FolderLock | None = None
) -> None:
    """Remove what the runs in a summary folder have written, but for one to keep, and nothing else.

    A run without a plan file is not ours, and stays; so does one behind a symbolic link, which lies elsewhere.

    Args:
        root: the summary folder.
        keep: not this one.
        finished: finished ones as well.
        lock: that holds the summary folder.

    Raises:
        FolderInUseError: if the lock is lost.
        OSError: if something cannot be removed.
    """
    for run in find_runs(root, lock):
        kept = keep is not None and run.event_file.name == keep.event_file.name
        if not kept and not run.data.is_symlink() and run.state() is not None and (finished or not run.finished):
            run.discard(run.event_file)
            for folder in ("segments", "parts", _EARLIER, _OLD_PARTIAL, "heatmap", "origin_images"):
                run.discard(run.data / folder)
            for path in (run.manifest, run.archive, run.data / _PLAN):  # the last says that it is ours
                run.discard(path)
            with suppress(OSError):  # something else lies there
                run.data.rmdir()
    if lock is None:
        OwnFolder(Path(root)).clear()


def sweep(root: Path, lock: FolderLock | None = None) -> None:
    """Remove what starts that were killed left of runs that never began: data folders that hold no file of a run.

    Args:
        root: the summary folder.
        lock: that holds it.

    Raises:
        FolderInUseError: if the lock is lost.
        OSError: if one cannot be removed.
    """
    runs, own = {run.data.name for run in find_runs(root)}, OwnFolder(root) if lock is None else lock.own
    for path in root.glob("_explain_*"):
        if (
            _DATA_FOLDER.fullmatch(path.name)
            and path.name not in runs
            and path.is_dir()
            and all(inside.name == _OLD_PARTIAL for inside in path.iterdir())
        ):
            own.discard(path)
    if lock is None:
        own.clear()


def read_manifest(run: RunFolder) -> dict[str, Any] | None:
    """What a run's manifest says, or None for an unfinished run.

    Raises:
        BrokenRecordError: if it is damaged.
    """
    if not run.finished:
        return None
    try:
        said = json_of(read_regular(run.manifest))
    except ValueError as error:
        raise BrokenRecordError(run.manifest, 0, 0, str(error)) from error
    if not isinstance(said, dict):
        raise BrokenRecordError(run.manifest, 0, 0, "it must be a mapping")
    return said


def _read_state(data: Path) -> dict[str, Any] | None:
    """What the plan file in a data folder holds; None where it is not there or no longer readable."""
    with suppress(OSError, ValueError, TypeError, KeyError):
        kept = json_of(read_regular(data / _PLAN))
        name = kept["event_file"]
        is_ours = _EVENT_FILE.fullmatch(name) and is_text(name) and type(kept.get("format", 1)) is int
        if is_ours and isinstance(kept["state"], dict):
            found: dict[str, Any] = kept
            return found
    return None


def _bucket(sample_id: int) -> int:
    return sample_id // _BUCKET * _BUCKET
