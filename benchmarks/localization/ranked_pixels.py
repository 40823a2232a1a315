"""Are the pixels that a map ranks first those of the object?"""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata

from ...explainers.arguments import whole_number, yes_or_no
from ..core.arithmetic import quotient
from ..core.explanation import Masks
from ..core.metric import Scores
from .base import LocalizationMetric, share_of_top

_USUAL = 50  # one pixel of so many is taken: 1,003 of 224 x 224, about the authors' thousand


class RelevanceRank(LocalizationMetric):
    """Of a map's K most salient pixels, the share that lies where the label is, of K pixels; higher is better.

    ``|top K and inside| / K`` with ``K = |inside|``. Relevance rank accuracy of Arras, Osman, Samek: CLEVR-XAI (2022).
    In 0..1: 1 where the object's pixels are the K most salient ones, 0 where none of these is inside (of a
    label that takes up more than half of the image, some always are); a map that knows nothing gets about the share of
    the image that the label takes up. Only the order of the pixels counts, so scaling a map changes nothing. Pixels
    that are as salient as the K-th count by the share of them that there is room for. NaN for a constant or infinite
    map, or a label whose place is unknown.

    What it does not say: whether the network looks at the object; a map that shows rightly that one corner of it is
    enough for the network scores low.

    Args:
        name: see ``Metric``.
    """

    def located(self, values: Scores, inside: Masks) -> Scores:
        return share_of_top(values, inside, inside.sum(axis=1))


class TopKIntersection(LocalizationMetric):
    """Of a map's k most salient pixels, the share that lies where the label is; higher is better.

    ``|top k and inside| / k``. Theiner, Müller-Budack, Ewerth: Interpretable Semantic Photo Geolocation (2021), whose
    code takes 1,000 pixels. In 0..1: 1 where all k are inside (never, where the label has fewer
    pixels: then at most |inside| / k), 0 where none is. With ``concept_influence`` it is divided by the share of the
    image that the label takes up, as there: 1 is then what a map gets that knows nothing, and there is no largest value
    for all labels. Only the order of the pixels counts; those that are as salient as the k-th count by the share of
    them that there is room for. NaN for a constant or infinite map, or a label whose place is unknown.

    What it does not say: anything about pixels that are not among the k, nor how large the object is.

    Args:
        k: how many pixels; by default a fiftieth of the image's, rounded down, and never more than it has.
        concept_influence: whether to divide by the share of the image that the label takes up.
        name: see ``Metric``.

    Raises:
        ValueError: if k is below 1, or concept_influence is not True or False.
    """

    def __init__(self, k: int | None = None, *, concept_influence: bool = False, name: str | None = None) -> None:
        super().__init__(name)
        self.k = None if k is None else whole_number(k, "k")
        self.concept_influence = yes_or_no(concept_influence, "concept_influence")

    def located(self, values: Scores, inside: Masks) -> Scores:
        pixels = values.shape[1]
        count = max(1, pixels // _USUAL) if self.k is None else min(self.k, pixels)
        shares = share_of_top(values, inside, np.full(len(values), count))
        return shares / inside.mean(axis=1) if self.concept_influence else shares


class AUC(LocalizationMetric):
    """Area under the ROC curve of a map that separates pixels inside from those outside, in 0..1; higher is better.

    The chance that a pixel inside is more salient than one outside, equal ones counting half: ``(sum of the ranks
    inside - m (m + 1) / 2) / (m (n - m))`` of m pixels inside of n, equal values sharing their mean rank. Fawcett: An
    Introduction to ROC Analysis (2006). 1 where every pixel inside is more salient than every one outside, 0 where none
    is, 0.5 for a map that knows nothing, however large the label is. Only the order of the pixels counts; the map with
    its sign turned gets 1 minus the score. NaN for a constant or infinite map, or a label whose place is unknown or the
    whole image.

    What it does not say: whether the network looks at the object; and since all pixels weigh alike, a few wrong ones
    that are far more salient than all others cost next to nothing.

    Args:
        name: see ``Metric``.
    """

    def located(self, values: Scores, inside: Masks) -> Scores:
        ranks, within = rankdata(values, axis=1), inside.sum(axis=1).astype(np.float64)
        above = (ranks * inside).sum(axis=1) - within * (within + 1) / 2
        pairs = within * (values.shape[1] - within)
        return quotient(above, pairs)
