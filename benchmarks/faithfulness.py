"""Does the network's answer follow the pixels that a map calls important?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import isqrt
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from mindspore import nn

from ..explainers.tensors import Activation, FloatArray, checked_activation
from ..explainers.view import View
from .family import MetricFamily
from .metric import Masks, Metric, Scores, pixel_order, rankable, real_number, whole_number


class _Perturbing(Metric):
    """What the metrics that cover pixels share: an activation, a number of steps and a baseline.

    Args:
        num_labels: how many classes the network has.
        activation_fn: from logits (N, classes) to probabilities, such as ``nn.Softmax()``.
        steps: pieces in which pixels are taken; by default the whole part of sqrt(H W), and never more than H W.
        baseline: value of covered pixels, as the network takes them.
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
        name: str | None = None,
    ) -> None:
        super().__init__(num_labels, name)
        self.activation_fn = checked_activation(activation_fn)
        self.steps = None if steps is None else whole_number(steps, "steps")
        self.baseline = real_number(baseline, "baseline")

    def _counts(self, size: tuple[int, int]) -> npt.NDArray[np.int64]:
        """How many pixels are taken after 0, 1, ... steps."""
        pixels = size[0] * size[1]
        steps = min(self.steps or isqrt(pixels), pixels)
        return np.arange(steps + 1) * pixels // steps

    def _covered(self, image: FloatArray) -> FloatArray:
        return np.full_like(image, self.baseline)

    def _uncovered_probabilities(self, view: View, questions: npt.NDArray[np.intp]) -> FloatArray:
        """Probability of each question's label on the untouched image, known already where the run inferred it."""
        return view.asked_probabilities(view.logits[view.rows[questions]], questions, self.activation_fn)

    def _covered_probabilities(self, view: View, questions: npt.NDArray[np.intp]) -> FloatArray:
        """Probability of each question's label on the baseline alone, asked once a run."""
        logits = view.network.uniform_logits(self.baseline, view.images.shape[1:])
        repeated = np.broadcast_to(logits, (len(questions), len(logits)))
        return view.asked_probabilities(repeated, questions, self.activation_fn)

    def _probabilities(
        self, view: View, images: Iterable[FloatArray], questions: npt.NDArray[np.intp], each: int
    ) -> FloatArray:
        """Probabilities (questions, each) of perturbed images, so many for each question, pooled into full passes."""
        logits = view.network.pooled_logits(images)
        asked = view.asked_probabilities(logits, np.repeat(questions, each), self.activation_fn)
        return asked.reshape(len(questions), each)


class _CurveAUC(_Perturbing):
    """A curve of the label's probability over the fraction of pixels taken, most salient first, and its area.

    Args:
        num_labels: see above.
        activation_fn: see above.
        steps: see above; the curve has steps + 1 points, both ends included.
        baseline: see above.
        normalized: divide the curve by the probability of the whole image, since the bare area also measures the
            network's confidence; NaN where that probability is 0.
        name: see ``Metric``.
    """

    uncovers: ClassVar[bool]

    def __init__(
        self,
        num_labels: int,
        activation_fn: Activation,
        steps: int | None = None,
        baseline: float = 0.0,
        normalized: bool = False,
        name: str | None = None,
    ) -> None:
        super().__init__(num_labels, activation_fn, steps, baseline, name)
        self.normalized = normalized

    def areas(self, view: View, maps: FloatArray) -> Scores:
        """Area (Q,) under each question's curve, by trapezoids; NaN for a map without order."""
        fractions, curves = self.curves(view, maps)
        summed: Scores = ((curves[:, 1:] + curves[:, :-1]) / 2.0 * np.diff(fractions)).sum(axis=1)
        return summed

    def curves(self, view: View, maps: FloatArray) -> tuple[Scores, Scores]:
        """The fractions of pixels taken (steps + 1,) and the probability at each, (Q, steps + 1)."""
        counts = self._counts(view.size)
        curves = np.full((len(maps), len(counts)), np.nan)
        scored = np.flatnonzero(rankable(maps))
        if len(scored):
            inner = counts[1:-1]
            if len(inner):
                curves[scored, 1:-1] = self._probabilities(
                    view, self._partly(view, maps, scored, inner), scored, len(inner)
                )
            whole, bare = self._uncovered_probabilities(view, scored), self._covered_probabilities(view, scored)
            curves[scored, 0], curves[scored, -1] = (bare, whole) if self.uncovers else (whole, bare)
            if self.normalized:
                of_whole = whole.astype(np.float64)[:, None]
                divided = np.full((len(scored), len(counts)), np.nan)
                curves[scored] = np.divide(curves[scored], of_whole, out=divided, where=of_whole != 0)
        return counts / counts[-1], curves

    def _partly(
        self, view: View, maps: FloatArray, questions: npt.NDArray[np.intp], counts: npt.NDArray[np.int64]
    ) -> Iterator[FloatArray]:
        for question in questions:
            image = view.images[view.rows[question]]
            ends = (self._covered(image), image) if self.uncovers else (image, self._covered(image))
            partly, goal = (end.reshape(len(image), -1) for end in ends)
            partly = partly.copy()
            order = pixel_order(view, question, maps[question])
            for newly in np.split(order[: counts[-1]], counts[:-1]):
                partly[:, newly] = goal[:, newly]
                yield partly.reshape(image.shape).copy()


