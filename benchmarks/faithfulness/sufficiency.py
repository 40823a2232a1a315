"""Do images with the same map get the same prediction?"""

from __future__ import annotations

import numpy as np

from ...explainers.arguments import positive_number
from ...explainers.core.view import View
from ...explainers.network.tensors import FloatArray
from ..core.arithmetic import lengths, quotient
from ..core.explanation import Explanation
from ..core.metric import Scores
from ..recomputation.noisy_images import Noise
from ..recomputation.noisy_questions import NoisyQuestions
from ..recomputation.recomputing_metric import RecomputingMetric


class Sufficiency(RecomputingMetric):
    """Of the noisy copies of an image whose maps are like its own, the share that gets the same prediction; in 0..1.

    P(f(x') = f(x) | |s(x') - s(x)| <= threshold |s(x)|), f being the likeliest class and s the map of the question's
    label. Dasgupta, Frost, Moshkovitz: Framework for Evaluating Faithfulness of Local Explanations (2022), definition
    of local sufficiency, for a distribution of inputs x' around x: noise is uniform in plus and minus ``radius`` times
    the image's range, and drawn by each image's own generator. Higher is better. NaN for a map without order, and where
    no copy has a map like it. Costs ``samples`` times the maps, and as many images; explainers share both.

    The paper and Quantus 0.6 compare the images of a dataset, or of a batch, with each other instead. A score then
    depends on what else is asked, which no metric's may here.

    It does not say how many maps are alike: a map that ignores the image, such as the edge of a frame, is like all
    others and scores how often noise leaves the prediction as it is. Choose a radius at which it often does not. On
    planted networks it nearly always does, so that it ranks no map above another there.

    Args:
        num_labels: taken so that it is constructed as other metrics are; any number of classes will do.
        samples: noisy copies of each image.
        radius: of the noise, as a share of the image's range.
        threshold: how far maps that are alike may lie apart, as a share of the length of the image's own.
        name: see ``Metric``.

    Raises:
        ValueError: if samples is below 1, or radius or threshold is not above 0.
    """

    control_sensitive = False

    def __init__(
        self,
        num_labels: int | None = None,
        *,
        samples: int = 10,
        radius: float = 0.1,
        threshold: float = 0.6,
        name: str | None = None,
    ) -> None:
        super().__init__(num_labels, name)
        self._noise, self.threshold = Noise.checked(samples, radius), positive_number(threshold, "threshold")
        self.samples, self.radius = self._noise.samples, self._noise.radius
        self.map_recomputations, self.recomputed_together = self.samples, self._noise

    def score_recomputable(self, explanation: Explanation) -> Scores:
        noisy = NoisyQuestions(explanation, self._noise)
        apart, own, same = noisy.maps().distance, lengths(explanation.maps)[:, None], noisy.same_class()
        like = (apart <= self.threshold * own) & np.isfinite(own)
        shares = quotient((like & same).sum(axis=1), like.sum(axis=1))
        return np.where(explanation.rankable, shares, np.nan)

    def noise(self, view: View, row: int, draw: int, attempt: int = 0) -> FloatArray:
        """The noise (C, H, W) that an image gets."""
        return self._noise.drawn(view, row, draw, attempt)
