"""Remove and debias: pixels are removed by noisy linear imputation, which hides where they were."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from ...explainers.arguments import one_of, share, yes_or_no
from ...explainers.network.tensors import Activation, checked_activation
from ...summary_format.problem import Problem
from ..core.answers import read_by
from ..core.covered_images import Covering, Curve, CurvePoints
from ..core.explanation import Explanation
from ..core.metric import CurveMetric, Curves
from ..core.removal import NOISY_LINEAR
from .flipping_curves import ORDERS

COMBINED = "combined"
_TENTHS = tuple(tenth / 10 for tenth in range(1, 10))


class ROAD(CurveMetric):
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
        curves: whether a run keeps its curves beside the scores; see ``CurveMetric``.
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
        curves: bool = False,
        name: str | None = None,
    ) -> None:
        super().__init__(num_labels, name)
        self.shares, self.keeps_curves = rising_shares(shares), yes_or_no(curves, "curves")
        self.order = one_of(order, (*ORDERS, COMBINED), "order")
        self.higher_is_better = self.order != "morf"
        self.read_by = read_by(answer, checked_activation(activation_fn), ("probability", "accuracy"))

    def covering(self, size: tuple[int, int]) -> Covering:
        return Covering((), self.read_by, tuple(self._curve(order) for order in self._orders))

    @property
    def curve_names(self) -> tuple[str, ...]:
        return self._orders

    def curves(self, explanation: Explanation) -> Curves:
        """The answer over the share of the pixels that is imputed, in each order."""
        covering = self.covering(explanation.view.size)
        found = zip(*(explanation.curve(self._curve(order), covering) for order in self._orders), strict=True)
        return [None if of_question[0] is None else of_question for of_question in found]

    def of_curves(self, *curves: CurvePoints) -> float:
        means = {order: float(curve.heights.mean()) for order, curve in zip(self._orders, curves, strict=True)}
        return (means["lerf"] - means["morf"]) / 2.0 if self.order == COMBINED else means[self.order]

    @property
    def _orders(self) -> tuple[str, ...]:
        return ORDERS if self.order == COMBINED else (self.order,)

    def _curve(self, order: str) -> Curve:
        return Curve(removal=NOISY_LINEAR, least_first=order == "lerf", shares=self.shares)


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
