"""Does a map change where the network's weights become random?"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np
from mindspore import Tensor, nn

from ...explainers.arguments import one_of, whole_number, yes_or_no
from ...explainers.core.explainer import Explainer
from ...explainers.core.measured_size import PassSize
from ...explainers.network import DEFAULT_PASS_SIZE, Jit, Output
from ...explainers.network.tensors import FloatArray
from ...explainers.network.variants.random_weights import check_weights
from ..core.arithmetic import quotient
from ..core.covered_images import CurvePoints
from ..core.explanation import Explanation
from ..core.metric import CurveMetric, Curves, Scores
from ..recomputation.noisy_images import Noise
from ..recomputation.recomputing_metric import RecomputingMetric
from .random_weight_maps import ORDERS, Randomization, by_steps
from .similarity import SIMILARITIES, similarities


class _RandomWeights(RecomputingMetric):
    """A metric of what maps become under random weights."""

    randomization: Randomization

    def recomputations_on(self, network: nn.Cell) -> int:
        return self.randomization.recomputations(network)

    def check_network(self, network: nn.Cell) -> None:
        check_weights(network)

    def measured(self, explanation: Explanation) -> Scores:
        """(steps, Q) what is measured in each step.

        Raises:
            ValueError: if the explainer refuses the network with other weights.
        """
        return explanation.of_peers(self, lambda peers: self.randomization.measured(peers, self.measure))

    @abstractmethod
    def measure(self, before: FloatArray, after: FloatArray) -> Scores:
        """(Q,) of maps (Q, H, W) of the network as it is, and with random weights."""


class _OfLayers(_RandomWeights, CurveMetric):
    """The mean similarity of maps over steps of random layers."""

    higher_is_better = False

    def __init__(
        self,
        order: str,
        similarity: str,
        layers: int | None,
        smoothing: Noise | None,
        name: str | None,
        *,
        curves: bool,
    ) -> None:
        super().__init__(name=name)
        self.keeps_curves = yes_or_no(curves, "curves")
        self.similarity, self.order = one_of(similarity, SIMILARITIES, "similarity"), one_of(order, ORDERS, "order")
        self.layers = None if layers is None else whole_number(layers, "layers")
        self.randomization = Randomization(self.order, self.layers, smoothing)

    @property
    def curve_names(self) -> tuple[str, ...]:
        return ("similarity",)

    def curves(self, explanation: Explanation) -> Curves:
        """How alike a map stays in each step, over the share of the steps up to that one."""
        if not explanation.explainer.recomputable:
            return [None] * len(explanation.maps)
        found = self.measured(explanation)
        across = np.arange(1, len(found) + 1) / len(found)
        return [(CurvePoints(across, of_question),) for of_question in found.T]

    def of_curves(self, *curves: CurvePoints) -> float:
        return float(curves[0].heights.mean())

    def score_recomputable(self, explanation: Explanation) -> Scores:
        return self.scores_of(self.curves(explanation))

    def measure(self, before: FloatArray, after: FloatArray) -> Scores:
        return similarities(SIMILARITIES[self.similarity], before, after)

    def by_layer(
        self,
        explainer: Explainer,
        inputs: Tensor,
        targets: Any,
        *,
        output: Output = None,
        jit: Jit = "auto",
        pass_size: PassSize = DEFAULT_PASS_SIZE,
    ) -> dict[str, Scores]:
        """How alike maps stay in each step, of which ``evaluate`` gives the mean.

        Args:
            explainer: see ``evaluate``.
            inputs: see ``evaluate``.
            targets: see ``evaluate``.
            output: see ``evaluate``.
            jit: see ``evaluate``.
            pass_size: see ``evaluate``.

        Returns:
            By the dotted name of the layer that each step is about, in the order of the steps, similarities (N,) or
            (N, L); a layer's name is that of its first cell with parameters.

        Raises:
            TypeError: see ``evaluate``.
            ValueError: see ``evaluate``.
        """
        explanation = self.explained(explainer, inputs, targets, output=output, jit=jit, pass_size=pass_size)
        shape = (len(inputs), -1) if np.ndim(targets) == 2 else (-1,)
        found = self.measured(explanation)
        names = by_steps(explanation, self.randomization)
        return {name: of_step.reshape(shape) for name, of_step in zip(names, found, strict=True)}


class ModelParameterRandomization(_OfLayers):
    """Mean similarity of a map to those under random weights, layer after layer; in -1..1, lower is better.

    Adebayo et al.: Sanity Checks for Saliency Maps (2018): a map that stays as it is where weights become random does
    not depend on what the network has learned. ``order`` "top_down" makes layers random from the last to the first,
    those of earlier steps staying so (cascading), "bottom_up" from the first, "independent" one at a time. The score is
    the mean over the steps of Spearman's rank correlation of the pixels, or of the structural similarity (SSIM) of maps
    brought to 0..1; ``by_layer`` gives each. Maps that have nothing in common have about 0, a map that ignores the
    weights has 1, the worst.

    Weights are drawn around 0, as wide as those learned, biases and scales like their own mean and deviation; what
    batch norm has measured stays. They are keyed by the run's seed and the layer, the same for all samples. Layers are
    cells with a parameter of two or more axes, and the normalisation behind them. A map that becomes constant counts 0;
    NaN where the map itself is constant, or one is not finite. Costs a map more for each layer, of passes that are not
    compiled; the network is put back bit for bit.

    It says that a map depends on the weights. It does not say that the map is right, only that it could be: noise
    passes too. The architecture alone makes many right maps alike from layer to layer, edges above all.

    Args:
        order: "top_down", "bottom_up" or "independent".
        similarity: "spearman" or "ssim".
        layers: steps at most, spread evenly over the layers, the last one among them; all by default.
        name: see ``Metric``.
        curves: whether a run keeps its curves beside the scores; see ``CurveMetric``.

    Raises:
        ValueError: if there is no such order or similarity, or layers is below 1.
    """

    def __init__(
        self,
        order: str = "top_down",
        similarity: str = "spearman",
        layers: int | None = None,
        name: str | None = None,
        curves: bool = False,
    ) -> None:
        super().__init__(order, similarity, layers, None, name, curves=curves)


class SmoothMPRT(_OfLayers):
    """As ``ModelParameterRandomization``, of maps averaged over noisy copies of the image; in -1..1, lower is better.

    Hedström et al.: Sanity Checks Revisited: An Exploration to Repair the Model Parameter Randomisation Test (2023):
    noise in gradients makes maps unlike each other whatever they show; their mean over noise, before and after weights
    become random, is compared instead. Noise is uniform in plus and minus ``radius`` times the image's range, the same
    in each step. Else as ``ModelParameterRandomization``; costs ``samples`` times as much, and ``samples`` maps more.

    Args:
        samples: noisy copies of each image.
        radius: of the noise, as a share of the image's range.
        order: "top_down", "bottom_up" or "independent"; the paper advises to go bottom-up.
        similarity: "spearman" or "ssim".
        layers: steps at most, spread evenly over the layers, the last one among them; all by default.
        name: see ``Metric``.
        curves: whether a run keeps its curves beside the scores; see ``CurveMetric``.

    Raises:
        ValueError: if there is no such order or similarity, samples or layers is below 1, or radius not above 0.
    """

    def __init__(
        self,
        samples: int = 10,
        radius: float = 0.1,
        order: str = "bottom_up",
        similarity: str = "spearman",
        layers: int | None = None,
        name: str | None = None,
        curves: bool = False,
    ) -> None:
        noise = Noise.checked(samples, radius)
        super().__init__(order, similarity, layers, noise, name, curves=curves)
        self.samples, self.radius = noise.samples, noise.radius


class EfficientMPRT(_RandomWeights):
    """How much more entropy a map has where all weights are random, as a share of what it had; higher is better.

    Hedström et al.: Sanity Checks Revisited: An Exploration to Repair the Model Parameter Randomisation Test (2023):
    ``(H(random) - H(map)) / H(map)`` with the entropy H of a histogram of the map's values over ``bins`` equal bins
    from its least to its largest. 0 for a map that ignores the weights; below 0 where the random network's map is
    simpler. It has no upper end. NaN where the map is constant, or one is not finite. Weights are drawn as in
    ``ModelParameterRandomization``; costs one map more.

    It says whether maps of a trained network are simpler than those of a random one. It does not say that they are
    right.

    Args:
        bins: of the histogram.
        name: see ``Metric``.

    Raises:
        ValueError: if bins is below 2.
    """

    map_recomputations = 1

    def __init__(self, bins: int = 100, name: str | None = None) -> None:
        super().__init__(name=name)
        self.bins, self.randomization = whole_number(bins, "bins", 2), Randomization("top_down", 1)

    def score_recomputable(self, explanation: Explanation) -> Scores:
        found: Scores = self.measured(explanation)[-1]
        return found

    def measure(self, before: FloatArray, after: FloatArray) -> Scores:
        had, has = (np.array([self._entropy(map_) for map_ in maps]) for maps in (before, after))
        return quotient(has - had, had)

    def _entropy(self, map_: FloatArray) -> float:
        """Entropy of the values of a map (H, W), in nats; NaN where one is not finite."""
        if not np.isfinite(map_).all():
            return float("nan")
        counts = np.histogram(map_.astype(np.float64), self.bins)[0]
        shares = counts[counts > 0] / counts.sum()
        return float(-(shares * np.log(shares)).sum()) + 0.0
