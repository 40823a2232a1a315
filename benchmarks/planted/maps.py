"""Maps of planted networks, from the right one to its opposite, as explainers."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from mindspore import nn

from ...explainers.controls import RandomMap
from ...explainers.core.explainer import Explainer
from ...explainers.core.view import View
from ...explainers.network.tensors import FloatArray
from .networks import PlantedNetwork

_NOISE = 0.6  # of the good map, uniform from 0, as a share of the right map's maximum


class PerfectMap(Explainer):
    """What each pixel adds to the logit of a planted network, known by construction.

    Args:
        network: the planted network.
        name: see ``Explainer``.

    Raises:
        TypeError: if it is another network.
    """

    signed = True

    def __init__(self, network: PlantedNetwork, name: str | None = None) -> None:
        super().__init__(network, name)
        if not isinstance(network, PlantedNetwork):
            raise TypeError(f"network must be a PlantedNetwork, got {type(network).__name__}")

    def attribute(self, view: View) -> FloatArray:
        network: PlantedNetwork = self.network
        logits = view.logits[view.rows, view.labels]
        return self.changed(network.contributions(view.asked_images, view.labels, logits), view)

    def changed(self, maps: FloatArray, view: View) -> FloatArray:
        """The maps (Q, H, W) that it gives, made of the right ones."""
        return maps


class GoodMap(PerfectMap):
    """The right map with noise, so that most of the first pixels are the right ones."""

    def changed(self, maps: FloatArray, view: View) -> FloatArray:
        largest = maps.max(axis=(1, 2), keepdims=True)
        questions = zip(view.rows.tolist(), view.labels.tolist(), strict=True)
        generators = (view.generator(row, f"{self.name} of label {label}") for row, label in questions)
        noise = np.stack([generator.random(view.size, np.float32) for generator in generators])
        found: FloatArray = (maps + np.float32(_NOISE) * largest * noise).astype(np.float32)
        return found


class ReversedMap(PerfectMap):
    """The largest value of the right map, less each value: the same pixels in the opposite order, none below 0."""

    def changed(self, maps: FloatArray, view: View) -> FloatArray:
        found: FloatArray = maps.max(axis=(1, 2), keepdims=True) - maps
        return found


MAPS: Mapping[str, Callable[[nn.Cell], Explainer]] = {
    "perfect": PerfectMap,
    "good": GoodMap,
    "random": RandomMap,
    "reversed": ReversedMap,
}
