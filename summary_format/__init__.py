"""What a run writes and how it is read back. Knows nothing of networks.

The names below are imported when first used, so that errors and exit codes come without NumPy and HDF5.
"""

from typing import TYPE_CHECKING, Any

from .deprecated_names import warn_of
from .lazy_imports import from_home

if TYPE_CHECKING:
    from .archive.results import Results
    from .archive.search_batch import SearchBatch
    from .archive.segments import BatchResults, ExplanationBatch, InferenceBatch, Segments
    from .errors import BrokenRecordError, ExplainrunError
    from .event_file.reader import Summary, read_records, read_summary
    from .event_file.records import (
        Heatmap,
        Metadata,
        Prediction,
        Revealed,
        RevealedLayer,
        SampleRecord,
        Score,
        ScoresRecord,
    )
    from .event_file.writer import SummaryWriter
    from .images import heatmap_picture, jpeg, original_picture, png
    from .inspection.inspection import Inspection, inspect_run
    from .shards.merge import merge
    from .shards.sharded_batches import MergeError
    from .storage.lock import FolderInUseError, FolderLock
    from .storage.run_folder import RunFolder, find_runs, read_manifest, remove_runs

_HOMES = {
    "BatchResults": "archive.segments",
    "BrokenRecordError": "errors",
    "ExplainrunError": "errors",
    "ExplanationBatch": "archive.segments",
    "FolderInUseError": "storage.lock",
    "FolderLock": "storage.lock",
    "Heatmap": "event_file.records",
    "InferenceBatch": "archive.segments",
    "Inspection": "inspection.inspection",
    "MergeError": "shards.sharded_batches",
    "Metadata": "event_file.records",
    "Prediction": "event_file.records",
    "Results": "archive.results",
    "Revealed": "event_file.records",
    "RevealedLayer": "event_file.records",
    "RunFolder": "storage.run_folder",
    "SampleRecord": "event_file.records",
    "Score": "event_file.records",
    "ScoresRecord": "event_file.records",
    "SearchBatch": "archive.search_batch",
    "Segments": "archive.segments",
    "Summary": "event_file.reader",
    "SummaryWriter": "event_file.writer",
    "find_runs": "storage.run_folder",
    "heatmap_picture": "images",
    "inspect_run": "inspection.inspection",
    "jpeg": "images",
    "merge": "shards.merge",
    "original_picture": "images",
    "png": "images",
    "read_manifest": "storage.run_folder",
    "read_records": "event_file.reader",
    "read_summary": "event_file.reader",
    "remove_runs": "storage.run_folder",
}

_RENAMED = {"Explained": "ExplanationBatch", "SampleBatch": "InferenceBatch", "Searched": "SearchBatch"}

__all__ = [
    "BatchResults",
    "BrokenRecordError",
    "ExplainrunError",
    "ExplanationBatch",
    "FolderInUseError",
    "FolderLock",
    "Heatmap",
    "InferenceBatch",
    "Inspection",
    "MergeError",
    "Metadata",
    "Prediction",
    "Results",
    "Revealed",
    "RevealedLayer",
    "RunFolder",
    "SampleRecord",
    "Score",
    "ScoresRecord",
    "SearchBatch",
    "Segments",
    "Summary",
    "SummaryWriter",
    "find_runs",
    "heatmap_picture",
    "inspect_run",
    "jpeg",
    "merge",
    "original_picture",
    "png",
    "read_manifest",
    "read_records",
    "read_summary",
    "remove_runs",
]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def __getattr__(name: str) -> Any:
    if name in _RENAMED:
        warn_of(f"{__name__}.{name}", _RENAMED[name])
        name = _RENAMED[name]
    return from_home(__name__, _HOMES, name)
