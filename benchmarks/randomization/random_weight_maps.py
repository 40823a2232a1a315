"""What maps become under random weights, made once for explainers that share passes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from mindspore import nn

from ...explainers.core.together import attribute_together
from ...explainers.core.view import View
from ...explainers.network.tensors import FloatArray
from ...explainers.network.variants.random_weights import (
    WeightLayer,
    count_weight_layers,
    random_weights,
    weight_layers,
)
from ..core.explanation import Explanation
from ..core.metric import Scores
from ..recomputation.changed_network import asked_of
from ..recomputation.map_passes import count_map_passes
from ..recomputation.noisy_images import Noise, maps_of_copies, with_noise

ORDERS = ("top_down", "bottom_up", "independent")
Measure = Callable[[FloatArray, FloatArray], Scores]  # (Q,) of maps (Q, H, W) before and after
Maps = dict[str, FloatArray]  # (Q, H, W), by explainer


@dataclass(frozen=True)
class Step:
    """Some layers whose weights are random.

    Attributes:
        name: of the layer that the step is about.
        layers: those that are random.
    """

    name: str
    layers: tuple[WeightLayer, ...]


@dataclass(frozen=True)
class Randomization:
    """Which weights are random, step after step, and what is looked at.

    Attributes:
        order: "top_down", from the last layer to the first, or "bottom_up", from the first to the last, all layers of
            earlier steps staying random; or "independent", one layer at a time.
        at_most: how many steps there are at most, spread evenly over the layers, the last one among them; None for all.
        smoothing: noise over whose draws maps are averaged; None for maps of the images themselves.
    """

    order: str
    at_most: int | None = None
    smoothing: Noise | None = None

    def steps(self, layers: Sequence[WeightLayer]) -> list[Step]:
        """The steps for layers in the order in which they run."""
        ordered = tuple(layers[::-1] if self.order == "top_down" else layers)
        count = len(ordered) if self.at_most is None else min(self.at_most, len(ordered))
        places = np.unique(np.linspace(len(ordered) - 1, 0, count).round().astype(int)).tolist()
        return [
            Step(ordered[at].name, ordered[at : at + 1] if self.order == "independent" else ordered[: at + 1])
            for at in places
        ]

    def recomputations(self, network: nn.Cell) -> int:
        """How often it has every map made again, were all layers to run."""
        layers = count_weight_layers(network)
        steps = layers if self.at_most is None else min(self.at_most, layers)
        return steps if self.smoothing is None else (steps + 1) * self.smoothing.samples

    def measured(self, peers: Sequence[Explanation], measure: Measure) -> dict[str, Scores | ValueError]:
        """What is measured in each step (steps, Q), by explainer of explanations of the same questions.

        Why it refuses in place of it, where one does.
        """
        view = peers[0].view
        steps = self.steps(weight_layers(view.network, view.images[0]))
        found = {peer.explainer.name: np.full((len(steps), len(view.rows)), np.nan) for peer in peers}
        before, errors = {peer.explainer.name: peer.maps for peer in peers}, dict[str, ValueError]()
        if self.smoothing is not None:
            before, errors = self._maps(peers, view)
        with random_weights(view.network, lambda layer: view.common_generator(f"random weights {layer}")) as weights:
            for place, step in enumerate(steps):
                able = [peer for peer in peers if peer.explainer.name not in errors]
                if not able:
                    break
                changed = asked_of(weights.of(step.layers), able, view.images, "random weights")
                after, refused = self._maps(able, changed)
                errors |= refused
                for name, maps in after.items():
                    found[name][place] = measure(before[name], maps)
        return {**found, **errors}

    def _maps(self, explanations: Sequence[Explanation], view: View) -> tuple[Maps, dict[str, ValueError]]:
        """The maps of explainers, and the errors of those that refuse."""
        if self.smoothing is not None:
            return _smoothed(explanations, self.smoothing, view)
        count_map_passes(explanations, view)
        found, errors = attribute_together([explanation.explainer for explanation in explanations], view)
        return {name: made.maps for name, made in found.items()}, errors


def by_steps(explanation: Explanation, randomization: Randomization) -> list[str]:
    """The name of each step."""
    view = explanation.view
    return [step.name for step in randomization.steps(weight_layers(view.network, view.images[0]))]


def _smoothed(explanations: Sequence[Explanation], noise: Noise, view: View) -> tuple[Maps, dict[str, ValueError]]:
    """The same, averaged over noisy copies of the images."""
    sums = {one.explainer.name: np.zeros((len(view.rows), *view.size)) for one in explanations}

    near, errors = with_noise(noise, view, explanations[0].count_passes), dict[str, ValueError]()
    for places, _, maps in maps_of_copies(explanations, near, errors):
        for name, of in maps.items():
            np.add.at(sums[name], places, of)
    made = {name: (of / noise.samples).astype(np.float32) for name, of in sums.items() if name not in errors}
    return made, errors
