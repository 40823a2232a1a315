"""Reading an event file back, every CRC verified."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..errors import BrokenRecordError
from ..storage.run_folder import find_runs, shown_run
from .frames import read_frames
from .records import Metadata, Record, SampleRecord, Score, ScoresRecord, decode


@dataclass(frozen=True)
class Summary:
    """All that an event file says.

    Attributes:
        metadata: class names, explainers and metrics.
        samples: by sample id.
        scores: by (explainer, metric); empty for an unfinished run.
    """

    metadata: Metadata
    samples: dict[int, SampleRecord]
    scores: dict[tuple[str, str], Score]


def read_records(path: str | Path) -> Iterator[Record]:
    """The records of an event file, in order.

    Raises:
        BrokenRecordError: at the first record that is damaged; it names the record and the byte where it starts.
        OSError: if the file cannot be read.
    """
    for frame in read_frames(path):
        try:
            record, _ = decode(frame.payload)
        except ValueError as error:
            raise BrokenRecordError(Path(path), frame.index, frame.offset, str(error)) from error
        yield record


def read_summary(path: str | Path) -> Summary:
    """Read an event file, or of a summary folder that of the run that ``Results`` reads.

    Raises:
        FileNotFoundError: if the folder holds no run.
        BrokenRecordError: if a record is damaged, or the file does not begin with metadata.
        OSError: if the file cannot be read.
    """
    path = Path(path)
    if path.is_dir():
        runs = find_runs(path)
        if not runs:
            raise FileNotFoundError(f"no run in {path}: it holds no events.summary.*_explain file")
        path = shown_run(runs).event_file
    records = read_records(path)
    metadata = next(records, None)
    if not isinstance(metadata, Metadata):
        raise BrokenRecordError(path, 0, 0, "the file does not begin with metadata")
    samples: dict[int, SampleRecord] = {}
    scores: dict[tuple[str, str], Score] = {}
    for record in records:
        if isinstance(record, SampleRecord):
            samples[record.sample_id] = record
        elif isinstance(record, ScoresRecord):
            scores.update({(score.explainer, score.metric): score for score in record.scores})
    return Summary(metadata, samples, scores)
