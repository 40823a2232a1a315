"""Scores of maps by metrics that ask neither the network nor the explainer, so that neither need be there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np

from ...explainers.core.view import View
from ...explainers.network.tensors import FloatArray, IntArray
from ...summary_format.plural import plural
from ...summary_format.problem import Problem
from .explanation import Explanation, Masks
from .metric import Metric, Scores


class _Absent:
    """Stands where a network or an explainer does."""

    def __getattr__(self, name: str) -> NoReturn:
        words = "a metric says needs_network = False, and asks the network or the explainer for {what!r}"
        raise ValueError(Problem.of("metric-asks-network", words, what=name))


_ABSENT: Any = _Absent()


def view_without_network(
    images: FloatArray, rows: IntArray, labels: IntArray, *, sample_ids: IntArray, seed: int, logits: FloatArray
) -> View:
    """A view of questions about samples whose network is not there; arguments as those of ``View``."""
    return View(_ABSENT, images, rows, labels, sample_ids=sample_ids, seed=seed, logits=logits)


def scores_of_maps(metrics: Sequence[Metric], view: View, maps: FloatArray, masks: Masks | None) -> Scores:
    """(metrics, Q) what metrics that need no network say of maps: bit for bit what a run has that makes the maps.

    Args:
        metrics: none of which ``needs_network``.
        view: what was asked; may be one of ``view_without_network``.
        maps: (Q, H, W), the answers.
        masks: (Q, H, W), where the asked labels are; None where no metric asks for that.

    Raises:
        ValueError: if a metric asks for what is not there, or gives scores of another shape.
    """
    explanation = Explanation(_ABSENT, view, maps, masks)
    found = [checked_scores(metric, explanation) for metric in metrics] if len(maps) else []
    return np.array(found, np.float64).reshape(len(metrics), len(maps))


def checked_scores(metric: Metric, explanation: Explanation) -> Scores:
    """(Q,) what a metric says of an explanation, NaN where that is no number.

    Raises:
        ValueError: if it gives scores of another shape.
    """
    scores, questions = metric.score(explanation), len(explanation.maps)
    if scores.shape != (questions,):
        raise ValueError(f"{metric.name} gave scores {scores.shape} for {plural(questions, 'question')}")
    return np.where(np.isfinite(scores), scores, np.nan)
