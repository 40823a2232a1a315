"""Class activation mapping."""

from __future__ import annotations

import numpy as np
from mindspore import nn

from .explainer import Explainer
from .images import resized
from .network import FloatArray, find_layer
from .view import Needs, View


class GradCAM(Explainer):
    """Feature maps of a layer, each weighted by its mean gradient, summed, negative values cut to zero.

    Selvaraju et al.: Grad-CAM (2017), equations 1 and 2. The map is brought to the image's size bilinearly. Of a
    layer that runs several times in a pass, its last run is read.

    Args:
        network: see ``Explainer``.
        layer: dotted name of the layer to read, such as "layer4"; its output must be (N, channels, h, w). "" reads
            the image itself.
        name: see ``Explainer``.

    Raises:
        TypeError: if the network is no ``mindspore.nn.Cell``.
        ValueError: if there is no such layer; the nearest names are offered.
    """

    def __init__(self, network: nn.Cell, layer: str = "", name: str | None = None) -> None:
        super().__init__(network, name)
        if layer:
            find_layer(network, layer)
        self.layer = layer
        self.needs = Needs(gradients=True, layers=frozenset({layer}))

    def attribute(self, view: View) -> FloatArray:
        activation, gradient = view.layer(self.layer)
        if activation.ndim != 4:
            raise ValueError(
                f"GradCAM needs a layer of shape (N, channels, h, w), {self.layer!r} is {activation.shape}"
            )
        weights = gradient.mean(axis=(2, 3), keepdims=True)
        return resized(np.maximum((weights * activation).sum(axis=1), 0.0), view.size)
