"""The end of a run: everything joined, what was found and that it is finished."""

from __future__ import annotations

from collections.abc import Callable

from ..archive.results import Results
from ..archive.results_file import Batches, write_archive
from ..event_file.records import Metadata
from ..event_file.writer import SummaryWriter
from ..plan_record import PlanRecord
from .viewer_records import scores_record


def metadata(plan: PlanRecord) -> Metadata:
    """What the event file of a run of that plan begins with."""
    return Metadata(plan.class_names, tuple(plan.explainers), tuple(plan.metrics))


def finish(batches: Batches, plan: PlanRecord, writer: SummaryWriter, check: Callable[[], None]) -> Results:
    """Write the archive, the scores and the manifest.

    Args:
        batches: all of the run.
        plan: what it did.
        writer: of the event file, which holds the records of all samples.
        check: called now and then; raises to stop this.

    Returns:
        What the archive holds, as it was written.

    Raises:
        BrokenRecordError: if what is to be joined is damaged.
        OSError: if the disk refuses.
    """
    run = batches.run
    write_archive(batches, plan, check)
    results = Results(run.archive, check=False)  # its checksum was taken a moment ago
    if results.metrics:
        writer.write(scores_record(results))
    writer.commit()
    check()
    run.write_manifest(
        saliency_map=any(results.computed_maps(name).any() for name in results.explainers),
        benchmark=bool(results.metrics),
        uncertainty=results.uncertainty is not None and len(results.recorded) > 0,
        hierarchical_occlusion="found" in (results.outcomes or ()),
    )
    return results
