"""Working through a plan: from its first sample, or from wherever an earlier start came to, to its manifest."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import mindspore as ms
import numpy as np

from ...explainers.network import Network
from ...summary_format import BrokenRecordError, FolderLock, Results, RunFolder, Segments, SummaryWriter, remove_runs
from ...summary_format.archive.growth_record import costs_before
from ...summary_format.event_file.records import Record
from ...summary_format.lifecycle.finish import finish, metadata
from ...summary_format.lifecycle.repair import mend
from ...summary_format.lifecycle.viewer_records import sample_records
from ...summary_format.storage.run_folder import sweep
from ..batches.batch import digests
from ..batches.batch_loop import BatchLoop, need_inference
from ..batches.checks import check_results, report_doubts, report_viewer_limits
from ..batches.commit_queue import Committer
from ..batches.pass_counts import Costs, Profile
from ..batches.progress import RunProgress
from ..plan.checks import folder_problems, plan_problems
from ..plan.plan import Plan
from ..problems import DatasetChangedError, PlanError
from .doubts import REPEAT
from .growing import clear, grown
from .preflight import PreflightResult, preflight_check, with_measured_size
from .recognition import Begun, compile_later, damaged_run, known_again, segments_of
from .resume import ResumeDecision, other_data, resume_decision
from .run_result import RunResult
from .signals import Stopping

_log = logging.getLogger("explainrun")


def execute(
    plan: Plan, *, overwrite: bool = False, resume: bool = True, prune: bool = False, checked: Path | None = None
) -> RunResult:
    """Run a plan to its manifest.

    Args:
        plan: what to do.
        overwrite: start over, and remove the other runs that the summary folder holds once this one is finished.
        resume: resume an unfinished run of this plan; otherwise it is replaced. A finished one is left alone in
            either case, unless the plan has more, or less: then a run grows out of it, which computes what it lacks.
        prune: remove from the folder, once the run is finished, what earlier plans computed and this one hides.
        checked: the archive of a finished run whose checksum was compared just before, and is not compared again.

    Raises:
        PlanError: with everything found wrong before anything is written.
        DatasetChangedError: if the folder holds a run of other samples, as far as it is resumed or taken.
        DamagedRunError: if it holds this run, finished, and it cannot be read.
        FolderInUseError: if another run is writing to the folder.
        SampleError: at a later sample that does not fit.
        NotComputedError: where something is not finite, if the plan's options refuse that.
        RunStopped: after a signal, once the work at hand is committed.
        OSError: if the folder cannot be written; what is committed is kept.
    """
    began = time.monotonic()
    if folder_problems(plan.summary_dir) or plan.undescribed:
        raise PlanError(preflight_check(plan, plan.opened()).problems)
    with Stopping() as stopping, FolderLock(plan.summary_dir) as lock:
        sweep(plan.summary_dir, lock)
        decision = resume_decision(plan, overwrite=overwrite, resume=resume, lock=lock)
        plan, network = decision.plan, decision.plan.opened()
        begun = None if decision.run is None else known_again(plan, network, decision.run, stopping)
        if begun is not None and begun.run.finished:
            check = not _same_file(begun.run.archive, checked)
            return _finished_before(begun, check=check, replaces=decision.replaces, prune=prune)
        earlier = {} if begun is None else _mended(begun, stopping).own_costs()
        profile = Profile(network, earlier)
        if begun is None and decision.grows is not None:
            growing = replace(decision.grows, checked=_same_file(decision.grows.run.archive, checked))
            begun = grown(plan, growing, network=network, profile=profile, stopping=stopping, lock=lock)
        if begun is None:
            begun = _begun(plan, decision, network=network, profile=profile, stopping=stopping, lock=lock)
        before = _seconds(costs_before(begun.run.state())) + _seconds(earlier)
        results = work_through(begun, network=network, profile=profile, stopping=stopping, lock=lock)
        lock.check()
        clear(begun.run, results, replaces=decision.replaces, prune=prune, known=begun.earlier.archives)
        result = RunResult.of(results, plan.summary_dir, before + time.monotonic() - began)
    result.costs["seconds"]["joining and closing"] = _seconds(profile.drained())
    return result


def _same_file(path: Path, other: Path | None) -> bool:
    return other is not None and path.exists() and path.samefile(other)


def _finished_before(begun: Begun, *, check: bool, replaces: bool, prune: bool) -> RunResult:
    """What a finished run found, if it is whole, of the data that the plan has, and what it wants.

    Raises:
        DamagedRunError: if it cannot be read.
        DatasetChangedError: if its samples were others.
        NotComputedError: if something is not finite and the plan's options refuse that.
    """
    plan, run = begun.plan, begun.run
    try:
        results = Results(run.archive, check=check)
    except (BrokenRecordError, FileNotFoundError) as error:
        raise damaged_run(error) from error
    given = digests(next(begun.groups, []))
    if not np.array_equal(given, results.digests[: len(given)]):
        raise DatasetChangedError([other_data(plan)])
    check_results(plan, results)
    clear(run, results, replaces=replaces, prune=prune)
    _log.info("%s holds this run, finished before: nothing to do", plan.summary_dir)
    return RunResult.of(results, plan.summary_dir, finished_before=True)


def _mended(begun: Begun, stopping: Stopping) -> Segments:
    """What is committed of a run that is resumed, all of it sound."""
    segments = segments_of(begun)
    for what in mend(segments, stopping.check):
        _log.warning("%s; it is computed again", what)
    _log.info("resuming the run in %s", begun.plan.summary_dir)
    return segments


def _begun(
    plan: Plan, decision: ResumeDecision, *, network: Network, profile: Profile, stopping: Stopping, lock: FolderLock
) -> Begun:
    """A new run.

    Raises:
        PlanError: with all that is wrong.
    """
    if decision.problems:
        raise PlanError([*decision.problems, *plan_problems(plan)])
    preflight = examined(plan, network, profile, stopping)
    plan, state = preflight.plan, state_of(preflight, network, replaces=decision.replaces)
    _need_trials(profile, plan, preflight, network.passes.made[REPEAT])
    remove_runs(plan.summary_dir, finished=False, lock=lock)  # finished ones stay until this one is
    run = RunFolder.create(plan.summary_dir, ms.get_context("device_target"), state, lock)
    return Begun(plan=plan, run=run, groups=preflight.groups, first=preflight.first, skipped=preflight.skipped)


def examined(plan: Plan, network: Network, profile: Profile, stopping: Stopping) -> PreflightResult:
    """A new run's plan and first batch, looked at; nothing is written.

    Raises:
        PlanError: with all that is wrong.
    """
    _ = plan.identity  # before any pass: a network that passes change is another one afterwards
    if plan.measures_size:
        with profile.timed("measuring pass sizes"):
            plan = with_measured_size(plan, network.passes, stopping.check)
        network.pass_size = plan.pass_size
    with profile.timed("first batch: inference and maps"):
        preflight = preflight_check(plan, network, plan.sample_count, stopping.check)
    if preflight.problems:
        raise PlanError(preflight.problems)
    report_doubts(plan, preflight.doubts)
    stopping.check()
    return preflight


def state_of(preflight: PreflightResult, network: Network, *, replaces: bool) -> dict[str, Any]:
    """What the folder of a new run says of it, for later starts.

    Args:
        preflight: what looking at its plan gave.
        network: where that ran.
        replaces: whether the runs that its folder holds go once it is finished.
    """
    return {
        "plan": preflight.plan.described.raw,
        "begins": preflight.begins,
        "compiled": preflight.compiled,
        "dropout": asdict(network.dropout),
        "probe": preflight.probe and preflight.probe.to_jsonable(),
        "doubts": {doubt.code: doubt for doubt in preflight.doubts},
        "replaces": replaces,
    }


def _need_trials(profile: Profile, plan: Plan, preflight: PreflightResult, repeated: int) -> None:
    """Count what examining a plan tried, and the passes that were made again to see why others did not agree."""
    profile.need_probe(len(preflight.begins))
    profile.need_passes("layer choice", bool(plan.chosen_layers))
    profile.need_passes("layer check", bool(plan.inner_layers))
    if preflight.first is None:
        return
    if plan.tries_compiling:
        profile.need_compiling(compiled=preflight.compiled)
    if plan.dropout_samples:
        profile.need_dropout_trial()
    if plan.shard is not None:
        profile.need_place_trial()
    profile.need_passes(REPEAT, repeated)
    need_inference(profile, plan, len(preflight.first.samples))


def work_through(begun: Begun, *, network: Network, profile: Profile, stopping: Stopping, lock: FolderLock) -> Results:
    """Do what is left of a run; gives what it came to.

    Raises:
        RuntimeError: if forward passes ran compiled when it began, and cannot now.
    """
    plan, run = begun.plan, begun.run
    report_viewer_limits(plan)
    run.sweep()
    segments = segments_of(begun)
    if begun.compiled is not None:
        compile_later(network, begun.compiled, profile, stopping)
    with SummaryWriter(run, _records_so_far(plan, segments)) as writer:
        with (
            RunProgress(plan.sample_count) as progress,
            Committer(run, lock.check) as committer,
        ):
            batch_loop = BatchLoop(
                plan=plan,
                network=network,
                segments=segments,
                committer=committer,
                writer=writer,
                profile=profile,
                progress=progress,
                earlier=begun.earlier,
                stop=stopping.check,
            )
            batch_loop.run(begun.groups, begun.first)

        def check() -> None:
            stopping.check()
            lock.check()

        with profile.timed("joining"):
            return finish(segments, plan.described.leaving_out(begun.skipped), writer, check)


def _seconds(costs: Costs) -> float:
    return sum(costs.get("seconds", {}).values())


def _records_so_far(plan: Plan, segments: Segments) -> Iterator[Record]:
    """What the event file holds of the committed batches."""
    yield metadata(plan.described)
    for results in segments.batches():
        yield from sample_records(results, segments.run)
