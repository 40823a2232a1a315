"""What a summary folder holds already, and what that means for a plan: begin, resume, be done, or refuse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from ...summary_format import FolderLock, RunFolder, find_runs
from ...summary_format.plan_diff import CHOSEN, MAKING, plan_differences, shown
from ...summary_format.plan_record import PlanRecord
from ...summary_format.problem import Problem
from ...summary_format.shards.merge import half_merged
from ...summary_format.storage.run_folder import INSTEAD
from ..plan.checks import folder_problems
from ..plan.plan import Plan
from ..plan.sharding import PLACE
from ..problems import PlanError


@dataclass(frozen=True)
class ResumeDecision:
    """How a run of a plan finds its folder.

    Attributes:
        run: the run that is there and of the same plan, to resume or finished; None to begin one.
        replaces: whether the runs that were there before go once this one is finished.
        problems: why it cannot run.
    """

    run: RunFolder | None
    replaces: bool
    problems: tuple[Problem, ...] = ()


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
    now = None if overwrite or not runs else _described(plan)
    if now is None:  # nothing to compare, or a plan that cannot be written, which checks of it report
        return ResumeDecision(None, bool(runs))
    run, kind = runs[-1], "a finished" if runs[-1].finished else "an unfinished"
    state = run.state() or {}
    try:
        before = _plan_of(plan, run, state, kind)
    except PlanError as error:
        return ResumeDecision(None, False, error.problems)
    apart = plan_differences(before, now, (*CHOSEN, *(MAKING if run.finished else ())))
    if apart:
        return ResumeDecision(None, False, (_of_another_plan(plan, kind, before, now, apart),))
    link = None if run.finished or not resume else run.link()
    if link is not None:
        problem = Problem.of(
            "folder-holds-link",
            "summary_dir {folder} holds an unfinished run whose {link} is a link to elsewhere; {instead}",
            folder=plan.summary_dir,
            link=link.name,
            instead=INSTEAD,
        )
        return ResumeDecision(None, False, (problem,))
    if run.finished or resume:
        return ResumeDecision(run, bool(state["replaces"]))
    return ResumeDecision(None, True)


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
        words = "summary_dir {folder} holds {kind} run that does not say what it does; {instead}"
        raise PlanError([Problem.of("folder-holds-unknown-run", words, **values)])
    if "parameters" not in before.network:
        words = (
            "summary_dir {folder} holds {kind} run of an earlier version of Explainrun, which knew networks by other "
            "checksums; {instead}"
        )
        raise PlanError([Problem.of("folder-holds-earlier-version", words, **values)])
    return before


def other_data(plan: Plan) -> Problem:
    """The folder holds a finished run of samples that the dataset does not give."""
    words = "summary_dir {folder} holds a finished run of other data; {instead}"
    return Problem.of("folder-holds-other-data", words, folder=plan.summary_dir, instead=INSTEAD)
