"""Working through a plan: from its first sample, or from wherever an earlier start came to, to its manifest."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from dataclasses import asdict

import mindspore as ms
import numpy as np

from ..explainers.network import Network
from ..summary_format import (
    BrokenRecordError,
    FolderLock,
    Results,
    RunFolder,
    Segments,
    SummaryWriter,
    remove_runs,
)
from ..summary_format.finishing import finish, metadata
from ..summary_format.folder import sweep
from ..summary_format.mending import mend
from ..summary_format.records import Record
from ..summary_format.sample_records import sample_records
from .batch import Batch, digests, read
from .committing import Committer
from .examination import examine
from .opening import Opening, held, opening
from .plan import Plan, PlanError, folder_problems
from .profile import Costs, Profile
from .progress import Progress
from .result import RunResult
from .samples import Sample
from .stopping import Stopping
from .work import Work, check_results, need_inference

_log = logging.getLogger("explainrun")


def execute(plan: Plan, *, overwrite: bool = False, resume: bool = True) -> RunResult:
    """Run a plan to its manifest.

    Args:
        plan: what to do.
        overwrite: begin anew, and remove the other runs that the summary folder holds once this one is finished.
        resume: go on with an unfinished run of this plan; otherwise it is replaced. A finished one is left alone in
            either case.

    Raises:
        PlanError: with everything found wrong before anything is written.
        FolderInUseError: if another run is writing to the folder.
        SampleError: at a later sample whose shapes do not fit.
        NotComputedError: where something is not finite, if the plan is strict.
        RunStopped: after a signal, once the work at hand is committed.
        OSError: if the folder cannot be written; what is committed is kept.
    """
    began = time.monotonic()
    network = Network(plan.network, plan.pass_size, fill=True)
    if folder_problems(plan.summary_dir):
        raise PlanError(examine(plan, network).problems)
    with Stopping() as stopping, FolderLock(plan.summary_dir) as lock:
        sweep(plan.summary_dir, lock)
        found = opening(plan, overwrite=overwrite, resume=resume, lock=lock)
        if found.run is not None and found.run.finished:
            results = _finished_before(plan, found.run)
            _clear(found.run, replaces=found.replaces)
            _log.info("%s holds this run, finished before: nothing to do", plan.summary_dir)
            return RunResult.of(results, plan.summary_dir, finished_before=True)
        if found.run is not None:
            for what in mend(_segments(plan, found.run), stopping.check):
                _log.warning("%s; it is computed again", what)
        earlier = _earlier_costs(plan, found.run)
        profile = Profile(network, earlier)
        run, first, groups = _entered(plan, network, profile, found, stopping, lock)
        results = _go(plan, network, profile, run, first, groups, stopping, lock)
        lock.check()
        _clear(run, replaces=found.replaces)
        result = RunResult.of(results, plan.summary_dir, _seconds(earlier) + time.monotonic() - began)
    result.costs["seconds"]["joining and closing"] = _seconds(profile.drained())
    return result


def _finished_before(plan: Plan, run: RunFolder) -> Results:
    """The results of a finished run, if they are whole, of the data that the plan has, and what it wants.

    Raises:
        PlanError: if they are not.
        NotComputedError: if something is not finite and the plan is strict.
    """
    try:
        results = Results(run.archive)
    except (BrokenRecordError, FileNotFoundError) as error:
        raise PlanError([f"the finished run is damaged: {error}; make it anew: overwrite (--overwrite)"]) from error
    given = digests(next(read(plan).batches, []))
    if not np.array_equal(given, results.digests[: len(given)]):
        raise PlanError([held(plan, "a finished run of other data")])
    check_results(plan, results)
    return results


def _entered(
    plan: Plan, network: Network, profile: Profile, found: Opening, stopping: Stopping, lock: FolderLock
) -> tuple[RunFolder, Batch | None, Iterator[list[Sample]]]:
    """The run to work on, its first batch if that is known, and its batches."""
    if found.run is not None:
        _log.info("going on with the run in %s", plan.summary_dir)
        return found.run, None, read(plan, stopping.check).batches
    if found.problems:
        raise PlanError([*found.problems, *plan.problems()])
    with profile.timed("first batch: inference and maps"):
        examined = examine(plan, network, plan.sample_count, stopping.check)
    if examined.problems:
        raise PlanError(examined.problems)
    stopping.check()
    state = {
        "plan": plan.described,
        "begins": examined.begins,
        "compiled": examined.compiled,
        "dropout": asdict(network.dropout),
        "replaces": found.replaces,
    }
    if examined.first is not None:
        _need_trials(profile, plan, compiled=examined.compiled)
        need_inference(profile, plan, len(examined.first.samples))
    remove_runs(plan.summary_dir, finished=False, lock=lock)  # finished ones stay until this one is
    run = RunFolder.create(plan.summary_dir, ms.get_context("device_target"), state, lock)
    return run, examined.first, examined.groups


def _need_trials(profile: Profile, plan: Plan, *, compiled: bool) -> None:
    """Count what examining a plan tried."""
    if plan.tries_compiling:
        profile.need_compiling(compiled=compiled)
    if plan.dropout_samples:
        profile.need_dropout_trial()
    if plan.shard is not None:
        profile.need_place_trial()


def _go(
    plan: Plan,
    network: Network,
    profile: Profile,
    run: RunFolder,
    first: Batch | None,
    groups: Iterator[list[Sample]],
    stopping: Stopping,
    lock: FolderLock,
) -> Results:
    """Do what is left of a run; gives what it came to."""
    run.sweep()
    segments = _segments(plan, run)
    with SummaryWriter(run, _records_so_far(plan, segments)) as writer:
        with (
            Progress(plan.sample_count) as progress,
            Committer(run, lock.check) as committer,
        ):
            work = Work(plan, network, segments, committer, writer, profile, progress, stopping.check)
            work.all(groups, first)

        def check() -> None:
            stopping.check()
            lock.check()

        with profile.timed("joining"):
            return finish(segments, plan.described, writer, check)


def _segments(plan: Plan, run: RunFolder) -> Segments:
    names = tuple(explainer.name for explainer in plan.explainers)
    return Segments(run, names, searching=plan.hierarchical_occlusion is not None)


def _earlier_costs(plan: Plan, run: RunFolder | None) -> Costs:
    """What the committed work of earlier starts took."""
    return {} if run is None else _segments(plan, run).costs()


def _seconds(costs: Costs) -> float:
    return sum(costs.get("seconds", {}).values())


def _records_so_far(plan: Plan, segments: Segments) -> Iterator[Record]:
    """What the event file holds of the committed batches."""
    yield metadata(plan.described)
    for results in segments.batches():
        yield from sample_records(results, segments.run)


def _clear(run: RunFolder, *, replaces: bool) -> None:
    """Remove what a finished run has no use for."""
    run.sweep()
    if replaces:
        remove_runs(run.root, keep=run, lock=run.lock)
