"""Does the network's answer follow the pixels that a map calls important?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import isqrt
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from mindspore import Tensor, nn

from ..explainers.network import FloatArray
from ..explainers.view import View
from .family import MetricFamily
from .metric import Masks, Metric, Scores, pixel_order, rankable

Activation = Callable[[Tensor], Tensor]


class InsertionAUC(Metric):
    """Area under the label's probability while the image is uncovered, most salient pixels first; in 0..1.

    Petsiuk, Das, Saenko: RISE (2018), section 4.1. The curve runs over the fraction of uncovered pixels from 0 to 1,
    both ends included, and its area is the trapezoids'. A constant map, or one that is not finite, is scored NaN.

    Args:
        num_labels: how many classes the network has.
        activation_fn: from logits (N, classes) to probabilities, such as ``nn.Softmax()``.
        steps: pieces in which pixels are uncovered, so the curve has steps + 1 points; by default the whole part of
            sqrt(H W).
        baseline: value of covered pixels, as the network takes them.
        normalized: divide the curve by the probability of the whole image, since the bare area also measures the
            network's confidence; NaN where that probability is 0.
        name: see ``Metric``.

    Raises:
        TypeError: if activation_fn cannot be called.
        ValueError: if num_labels or steps is below 1 or the baseline is not finite.
    """

    def __init__(
        self,
        num_labels: int,
        activation_fn: Activation,
        steps: int | None = None,
        baseline: float = 0.0,
        normalized: bool = False,
        name: str | None = None,
    ) -> None:
        super().__init__(num_labels, name)
        if not callable(activation_fn):
            raise TypeError(f"activation_fn must be a Cell or a function, got {type(activation_fn).__name__}")
        if steps is not None and steps < 1:
            raise ValueError(f"steps must be at least 1, got {steps}")
        if not np.isfinite(baseline):
            raise ValueError(f"baseline must be finite, got {baseline}")
        self.activation_fn, self.steps = activation_fn, steps
        self.baseline, self.normalized = float(baseline), normalized

    def score(self, view: View, maps: FloatArray, masks: Masks | None = None) -> Scores:
        fractions, curves = self.curves(view, maps)
        areas: Scores = ((curves[:, 1:] + curves[:, :-1]) / 2.0 * np.diff(fractions)).sum(axis=1)
        return areas

    def curves(self, view: View, maps: FloatArray) -> tuple[Scores, Scores]:
        """The fractions of uncovered pixels (steps + 1,) and the probability at each, (Q, steps + 1)."""
        counts = self._counts(view.size)
        curves = np.full((len(maps), len(counts)), np.nan)
        scored = np.flatnonzero(rankable(maps))
        if len(scored):
            inner = counts[1:-1]
            if len(inner):
                logits = view.network.pooled_logits(self._partly_covered(view, maps, scored, inner))
                probabilities = view.asked_probabilities(logits, np.repeat(scored, len(inner)), self.activation_fn)
                curves[scored, 1:-1] = probabilities.reshape(len(scored), len(inner))
            covered = view.network.uniform_logits(self.baseline, view.images.shape[1:])
            ends = (np.broadcast_to(covered, (len(scored), len(covered))), view.logits[view.rows[scored]])
            for column, logits in zip((0, -1), ends, strict=True):
                curves[scored, column] = view.asked_probabilities(logits, scored, self.activation_fn)
        if self.normalized:
            whole = curves[:, -1:]
            curves = np.divide(curves, whole, out=np.full_like(curves, np.nan), where=whole != 0)
        return counts / counts[-1], curves

    def _counts(self, size: tuple[int, int]) -> npt.NDArray[np.int64]:
        """How many pixels are uncovered at each point; at most one point a pixel."""
        pixels = size[0] * size[1]
        steps = min(self.steps or isqrt(pixels), pixels)
        return np.arange(steps + 1) * pixels // steps

    def _partly_covered(
        self, view: View, maps: FloatArray, questions: npt.NDArray[np.intp], counts: npt.NDArray[np.int64]
    ) -> Iterator[FloatArray]:
        for question in questions:
            image = view.images[view.rows[question]]
            whole = image.reshape(len(image), -1)
            partly = np.full_like(whole, self.baseline)
            order = pixel_order(view, question, maps[question])
            for newly in np.split(order[: counts[-1]], counts[:-1]):
                partly[:, newly] = whole[:, newly]
                yield partly.reshape(image.shape).copy()


class Faithfulness(MetricFamily):
    """The faithfulness metrics as the old package constructs them.

    Args:
        num_labels: how many classes the network has.
        activation_fn: from logits (N, classes) to probabilities.
        metric: "InsertionAUC".
        options: the member's own, such as ``steps``.

    Raises:
        TypeError: if activation_fn cannot be called.
        ValueError: if the metric is unknown or an option does not fit.
    """

    members: ClassVar = {"InsertionAUC": InsertionAUC}

    def __init__(
        self,
        num_labels: int,
        activation_fn: Activation | None = None,
        metric: str = "InsertionAUC",
        **options: Any,
    ) -> None:
        super().__init__(num_labels, metric, activation_fn=activation_fn or nn.Softmax(), **options)
