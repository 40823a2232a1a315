"""Class activation mapping: maps that need nothing but a layer's output and the gradient that reaches it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from mindspore import mint, nn

from ...summary_format.problem import Problem
from ..arguments import yes_or_no
from ..core.view import View
from ..network.rows import tolerance
from ..network.tensors import FloatArray, as_array
from ..network.tensors.layers import find_layer
from .base import ActivationMap, DifferentiatedMap, Reshape, weighed
from .principal_component import projected

Powers = npt.NDArray[np.float64]

_AGREES = 1e-4  # of the largest weight: what a gradient may be off by, unless its type rounds more
_DENSE = (nn.Dense, mint.nn.Linear)


class CAM(ActivationMap):
    """Feature maps of the layer before global mean pooling, weighed by the label's row of the dense layer after it.

    Zhou et al.: Learning Deep Features for Discriminative Localization (2016), equation 2; signed. For networks that
    end in the layer, the mean over its places, and one dense layer. Whether a network does shows in its gradient, which
    then is the dense layer's row over the number of places, everywhere; others are refused.

    Args:
        network: see ``Explainer``.
        layer: dotted name of the layer whose output is pooled.
        head: dotted name of the dense layer; by default the network's only one.
        name: see ``Explainer``.
        reshape: see ``ActivationMap``.

    Raises:
        TypeError: if the network is not a ``mindspore.nn.Cell``, or layer is not a name.
        ValueError: if there is no such layer, several are named, or there is no dense layer or a choice of them. Later,
            if the network is built otherwise.
    """

    signed = True
    contrastable = True
    sums_channels = True

    def __init__(
        self,
        network: nn.Cell,
        layer: str | None = None,
        head: str | None = None,
        name: str | None = None,
        *,
        reshape: Reshape = None,
    ) -> None:
        super().__init__(network, layer, name, reshape=reshape)
        if len(self.layer) > 1:
            words = "CAM reads one layer, the one that is pooled, got {given}"
            raise ValueError(Problem.of("pooled-layers-several", words, given=len(self.layer)))
        self.head = head if head is not None else _only_dense(network)
        found = find_layer(network, self.head)
        if not isinstance(found, _DENSE):
            words = "head must be a dense layer, {head!r} is a {kind}"
            raise ValueError(Problem.of("head-not-dense", words, head=self.head, kind=type(found).__name__))

    def maps(self, view: View) -> dict[str, FloatArray]:
        (layer,) = self.layer
        activation, gradient = self.read(view, layer)
        kept = find_layer(self.network, self.head).weight
        weights, agrees = as_array(kept), max(_AGREES, tolerance(kept.dtype))
        places = activation.shape[2] * activation.shape[3]
        if weights.shape[1] != activation.shape[1] or view.labels.max() >= len(weights):
            raise ValueError(self._refused(f"which takes {weights.shape[1]} features"))
        rows = view.asked_values(np.broadcast_to(weights, (len(view.rows), *weights.shape)))
        apart = np.abs(gradient * places - rows[:, :, None, None]).max(initial=0.0)
        if not apart <= agrees * np.abs(weights).max():
            raise ValueError(self._refused("whose weights are not the logits' gradients"))
        return {layer: self.summed(weighed(rows, activation))}

    def _refused(self, why: str) -> Problem:
        words = (
            "CAM needs a network that ends in {layer!r}, the mean over its places and one dense layer, and finds "
            "{head!r}, {why}; GradCAM takes any network"
        )
        return Problem.of("mean-pooling-missing", words, layer=self.layer[0], head=self.head, why=why)


class GradCAM(DifferentiatedMap):
    """Feature maps of a layer, each weighed by its mean gradient, summed, negative values cut to zero.

    Selvaraju et al.: Grad-CAM (2017), equations 1 and 2. See ``ActivationMap`` for the arguments.
    """

    signed = False
    sums_channels = True

    def combined(self, activation: FloatArray, gradient: FloatArray) -> FloatArray:
        return self.summed(weighed(gradient.mean(axis=(2, 3)), activation)).clip(min=0)


class GradCAMpp(DifferentiatedMap):
    """As ``GradCAM``, but weights are the positive gradients, each divided by 2 plus the channel's sum times it.

    Chattopadhay et al.: Grad-CAM++ (2018), equation 19, of the exponential of the logit; the exponential
    itself, one number per map, is left out, and so are places without gradient or where the divisor is zero.
    grad-cam computes the same but for a small constant that it adds to the divisor; torchcam 0.5 leaves the division
    out, and sums over places what the paper does not. See ``ActivationMap`` for the arguments.
    """

    signed = False
    sums_channels = True

    def combined(self, activation: FloatArray, gradient: FloatArray) -> FloatArray:
        slope = gradient.astype(np.float64)  # its cube leaves the range of float32
        weights = second_order_weights(activation, slope, slope**2, slope**3)
        return self.summed(weighed(weights, activation)).clip(min=0)


class XGradCAM(DifferentiatedMap):
    """As ``GradCAM``, but a channel's weight is its gradients' mean weighed by its activations.

    Fu et al.: Axiom-based Grad-CAM (2020). A channel whose activations sum up to zero has no weight. See
    ``ActivationMap`` for the arguments.
    """

    signed = False
    sums_channels = True

    def combined(self, activation: FloatArray, gradient: FloatArray) -> FloatArray:
        whole = activation.sum(axis=(2, 3))
        contributed = (gradient * activation).sum(axis=(2, 3))
        weights = np.divide(contributed, whole, out=np.zeros_like(whole), where=whole != 0)
        return self.summed(weighed(weights, activation)).clip(min=0)


class LayerCAM(DifferentiatedMap):
    """Feature maps of a layer, weighed place by place by their positive gradients, summed; never negative.

    Jiang et al.: LayerCAM (2021). See ``ActivationMap`` for the arguments.
    """

    signed = False
    sums_channels = True

    def combined(self, activation: FloatArray, gradient: FloatArray) -> FloatArray:
        return self.summed(gradient.clip(min=0) * activation).clip(min=0)


class HiResCAM(DifferentiatedMap):
    """Feature maps of a layer, weighed place by place by their gradients, summed; signed.

    Draelos, Carin: Use HiResCAM instead of Grad-CAM (2020). Where one dense layer follows, the map sums up
    to the logit less its bias. grad-cam cuts negative values to zero. See ``ActivationMap`` for the arguments.
    """

    signed = True
    sums_channels = True

    def combined(self, activation: FloatArray, gradient: FloatArray) -> FloatArray:
        return self.summed(gradient * activation)


class EigenCAM(ActivationMap):
    """Feature maps of a layer on their first right singular vector; the same for all labels; signed.

    Muhammad, Yeasin: Eigen-CAM (2020). The sign is the one that goes along with the mean over channels,
    and the singular vectors are those of the places' channel vectors as they are, as in the paper.

    Args:
        network: see ``Explainer``.
        layer: see ``ActivationMap``.
        name: see ``Explainer``.
        centered: subtract each channel's mean first, as grad-cam does (whose sign is arbitrary).
        reshape: see ``ActivationMap``.
    """

    signed = True

    def __init__(
        self,
        network: nn.Cell,
        layer: str | Sequence[str] | None = None,
        name: str | None = None,
        *,
        centered: bool = False,
        reshape: Reshape = None,
    ) -> None:
        super().__init__(network, layer, name, reshape=reshape)
        self.centered = yes_or_no(centered, "centered")

    def maps(self, view: View) -> dict[str, FloatArray]:
        _, first, image = np.unique(view.rows, return_index=True, return_inverse=True)
        found = {}
        for layer in self.layer:
            activation, _ = self.read(view, layer)
            found[layer] = projected(activation[first], centered=self.centered)[image.reshape(-1)]
        return found


class EigenGradCAM(ActivationMap):
    """Products of a layer's output and its gradient, place by place, on their first principal component; signed.

    grad-cam's ``EigenGradCAM`` (Gildenblat et al.: PyTorch library for CAM methods, 2021): ``EigenCAM`` that asks about
    a label. The sign is the one that goes along with the sum over channels, which is the map of ``HiResCAM``, so that
    positive values speak for the label; grad-cam's is arbitrary, and it cuts negative values to zero.

    Args:
        network: see ``Explainer``.
        layer: see ``ActivationMap``.
        name: see ``Explainer``.
        centered: subtract each channel's mean first, as grad-cam does.
        reshape: see ``ActivationMap``.

    Raises:
        TypeError: as ``ActivationMap``.
        ValueError: as ``ActivationMap``; or if centered is neither True nor False.
    """

    signed = True
    contrastable = True

    def __init__(
        self,
        network: nn.Cell,
        layer: str | Sequence[str] | None = None,
        name: str | None = None,
        *,
        centered: bool = True,
        reshape: Reshape = None,
    ) -> None:
        super().__init__(network, layer, name, reshape=reshape)
        self.centered = yes_or_no(centered, "centered")

    def maps(self, view: View) -> dict[str, FloatArray]:
        found = {}
        for layer in self.layer:
            activation, gradient = self.read(view, layer)
            found[layer] = projected(gradient * activation, centered=self.centered)
        return found


def second_order_weights(activation: FloatArray, gradient: Powers, squares: Powers, cubes: Powers) -> FloatArray:
    """A channel's weight in Grad-CAM++, (Q, channels): the sum over places of positive gradient times alpha.

    Alpha (equation 19) is squares / (2 squares + the sum of the channel's activations times cubes).

    Args:
        activation: (Q, channels, h, w).
        gradient: of the same shape, as are the next two.
        squares: second derivatives.
        cubes: third derivatives.
    """
    divisor = 2 * squares + activation.sum(axis=(2, 3), keepdims=True, dtype=np.float64) * cubes
    alpha = np.divide(squares, divisor, out=np.zeros_like(squares), where=(squares != 0) & (divisor != 0))
    weights: FloatArray = (alpha * gradient.clip(min=0)).sum(axis=(2, 3)).astype(np.float32)
    return weights


def _only_dense(network: nn.Cell) -> str:
    """The name of a network's only dense layer."""
    dense = [name for name, cell in network.cells_and_names() if isinstance(cell, _DENSE)]
    if len(dense) != 1:
        found = f"has {', '.join(map(repr, dense))}" if dense else "has none"
        words = "CAM needs a network with one dense layer, {network} {found}; name it with head, or take GradCAM"
        raise ValueError(Problem.of("one-dense-layer", words, network=type(network).__name__, found=found))
    return str(dense[0])
