"""How far maps move relative to how far images, logits or a layer's outputs do."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
from mindspore import nn

from ...explainers.arguments import plain_text
from ...explainers.network.tensors.layers import find_layer
from ..core.explanation import Explanation
from ..core.metric import Scores
from ..recomputation.noisy_questions import EPS, Changes, MapChanges, NoisyQuestions
from .map_stability import MapStability


class _RelativeStability(MapStability):
    """Relative change of maps over another change, over the draws that leave the likeliest class as it is."""

    def of_changes(self, explanation: Explanation, maps: MapChanges, noisy: NoisyQuestions) -> Scores:
        ratios, kept = maps.relative / np.maximum(self.divisors(noisy), EPS), noisy.same_class()
        found: Scores = np.where(kept, ratios, -np.inf).max(axis=1)
        return np.where(np.isfinite(explanation.maps).all(axis=(1, 2)) & kept.any(axis=1), found, np.nan)

    @abstractmethod
    def divisors(self, noisy: NoisyQuestions) -> Changes:
        """(Q, draws) how far something else moved."""


class RelativeInputStability(_RelativeStability):
    """Largest relative change of the map over that of the image, over draws of noise; from 0, lower is better.

    Agarwal et al.: Rethinking Stability for Attribution-based Explanations (2022): ``|(s(x) - s(x')) / s(x)| / max(|(x
    - x') / x|, eps)``, quotients by pixel, Euclidean lengths, over those noisy copies x' that the network puts into the
    same class as x. A divisor of 0 counts as eps, 1e-6, so a map with zeros that move scores by millions. NaN where a
    map is not finite, or all draws change the class. Costs one forward pass of the noisy images beside their maps.

    It says whether a map moves more than its image does. It does not say that the map is right: one that ignores the
    image scores 0. As each pixel counts relative to what it was, the least salient ones decide.

    Args:
        samples: see ``MapStability``.
        radius: see ``MapStability``.
        name: see ``Metric``.

    Raises:
        ValueError: if samples is below 1, or radius is not above 0.
    """

    def divisors(self, noisy: NoisyQuestions) -> Changes:
        return noisy.relative_image_distances()


class RelativeOutputStability(_RelativeStability):
    """Largest relative change of the map over the distance of the logits, over draws of noise; from 0, lower is better.

    Agarwal et al.: Rethinking Stability for Attribution-based Explanations (2022): ``|(s(x) - s(x')) / s(x)| /
    max(|h(x) - h(x')|, eps)``, with logits h, else as ``RelativeInputStability``. It forgives a map that moves where
    the network's answer does. It does not say that the map is right: one that ignores the image scores 0.

    Args:
        samples: see ``MapStability``.
        radius: see ``MapStability``.
        name: see ``Metric``.

    Raises:
        ValueError: if samples is below 1, or radius is not above 0.
    """

    def divisors(self, noisy: NoisyQuestions) -> Changes:
        return noisy.logit_distances()


class RelativeRepresentationStability(_RelativeStability):
    """Largest relative change of the map over that of what a layer gives, over draws of noise; from 0, lower is better.

    Agarwal et al.: Rethinking Stability for Attribution-based Explanations (2022): ``|(s(x) - s(x')) / s(x)| /
    max(|(L(x) - L(x')) / L(x)|, eps)``, with the outputs L of a layer, else as ``RelativeInputStability``. Behind a
    ReLU many outputs are 0 before noise, and each that then is not weighs 1e6 times; name a layer without, such as a
    convolution. Costs passes that read the layer, of the images and of their noisy copies. It does not say that the map
    is right: one that ignores the image scores 0.

    Args:
        layer: dotted name of the layer to read; its output must hold the images along the first axis.
        samples: see ``MapStability``.
        radius: see ``MapStability``.
        name: see ``Metric``.

    Raises:
        TypeError: if layer is not a text.
        ValueError: if samples is below 1, or radius is not above 0.
    """

    def __init__(self, layer: str, samples: int = 10, radius: float = 0.05, name: str | None = None) -> None:
        super().__init__(samples, radius, name)
        self.layer = plain_text(layer, "layer")

    def check_network(self, network: nn.Cell) -> None:
        find_layer(network, self.layer)

    def divisors(self, noisy: NoisyQuestions) -> Changes:
        return noisy.relative_layer_distances(self.layer)
