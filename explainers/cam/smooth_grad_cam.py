"""Smooth Grad-CAM++: Grad-CAM++ from gradients averaged over noisy images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from mindspore import nn

from ..arguments import positive_number, whole_number
from ..core.view import Needs, View
from ..gradients.noise import Moments, passes_of_copies
from ..network.tensors import FloatArray
from .base import ActivationMap, Reshape, weighed
from .cam import second_order_weights


class SmoothGradCAMpp(ActivationMap):
    """As ``GradCAMpp``, but gradients, their squares and cubes are means over noisy copies of the image.

    Omeiza et al.: Smooth Grad-CAM++ (2019), with the mean of the squares in the numerator of alpha
    (the paper's mean of the gradients breaks the Grad-CAM++ that it extends). Feature maps are those of the untouched
    image. torchcam 0.5 takes the last copy's gradient instead of their mean, and its feature maps instead of the
    image's, and sums over places what the paper does not. Costs ``num_samples`` differentiated images per question.

    Args:
        network: see ``Explainer``.
        layer: see ``ActivationMap``.
        num_samples: copies.
        std: standard deviation of the Gaussian noise, in the unit of the network's input.
        name: see ``Explainer``.
        reshape: see ``ActivationMap``.

    Raises:
        TypeError: as ``ActivationMap``.
        ValueError: as ``ActivationMap``; or if num_samples is not a whole number from 1, or std is not above 0.
    """

    signed = False
    contrastable = True

    def __init__(
        self,
        network: nn.Cell,
        layer: str | Sequence[str] | None = None,
        num_samples: int = 4,
        std: float = 0.3,
        name: str | None = None,
        *,
        reshape: Reshape = None,
    ) -> None:
        super().__init__(network, layer, name, reshape=reshape)
        self.num_samples = whole_number(num_samples, "num_samples")
        self.std = positive_number(std, "std")

    def maps(self, view: View) -> dict[str, FloatArray]:
        parts = [self._part(part, view.outputs) for part in view.chunks(view.network.pass_size)]
        return {layer: np.concatenate([part[layer] for part in parts]) for layer in self.layer}

    def images_needed(self, images: int, questions: int, shape: tuple[int, ...]) -> Mapping[str, int]:
        return {"smooth": questions * self.num_samples}

    def _needed(self) -> Needs:
        return Needs.output(*self.layer)

    def _part(self, view: View, outputs: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
        """Maps of a few questions, whose images' outputs are known."""
        moments = {layer: Moments(len(view.rows), self.num_samples) for layer in self.layer}
        for asked, images in passes_of_copies(view, "SmoothGradCAMpp", self.num_samples, self.std):
            found = view.differentiate(asked, images, self.layer, kind="smooth", image=False)
            for layer in self.layer:
                moments[layer].add(asked, self.grid(found.gradients[layer], layer, view.size), (1, 2, 3))
        maps = {}
        for layer, of_layer in moments.items():
            activation = self.grid(outputs[layer][view.rows], layer, view.size)
            means = (of_layer.mean(power) for power in (1, 2, 3))
            maps[layer] = weighed(second_order_weights(activation, *means), activation).clip(min=0)
        return maps
