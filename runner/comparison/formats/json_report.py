"""A comparison in plain values for JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from ....summary_format.exit_codes import EXIT_BAD_INPUT
from ...json_values import finite
from . import wording
from .findings import Change, Findings, FloorCheck, Similarity, Slice, Verdict, WorstQuestion

FORMAT, VERSION = "explainrun comparison", 2


def comparison_as_json(comparison: Findings) -> dict[str, Any]:
    """Everything that was found under the keys that the command's help names; what is not known is None."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "passed": comparison.passed,
        "exit_code": comparison.exit_code,
        "headline": wording.headline(comparison),
        "problems": [],
        "baseline": comparison.baseline,
        "candidate": comparison.candidate,
        "alpha": comparison.alpha,
        "samples": comparison.samples,
        "questions": comparison.questions,
        "only_baseline": comparison.only_baseline,
        "only_candidate": comparison.only_candidate,
        "class_names": list(comparison.class_names),
        "require": comparison.require,
        "changes": [_change(comparison, change) for change in comparison.changes],
        "by": comparison.by,
        "slices": [_slice(comparison, one) for one in comparison.slices],
        "floors": [_floor(comparison, check) for check in comparison.floors],
        "similarities": list(map(_similarity, comparison.similarities)),
        "flips": [
            {"sample": one.sample, "baseline": list(one.baseline), "candidate": list(one.candidate)}
            for one in comparison.flips
        ],
        "worst": [_worst(comparison, one) for one in comparison.worst],
        "notes": list(comparison.notes),
        "new": list(comparison.new),
        "left_out": list(comparison.left_out),
    }


def refused_as_json(baseline: str, candidate: str, problems: Sequence[str]) -> dict[str, Any]:
    """Why two runs were not compared, under those keys of a comparison that there are."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "passed": False,
        "exit_code": EXIT_BAD_INPUT,
        "headline": wording.REFUSED,
        "problems": list(problems),
        "baseline": baseline,
        "candidate": candidate,
    }


def _change(comparison: Findings, change: Change) -> Any:
    derived = {"change": change.change, "fall": change.fall, **_said(comparison, change.verdict)}
    return finite({**asdict(change), **derived})


def _slice(comparison: Findings, one: Slice) -> Any:
    named = {"label": one.label, "class_name": _class_name(comparison, one.label)}
    return {**named, **_change(comparison, one.change)}


def _floor(comparison: Findings, check: FloorCheck) -> Any:
    return finite({**asdict(check), **_said(comparison, check.verdict)})


def _said(comparison: Findings, verdict: Verdict) -> dict[str, Any]:
    return {"verdict": verdict.value, "failing": comparison.closes(verdict), "shown": verdict.shown}


def _class_name(comparison: Findings, label: int) -> str | None:
    names = comparison.class_names
    return names[label] if 0 <= label < len(names) else None


def _similarity(similarity: Similarity) -> Any:
    return finite(asdict(similarity))


def _worst(comparison: Findings, question: WorstQuestion) -> Any:
    return finite({**asdict(question), "class_name": _class_name(comparison, question.label)})
