"""How far maps move where images get noise: against themselves, and against how far the images moved."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np

from ..core.arithmetic import lengths, quotient
from ..core.explanation import Explanation
from ..core.metric import Scores
from ..recomputation.noisy_images import Noise
from ..recomputation.noisy_questions import Changes, MapChanges, NoisyQuestions
from ..recomputation.recomputing_metric import RecomputingMetric


class MapStability(RecomputingMetric):
    """A metric of how maps change under noise; lower is better, and 0 is best.

    All metrics of the same ``samples`` and ``radius`` look at the same noisy images and maps, which are made once for
    them, and by explainers that share passes together. A map that ignores the image never moves: it scores 0, the best.

    Args:
        samples: noisy copies of each image.
        radius: noise is uniform in plus and minus this share of the image's range.
        name: see ``Metric``.

    Raises:
        ValueError: if samples is below 1, or radius is not above 0.
    """

    higher_is_better = False
    control_sensitive = False

    def __init__(self, samples: int = 10, radius: float = 0.05, name: str | None = None) -> None:
        super().__init__(name=name)
        self.noise = Noise.checked(samples, radius)
        self.samples, self.radius = self.noise.samples, self.noise.radius
        self.map_recomputations, self.recomputed_together = self.samples, self.noise

    def score_recomputable(self, explanation: Explanation) -> Scores:
        noisy = NoisyQuestions(explanation, self.noise)
        scores = self.of_changes(explanation, noisy.maps(), noisy)
        return np.where(np.isfinite(scores), scores, np.nan)

    @abstractmethod
    def of_changes(self, explanation: Explanation, maps: MapChanges, noisy: NoisyQuestions) -> Scores:
        """Scores (Q,) from how the maps change, and from what else does."""


class _Sensitivity(MapStability):
    """Distance of maps, relative to the untouched map's length."""

    def of_changes(self, explanation: Explanation, maps: MapChanges, noisy: NoisyQuestions) -> Scores:
        return self.over_draws(quotient(maps.distance, lengths(explanation.maps)[:, None]))

    @abstractmethod
    def over_draws(self, distances: Changes) -> Scores:
        """Scores (Q,) from relative distances (Q, draws)."""


class SensitivityMax(_Sensitivity):
    """Largest ``|s(x + noise) - s(x)| / |s(x)|`` over several draws of noise; from 0, lower is better.

    Yeh et al.: On the (In)fidelity and Sensitivity of Explanations (2019), on captum's scale, which divides by the
    map's Euclidean length. Noise is uniform in plus and minus ``radius`` times the image's range; captum's is in plus
    and minus a number. ``Robustness`` is exp of minus this, of noise that leaves the prediction in place. NaN where the
    map is zero or a map is not finite.

    It says how far a map can be moved by what hardly changes the image. It does not say that the map is right: one that
    ignores the image scores 0, and where the network itself changes abruptly a right map must move.

    Args:
        samples: see ``MapStability``.
        radius: see ``MapStability``.
        name: see ``Metric``.

    Raises:
        ValueError: if samples is below 1, or radius is not above 0.
    """

    def over_draws(self, distances: Changes) -> Scores:
        return largest(distances)


class SensitivityAvg(_Sensitivity):
    """Mean ``|s(x + noise) - s(x)| / |s(x)|`` over several draws of noise; from 0, lower is better.

    As ``SensitivityMax``, but the mean of the draws: Bhatt et al.: Evaluating and Aggregating Feature-based Model
    Explanations (2020). It hardly depends on the number of draws, where the maximum grows with it; in
    return it passes over a rare jump. It does not say that the map is right: one that ignores the image scores 0.

    Args:
        samples: see ``MapStability``.
        radius: see ``MapStability``.
        name: see ``Metric``.

    Raises:
        ValueError: if samples is below 1, or radius is not above 0.
    """

    def over_draws(self, distances: Changes) -> Scores:
        means: Scores = distances.mean(axis=1)
        return means


class LocalLipschitz(MapStability):
    """Largest ``|s(x + noise) - s(x)| / |noise|`` over several draws, Euclidean; from 0, lower is better.

    Alvarez-Melis, Jaakkola: On the Robustness of Interpretability Methods (2018), over draws where the paper searches.
    NaN where a map is not finite, or the image is of one value, whose noise is 0. The score has the unit of the map
    over that of the image, so explainers compare only where maps have one scale.

    It says how steeply a map changes beside an image. It does not say that the map is right: one that ignores the image
    scores 0, and a map that is made half as large scores half.

    Args:
        samples: see ``MapStability``.
        radius: see ``MapStability``.
        name: see ``Metric``.

    Raises:
        ValueError: if samples is below 1, or radius is not above 0.
    """

    def of_changes(self, explanation: Explanation, maps: MapChanges, noisy: NoisyQuestions) -> Scores:
        return largest(quotient(maps.distance, noisy.image_distances()))


class Continuity(MapStability):
    """Largest sum of a map's absolute changes over the Euclidean length of the noise; from 0, lower is better.

    Montavon, Samek, Müller: Methods for Interpreting and Understanding Deep Neural Networks (2018), section 7.1: the
    strongest ``|R(x) - R(x')|_1 / |x - x'|_2``, here over noisy copies x' of the image in place of the whole domain.
    NaN where a map is not finite, or the image is of one value. The score has the unit of the map over that of the
    image.

    It says whether relevance jumps between nearly equal images. It does not say that the map is right: one that ignores
    the image scores 0, and a map that is made half as large scores half.

    Args:
        samples: see ``MapStability``.
        radius: see ``MapStability``.
        name: see ``Metric``.

    Raises:
        ValueError: if samples is below 1, or radius is not above 0.
    """

    def of_changes(self, explanation: Explanation, maps: MapChanges, noisy: NoisyQuestions) -> Scores:
        return largest(quotient(maps.absolute, noisy.image_distances()))


def largest(of_draws: Changes) -> Scores:
    """(Q,) the largest over the draws (Q, draws); NaN where one is."""
    found: Scores = of_draws.max(axis=1)
    return found