class InsertionAUC(_CurveAUC):
    """Area under the label's probability while the image is uncovered, most salient pixels first; in 0..1.

    Petsiuk, Das, Saenko: RISE (2018), section 4.1. The curve runs over the fraction of uncovered pixels from 0 to 1,
    both ends included, and its area is the trapezoids'. A constant map, or one that is not finite, is scored NaN.

    Args and errors: ``steps``, ``baseline`` and ``activation_fn`` as in ``NaiveFaithfulness``; ``normalized`` divides
    the curve by the probability of the whole image, since the bare area also measures the network's confidence.
    """

    uncovers = True

    def score(self, view: View, maps: FloatArray, masks: Masks | None = None) -> Scores:
        return self.areas(view, maps)


class DeletionAUC(_CurveAUC):
    """1 minus the area under the label's probability while the image is covered, most salient pixels first; in 0..1.

    Petsiuk, Das, Saenko: RISE (2018), section 4.1, turned so that higher is better. Otherwise as ``InsertionAUC``.
    """

    uncovers = False

    def score(self, view: View, maps: FloatArray, masks: Masks | None = None) -> Scores:
        return 1.0 - self.areas(view, maps)


class NaiveFaithfulness(_Perturbing):
    """(1 + r) / 2, r being the correlation of how salient pixels are and how much covering them hurts; in 0..1.

    Pixels fall into ``steps`` disjoint groups, the most salient first, of equal size up to one pixel. Each group alone
    is covered; r is Pearson's correlation, over the groups, of the mean saliency and the drop in the label's
    probability. Compare Alvarez-Melis, Jaakkola: Towards Robust Interpretability (2018), section 4.2. A constant map,
    one that is not finite, or drops that are all equal are scored NaN.
    """

    def score(self, view: View, maps: FloatArray, masks: Masks | None = None) -> Scores:
        counts = self._counts(view.size)
        scores = np.full(len(maps), np.nan)
        scored = np.flatnonzero(rankable(maps))
        if len(scored) and len(counts) > 2:
            groups = [np.split(pixel_order(view, question, maps[question]), counts[1:-1]) for question in scored]
            hurt = self._probabilities(view, self._without(view, scored, groups), scored, len(counts) - 1)
            drops = self._uncovered_probabilities(view, scored)[:, None] - hurt.astype(np.float64)
            for question, of_question, drop in zip(scored, groups, drops, strict=True):
                flat = maps[question].reshape(-1).astype(np.float64)
                scores[question] = (1.0 + pearson(np.array([flat[group].mean() for group in of_question]), drop)) / 2.0
        return scores

    def _without(
        self, view: View, questions: npt.NDArray[np.intp], groups: list[list[npt.NDArray[np.intp]]]
    ) -> Iterator[FloatArray]:
        for question, of_question in zip(questions, groups, strict=True):
            image = view.images[view.rows[question]]
            for group in of_question:
                without = image.reshape(len(image), -1).copy()
                without[:, group] = self.baseline
                yield without.reshape(image.shape)


def pearson(first: Scores, second: Scores) -> float:
    """Pearson's correlation of two rows of numbers; NaN if one of them is constant."""
    if not (np.ptp(first) and np.ptp(second)):
        return float("nan")
    first, second = first - first.mean(), second - second.mean()
    return float(np.clip((first * second).sum() / np.sqrt((first**2).sum() * (second**2).sum()), -1.0, 1.0))


class Faithfulness(MetricFamily):
    """The faithfulness metrics as the old package constructs them.

    Args:
        num_labels: how many classes the network has.
        activation_fn: from logits (N, classes) to probabilities; ``nn.Softmax()`` by default.
        metric: "NaiveFaithfulness", "DeletionAUC" or "InsertionAUC".
        options: the member's own, such as ``steps`` and ``baseline``.

    Raises:
        TypeError: if activation_fn cannot be called.
        ValueError: if the metric is unknown or an option does not fit.
    """

    members: ClassVar = {
        "NaiveFaithfulness": NaiveFaithfulness,
        "DeletionAUC": DeletionAUC,
        "InsertionAUC": InsertionAUC,
    }

    def __init__(
        self,
        num_labels: int,
        activation_fn: Activation | None = None,
        metric: str = "NaiveFaithfulness",
        **options: Any,
    ) -> None:
        super().__init__(num_labels, metric, activation_fn=activation_fn or nn.Softmax(), **options)
