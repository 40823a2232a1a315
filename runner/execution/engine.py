"""Working through a plan: from its first sample, or from wherever an earlier start came to, to its manifest."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import mindspore as ms
import numpy as np

from ...explainers.core.automatic_layer import ChosenLayer
from ...explainers.network import PROBED, Network, keeping_random_state, probe
from ...explainers.network.tensors import FloatArray
from ...summary_format import BrokenRecordError, FolderLock, Results, RunFolder, Segments, SummaryWriter, remove_runs
from ...summary_format.event_file.records import Record
from ...summary_format.lifecycle.finish import finish, metadata
from ...summary_format.lifecycle.repair import mend
from ...summary_format.lifecycle.viewer_records import sample_records
from ...summary_format.plan_record import PlanRecord
from ...summary_format.probe import Probe
from ...summary_format.problem import Problem
from ...summary_format.storage.run_folder import INSTEAD, sweep
from ..data.samples import Sample
from ..plan.checks import folder_problems, plan_problems
from ..plan.plan import Plan
from ..problems import DamagedRunError, DatasetChangedError, PlanError
from .batch import Batch, check_same, digests, read
from .batch_loop import BatchLoop, check_results, need_inference, report_doubts, report_viewer_limits
from .commit_queue import Committer
from .doubts import REPEAT, kept_doubts
from .pass_counts import Costs, Profile
from .preflight import PreflightResult, preflight_check, with_measured_size
from .progress import RunProgress
from .resume import ResumeDecision, other_data, resume_decision
from .run_result import RunResult
from .signals import Stopping

_log = logging.getLogger("explainrun")


def execute(plan: Plan, *, overwrite: bool = False, resume: bool = True) -> RunResult:
    """Run a plan to its manifest.

    Args:
        plan: what to do.
        overwrite: start over, and remove the other runs that the summary folder holds once this one is finished.
        resume: resume an unfinished run of this plan; otherwise it is replaced. A finished one is left alone in
            either case.

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
        begun = None if decision.run is None else _known_again(plan, network, decision.run, stopping)
        if begun is not None and begun.run.finished:
            return _finished_before(begun, replaces=decision.replaces)
        earlier = {} if begun is None else _mended(begun, stopping).costs()
        profile = Profile(network, earlier)
        if begun is None:
            begun = _begun(plan, decision, network=network, profile=profile, stopping=stopping, lock=lock)
        results = _go(begun, network=network, profile=profile, stopping=stopping, lock=lock)
        lock.check()
        _clear(begun.run, replaces=decision.replaces)
        seconds = _seconds(earlier) + time.monotonic() - began
        result = RunResult.of(results, plan.summary_dir, seconds)
    result.costs["seconds"]["joining and closing"] = _seconds(profile.drained())
    return result


@dataclass(frozen=True, kw_only=True)
class _Begun:
    """A run that has its folder.

    Attributes:
        plan: what it does, with the layers that were chosen when it began.
        run: its files.
        groups: its batches.
        first: the first of them, where it was examined with the plan.
        skipped: why samples are left out, by id; grows while they are read.
    """

    plan: Plan
    run: RunFolder
    groups: Iterator[list[Sample]]
    first: Batch | None = None
    skipped: Mapping[str, str] = field(default_factory=dict)


def _known_again(plan: Plan, network: Network, run: RunFolder, stopping: Stopping) -> _Begun:
    """The run that a folder holds, if its network is the plan's.

    Raises:
        DatasetChangedError: if its samples were others.
        PlanError: if it is another one.
    """
    state, reading = run.state() or {}, read(plan, stopping.check)
    kind, chosen = "a finished" if run.finished else "an unfinished", _chosen_layers(PlanRecord.of(state.get("plan")))
    begins = np.array(state.get("begins", ()), np.int64)
    if run.finished and not np.array_equal(begins, digests(reading.first_pass_samples)):
        raise DatasetChangedError([other_data(plan)])
    check_same(begins, reading.first_pass_samples)
    if reading.first_pass_samples:
        network.trial = reading.first_pass_images  # as when it began
        apart = _network_apart(plan, network, reading.first_pass_images[:PROBED], state)
        if apart is not None:
            words = "summary_dir {folder} holds {kind} run of a network that computes something else: {how}; {instead}"
            values = {"folder": plan.summary_dir, "kind": kind, "how": apart, "instead": INSTEAD}
            raise PlanError([Problem.of("folder-holds-other-network", words, **values)])
        report_doubts(plan, kept_doubts(state.get("doubts"), Probe.of(state.get("probe"))))
    if plan.measured_size is not None:
        _log.info("pass_size %d, as when the run began", plan.measured_size)
    if chosen:
        named = ", ".join(f"{name}: {layer}" for name, layer in chosen.items())
        _log.info("layers that were chosen when the run began: %s", named)
    return _Begun(plan=plan.with_layers(chosen), run=run, groups=reading.batches, skipped=reading.skipped)


