"""Does a map point at where the object is?"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from ...explainers.arguments import real_number
from ..core.arithmetic import quotient
from ..core.explanation import Explanation, Masks
from ..core.family import MetricFamily
from ..core.metric import Scores
from .base import LocalizationMetric, PlaceMetric, required


class PointingGame(PlaceMetric):
    """1 where some pixel close to the map's maximum lies in a box, or the mask, of the label, else 0.

    Zhang et al.: Top-down Neural Attention by Excitation Backprop (2016). Of several maxima one is drawn from the
    sample's generator. NaN for a constant map, one that is not finite, or a label without a place. On images that are
    hardly larger than the tolerance every map hits: set it smaller there, or below 1 for a hit of the maximum's own
    pixel. Each score is 0 or 1, so few questions part maps badly.

    Args:
        num_labels: how many classes the network has; any number will do, and a run compares it with its class names.
        tolerance: pixels; a box is hit where its distance (Euclidean, between pixel centres) from the maximum is
            below this.
        name: see ``Metric``.

    Raises:
        ValueError: if num_labels is below 1 or the tolerance is not above 0.
    """

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


class IoSR(PlaceMetric):
    """Intersection over salient region: the share of the salient pixels that lie where the label is, in 0..1.

    A pixel is salient where the map exceeds ``threshold`` times its maximum. NaN for a constant map, one that is not
    finite or has no positive value, or a label without a box or mask.

    Args:
        num_labels: how many classes the network has; any number will do, and a run compares it with its class names.
        threshold: share of the maximum, in 0..1 (1 excluded).
        name: see ``Metric``.

    Raises:
        ValueError: if num_labels is below 1 or the threshold lies outside.
    """

    def __init__(self, num_labels: int | None = None, threshold: float = 0.5, name: str | None = None) -> None:
        super().__init__(num_labels, name)
        self.threshold = _share_below_1(threshold)

    def score(self, explanation: Explanation) -> Scores:
        maps, masks = explanation.maps, required(explanation.masks, self)
        largest = maps.max(axis=(1, 2), keepdims=True)
        salient = maps > self.threshold * largest
        scored = explanation.rankable & (largest[:, 0, 0] > 0) & masks.any(axis=(1, 2))
        inside = (salient & masks).sum(axis=(1, 2)) / salient.sum(axis=(1, 2)).clip(min=1)
        return np.where(scored, inside, np.nan)


class IoU(LocalizationMetric):
    """Intersection over union of the salient pixels and the label's place, in 0..1; higher is better.

    ``|salient and inside| / |salient or inside|``, a pixel being salient where the map exceeds ``threshold`` times its
    maximum. Jaccard's index, with the threshold of Zhou et al.: Learning Deep Features for Discriminative Localization
    (2016), who draw a box around what exceeds 20 % of the maximum. 1 where the salient pixels are those inside, 0 where
    none is. Scaling a map changes nothing; the threshold changes much, so only scores of the same one compare. NaN for
    a map without a value above 0, a constant or infinite one, or a label whose place is unknown.

    What it does not say: whether the network looks at the object; a map that shows rightly that one corner of it is
    enough for the network scores low, as does a fine-grained one with gaps. A right map with few pixels far above all
    others may score below a random one, which gets about the share of the image that the label takes up.

    Args:
        threshold: share of the maximum, in 0..1 (1 excluded).
        name: see ``Metric``.

    Raises:
        ValueError: if the threshold lies outside.
    """

    def __init__(self, threshold: float = 0.2, name: str | None = None) -> None:
        super().__init__(name)
        self.threshold = _share_below_1(threshold)

    def located(self, values: Scores, inside: Masks) -> Scores:
        largest = values.max(axis=1, keepdims=True)
        salient = values > self.threshold * largest
        overlap = quotient((salient & inside).sum(axis=1), (salient | inside).sum(axis=1))
        found: Scores = np.where(largest[:, 0] > 0, overlap, np.nan)
        return found


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


def _share_below_1(threshold: float) -> float:
    """A threshold, as a share of a map's maximum.

    Raises:
        ValueError: if it is not a number from 0 to 1, 1 excluded.
    """
    if not 0 <= real_number(threshold, "threshold") < 1:
        raise ValueError(f"threshold must be at least 0 and below 1, got {threshold}")
    return float(threshold)
