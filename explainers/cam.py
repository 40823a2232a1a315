"""Class activation mapping."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from mindspore import nn

from .explainer import Explainer
from .images import resized
from .layers import find_layer
from .tensors import FloatArray
from .view import Needs, View


class GradCAM(Explainer):
    """Feature maps of a layer, each weighted by its mean gradient, summed, negative values cut to zero.

    Selvaraju et al.: Grad-CAM (2017), equations 1 and 2. The map is brought to the image's size bilinearly. Of a
    layer that runs several times in a pass, its last run is read. Of several layers the maps, each divided by its
    largest value, are averaged, since layers differ in scale.

    Args:
        network: see ``Explainer``.
        layer: dotted name of the layer to read, such as "layer4", or several; their outputs must be
            (N, channels, h, w). "" reads the image itself.
        name: see ``Explainer``.

    Raises:
        TypeError: if the network is no ``mindspore.nn.Cell``, or layer no name.
        ValueError: if there is no such layer (the nearest names are offered), or an empty list is given.
    """

    def __init__(self, network: nn.Cell, layer: str | Sequence[str] = "", name: str | None = None) -> None:
        super().__init__(network, name)
        if not isinstance(layer, (str, list, tuple)) or not all(isinstance(one, str) for one in layer):
            raise TypeError(f"layer must be a layer's name or a list of names, got {layer!r}")
        self.layer = (layer,) if isinstance(layer, str) else tuple(layer)
        if not self.layer:
            raise ValueError("layer must name at least one layer, got none")
        for one in self.layer:
            if one:
                find_layer(network, one)
        self.needs = Needs.gradient(*self.layer)

    def attribute(self, view: View) -> FloatArray:
        maps = [resized(self._map(view, layer), view.size) for layer in self.layer]
        if len(maps) == 1:
            return maps[0]
        fused: FloatArray = np.mean([map_ / largest(map_) for map_ in maps], axis=0, dtype=np.float32)
        return fused

    def _map(self, view: View, layer: str) -> FloatArray:
        """The map (Q, h, w) of one layer at its own size."""
        activation, gradient = view.layer(layer)
        if activation.ndim != 4:
            raise ValueError(f"GradCAM needs a layer of shape (N, channels, h, w), {layer!r} is {activation.shape}")
        weights = gradient.mean(axis=(2, 3), keepdims=True)
        summed: FloatArray = (weights * activation).sum(axis=1)
        return summed.clip(min=0)


def largest(maps: FloatArray) -> FloatArray:
    """The largest value of each map (Q, 1, 1), 1 for a map that is zero everywhere."""
    values: FloatArray = maps.max(axis=(1, 2), keepdims=True)
    return np.where(values > 0, values, np.float32(1))
