"""Joining the shards of a run to what one run of all samples would have written."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from ..archive.results import Results
from ..event_file.records import SampleRecord
from ..event_file.writer import SummaryWriter
from ..growth.plan_growth import Surplus, growth_differences
from ..lifecycle.finish import finish, metadata
from ..lifecycle.viewer_records import sample_records
from ..plan_diff import plan_differences, shown
from ..plan_record import PlanRecord
from ..problem import Problem
from ..storage.durable import copy, sync_folder
from ..storage.lock import FolderLock
from ..storage.run_folder import INSTEAD, RunFolder, find_runs, remove_runs, sweep
from .collect import finished_shards
from .sharded_batches import FinishedShard, MergeError, ShardedBatches

_log = logging.getLogger("explainrun")
_SHARDS = "shard-*-of-*"
_MERGED = "merged"  # in the state of a run that is made of shards


def merge(out: str | Path, shards: Iterable[str | Path] | None = None, *, overwrite: bool = False) -> Results:
    """Join the finished shards of a run into a summary folder equal to that of a run never split.

    Records, pictures, maps, scores and predictions are the same bit by bit; wall times and pass counts are the shards'
    added up. Memory holds a batch of 64 samples, however many shards there are. Stopped anywhere, it starts over. Where
    the folder holds the same already, nothing is done; where it holds what the same shards gave before they have grown,
    that goes once all is merged.

    Args:
        out: the summary folder to write.
        shards: the shards' summary folders, in any order; by default those named shard-I-of-N in ``out``. They stay as
            they are, and may be removed afterwards: pictures become hard links to theirs where the file system allows
            it, else copies.
        overwrite: replace what run the folder holds.

    Returns:
        The whole run's results.

    Raises:
        MergeError: if the shards are of different plans, missing, given twice, damaged or unfinished, lack a picture,
            or the folder holds another run or is a shard's.
        BrokenRecordError: if the folder holds the merged run already, and its archive is damaged.
        FolderInUseError: if a run or a merge is writing to the folder.
        OSError: if the folder cannot be written.
    """
    root = Path(out)
    folders = sorted(root.glob(_SHARDS)) if shards is None else [Path(shard) for shard in shards]
    if shards is None and not folders:
        return _merged_from_gone(root)
    found = finished_shards(folders)
    if any(shard.run.root.resolve() == root.resolve() for shard in found):
        words = "{folder} is one of the shards, which stay as they are; name another folder"
        raise MergeError([Problem.of("out-is-a-shard", words, folder=root)])
    with FolderLock(root) as lock:
        sweep(root, lock)
        whole = {"shard": None, "summary_dir": str(root), "device": _devices(found)}
        skipped = {sample_id: why for shard in found for sample_id, why in shard.plan.skipped.items()}
        plan = PlanRecord.of({**found[0].plan.raw, **whole}).leaving_out(skipped)
        before = [run for run in find_runs(root, lock) if not half_merged(run)]
        if overwrite or all(run.finished for run in before):  # then the others are half merged
            remove_runs(root, finished=False, lock=lock)
        held = None if overwrite or not before else _held(before[-1])
        if held is not None and not _has_grown(before[-1], held, plan, found):
            _check_same(before[-1], held, plan, found)
            _clear(before[-1])
            return held
        tried = next((shard.tried for shard in found if shard.tried is not None), None) or {}
        probe = next((shard.probe.to_jsonable() for shard in found if shard.probe is not None), None)
        state = {"plan": plan.raw, **tried, "begins": found[0].begins, "replaces": bool(before), _MERGED: len(found)}
        run = RunFolder.create(root, found[0].plan.device, {**state, "probe": probe}, lock)
        batches = ShardedBatches(run, found)
        with SummaryWriter(run, [metadata(plan)]) as writer:
            for batch in batches.batches():
                records = list(sample_records(batch, run))
                _take_pictures(records, batches)
                lock.check()
                for record in records:
                    writer.write(record)
                writer.commit()
            results = finish(batches, plan, writer, lock.check)
        _clear(run)
        return results


def _devices(shards: Sequence[FinishedShard]) -> str:
    """What kinds of device the shards ran on."""
    return " and ".join(sorted({shard.plan.device for shard in shards}))


def half_merged(run: RunFolder) -> bool:
    """Whether a run was begun by a merge that did not come to its end, hence is worth nothing.

    With segments it is worth something: a run of the whole plan went on with it.
    """
    return not run.finished and _MERGED in (run.state() or {}) and not run.segments.exists()


def _clear(run: RunFolder) -> None:
    """Remove what a finished run has no use for, also where the merge that finished it did not come so far."""
    run.sweep()
    if (run.state() or {}).get("replaces"):
        remove_runs(run.root, keep=run, lock=run.lock)


def _held(run: RunFolder) -> Results:
    """The results that the folder holds.

    Raises:
        MergeError: if the run is not finished.
        BrokenRecordError: if its archive is damaged.
    """
    if not run.finished:
        words = "{folder} holds an unfinished run; {instead}"
        raise MergeError([Problem.of("out-holds-unfinished-run", words, folder=run.root, instead=INSTEAD)])
    return Results(run.archive)


def _check_same(run: RunFolder, results: Results, plan: PlanRecord, shards: Sequence[FinishedShard]) -> None:
    """Make sure that the results that the folder holds are what merging would make.

    Raises:
        MergeError: if they are not.
    """
    if apart := plan_differences(results.plan_record, plan):
        words = "{folder} holds another run ({differences}); {instead}"
        values = {"folder": run.root, "differences": shown(apart), "instead": INSTEAD}
        raise MergeError([Problem.of("out-holds-other-run", words, **values)])
    _check_data(run, results, shards)
    _log.info("%s holds this run, finished before: nothing to do", run.root)


def _has_grown(run: RunFolder, results: Results, plan: PlanRecord, shards: Sequence[FinishedShard]) -> bool:
    """Whether a run is what these shards gave before they grew: it has nothing that they have not.

    Raises:
        MergeError: if it was of other data.
    """
    if _MERGED not in (run.state() or {}):
        return False
    before, samples = results.plan_record, sum(shard.samples for shard in shards)
    surplus = Surplus.of(before, plan, len(results.samples) - samples)
    if surplus or growth_differences(before, plan) or not plan_differences(before, plan):
        return False
    _check_data(run, results, shards)
    return True


def _check_data(run: RunFolder, results: Results, shards: Sequence[FinishedShard]) -> None:
    """Make sure that a merged run is of the samples of these shards, or the first of them.

    Raises:
        MergeError: if it is not.
    """
    digests = results.digests
    for shard in shards:
        own = digests[shard.number - 1 :: shard.count]
        if not np.array_equal(own, Results(shard.run.archive, check=False).digests[: len(own)]):
            words = "{folder} holds a run of other data than {shard}; {instead}"
            values = {"folder": run.root, "shard": shard.run.root, "instead": INSTEAD}
            raise MergeError([Problem.of("out-holds-other-data", words, **values)])


def _merged_from_gone(root: Path) -> Results:
    """The results that a folder holds whose shards were removed after their merge.

    Raises:
        MergeError: if it holds none.
    """
    run = next((run for run in reversed(find_runs(root)) if run.finished and _MERGED in (run.state() or {})), None)
    if run is None:
        waiting = root.is_dir()
        words = "{folder} holds no {pattern}{yet}; name the shards' folders"
        values = {"folder": root, "pattern": _SHARDS, "yet": " yet" * waiting}
        raise MergeError([Problem.of("no-shards-here", words, **values)], waiting=waiting)
    _log.info("%s was merged before: nothing to do", root)
    return Results(run.archive)


def _take_pictures(records: Sequence[SampleRecord], batches: ShardedBatches) -> None:
    """Have the pictures that records name in the whole run's folder too."""
    folders = set()
    for record in records:
        theirs = batches.owner(record.sample_id).run
        for path in (record.image_path, *(heatmap.path for heatmap in record.heatmaps)):
            target, partial = batches.run.root / path, batches.run.partial()
            _take(theirs, Path(path).relative_to(batches.run.data.name), partial)
            batches.run.put(partial, target, durable=False)
            folders.add(target.parent)
    for folder in folders:
        sync_folder(folder)


def _take(shard: RunFolder, name: Path, partial: Path) -> None:
    source = shard.data / name
    try:
        copy(source, partial)
    except FileNotFoundError as error:
        if source.is_file():
            raise
        replaced = not shard.finished  # by a run that began meanwhile
        words = "{file} is missing; recompute the shard in {folder} with overwrite"
        problem = Problem.of("shard-picture-missing", words, file=source, folder=shard.root)
        raise MergeError([problem], waiting=replaced) from error
