"""How much of a map's relevance lies where the object is?"""

from __future__ import annotations

import numpy as np

from ...explainers.arguments import share, yes_or_no
from ..core.arithmetic import quotient
from ..core.explanation import Masks
from ..core.metric import Scores
from .base import LocalizationMetric


class RelevanceMass(LocalizationMetric):
    """The share of a map's positive relevance that lies where the label is, in 0..1; higher is better.

    ``sum of max(map, 0) inside / sum of max(map, 0)``. Relevance mass accuracy of Arras, Osman, Samek: CLEVR-XAI
    (2022); with boxes it is the energy-based pointing game of Wang et al.: Score-CAM (2020), and ``EnergyPointingGame``
    is another name of it. 1 where all of it lies inside, 0 where none does; a map that knows nothing gets about the
    share of the image that the label takes up. Scaling a map changes nothing. Values below 0, which speak against the
    label, count as 0. NaN for a map without a value above 0, a constant or infinite one, or a label whose place is
    unknown.

    What it does not say: whether the network looks at the object, since one that looks at the background is explained
    rightly by a map of the background; nor whether all of the object is found: one pixel inside is enough for 1.

    Args:
        name: see ``Metric``.
    """

    def located(self, values: Scores, inside: Masks) -> Scores:
        relevance = np.maximum(values, 0.0)
        return quotient((relevance * inside).sum(axis=1), relevance.sum(axis=1))


EnergyPointingGame = RelevanceMass


class AttributionLocalization(LocalizationMetric):
    """The share of a map's positive relevance inside, of labels that are small enough; higher is better.

    Kohlbrenner et al.: Towards Best Practice in Explaining Neural Network Decisions with LRP (2020):
    ``mu = R_in / R_tot`` of the values above 0, in 0..1, which is ``RelevanceMass``; weighted ``mu * S_tot / S_in``,
    with the sizes of the image and of the label's place in pixels, which is 1 for a map that knows nothing, however
    large the label is, and at most S_tot / S_in. Places larger than ``max_share`` of the image are not scored, since
    there every map scores high. NaN as in ``RelevanceMass``.

    What it does not say: what ``RelevanceMass`` does not; weighted scores of small objects outweigh those of large ones
    in a mean.

    Args:
        weighted: whether to divide by the share of the image that the label takes up.
        max_share: largest share of the image that a label may take up, in 0..1; the paper has 1, 0.5 and 0.25.
        name: see ``Metric``.

    Raises:
        ValueError: if weighted is not True or False, or max_share lies outside.
    """

    def __init__(self, *, weighted: bool = False, max_share: float = 1.0, name: str | None = None) -> None:
        super().__init__(name)
        self.weighted, self.max_share = yes_or_no(weighted, "weighted"), share(max_share, "max_share")

    def located(self, values: Scores, inside: Masks) -> Scores:
        relevance, sizes = np.maximum(values, 0.0), inside.mean(axis=1)
        shares = quotient((relevance * inside).sum(axis=1), relevance.sum(axis=1))
        found: Scores = np.where(sizes <= self.max_share, shares / sizes if self.weighted else shares, np.nan)
        return found
