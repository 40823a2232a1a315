"""What the metrics share that compare a map with where its label is."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
import numpy.typing as npt

from ..core.explanation import Explanation, Masks
from ..core.metric import Metric, Scores


class PlaceMetric(Metric):
    """A metric that is given maps and where their labels are, and asks no network."""

    needs_boxes, needs_network = True, False


class LocalizationMetric(PlaceMetric):
    """Scores maps by where their label is; makes no pass.

    NaN for a constant map, one that is not finite, or a label whose place is unknown or empty.

    Args:
        name: see ``Metric``.
    """

    def __init__(self, name: str | None = None) -> None:
        super().__init__(name=name)

    @abstractmethod
    def located(self, values: Scores, inside: Masks) -> Scores:
        """Scores (Q,) of maps that have an order.

        Args:
            values: (Q, H W) of the maps, in double precision.
            inside: (Q, H W) whether each pixel lies where the label is; true somewhere in each row.
        """

    def score(self, explanation: Explanation) -> Scores:
        masks = required(explanation.masks, self)
        scored = explanation.rankable & masks.any(axis=(1, 2))
        scores = np.full(len(masks), np.nan)
        if scored.any():
            values, inside = explanation.maps[scored], masks[scored]
            scores[scored] = self.located(values.reshape(len(values), -1).astype(np.float64), flat(inside))
        return scores


def flat(masks: Masks) -> Masks:
    """Masks (Q, H, W) as (Q, H W)."""
    found: Masks = masks.reshape(len(masks), -1)
    return found


def required(masks: Masks | None, metric: Metric) -> Masks:
    """The masks, which a localization metric cannot do without.

    Raises:
        ValueError: if there are none.
    """
    if masks is None:
        raise ValueError(f"{metric.name} needs the places of the labels: a dataset column of boxes or masks, or a mask")
    return masks


def share_of_top(values: Scores, inside: Masks, counts: npt.NDArray[np.intp]) -> Scores:
    """Which share (Q,) of each map's most salient pixels lies inside.

    Where more pixels are as salient as the last one than there is room for, each of them counts by the same share: that
    is the mean over all orders that they could be taken in, and no chance is in the score.

    Args:
        values: (Q, P) of maps.
        inside: (Q, P) of masks.
        counts: (Q,) how many pixels of each map are taken, from 1 to P.
    """
    found = np.empty(len(values))
    for question, (of_map, of_mask, count) in enumerate(zip(values, inside, counts, strict=True)):
        least = np.partition(of_map, len(of_map) - count)[len(of_map) - count]
        above, level = of_map > least, of_map == least
        found[question] = (of_mask[above].sum() + (count - above.sum()) * of_mask[level].mean()) / count
    return found
