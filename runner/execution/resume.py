"""What a summary folder holds already, and what that means for a plan: begin, resume, be done, or refuse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from ...summary_format import FolderLock, RunFolder, find_runs
from ...summary_format.growth.plan_growth import growth_differences
from ...summary_format.plan_diff import CHOSEN, MAKING, plan_differences, shown
from ...summary_format.plan_record import PlanRecord
from ...summary_format.problem import Problem
from ...summary_format.shards.merge import half_merged
from ...summary_format.storage.run_folder import INSTEAD, RUN_FORMAT, shown_run
from ..plan.checks import folder_problems
from ..plan.plan import Plan
from ..plan.sharding import PLACE
from ..problems import PlanError


@dataclass(frozen=True)
class Growing:
    """A run that a plan grows out of: it has explainers, metrics, samples and so on that the run lacks, or fewer.

    Attributes:
        run: the earlier one.
        plan: of it.
        state: what it says of itself.
        checked: whether its archive was checked just before.
    """

    run: RunFolder
    plan: PlanRecord
    state: Mapping[str, Any]
    checked: bool = False


@dataclass(frozen=True, kw_only=True)
class ResumeDecision:
    """How a run of a plan finds its folder.

    Attributes:
        plan: what runs; with the pass size of the run that is there, if that was left to a measurement.
        run: the run that is there and of the same plan, to resume or finished; None to begin one.
        replaces: whether the runs that were there before go once this one is finished.
        problems: why it cannot run.
        grows: what a run that is to be begun grows out of; None where it computes everything.
    """

    plan: Plan
    run: RunFolder | None
    replaces: bool
    problems: tuple[Problem, ...] = ()
    grows: Growing | None = None


def resume_decision(plan: Plan, *, overwrite: bool, resume: bool, lock: FolderLock | None = None) -> ResumeDecision:
    """Look at the folder that a plan writes to.

    Args:
        plan: what is to run.
        overwrite: start over whatever is there.
        resume: resume an unfinished run of the plan, instead of starting over.
        lock: that holds the folder, if the run is to be written.
    """
    unfit = plan.undescribed or folder_problems(plan.summary_dir)  # which the plan reports itself
    runs = [] if unfit else find_runs(plan.summary_dir, lock)
    if overwrite or not runs or _described(plan) is None:
        # Nothing to compare, or a plan that cannot be written, which checks of it report.
        return ResumeDecision(plan=plan, run=None, replaces=bool(runs))
    try:
        decision, base = _decision(plan, runs[-1], resume=resume), shown_run(runs)
        if not resume and base is not runs[-1] and not decision.problems:
            return _decision(plan, base, resume=True)
    except PlanError as error:
        return ResumeDecision(plan=plan, run=None, replaces=False, problems=error.problems)
    return decision


def _decision(plan: Plan, run: RunFolder, *, resume: bool) -> ResumeDecision:
    """What one run means for a plan.

    Raises:
        PlanError: if the two cannot be compared.
    """
    kind, state = "a finished" if run.finished else "an unfinished", run.state() or {}
    before = _plan_of(plan, run, state, kind)
    sized = plan.with_measured_size(before.pass_size) if plan.measures_size else plan
    now = sized.described
    same = not plan_differences(before, now, (*CHOSEN, *(MAKING if run.finished else ())))
    if not same and (apart := growth_differences(before, now) + _format_apart(run)):
        return ResumeDecision(
            plan=plan, run=None, replaces=False, problems=(_of_another_plan(plan, kind, before, now, apart),)
        )
    if not run.finished and not resume:
        return ResumeDecision(plan=plan, run=None, replaces=True)
    link = None if run.finished else run.link()
    if link is not None:
        problem = Problem.of(
            "folder-holds-link",
            "summary_dir {folder} holds an unfinished run whose {link} is a link to elsewhere; {instead}",
            folder=plan.summary_dir,
            link=link.name,
            instead=INSTEAD,
        )
        return ResumeDecision(plan=plan, run=None, replaces=False, problems=(problem,))
    if same:
        return ResumeDecision(plan=sized, run=run, replaces=bool(state["replaces"]))
    return ResumeDecision(plan=sized, run=None, replaces=True, grows=Growing(run, before, state))


def _format_apart(run: RunFolder) -> list[str]:
    """That another version drew the pictures of a run, by other rules."""
    return [] if run.format == RUN_FORMAT else [f"run format was {run.format}, is {RUN_FORMAT}"]


def whole_run_finished(plan: Plan, *, overwrite: bool) -> bool:
    """Whether a folder into which shards are to be merged holds their run already.

    Args:
        plan: of all samples.
        overwrite: replace whatever is there, which is then as good as nothing.

    Raises:
        PlanError: if it holds another one, which could not be replaced once all shards are finished.
    """
    runs = find_runs(plan.summary_dir)
    if overwrite or not runs or half_merged(runs[-1]):
        return False
    decision = resume_decision(plan, overwrite=False, resume=True)
    if decision.problems:
        raise PlanError(decision.problems)
    if decision.run is not None and not decision.run.finished:
        words = "summary_dir {folder} holds an unfinished run of all samples, in one: finish it that way; {instead}"
        raise PlanError([Problem.of("folder-holds-whole-run", words, folder=plan.summary_dir, instead=INSTEAD)])
    return decision.run is not None


def _described(plan: Plan) -> PlanRecord | None:
    """The plan as it would be written; None if it cannot be."""
    with suppress(PlanError):
        return plan.described
    return None


def _of_another_plan(plan: Plan, kind: str, before: PlanRecord, now: PlanRecord, apart: Sequence[str]) -> Problem:
    another = None not in (before.shard, now.shard) and before.shard != now.shard
    advice = f"; each shard needs a folder of its own: put {PLACE} into its name" * another
    return Problem.of(
        "folder-holds-other-plan",
        "summary_dir {folder} holds {kind} run of another plan ({differences}); {instead}{advice}",
        folder=plan.summary_dir,
        kind=kind,
        differences=shown(apart),
        instead=INSTEAD,
        advice=advice,
    )


def _plan_of(plan: Plan, run: RunFolder, state: Mapping[str, Any], kind: str) -> PlanRecord:
    """The plan of a run in a plan's folder.

    Raises:
        PlanError: if the two cannot be compared.
    """
    if (why := run.why_not_resumed()) is not None:
        words = "summary_dir {folder}: {why}"
        raise PlanError([Problem.of("folder-not-resumed", words, folder=plan.summary_dir, why=why)])
    values = {"folder": plan.summary_dir, "kind": kind, "instead": INSTEAD}
    before = None
    with suppress(ValueError):
        before = PlanRecord.of(state.get("plan"))
    if before is None or not isinstance(state.get("dropout", {}), dict) or "replaces" not in state:
        raise PlanError([unknown_run(plan, run)])
    if "parameters" not in before.network:
        words = (
            "summary_dir {folder} holds {kind} run of an earlier version of Explainrun, which knew networks by other "
            "checksums; {instead}"
        )
        raise PlanError([Problem.of("folder-holds-earlier-version", words, **values)])
    return before


def unknown_run(plan: Plan, run: RunFolder) -> Problem:
    """The folder holds a run that cannot be understood."""
    words = "summary_dir {folder} holds {kind} run that does not say what it does; {instead}"
    kind = "a finished" if run.finished else "an unfinished"
    return Problem.of("folder-holds-unknown-run", words, folder=plan.summary_dir, kind=kind, instead=INSTEAD)


def other_data(plan: Plan) -> Problem:
    """The folder holds a finished run of samples that the dataset does not give."""
    words = "summary_dir {folder} holds a finished run of other data; {instead}"
    return Problem.of("folder-holds-other-data", words, folder=plan.summary_dir, instead=INSTEAD)
