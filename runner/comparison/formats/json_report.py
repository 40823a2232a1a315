"""A comparison in plain values for JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from ....summary_format.exit_codes import EXIT_BAD_INPUT
from ...json_values import finite
from . import wording
from .findings import Change, Findings, Similarity, WorstQuestion

FORMAT, VERSION = "explainrun comparison", 1


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
        "changes": list(map(_change, comparison.changes)),
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


def _change(change: Change) -> Any:
    derived = {"change": change.change, "fall": change.fall, "failing": change.verdict.failing}
    return finite({**asdict(change), **derived, "verdict": change.verdict.value})


def _similarity(similarity: Similarity) -> Any:
    return finite(asdict(similarity))


def _worst(comparison: Findings, question: WorstQuestion) -> Any:
    names = comparison.class_names
    known = 0 <= question.label < len(names)
    return finite({**asdict(question), "class_name": names[question.label] if known else None})
