"""What the network says of an image whose every pixel is kept as far as its map says."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np

from ...explainers.network.tensors import Activation, checked_activation
from ..core.covered_images import BlendedImage, Covering
from ..core.explanation import Explanation
from ..core.metric import Metric, Scores
from ..core.removal import checked_removal


class _OfBlendedImage(Metric):
    """What the metrics share that look at such an image; one image per question serves all of them.

    Args:
        num_labels: how many classes the network has.
        activation_fn: from logits (N, classes) to probabilities, such as ``nn.Softmax()``.
        baseline: value of what is removed, as the network takes it, where removal is "value".
        removal: "value", "mean" of each channel, "blur" or "noisy_linear"; see ``checked_removal``.
        name: see ``Metric``.

    Raises:
        TypeError: if activation_fn cannot be called.
        ValueError: if num_labels is below 1, the baseline is not finite or without effect, or there is no such removal.
    """

    def __init__(
        self,
        num_labels: int,
        activation_fn: Activation,
        *,
        baseline: float = 0.0,
        removal: str = "value",
        name: str | None = None,
    ) -> None:
        super().__init__(num_labels, name)
        self.activation_fn = checked_activation(activation_fn)
        self._removal = checked_removal(removal, baseline)

    def covering(self, size: tuple[int, int]) -> Covering:
        return Covering((BlendedImage(self._removal),), self.activation_fn)

    def score(self, explanation: Explanation) -> Scores:
        covering = self.covering(explanation.view.size)
        blended, whole = explanation.probabilities(covering)[:, 0], explanation.untouched(covering)
        with np.errstate(divide="ignore", invalid="ignore"):
            found = self.of_probabilities(whole, blended)
        return np.where(np.isfinite(found), found, np.nan)

    @abstractmethod
    def of_probabilities(self, whole: Scores, blended: Scores) -> Scores:
        """The scores (Q,) by the label's probability on whole images and on blended ones; not finite where there is
        none.
        """


class AverageDrop(_OfBlendedImage):
    """How much of the label's probability is lost where the image is multiplied by its map; lower is better.

    max(0, f(x) - f(m x)) / f(x), m being the map scaled to 0..1. Chattopadhyay et al.: Grad-CAM++ (2018), whose average
    over images in per cent is 100 times the mean of the scores. In 0..1, NaN for a map without order, or where f(x) is
    0. Costs an image, which ``AverageIncrease`` and ``AverageGain`` share.

    It does not say whether the map is small: one that keeps nearly all of the image loses nothing. What is removed
    becomes 0 in the unit that the network takes, the mean of images that are normalised.

    Args:
        num_labels: how many classes the network has.
        activation_fn: from logits (N, classes) to probabilities, such as ``nn.Softmax()``.
        baseline: value of what is removed, as the network takes it, where removal is "value".
        removal: "value", "mean" of each channel, "blur" or "noisy_linear"; see ``checked_removal``. A pixel is
            removal + m (x - removal).
        name: see ``Metric``.

    Raises:
        TypeError: if activation_fn cannot be called.
        ValueError: if num_labels is below 1, the baseline is not finite or without effect, or there is no such removal.
    """

    higher_is_better = False

    def of_probabilities(self, whole: Scores, blended: Scores) -> Scores:
        return np.maximum(whole - blended, 0.0) / whole


class AverageIncrease(_OfBlendedImage):
    """1 where the label's probability is higher once the image is multiplied by its map, else 0; higher is better.

    1 where f(x) < f(m x), m being the map scaled to 0..1. Chattopadhyay et al.: Grad-CAM++ (2018), where its average
    over images is called increase in confidence, in per cent. NaN for a map without order. Costs an image, which
    ``AverageDrop`` and ``AverageGain`` share.

    It does not say by how much, and says little where the network is sure of the whole image. Maps that are wrong all
    score 0, so that it does not rank a random map of a planted network above the reversed one.

    Args:
        num_labels: see ``AverageDrop``.
        activation_fn: see ``AverageDrop``.
        baseline: see ``AverageDrop``.
        removal: see ``AverageDrop``.
        name: see ``Metric``.

    Raises:
        TypeError: as ``AverageDrop``.
        ValueError: as ``AverageDrop``.
    """

    def of_probabilities(self, whole: Scores, blended: Scores) -> Scores:
        return np.where(np.isfinite(blended), blended > whole, np.nan)


class AverageGain(_OfBlendedImage):
    """How much of what lacks to certainty is won where the image is multiplied by its map; higher is better.

    max(0, f(m x) - f(x)) / (1 - f(x)), m being the map scaled to 0..1. Zhang et al.: Opti-CAM: Optimizing Saliency Maps
    for Interpretability (2024), whose average over images is in per cent. In 0..1, NaN for a map without order, or
    where f(x) is 1. Costs an image, which ``AverageDrop`` and ``AverageIncrease`` share.

    It does not say anything about maps that lose probability, all of which score 0, random and reversed maps of planted
    networks among them: read it beside ``AverageDrop``.

    Args:
        num_labels: see ``AverageDrop``.
        activation_fn: see ``AverageDrop``.
        baseline: see ``AverageDrop``.
        removal: see ``AverageDrop``.
        name: see ``Metric``.

    Raises:
        TypeError: as ``AverageDrop``.
        ValueError: as ``AverageDrop``.
    """

    def of_probabilities(self, whole: Scores, blended: Scores) -> Scores:
        gains: Scores = np.maximum(blended - whole, 0.0) / (1.0 - whole)
        return gains
