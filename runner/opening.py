"""What a summary folder holds already, and what that means for a plan: begin, go on, be done, or refuse."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..summary_format import RunFolder, find_runs
from .plan import Plan, folder_problems

_MAKING = ("versions", "device")  # what a finished run need not share
_SHOWN_DIFFERENCES = 8


@dataclass(frozen=True)
class Opening:
    """How a run of a plan finds its folder.

    Attributes:
        run: the run that is there and of the same plan, to go on with or finished; None to begin one.
        replaces: whether the runs that were there before go once this one is finished.
        problems: why it cannot run.
    """

    run: RunFolder | None
    replaces: bool
    problems: tuple[str, ...] = ()


def opening(plan: Plan, *, overwrite: bool, resume: bool) -> Opening:
    """Look at the folder that a plan writes to.

    Args:
        plan: what is to run.
        overwrite: begin anew whatever is there.
        resume: go on with an unfinished run of the plan, instead of beginning anew.
    """
    runs = [] if folder_problems(plan.summary_dir) else find_runs(plan.summary_dir)  # the plan tells those itself
    if not runs or overwrite:
        return Opening(None, bool(runs))
    run, kind = runs[-1], "a finished" if runs[-1].finished else "an unfinished"
    state = run.state()
    if not state or not _says(state):
        return Opening(None, False, (held(plan, f"{kind} run that does not say what it does"),))
    apart = differences(state["plan"], plan.described, () if not run.finished else _MAKING)
    if apart:
        told = "; ".join(apart[:_SHOWN_DIFFERENCES] + ["..."] * (len(apart) > _SHOWN_DIFFERENCES))
        return Opening(None, False, (held(plan, f"{kind} run of another plan ({told})"),))
    link = None if run.finished or not resume else run.link()
    if link is not None:
        return Opening(None, False, (held(plan, f"an unfinished run whose {link.name} is a link to elsewhere"),))
    if run.finished or resume:
        return Opening(run, bool(state["replaces"]))
    return Opening(None, True)


def _says(state: Mapping[str, Any]) -> bool:
    """Whether what was kept of a run is what we keep."""
    plan, dropout = state.get("plan"), state.get("dropout", {})
    kinds = (("explainers", dict), ("metrics", dict), ("config", (dict, type(None))))
    if not isinstance(plan, dict) or not isinstance(dropout, dict) or "replaces" not in state:
        return False
    return all(key in plan and isinstance(plan[key], kind) for key, kind in kinds)


def held(plan: Plan, what: str) -> str:
    """The sentence that refuses a folder for what it holds."""
    return f"summary_dir {plan.summary_dir} holds {what}; name another folder, or say overwrite to replace it"


def differences(before: Mapping[str, Any], now: Mapping[str, Any], ignored: tuple[str, ...] = ()) -> list[str]:
    """What tells two described plans apart, a few words each; where they are written does not."""
    before, now = (_compared(plan) for plan in (before, now))
    first, second = (
        {key: value for key, value in _flat(plan) if not key.startswith((*ignored, "summary_dir", "strict"))}
        for plan in (before, now)
    )
    return [
        f"{key} was {_short(first, key)}, is {_short(second, key)}"
        for key in [*first, *(key for key in second if key not in first)]
        if first.get(key, ...) != second.get(key, ...) and not (key == "samples" and None in (first[key], second[key]))
    ]


def _compared(plan: Mapping[str, Any]) -> Mapping[str, Any]:
    """A plan with the order of its names, and of its config only what it does not say itself."""
    config = {key: value for key, value in (plan["config"] or {}).items() if key in ("network", "data")}
    orders = {f"order of {kind}": list(plan[kind]) for kind in ("explainers", "metrics")}
    return {**plan, "config": config, **orders}


def _flat(value: Any, where: str = "") -> Iterator[tuple[str, Any]]:
    """The leaves of nested mappings by dotted key."""
    if isinstance(value, Mapping):
        if not value and where:
            yield where, {}
        for key, inner in value.items():
            yield from _flat(inner, f"{where}.{key}" if where else str(key))
    else:
        yield where, value


def _short(values: Mapping[str, Any], key: str) -> str:
    told = repr(values[key]) if key in values else "not there"
    return told if len(told) <= 60 else f"{told[:57]}..."
