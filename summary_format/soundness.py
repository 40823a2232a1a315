"""What is wrong with the files of a run, each found by its checksum or missed by name."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .folder import RunFolder
from .frames import BrokenRecordError
from .reader import read_records
from .records import Metadata, Record, SampleRecord, ScoresRecord

ANEW = "run with --overwrite to make the run anew"
NEXT_START = "the next start writes it anew"
REMOVED = "run again to make it anew"
READABLE = "make it readable and look again"


@dataclass(frozen=True)
class Fault:
    """Something that is wrong with a run.

    Attributes:
        file: where, relative to the summary folder.
        what: what is wrong.
        remedy: what helps.
    """

    file: str
    what: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.file}: {self.what}; {self.remedy}"


@dataclass(frozen=True)
class Records:
    """What an event file holds, as far as it is sound.

    Attributes:
        records: how many.
        samples: how many of them are samples.
        scores: whether one has the scores.
        torn: whether it ends within a record, as it does after a kill.
        faults: what is wrong with it and with the pictures that it names.
    """

    records: int
    samples: int
    scores: bool
    torn: bool
    faults: tuple[Fault, ...]


def fault_of(run: RunFolder, path: Path, error: Exception, remedy: str) -> Fault:
    """What an error says of a file of a run."""
    if isinstance(error, BrokenRecordError):
        what = error.reason
    elif isinstance(error, FileNotFoundError):
        what = "it is missing"
    elif isinstance(error, OSError):
        what, remedy = f"it cannot be read ({error.strerror or error})", READABLE
    else:
        what = f"it does not hold what it should ({type(error).__name__}: {error})"
        remedy = f"if another version of Explainrun made it, look with that one; else {remedy}"
    return Fault(os.path.relpath(path, run.root), what, remedy)


def checked_records(run: RunFolder, *, finished: bool) -> Records:
    """Read a run's event file through, and look for every picture that it names; one record is in memory at a time.

    Args:
        run: whose.
        finished: whether it ought to be whole. That of an unfinished run is written again at the next start, so it may
            be missing or end within a record.
    """
    found = _Tally(run)
    remedy, torn, faults = ANEW if finished else NEXT_START, False, []
    try:
        for record in read_records(run.event_file):
            found.add(record)
    except BrokenRecordError as error:
        torn = not finished and "the file ends within" in error.reason
        before = f"{found.records} sound {'record' if found.records == 1 else 'records'} before it"
        told = f"record {error.index} at byte {error.offset}: {error.reason} ({before})"
        faults = [] if torn else [Fault(run.event_file.name, told, remedy)]
    except FileNotFoundError as error:
        faults = [fault_of(run, run.event_file, error, remedy)] if finished else []
    except Exception as error:  # whatever bytes make of a decoder
        faults = [fault_of(run, run.event_file, error, remedy)]
    if (found.records or finished) and not found.headed and not faults:
        faults.append(Fault(run.event_file.name, "it does not begin with class names and explainers", remedy))
    return Records(found.records, found.samples, found.scores, torn, (*faults, *found.picture_faults()))


def manifest_faults(run: RunFolder) -> Iterator[Fault]:
    """What is wrong with the manifest of a finished run, half of which stops the viewer."""
    try:
        said = json.loads(run.manifest.read_text("utf-8"))
        if not isinstance(said, dict):
            yield Fault(os.path.relpath(run.manifest, run.root), "it is no manifest", ANEW)
    except FileNotFoundError:  # begun anew meanwhile
        pass
    except OSError as error:
        yield fault_of(run, run.manifest, error, ANEW)
    except (ValueError, RecursionError):
        yield Fault(os.path.relpath(run.manifest, run.root), "it is no JSON", ANEW)


class _Tally:
    """Counts records and the pictures that they name in vain.

    Args:
        run: whose records.
    """

    def __init__(self, run: RunFolder) -> None:
        self._run = run
        self.records = self.samples = 0
        self.scores = self.headed = False
        self._lost: dict[str, tuple[int, str]] = {}  # how many, and the first

    def add(self, record: Record) -> None:
        """Count one record."""
        self.headed = self.headed or (self.records == 0 and isinstance(record, Metadata))
        self.records += 1
        self.scores = self.scores or isinstance(record, ScoresRecord)
        if isinstance(record, SampleRecord):
            self.samples += 1
            for path in (record.image_path, *(heatmap.path for heatmap in record.heatmaps)):
                self._look_for(path)

    def picture_faults(self) -> Iterator[Fault]:
        """One for all pictures that are missing, one for all empty ones."""
        for how, (times, first) in self._lost.items():
            others = {1: "", 2: ", as is 1 other"}.get(times, f", as are {times - 1} others")
            remedy = ANEW if how in ("missing", "empty") else READABLE
            yield Fault(first, f"this picture, which the event file names, is {how}{others}", remedy)

    def _look_for(self, path: str) -> None:
        try:
            how = None if (self._run.root / path).stat().st_size else "empty"
        except PermissionError:
            how = "out of reach (Permission denied)"
        except (OSError, ValueError):
            how = "missing"
        if how:
            times, first = self._lost.get(how, (0, path))
            self._lost[how] = times + 1, first
