"""ShapleyCAM: feature maps weighed by an estimate of their Shapley values, from first and second derivatives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import get_args

import numpy as np
from mindspore import nn

from ..arguments import one_of
from ..core.view import Needs, View
from ..network.derivatives.second_order import Utility, second_order
from ..network.tensors import FloatArray
from .base import ActivationMap, Reshape, weighed


class ShapleyCAM(ActivationMap):
    """Feature maps of a layer, each weighed by its mean gradient less half the mean product of Hessian and layer.

    Cai: CAMs as Shapley Value-based Explainers (2025): a Taylor expansion, to the second order, of a feature map's
    share in what is explained. By default that is the paper's residual softmax target-class, the label's logit plus the
    logarithm of its softmax. Of the logit alone the product is zero where all that follows the layer is linear, or made
    of pieces that are, such as ReLU: the map is that of ``GradCAM`` then, which is what grad-cam gives by default.
    Negative values are cut to zero. Costs an image per question and layer, differentiated twice; from the layer on, as
    a compiled graph, whatever ``jit`` says, since MindSpore's second derivatives are wrong otherwise.

    Args:
        network: see ``Explainer``.
        layer: see ``ActivationMap``.
        utility: what is explained, "rest" or the label's "logit".
        name: see ``Explainer``.
        reshape: see ``ActivationMap``.

    Raises:
        TypeError: as ``ActivationMap``.
        ValueError: as ``ActivationMap``; or if utility is another word. Later, if the network does not compile, or
            MindSpore has no second derivative of an operator after the layer.
    """

    signed = False
    sums_channels = True
    reads_logits = True

    def __init__(
        self,
        network: nn.Cell,
        layer: str | Sequence[str] | None = None,
        utility: Utility = "rest",
        name: str | None = None,
        *,
        reshape: Reshape = None,
    ) -> None:
        super().__init__(network, layer, name, reshape=reshape)
        self.utility: Utility = one_of(utility, get_args(Utility), "utility")  # type: ignore[assignment]  # one of them

    def maps(self, view: View) -> dict[str, FloatArray]:
        return {layer: self._of_layer(view, layer) for layer in self.layer}

    def images_needed(self, images: int, questions: int, shape: tuple[int, ...]) -> Mapping[str, int]:
        return {"second order": questions * max(1, len(self.layer))}

    def _needed(self) -> Needs:
        return Needs.output(*self.layer)

    def _of_layer(self, view: View, layer: str) -> FloatArray:
        outputs = view.outputs[layer]
        parts = []
        for part in view.chunks(view.network.pass_size):
            of_part = outputs[part.rows]
            logits = view.logits[part.rows]
            found = second_order(view.network, part.asked_images, part.labels, layer, of_part, logits, self.utility)
            activation, gradient, product = (
                self.grid(values, layer, view.size) for values in (of_part, found.gradient, found.product)
            )
            weights = (gradient - np.float32(0.5) * product).mean(axis=(2, 3))
            parts.append(self.summed(weighed(weights, activation)).clip(min=0))
        return np.concatenate(parts)