def _chosen_layers(plan: PlanRecord) -> dict[str, ChosenLayer]:
    return {name: ChosenLayer(layer, plan.chosen_reshapes.get(name)) for name, layer in plan.chosen_layers.items()}


@keeping_random_state()
def _network_apart(plan: Plan, network: Network, images: FloatArray, state: Mapping[str, Any]) -> str | None:
    """How a plan's network differs from the one that answered a run's probe, if it does."""
    try:
        kept = Probe.of(state.get("probe"))
    except ValueError as error:
        return str(error)
    found = probe(network, images, plan.activation_fn)
    if kept.answers is None and found.difference(probe(network, images, plan.activation_fn)):
        found = replace(found, answers=None)  # which one pass need not show
    return kept.difference(found)


def _finished_before(begun: _Begun, *, replaces: bool) -> RunResult:
    """What a finished run found, if it is whole, of the data that the plan has, and what it wants.

    Raises:
        DamagedRunError: if it cannot be read.
        DatasetChangedError: if its samples were others.
        NotComputedError: if something is not finite and the plan's options refuse that.
    """
    plan, run = begun.plan, begun.run
    try:
        results = Results(run.archive)
    except (BrokenRecordError, FileNotFoundError) as error:
        raise DamagedRunError(
            [
                Problem.of(
                    "run-damaged",
                    "the finished run is damaged: {said}; recompute it: overwrite (--overwrite)",
                    said=str(error),
                )
            ]
        ) from error
    given = digests(next(begun.groups, []))
    if not np.array_equal(given, results.digests[: len(given)]):
        raise DatasetChangedError([other_data(plan)])
    check_results(plan, results)
    _clear(run, replaces=replaces)
    _log.info("%s holds this run, finished before: nothing to do", plan.summary_dir)
    return RunResult.of(results, plan.summary_dir, finished_before=True)


def _mended(begun: _Begun, stopping: Stopping) -> Segments:
    """What is committed of a run that is resumed, all of it sound."""
    segments = _segments(begun)
    for what in mend(segments, stopping.check):
        _log.warning("%s; it is computed again", what)
    _log.info("resuming the run in %s", begun.plan.summary_dir)
    return segments


def _begun(
    plan: Plan, decision: ResumeDecision, *, network: Network, profile: Profile, stopping: Stopping, lock: FolderLock
) -> _Begun:
    """A new run.

    Raises:
        PlanError: with all that is wrong.
    """
    if decision.problems:
        raise PlanError([*decision.problems, *plan_problems(plan)])
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
    plan = preflight.plan
    state = {
        "plan": plan.described.raw,
        "begins": preflight.begins,
        "compiled": preflight.compiled,
        "dropout": asdict(network.dropout),
        "probe": preflight.probe and preflight.probe.to_jsonable(),
        "doubts": {doubt.code: doubt for doubt in preflight.doubts},
        "replaces": decision.replaces,
    }
    _need_trials(profile, plan, preflight, network.passes.made[REPEAT])
    remove_runs(plan.summary_dir, finished=False, lock=lock)  # finished ones stay until this one is
    run = RunFolder.create(plan.summary_dir, ms.get_context("device_target"), state, lock)
    return _Begun(plan=plan, run=run, groups=preflight.groups, first=preflight.first, skipped=preflight.skipped)


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


def _go(begun: _Begun, *, network: Network, profile: Profile, stopping: Stopping, lock: FolderLock) -> Results:
    """Do what is left of a run; gives what it came to."""
    plan, run = begun.plan, begun.run
    report_viewer_limits(plan)
    run.sweep()
    segments = _segments(begun)
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
                stop=stopping.check,
            )
            batch_loop.run(begun.groups, begun.first)

        def check() -> None:
            stopping.check()
            lock.check()

        with profile.timed("joining"):
            return finish(segments, plan.described.leaving_out(begun.skipped), writer, check)


def _segments(begun: _Begun) -> Segments:
    names = tuple(explainer.name for explainer in begun.plan.explainers)
    searching, pass_size = begun.plan.hierarchical_occlusion is not None, begun.plan.pass_size
    return Segments(begun.run, names, searching=searching, pass_size=pass_size)


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
