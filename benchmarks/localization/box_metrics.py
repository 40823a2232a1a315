"""Does a map point at where the object is?"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from ...explainers.arguments import real_number
from ..core.explanation import Explanation, Masks
from ..core.family import MetricFamily
from ..core.metric import Metric, Scores


class PointingGame(Metric):
    """1 where some pixel close to the map's maximum lies in a box of the label, else 0.

    Zhang et al.: Top-down Neural Attention by Excitation Backprop (2016), section 4.2. Of several maxima one is drawn
    from the sample's generator. NaN for a constant map, one that is not finite, or a label without a box.

    Args:
        num_labels: how many classes the network has; any number will do, and a run compares it with its class names.
        tolerance: pixels; a box is hit where its distance (Euclidean, between pixel centres) from the maximum is
            below this.
        name: see ``Metric``.

    Raises:
        ValueError: if num_labels is below 1 or the tolerance is not above 0.
    """

    needs_boxes, needs_network = True, False

    def __init__(self, num_labels: int | None = None, tolerance: float = 15, name: str | None = None) -> None:
        super().__init__(num_labels, name)
        self.tolerance = real_number(tolerance, "tolerance")
        if self.tolerance <= 0:
            raise ValueError(f"tolerance must be above 0 pixels, got {tolerance}")

    def score(self, explanation: Explanation) -> Scores:
        maps, masks = explanation.maps, required(explanation.masks, self)
        scores = np.full(len(maps), np.nan)
        for question in np.flatnonzero(explanation.rankable & masks.any(axis=(1, 2))):
            row, column = divmod(_peak(explanation, question), maps.shape[2])
            rows, columns = np.nonzero(masks[question])
            scores[question] = np.hypot(rows - row, columns - column).min() < self.tolerance
        return scores


class IoSR(Metric):
    """Intersection over salient region: the share of the salient pixels that lie in a box of the label, in 0..1.

    A pixel is salient where the map exceeds ``threshold`` times its maximum. NaN for a constant map, one that is not
    finite or has no positive value, or a label without a box.

    Args:
        num_labels: how many classes the network has; any number will do, and a run compares it with its class names.
        threshold: share of the maximum, in 0..1 (1 excluded).
        name: see ``Metric``.

    Raises:
        ValueError: if num_labels is below 1 or the threshold lies outside.
    """

    needs_boxes, needs_network = True, False

    def __init__(self, num_labels: int | None = None, threshold: float = 0.5, name: str | None = None) -> None:
        super().__init__(num_labels, name)
        self.threshold = real_number(threshold, "threshold")
        if not 0 <= self.threshold < 1:
            raise ValueError(f"threshold must be at least 0 and below 1, got {threshold}")

    def score(self, explanation: Explanation) -> Scores:
        maps, masks = explanation.maps, required(explanation.masks, self)
        largest = maps.max(axis=(1, 2), keepdims=True)
        salient = maps > self.threshold * largest
        scored = explanation.rankable & (largest[:, 0, 0] > 0) & masks.any(axis=(1, 2))
        inside = (salient & masks).sum(axis=(1, 2)) / salient.sum(axis=(1, 2)).clip(min=1)
        return np.where(scored, inside, np.nan)


class Localization(MetricFamily):
    """The localization metrics as the old package constructs them.

    Args:
        num_labels: how many classes the network has; any number will do, and a run compares it with its class names.
        metric: "PointingGame" or "IoSR".
        options: the member's own: ``tolerance`` or ``threshold``.

    Raises:
        ValueError: if the metric is unknown or an option does not fit.
    """

    members: ClassVar = {"PointingGame": PointingGame, "IoSR": IoSR}

    def __init__(self, num_labels: int | None = None, metric: str = "PointingGame", **options: Any) -> None:
        super().__init__(num_labels, metric, **options)


def _peak(explanation: Explanation, question: int) -> int:
    """Flat index of the largest value; where several pixels have it, the one that the pixel order puts first."""
    saliency = explanation.maps[question]
    peaks = np.flatnonzero(saliency == saliency.max())
    return int(peaks[0] if len(peaks) == 1 else explanation.order(question)[0])


def required(masks: Masks | None, metric: Metric) -> Masks:
    """The masks, which a localization metric cannot do without.

    Raises:
        ValueError: if there are none.
    """
    if masks is None:
        raise ValueError(f"{metric.name} needs the places of the labels: a dataset with a bboxes column, or a mask")
    return masks
