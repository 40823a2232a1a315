"""Does the network's answer follow the pixels that a map calls important?"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from math import isqrt
from typing import Any, ClassVar

import numpy as np
from mindspore import nn

from ...explainers.arguments import whole_number, yes_or_no
from ...explainers.network.tensors import Activation, checked_activation
from ..core.arithmetic import pearson
from ..core.covered_images import CoveredImage, Covering, CurvePoints, steps_of
from ..core.explanation import Explanation
from ..core.family import MetricFamily
from ..core.metric import CurveMetric, Curves, Metric, Scores
from ..core.removal import checked_removal


class _Perturbing(Metric):
    """What the metrics that cover pixels share: an activation, a number of steps and a baseline.

    Args:
        num_labels: how many classes the network has.
        activation_fn: from logits (N, classes) to probabilities, such as ``nn.Softmax()``.
        steps: pieces in which pixels are taken; by default the whole part of sqrt(H W), and never more than H W.
        baseline: value of covered pixels, as the network takes them.
        name: see ``Metric``.
        removal: "value" for the baseline, "mean" of each channel, "blur" or "noisy_linear"; see ``checked_removal``.

    Raises:
        TypeError: if activation_fn cannot be called.
        ValueError: if num_labels or steps is below 1, the baseline is not finite, or there is no such removal.
    """

    def __init__(
        self,
        num_labels: int,
        activation_fn: Activation,
        steps: int | None = None,
        baseline: float = 0.0,
        name: str | None = None,
        removal: str = "value",
    ) -> None:
        super().__init__(num_labels, name)
        self.activation_fn = checked_activation(activation_fn)
        self.steps = None if steps is None else whole_number(steps, "steps")
        self._removal = checked_removal(removal, baseline)

    def _edges(self, size: tuple[int, int]) -> list[int]:
        """How many pixels are taken after 0, 1, ... steps."""
        pixels = size[0] * size[1]
        return steps_of(pixels, self.steps or isqrt(pixels))

    def _covering(self, spans: Iterable[tuple[int, int]]) -> Covering:
        return Covering(tuple(CoveredImage(*span, self._removal) for span in spans), self.activation_fn)


class _CurveAUC(CurveMetric, _Perturbing):
    """A curve of the label's probability over the fraction of pixels taken, most salient first, and its area.

    Args:
        num_labels: see above.
        activation_fn: see above.
        steps: see above; the curve has steps + 1 points, both ends included.
        baseline: see above.
        normalized: divide the curve by the probability of the whole image, since the bare area also measures the
            network's confidence; NaN where that probability is 0.
        name: see ``Metric``.
        removal: see above.
        curves: whether a run keeps the curves beside the scores; see ``CurveMetric``.
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
        removal: str = "value",
        curves: bool = False,
    ) -> None:
        super().__init__(num_labels, activation_fn, steps, baseline, name, removal)
        self.normalized, self.keeps_curves = yes_or_no(normalized, "normalized"), yes_or_no(curves, "curves")

    @property
    def curve_names(self) -> tuple[str, ...]:
        return ("insertion" if self.uncovers else "deletion",)

    def curves(self, explanation: Explanation) -> Curves:
        """The probability (steps + 1,) over the fraction of pixels taken, from 0 to 1."""
        size = explanation.view.size
        heights = explanation.probabilities(self.covering(size))
        if self.normalized:
            whole = heights[:, -1:] if self.uncovers else heights[:, :1]
            heights = np.divide(heights, whole, out=np.full_like(heights, np.nan), where=whole != 0)
        edges = np.array(self._edges(size))
        found = zip(heights, explanation.rankable.tolist(), strict=True)
        return [(CurvePoints(edges / edges[-1], mine),) if ordered else None for mine, ordered in found]

    def of_curves(self, *curves: CurvePoints) -> float:
        across, heights = curves[0]
        return float(((heights[1:] + heights[:-1]) / 2.0 * np.diff(across)).sum())

    def covering(self, size: tuple[int, int]) -> Covering:
        edges = self._edges(size)
        return self._covering((edge, edges[-1]) if self.uncovers else (0, edge) for edge in edges)


class InsertionAUC(_CurveAUC):
    """Area under the label's probability while the image is uncovered, most salient pixels first; in 0..1.

    Petsiuk, Das, Saenko: RISE (2018). The curve runs over the fraction of uncovered pixels from 0 to 1, both ends
    included, and its area is the trapezoids'. A constant map, or one that is not finite, is scored NaN.

    Args and errors: ``steps``, ``baseline``, ``removal`` and ``activation_fn`` as in ``NaiveFaithfulness``;
    ``normalized`` divides the curve by the probability of the whole image, since the bare area also measures the
    network's confidence; the area may then exceed 1. With ``curves`` a run keeps the curves beside the scores.
    """

    uncovers = True


class DeletionAUC(_CurveAUC):
    """1 minus the area under the label's probability while the image is covered, most salient pixels first; in 0..1.

    Petsiuk, Das, Saenko: RISE (2018), turned so that higher is better. Otherwise as ``InsertionAUC``; ``normalized`` it
    may fall below 0.
    """

    uncovers = False

    def of_curves(self, *curves: CurvePoints) -> float:
        return 1.0 - super().of_curves(*curves)


class NaiveFaithfulness(_Perturbing):
    """(1 + r) / 2, r being the correlation of how salient pixels are and how much covering them hurts; in 0..1.

    Pixels fall into ``steps`` disjoint groups, the most salient first, of equal size up to one pixel. Each group alone
    is covered; r is Pearson's correlation, over the groups, of the mean saliency and the drop in the label's
    probability. Compare Alvarez-Melis, Jaakkola: Towards Robust Interpretability with Self-Explaining Neural Networks
    (2018). A constant map, one that is not finite, or drops that are all equal are scored NaN.
    """

    def score(self, explanation: Explanation) -> Scores:
        edges = self._edges(explanation.view.size)
        found = explanation.probabilities(self.covering(explanation.view.size))
        drops = found[:, :1] - found[:, 1:]
        scores = np.full(len(drops), np.nan)
        for question in np.flatnonzero(explanation.rankable):
            falling = -np.sort(-explanation.maps[question].reshape(-1)).astype(np.float64)
            means = np.array([group.mean() for group in np.split(falling, edges[1:-1])])
            scores[question] = (1.0 + pearson(means, drops[question])) / 2.0
        return scores

    def covering(self, size: tuple[int, int]) -> Covering:
        edges = self._edges(size)
        return self._covering([(0, 0), *pairwise(edges)])


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
