"""What a run refuses or reports of its plan and its results: what is not finite, in doubt, or not shown."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ...explainers.network.tensors import IntArray
from ...summary_format import Results
from ...summary_format.errors import ExplainrunError
from ...summary_format.exit_codes import EXIT_RESUMABLE
from ...summary_format.lifecycle.viewer_weights import has_overall_score, nearest_with_score
from ...summary_format.problem import Problem
from ..plan.plan import Plan
from ..problems import PlanError
from .batch import Batch

_log = logging.getLogger("explainrun")


class NotComputedError(ExplainrunError, RuntimeError):
    """The network's output or a map is not finite, and the plan is strict."""

    exit_code = EXIT_RESUMABLE


def report_doubts(plan: Plan, doubts: Sequence[Problem]) -> None:
    """Say why explanations may not be of images alone; refuse then, if the plan is strict.

    Raises:
        PlanError: then, with all of them.
    """
    if doubts and plan.options.strict:
        raise PlanError(doubts)
    for doubt in doubts:
        _log.warning("%s", doubt)


def report_viewer_limits(plan: Plan) -> None:
    """Say what the viewer does not show of a plan."""
    metrics = len(plan.metrics)
    if metrics and not has_overall_score(metrics):
        words = (
            "MindInsight shows no comprehensive score of {metrics} metrics, since its own weights for as many do not "
            "add up to exactly 1; with {fewer} or {more} it does"
        )
        fewer, more = nearest_with_score(metrics)
        _log.warning("%s", Problem.of("viewer-no-overall-score", words, metrics=metrics, fewer=fewer, more=more))


def check_outputs(plan: Plan, batch: Batch) -> None:
    """Refuse network outputs that are not finite, if the plan is strict; those of broken samples are none.

    Raises:
        NotComputedError: then.
    """
    sound = np.array([sample.broken is None for sample in batch.samples], bool)
    unknown = batch.inference.ids[~batch.inference.computed & sound]
    if len(unknown) and plan.options.strict:
        words = "the network's output for sample {sample} is not finite, and the run is strict"
        raise NotComputedError(Problem.of("output-not-finite", words, sample=int(unknown[0])))


def check_results(plan: Plan, results: Results) -> None:
    """Refuse results that are not finite throughout, if the plan is strict.

    Raises:
        NotComputedError: then.
    """
    unfinished = [name for name in results.explainers if not results.computed_maps(name).all()]
    if plan.options.strict and not (results.computed | np.isin(results.samples, results.plan_record.skipped_ids)).all():
        unfinished = ["the network's output", *unfinished]
    if plan.options.strict and unfinished:
        words = "not finite throughout: {what:list}; and the run is strict"
        raise NotComputedError(Problem.of("results-not-finite", words, what=unfinished))


def check_computed(plan: Plan, name: str, questions: IntArray, computed: npt.NDArray[np.bool_]) -> None:
    """Refuse maps that are not finite, if the plan is strict.

    Args:
        plan: which is strict or not.
        name: of the explainer.
        questions: (Q, 2).
        computed: (Q,) whether the map of each is finite.

    Raises:
        NotComputedError: then.
    """
    if plan.options.strict and not computed.all():
        sample_id, label = questions[~computed][0]
        words = "{explainer}'s map for label {label} of sample {sample} is not finite, and the run is strict"
        values = {"explainer": name, "label": int(label), "sample": int(sample_id)}
        raise NotComputedError(Problem.of("map-not-finite", words, **values))
