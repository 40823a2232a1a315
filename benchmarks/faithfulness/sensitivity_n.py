"""Do sums of a map over subsets of pixels and what removing these does rise and fall together, at every size?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...explainers.arguments import whole_number, yes_or_no
from ...explainers.network.tensors import Activation
from ..core.arithmetic import Numbers, pearson
from ..core.covered_images import CurvePoints
from ..core.explanation import Explanation
from ..core.metric import CurveMetric, Curves
from ..core.perturbations import RandomSubsets
from ..core.removal import checked_removal
from .correlations import OfRemovedPixels, checked_sizes


class SensitivityN(OfRemovedPixels, CurveMetric):
    """Mean over sizes n of the correlation of a map's sums over random subsets of n pixels and what removing them does.

    For each n Pearson's r, over random subsets S of n pixels, of the sum of the map over S and f(x) - f(x without S).
    Ancona et al.: Towards Better Understanding of Gradient-based Attribution Methods (2018), section 4; the curve
    over n that the paper plots is ``curves``. In -1..1, higher is better; 1 at every n where the network is linear and
    the map is each pixel's part. The scale of a map does not matter. A size at which the answer or the sums never
    change is left out; NaN where all are, or the map has no order. Costs ``samples`` images per size, for all
    explainers and labels of an image.

    Each subset is removed from the whole image, as in the paper. Quantus 0.6 removes the next pixels of the map's order
    from what earlier steps have left, and compares that with the sum over those pixels alone.

    It does not say whether the map's largest values are where they belong: with many pixels every subset holds about
    the same share of them.

    Args:
        num_labels: how many classes the network has.
        activation_fn: from logits (N, classes) to probabilities, such as ``nn.Softmax()``.
        sizes: how many pixels subsets have; by default 8 from 1 to 80 % of the pixels, evenly on a logarithmic scale.
        samples: subsets of each size, at least 2; the paper takes 100.
        baseline: value of removed pixels, as the network takes them, where removal is "value".
        removal: "value", "mean" of each channel, "blur" or "noisy_linear"; see ``checked_removal``.
        answer: "probability" or "logit" of the label.
        curves: whether a run keeps its curves beside the scores; see ``CurveMetric``.
        name: see ``Metric``.

    Raises:
        TypeError: if activation_fn cannot be called.
        ValueError: if num_labels or a size is below 1, samples below 2, the baseline is not finite or without effect,
            or there is no such removal or answer. Later, if images have no more pixels than a subset.
    """

    def __init__(
        self,
        num_labels: int,
        activation_fn: Activation,
        *,
        sizes: Sequence[int] | None = None,
        samples: int = 100,
        baseline: float = 0.0,
        removal: str = "value",
        answer: str = "probability",
        curves: bool = False,
        name: str | None = None,
    ) -> None:
        super().__init__(num_labels, activation_fn, answer, name)
        self.sizes = None if sizes is None else tuple(whole_number(one, "sizes") for one in sizes)
        self.samples, self.keeps_curves = whole_number(samples, "samples", 2), yes_or_no(curves, "curves")
        self._removal = checked_removal(removal, baseline)

    @property
    def curve_names(self) -> tuple[str, ...]:
        return ("correlation",)

    def curves(self, explanation: Explanation) -> Curves:
        """The correlation at each size, over that size as a share of the pixels; NaN where it is not defined."""
        found: list[tuple[CurvePoints, ...] | None] = [None] * len(explanation.maps)
        height, width = explanation.view.size
        shares = np.array(self.perturbation((height, width)).sizes) / (height * width)
        for question, predicted, falls in self.compared(explanation):
            found[question] = (CurvePoints(shares, self.by_size(predicted, falls)),)
        return found

    def of_curves(self, *curves: CurvePoints) -> float:
        return _mean_of_known(curves[0].heights)

    def perturbation(self, size: tuple[int, int]) -> RandomSubsets:
        pixels = size[0] * size[1]
        chosen = self.sizes or sorted({round(one) for one in np.geomspace(1, max(1.0, 0.8 * pixels), 8)})
        return RandomSubsets(checked_sizes(chosen, pixels, "sizes"), self.samples, self._removal)

    def of_answers(self, predicted: Numbers, falls: Numbers) -> float:
        return _mean_of_known(self.by_size(predicted, falls))

    def by_size(self, predicted: Numbers, falls: Numbers) -> Numbers:
        """The correlation (sizes,) at each size; NaN where it is not defined. Arguments as for ``of_answers``."""
        pairs = zip(predicted.reshape(-1, self.samples), falls.reshape(-1, self.samples), strict=True)
        return np.array([pearson(*pair) for pair in pairs])


def _mean_of_known(values: Numbers) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")
