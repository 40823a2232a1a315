"""On how few pixels does a map lie? No pass is made, and nothing is said of whether they are the right ones."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
from scipy.special import entr

from ...explainers.arguments import real_number
from ..core.explanation import Explanation
from ..core.metric import Metric, Scores


class ComplexityMetric(Metric):
    """Scores maps by the absolute values of their pixels alone; makes no pass.

    NaN for a map that is zero or not finite; a constant one is as complex as a map can be. A map of one pixel scores
    best, whatever pixel it is, so beating control maps says nothing.

    Args:
        name: see ``Metric``.
    """

    needs_network = False
    control_sensitive = False

    def __init__(self, name: str | None = None) -> None:
        super().__init__(name=name)

    @abstractmethod
    def measured(self, magnitudes: Scores) -> Scores:
        """Scores (Q,) of maps.

        Args:
            magnitudes: (Q, H W) absolute values as shares of the largest one of each map, which is 1.
        """

    def score(self, explanation: Explanation) -> Scores:
        magnitudes = np.abs(explanation.maps.reshape(len(explanation.maps), -1).astype(np.float64))
        largest = magnitudes.max(axis=1)
        scored = np.isfinite(magnitudes).all(axis=1) & (largest > 0)
        scores = np.full(len(magnitudes), np.nan)
        if scored.any():
            scores[scored] = self.measured(magnitudes[scored] / largest[scored, None])
        return scores


class Sparseness(ComplexityMetric):
    """Gini index of a map's absolute values, in 0..1 - 1 / (H W); higher is better.

    ``sum of (2 i - n - 1) |a_i| / (n sum of |a|)`` over the n pixels in rising order of |a|, i from 1. Chalasani et
    al.: Concise Explanations of Neural Networks using Adversarial Training (2020); the index is that of Hurley,
    Rickard: Comparing Measures of Sparsity (2009). 0 where all pixels are alike, 1 - 1 / n for a map of one pixel.
    Scaling a map, its sign and where its pixels are change nothing. NaN for a map that is zero or not finite.

    What it does not say: whether the pixels are the right ones. A map that ignores image and network may score best.

    Args:
        name: see ``Metric``.
    """

    def measured(self, magnitudes: Scores) -> Scores:
        rising, pixels = np.sort(magnitudes, axis=1), magnitudes.shape[1]
        weights = 2.0 * np.arange(1, pixels + 1) - pixels - 1
        found: Scores = (weights * rising).sum(axis=1) / (pixels * rising.sum(axis=1))
        return found


class Complexity(ComplexityMetric):
    """Entropy of the shares that pixels have in a map, in 0..ln(H W); lower is better.

    ``- sum of p_i ln p_i`` with ``p_i = |a_i| / sum of |a|``. Bhatt, Weller, Moura: Evaluating and Aggregating
    Feature-based Model Explanations (2020). 0 for a map of one pixel, ln n where all n pixels are alike.
    Scaling a map, its sign and where its pixels are change nothing; the size of the images does. NaN for a map that is
    zero or not finite.

    What it does not say: whether the pixels are the right ones. A map that ignores image and network may score best.

    Args:
        name: see ``Metric``.
    """

    higher_is_better = False

    def measured(self, magnitudes: Scores) -> Scores:
        found: Scores = entr(magnitudes / magnitudes.sum(axis=1, keepdims=True)).sum(axis=1)
        return found


class EffectiveComplexity(ComplexityMetric):
    """How many pixels of a map count, in 1..H W; lower is better.

    The number of pixels with ``|a| > eps max |a|``. Nguyen, Rodríguez Martínez: On Quantitative Aspects of Model
    Interpretability (2020), looks for the fewest features that keep the network's answer; this is what Quantus makes of
    it, which asks no network. 1 for a map of one pixel, H W where all pixels are alike. Scaling a map, its sign and
    where its pixels are change nothing; the size of the images does. NaN for a map that is zero or not finite.

    What it does not say: whether the pixels are the right ones, nor how unlike those are that count.

    Args:
        eps: share of the largest magnitude, in 0..1 (1 excluded).
        name: see ``Metric``.

    Raises:
        ValueError: if eps lies outside.
    """

    higher_is_better = False

    def __init__(self, eps: float = 1e-5, name: str | None = None) -> None:
        super().__init__(name)
        self.eps = real_number(eps, "eps")
        if not 0 <= self.eps < 1:
            raise ValueError(f"eps must be at least 0 and below 1, got {eps}")

    def measured(self, magnitudes: Scores) -> Scores:
        found: Scores = (magnitudes > self.eps).sum(axis=1).astype(np.float64)
        return found
