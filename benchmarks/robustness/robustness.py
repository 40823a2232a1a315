"""Does a map stay the same where the image changes a little and the prediction does not?"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ...explainers.arguments import positive_number
from ...explainers.core.view import View
from ...explainers.network.tensors import Activation, FloatArray, checked_activation
from ..core.arithmetic import lengths, quotient
from ..core.explanation import Explanation
from ..core.metric import Scores
from ..recomputation.noisy_images import Noise, NoisyImages, maps_of_copies
from ..recomputation.recomputing_metric import RecomputingMetric

_DRAWN_AGAIN = 3


class Robustness(RecomputingMetric):
    """exp(-d), d being how far a map moves at most, relative to its length, where the image gets noise; in 0..1.

    Yeh et al.: On the (In)fidelity and Sensitivity of Explanations (2019), max-sensitivity: the largest ``|s(x + noise)
    - s(x)| / |s(x)|`` over several draws. Noise is uniform in plus and minus ``radius`` times the image's range. A draw
    that moves the prediction too far is made again, up to three times; then it counts as it is. Every image draws from
    its own generator, the same noise for all explainers, whose passes on it are shared. NaN where the map is zero or a
    map is not finite, and for an explainer that has no maps of changed images (``recomputable`` is False). Costs
    ``samples`` times the maps, and the passes that look at the predictions.

    Args:
        num_labels: how many classes the network has.
        activation_fn: from logits (N, classes) to probabilities, such as ``nn.Softmax()``.
        samples: noisy images for each image.
        radius: of the noise, as a share of the image's range. The old package's fixed 0.2 is about 0.05 of the range
            of an image normalised as for ImageNet.
        threshold: how far the probabilities may move, as a Euclidean distance.
        name: see ``Metric``.

    Raises:
        TypeError: if activation_fn cannot be called.
        ValueError: if num_labels or samples is below 1, or radius or threshold is not above 0.
    """

    control_sensitive = False

    def __init__(
        self,
        num_labels: int,
        activation_fn: Activation,
        samples: int = 10,
        radius: float = 0.05,
        threshold: float = 0.1,
        name: str | None = None,
    ) -> None:
        super().__init__(num_labels, name)
        self.activation_fn = checked_activation(activation_fn)
        self._noise, self.threshold = Noise.checked(samples, radius), positive_number(threshold, "threshold")
        self.samples, self.radius = self._noise.samples, self._noise.radius
        self.map_recomputations = self.samples

    def score_recomputable(self, explanation: Explanation) -> Scores:
        found: Scores = np.exp(-explanation.of_peers(self, self._moved))
        return found

    def noise(self, view: View, row: int, draw: int, attempt: int) -> FloatArray:
        """The noise (C, H, W) that an image gets."""
        return self._noise.drawn(view, row, draw, attempt)

    def _moved(self, explanations: Sequence[Explanation]) -> dict[str, Scores | ValueError]:
        """How far each explainer's maps move at most (Q,), over their length; or why it refuses noisy images."""
        near = self._near(explanations[0])
        furthest = {explanation.explainer.name: np.zeros(len(near.view.rows)) for explanation in explanations}
        before, errors = {one.explainer.name: one.maps for one in explanations}, dict[str, ValueError]()
        for places, _, maps in maps_of_copies(explanations, near, errors):
            for name, after in maps.items():
                with np.errstate(invalid="ignore"):  # NaN is handed on
                    np.maximum.at(furthest[name], places, lengths(after - before[name][places]))
        return {**{name: quotient(moved, lengths(before[name])) for name, moved in furthest.items()}, **errors}

    def _near(self, explanation: Explanation) -> NoisyImages:
        """The noisy images that an explanation is about, drawn for the whole batch."""
        (view, memory), key = explanation.whole or (explanation.view, explanation.memory), ("noisy images", self)
        if key not in memory:
            memory[key] = self._noisy(view, explanation.count_passes)
        near: NoisyImages = memory[key]
        return near.of(explanation.view)

    def _noisy(self, view: View, count_passes: Callable[[str, int], None]) -> NoisyImages:
        """Draw noise until predictions stay where they are."""
        rows = np.unique(view.rows)
        copies = np.array([(row, draw) for draw in range(self.samples) for row in rows])
        attempts, logits = np.zeros(len(copies), int), np.zeros((len(copies), view.logits.shape[1]), np.float32)
        before = view.network.activated(view.logits, self.activation_fn)
        near = NoisyImages(self._noise, view, copies=copies, attempts=attempts, logits=lambda: logits)
        left = np.arange(len(copies))
        for attempt in range(1 + _DRAWN_AGAIN):
            attempts[left] = attempt
            count_passes("noise", len(left))
            logits[left] = view.network.pooled_logits((near.image(copy) for copy in left), "noise")
            after = view.network.activated(logits[left], self.activation_fn)
            far = np.linalg.norm(after - before[copies[left, 0]], axis=1) > self.threshold
            left = left[far]
            if not len(left):
                break
        return near
