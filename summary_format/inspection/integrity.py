"""What is wrong with the files of a run, each found by its checksum or missed by name."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..archive.picture_checksums import MISSING, KnownPictures, Picture
from ..errors import BrokenRecordError
from ..event_file.reader import read_records
from ..event_file.records import Metadata, Record, SampleRecord, ScoresRecord
from ..storage.run_folder import RunFolder
from ..untrusted.regular_files import read_regular

ANEW = "run with --overwrite to recompute the run"
NEXT_START = "the next start rewrites it"
PRUNED = "run with --prune to remove it, or with --overwrite to recompute the run"
REMOVED = "run again to recompute it"
READABLE = "make it readable and look again"
_OUT_OF_REACH = "out of reach (Permission denied)"


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


@dataclass(frozen=True, kw_only=True)
class Records:
    """What an event file holds, as far as it is sound.

    Attributes:
        records: how many.
        samples: how many of them are samples.
        scores: whether one has the scores.
        torn: whether it ends within a record, as it does after a kill.
        pictures: how many pictures that it names were looked at.
        faults: what is wrong with it and with those pictures.
    """

    records: int
    samples: int
    scores: bool
    torn: bool
    pictures: int
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


def checked_records(run: RunFolder, *, finished: bool, known: KnownPictures | None = None) -> Records:
    """Read a run's event file through; one record is in memory at a time.

    Args:
        run: whose.
        finished: whether it ought to be whole; then the pictures that it names are looked at as well. That of an
            unfinished run is written again at the next start, so it may be missing or end within a record.
        known: the checksums that pictures should have.
    """
    remedy, torn, faults = ANEW if finished else NEXT_START, False, []
    pictures = PictureTally(run, remedy)
    found = _RecordTally(pictures if finished else None, known)
    try:
        for record in read_records(run.event_file):
            found.add(record)
    except BrokenRecordError as error:
        torn = not finished and "the file ends within" in error.reason
        before = f"{found.records} sound {'record' if found.records == 1 else 'records'} before it"
        what = f"record {error.index} at byte {error.offset}: {error.reason} ({before})"
        faults = [] if torn else [Fault(run.event_file.name, what, remedy)]
    except FileNotFoundError as error:
        faults = [fault_of(run, run.event_file, error, remedy)] if finished else []
    except Exception as error:  # whatever bytes make of a decoder
        faults = [fault_of(run, run.event_file, error, remedy)]
    if (found.records or finished) and not found.headed and not faults:
        faults.append(Fault(run.event_file.name, "it does not begin with class names and explainers", remedy))
    faults += pictures.faults()
    return Records(
        records=found.records,
        samples=found.samples,
        scores=found.scores,
        torn=torn,
        pictures=pictures.looked_at,
        faults=tuple(faults),
    )


def manifest_faults(run: RunFolder) -> Iterator[Fault]:
    """What is wrong with the manifest of a finished run, half of which stops the viewer."""
    try:
        said = json.loads(read_regular(run.manifest))
        if not isinstance(said, dict):
            yield Fault(os.path.relpath(run.manifest, run.root), "it is not a manifest", ANEW)
    except FileNotFoundError:  # started over meanwhile
        pass
    except OSError as error:
        yield fault_of(run, run.manifest, error, ANEW)
    except (ValueError, RecursionError):
        yield Fault(os.path.relpath(run.manifest, run.root), "it is not JSON", ANEW)


class PictureTally:
    """Counts pictures, and those of them that are not as they should be.

    Args:
        run: whose.
        remedy: what helps against those.

    Attributes:
        looked_at: how many were.
    """

    def __init__(self, run: RunFolder, remedy: str) -> None:
        self._run, self._remedy = run, remedy
        self.looked_at = 0
        self._wrong: dict[str, tuple[int, str]] = {}  # how many, and the first

    def look_at(self, picture: Picture) -> None:
        """Count one picture."""
        self.looked_at += 1
        try:
            how = picture.wrong(self._run.root)
        except PermissionError:
            how = _OUT_OF_REACH
        except (OSError, ValueError):
            how = MISSING
        if how:
            times, first = self._wrong.get(how, (0, picture.path))
            self._wrong[how] = times + 1, first

    def faults(self) -> Iterator[Fault]:
        """One for each way of being wrong, with the first picture that is wrong in this way."""
        for how, (times, first) in self._wrong.items():
            others = {1: "", 2: ", as is 1 other"}.get(times, f", as are {times - 1} others")
            remedy = READABLE if how == _OUT_OF_REACH else self._remedy
            yield Fault(first, f"this picture is {how}{others}", remedy)


class _RecordTally:
    """Counts records.

    Args:
        pictures: counts the pictures that they name, with the checksums that are known; None where nothing looks at
            pictures.
        known: those checksums, if any are.
    """

    def __init__(self, pictures: PictureTally | None, known: KnownPictures | None) -> None:
        self._pictures, self._known = pictures, known
        self.records = self.samples = 0
        self.scores = self.headed = False

    def add(self, record: Record) -> None:
        """Count one record."""
        self.headed = self.headed or (self.records == 0 and isinstance(record, Metadata))
        self.records += 1
        self.scores = self.scores or isinstance(record, ScoresRecord)
        if isinstance(record, SampleRecord):
            self.samples += 1
            if self._pictures is not None:
                for picture in self._pictures_of(record):
                    self._pictures.look_at(picture)

    def _pictures_of(self, record: SampleRecord) -> Iterator[Picture]:
        """The pictures that a record names."""
        sample_id, known = record.sample_id, self._known
        yield Picture(record.image_path, None if known is None else known.of_sample(sample_id))
        for heatmap in record.heatmaps:
            checksum = None if known is None else known.of_map(heatmap.explainer, sample_id, heatmap.label)
            yield Picture(heatmap.path, checksum)
