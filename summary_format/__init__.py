"""What a run writes and how it is read back. Knows nothing of networks."""

from .folder import RunFolder, find_runs, read_manifest, remove_runs
from .frames import BrokenRecordError
from .inspection import Inspection, inspect_run
from .lock import FolderInUseError, FolderLock
from .merging import merge
from .pictures import heatmap_picture, jpeg, original_picture, png
from .reader import Summary, read_records, read_summary
from .records import Heatmap, Metadata, Prediction, Revealed, RevealedLayer, SampleRecord, Score, ScoresRecord
from .results import Results
from .segments import BatchResults, Explained, SampleBatch, Searched, Segments
from .shards import MergeError
from .writer import SummaryWriter

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
