"""What a run writes and how it is read back. Knows nothing of networks."""

from .archive.results import Results
from .archive.segments import BatchResults, Explained, SampleBatch, Searched, Segments
from .errors import BrokenRecordError
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

__all__ = [
    "BatchResults",
    "BrokenRecordError",
    "Explained",
    "FolderInUseError",
    "FolderLock",
    "Heatmap",
    "Inspection",
    "MergeError",
    "Metadata",
    "Prediction",
    "Results",
    "Revealed",
    "RevealedLayer",
    "RunFolder",
    "SampleBatch",
    "SampleRecord",
    "Score",
    "ScoresRecord",
    "Searched",
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
