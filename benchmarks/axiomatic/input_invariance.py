"""Does a map stay the same where the network ignores a shift of its input?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...explainers.arguments import real_number
from ...explainers.core.together import attribute_together
from ...explainers.network import Network
from ...explainers.network.tensors import FloatArray
from ...explainers.network.variants.shifted_input import shifted_input, try_shift
from ...summary_format.problem import Problem
from ..core.arithmetic import lengths, quotient
from ..core.explanation import Explanation
from ..core.metric import Scores
from ..recomputation.changed_network import asked_of
from ..recomputation.map_passes import count_map_passes
from ..recomputation.recomputing_metric import RecomputingMetric


class InputInvariance(RecomputingMetric):
    """``|s'(x + shift) - s(x)| / |s(x)|``, s' of the network that takes shifted images; from 0, lower is better.

    Kindermans et al.: The (Un)reliability of Saliency Methods (2017): adding a number to all pixels and taking away in
    the first layer's bias what it adds there gives a network that computes the same, weights and all. Its map of the
    shifted image should be that of the image. Lengths are Euclidean; 0 is best, and there is no worst. What the first
    layer adds is taken away at each of its places, so that it may pad with zeros. A network whose answers do not come
    back is refused: its first layer with weights must be a convolution or dense layer that gets the image as it is, or
    scaled, and runs once, and nothing else may look at the image. NaN where the map is zero, or one is not finite.
    Costs every map once more, and four passes once for a network, none of them compiled.

    It says whether a method, or the value that it takes for a blank pixel, hangs on where pixel values begin.
    ``InputXGradient`` does, and so do perturbations by a fixed value; gradients do not. It does not say that the map is
    right: one that ignores the image scores 0.

    Args:
        shift: added to all pixels, in the unit in which the network takes images.
        name: see ``Metric``.

    Raises:
        ValueError: if shift is 0 or not a finite number.
    """

    higher_is_better = False
    control_sensitive = False
    map_recomputations = 1

    def __init__(self, shift: float = 1.0, name: str | None = None) -> None:
        super().__init__(name=name)
        self.shift = real_number(shift, "shift")
        if not self.shift:
            raise ValueError(Problem.of("shift-zero", "shift must not be 0: no map changes where no pixel does"))

    def try_on(self, network: Network, image: FloatArray) -> None:
        try_shift(network, image, self.shift)

    def score_recomputable(self, explanation: Explanation) -> Scores:
        moved = explanation.of_peers(self, self._moved)
        return np.where(np.isfinite(moved), moved, np.nan)

    def _moved(self, explanations: Sequence[Explanation]) -> dict[str, Scores | ValueError]:
        """How far maps move (Q,), relative to their length, by explainer; or why it refuses."""
        view = explanations[0].view
        with shifted_input(view.network, view.images[0], self.shift) as network:
            shifted = asked_of(network, explanations, view.images + np.float32(self.shift), "shifted")
            count_map_passes(explanations, shifted)
            found, errors = attribute_together([one.explainer for one in explanations], shifted)
        made = [one for one in explanations if one.explainer.name in found]
        return {**{one.explainer.name: _distance(one.maps, found[one.explainer.name].maps) for one in made}, **errors}


def _distance(before: FloatArray, after: FloatArray) -> Scores:
    """(Q,) distance of maps (Q, H, W), over the length of the first."""
    with np.errstate(invalid="ignore"):  # of infinities, whose difference is NaN
        moved = lengths(after.astype(np.float64) - before)
    return quotient(moved, lengths(before))
