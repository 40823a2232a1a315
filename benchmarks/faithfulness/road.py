"""Remove and debias: pixels are removed by noisy linear imputation, which hides where they were."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from ...explainers.arguments import one_of, share
from ...explainers.network.tensors import Activation, checked_activation
from ...summary_format.problem import Problem
from ..core.answers import read_by
from ..core.covered_images import Covering, Curve
from ..core.explanation import Explanation
from ..core.metric import Metric, Scores
from ..core.removal import NOISY_LINEAR
from .flipping_curves import ORDERS

COMBINED = "combined"
_TENTHS = tuple(tenth / 10 for tenth in range(1, 10))


class ROAD(Metric):
    """Mean probability of the label over images of which shares of the pixels are imputed, the most relevant first.

    Rong et al.: A Consistent and Efficient Evaluation Strategy for Attribution Methods (2022): removed pixels become
    weighted means of their neighbours (direct ones weigh 1/6, diagonal ones 1/12; the linear equations of all of them
    are solved together), with Gaussian noise of deviation 0.01 added, so that the network cannot see the removed
    region's shape. The noise is drawn once for each pixel and channel of an image.

    In 0..1. Lower is better with order "morf", higher with "lerf"; "combined" is (LeRF - MoRF) / 2, in -0.5..0.5, of
    which higher is better and which a map's negative turns around. With answer "accuracy" it is the share of the images
    on which the label is still the likeliest class, as in the paper's plots. NaN for a map without order. Costs an
    image, and the solution of a sparse system, for each share.

    It does not say how much of a low value is low confidence in the whole image, and imputation only hides small or
    thin regions well: what is left of a large one is smooth, which networks may notice.

    Args:
        num_labels: how many classes the network has.
        activation_fn: from logits (N, classes) to probabilities, such as ``nn.Softmax()``.
        shares: of the pixels that are removed, rising, in 0..1; by default 0.1, 0.2, ... 0.9.
        order: "morf", "lerf" or "combined".
        answer: "probability" of the label, or "accuracy".
        name: see ``Metric``.

    Raises:
        TypeError: if activation_fn cannot be called.
        ValueError: if num_labels is below 1, a share does not lie in 0..1 or above the one before, or there is no such
            order or answer.
    """

    def __init__(
        self,
        num_labels: int,
        activation_fn: Activation,
        *,
        shares: Sequence[float] = _TENTHS,
        order: str = "morf",
        answer: str = "probability",
        name: str | None = None,
    ) -> None:
        super().__init__(num_labels, name)
        self.shares = rising_shares(shares)
        self.order = one_of(order, (*ORDERS, COMBINED), "order")
        self.higher_is_better = self.order != "morf"
        self.read_by = read_by(answer, checked_activation(activation_fn), ("probability", "accuracy"))

    def covering(self, size: tuple[int, int]) -> Covering:
        return Covering((), self.read_by, tuple(self._curve(order) for order in self._orders))

    def score(self, explanation: Explanation) -> Scores:
        covering = self.covering(explanation.view.size)
        means = {order: self._means(explanation, covering, order) for order in self._orders}
        if self.order == COMBINED:
            return (means["lerf"] - means["morf"]) / 2.0
        return means[self.order]

    @property
    def _orders(self) -> tuple[str, ...]:
        return ORDERS if self.order == COMBINED else (self.order,)

    def _curve(self, order: str) -> Curve:
        return Curve(removal=NOISY_LINEAR, least_first=order == "lerf", shares=self.shares)

    def _means(self, explanation: Explanation, covering: Covering, order: str) -> Scores:
        points = explanation.curve(self._curve(order), covering)
        return np.array([np.nan if one is None else one.answers.mean() for one in points], np.float64)


def rising_shares(shares: Sequence[float]) -> tuple[float, ...]:
    """Shares in 0..1, each above the one before.

    Raises:
        ValueError: if they are none, or not in order.
    """
    found = tuple(share(one, "shares") for one in shares) if isinstance(shares, (list, tuple)) else ()
    if not found or any(later <= earlier for earlier, later in pairwise(found)):
        words = "shares must be a list of numbers in 0..1, each above the one before, got {given!r}"
        raise ValueError(Problem.of("shares-not-rising", words, given=shares))
    return found
