"""What was found in a summary folder, in plain values for JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ....summary_format.growth.kept_archives import Hidden
from ....summary_format.inspection.committed_work import NotComputed
from ....summary_format.inspection.inspection import Inspection
from ....summary_format.inspection.integrity import Records
from ....summary_format.inspection.progress import Progress
from ....summary_format.storage.sizes import size_of
from ...json_values import finite
from .shard_status import Shards


def inspection_as_json(found: Inspection) -> dict[str, Any]:
    """One inspection under the keys that the command's help names; what is not known is None."""
    plan, sizes = found.plan, found.sizes
    values = {
        "folder": str(found.folder),
        "state": found.state,
        "finished": found.finished,
        "running": found.running,
        "run": None if found.run is None else found.run.data.name,
        "other_runs": [run.data.name for run in found.others],
        "shard": None if plan is None or plan.shard is None else list(plan.shard),
        "began": None if found.run is None else found.run.timestamp,
        "ended": found.ended,
        "seconds": found.seconds,
        "writer": None if found.writer is None else asdict(found.writer),
        "samples": found.samples,
        "questions": found.questions,
        "progress": None if found.progress is None else _progress(found.progress),
        "sizes": sizes and {**asdict(sizes), "total": sizes.total, "to_go": _bytes_to_go(found)},
        "curve_bytes": found.curve_bytes,
        "not_computed": found.not_computed and _not_computed(found.not_computed),
        "records": None if found.records is None else _records(found.records),
        "pictures": None if found.pictures is None else {"looked_at": found.pictures, "verified": found.verified},
        "unsupported": found.unsupported,
        "grown_from": None if found.grown_from is None else found.grown_from.model_dump(exclude={"ends", "costs"}),
        "hidden": [_hidden(one) for one in found.hidden],
        "faults": [asdict(fault) for fault in found.faults],
        "costs": found.costs,
        "plan": None if plan is None else plan.raw,
    }
    plain: dict[str, Any] = finite(values)
    return plain


def shards_as_json(shards: Shards) -> dict[str, Any]:
    """One run's shards."""
    return {
        "of": shards.of,
        "folders": [str(one.folder) for _, one in shards.found],
        "missing": list(shards.missing),
        "unfinished": list(shards.unfinished),
        "doubled": list(shards.duplicates),
    }


def _progress(progress: Progress) -> dict[str, Any]:
    return {
        "share": progress.share,
        "samples_total": progress.samples_total,
        "batches": progress.batches,
        "batches_total": progress.batches_total,
        "parts_committed": progress.parts_committed,
        "parts_total": progress.parts_total,
        "seconds_to_go": progress.seconds_to_go,
        "known_seconds_to_go": progress.known_seconds_to_go,
        "untried": list(progress.untried),
        "parts": [
            {
                "name": part.name,
                "batches": part.batches,
                "samples": part.samples,
                "seconds": part.seconds,
                "seconds_a_sample": part.seconds_a_sample,
            }
            for part in progress.parts
        ],
    }


def _not_computed(lacking: NotComputed) -> dict[str, Any]:
    keys = {"labels_out_of_range": "beyond"}
    return {keys.get(name, name): value for name, value in asdict(lacking).items()}


def _hidden(hidden: Hidden) -> dict[str, Any]:
    return {"archive": hidden.path.name, "bytes": size_of(hidden.path), **asdict(hidden.surplus)}


def _records(records: Records) -> dict[str, Any]:
    return {"records": records.records, "samples": records.samples, "scores": records.scores, "torn": records.torn}


def _bytes_to_go(found: Inspection) -> int | None:
    if found.progress is None or found.sizes is None:
        return None
    return found.progress.bytes_to_go(found.sizes)
