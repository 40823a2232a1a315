"""The biases that a pass adds, batch norm's and ReLU6's among them, and the gradients that reach them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from mindspore import Tensor, nn, ops

from ..tensors import FloatArray, as_array
from ..tensors.layers import computes_as
from .recorder import records_gradients

_CHANNELS_FIRST = ("Conv1d", "Conv2d", "Conv3d", "Conv1dTranspose", "Conv2dTranspose", "Conv3dTranspose",
                   "ConvTranspose2d")  # fmt: skip
_CHANNELS_LAST = ("Dense", "Linear")
_BATCH_NORM = ("BatchNorm1d", "BatchNorm2d", "SyncBatchNorm")  # BatchNorm3d holds a BatchNorm2d
_CEILING = 6.0  # of ReLU6: what it gives where its input is larger, and nothing of that input


@dataclass(frozen=True)
class BiasGradient:
    """What a pass adds at one place in the network, and the gradient of the chosen logit with respect to it.

    Attributes:
        bias: (1, channels, ...) where it is the same for every image and place, else of the gradient's shape.
        gradient: (Q, channels, h, w), or (Q, channels, ...) where there are not two axes of places.
    """

    bias: FloatArray
    gradient: FloatArray

    @property
    def terms(self) -> FloatArray:
        """Bias times gradient, of the gradient's shape; summed over all but the first, what it adds to the logit."""
        return self.bias * self.gradient

    @property
    def has_places(self) -> bool:
        """Whether the last two axes are places of the image."""
        return self.gradient.ndim == 4


@dataclass(kw_only=True)
class _Added:
    """A tensor to which a bias was added, until its gradient is known."""

    output: Tensor
    given: Tensor  # that says what was added, of the same shape
    read_bias: Callable[[FloatArray], FloatArray]  # from that, channels second
    channels_last: bool = False
    gradient: Tensor | None = None

    def keep(self, gradient: Tensor) -> Tensor:
        self.gradient = gradient
        return gradient

    def found(self, images: int, rows: int) -> BiasGradient:
        """For the first so many rows of a pass of so many images."""
        given, gradient = (self._arranged(one, images)[:rows] for one in (self.given, self.gradient))
        return BiasGradient(self.read_bias(given), gradient)

    def _arranged(self, values: Any, images: int) -> FloatArray:
        """(images, channels, ...); of a layer that gives an image several rows, as of windows, these come last."""
        array, channels = as_array(values), -1 if self.channels_last else 1
        if len(array) != images and len(array) % images == 0:
            array, channels = array.reshape(images, -1, *array.shape[1:]), -1 if self.channels_last else 2
        return np.moveaxis(array, channels, 1)


class NotedBiases:
    """What was added in a pass."""

    def __init__(self) -> None:
        self._added: list[_Added] = []

    def add(self, added: _Added) -> None:
        """Note what was added to a tensor, which must be one that MindSpore differentiates."""
        added.output.register_hook(added.keep)
        self._added.append(added)

    def gradients(self, images: int, rows: int) -> tuple[BiasGradient, ...]:
        """Those that change the logits, in the order in which they were added.

        Args:
            images: in the pass.
            rows: of them that count; the others only fill it up.
        """
        return tuple(one.found(images, rows) for one in self._added if one.gradient is not None)

    def release(self) -> None:
        """Forget the tensors: an output holds its hook and the hook this, a ring that no one would find unused."""
        for one in self._added:
            one.gradient = None
        self._added.clear()


@contextmanager
def noting_biases(network: nn.Cell) -> Iterator[NotedBiases]:
    """Within, every run of a layer that adds a bias is noted, and every ReLU6 that is called.

    Those are convolutions, dense layers, and batch norm, which adds beta - gamma * mean / deviation. ReLU6 adds 6 where
    its input is larger, since it gives that and passes back nothing. What else adds something is not noticed: code of
    the network's own, activations that are not linear in pieces, norms over an image's own statistics.
    """
    noted = NotedBiases()
    with ExitStack() as stack:
        stack.callback(noted.release)
        for _, cell in network.cells_and_names():
            if (bias := _bias_of(cell)) is not None:
                stack.callback(_note_runs(cell, bias, noted).remove)
        stack.enter_context(_noting_ceilings(noted))
        yield noted


def _note_runs(cell: nn.Cell, bias: FloatArray, noted: NotedBiases) -> Any:
    """Have each run of a layer noted; gives the handle of the hook that does."""
    last = _channels_last(cell)

    def note(_cell: nn.Cell, _inputs: Any, output: Any) -> None:
        if isinstance(output, Tensor) and records_gradients():
            noted.add(_Added(output=output, given=output, read_bias=partial(_spread, bias), channels_last=last))

    activation = cell.activation if computes_as(cell, ("Dense",)) and cell.activation_flag else None
    if activation is None:
        return cell.register_forward_hook(note)
    # A dense layer with an activation adds the bias before that: there the gradient is another one.
    return activation.register_forward_pre_hook(lambda inner, inputs: note(inner, (), inputs[0]))


def _spread(bias: FloatArray, given: FloatArray) -> FloatArray:
    """A bias (channels,) as it is added to (N, channels, ...)."""
    return bias.reshape(1, -1, *[1] * (given.ndim - 2))


def _bias_of(cell: nn.Cell) -> FloatArray | None:
    """The bias (channels,) that a layer adds; None where it adds none, or its class is not one of MindSpore's."""
    if computes_as(cell, _BATCH_NORM):
        return _bias_of_batch_norm(cell)
    if not computes_as(cell, (*_CHANNELS_FIRST, *_CHANNELS_LAST)) or not getattr(cell, "has_bias", True):
        return None
    if getattr(cell, "activation_flag", False) and not isinstance(cell.activation, nn.Cell):
        return None
    return None if getattr(cell, "bias", None) is None else as_array(cell.bias)


def _bias_of_batch_norm(cell: nn.Cell) -> FloatArray | None:
    """What batch norm adds in inference beside scaling; None where it keeps no statistics."""
    mean, variance = _first(cell, "moving_mean", "running_mean"), _first(cell, "moving_variance", "running_var")
    if mean is None or variance is None:
        return None
    gamma, beta = _first(cell, "gamma", "weight"), _first(cell, "beta", "bias")
    scale = (1.0 if gamma is None else gamma) / np.sqrt(variance + float(cell.eps))
    bias: FloatArray = ((0.0 if beta is None else beta) - scale * mean).astype(np.float32)
    return bias


def _first(cell: nn.Cell, *names: str) -> FloatArray | None:
    """The first of some parameters that a layer has."""
    found = next((one for name in names if (one := getattr(cell, name, None)) is not None), None)
    return None if found is None else as_array(found).astype(np.float64)


def _channels_last(cell: nn.Cell) -> bool:
    layout = str(getattr(cell, "data_format", getattr(cell, "format", "NCHW")))
    return computes_as(cell, _CHANNELS_LAST) or layout in ("NHWC", "NDHWC")


@contextmanager
def _noting_ceilings(noted: NotedBiases) -> Iterator[None]:
    """Within, every ReLU6 is noted, whoever calls it: cells and functions end in the same primitive."""
    primitive = ops.ReLU6
    forward = primitive.__dict__["__call__"]

    def call(one: Any, x: Tensor) -> Tensor:
        output: Tensor = forward(one, x)
        if records_gradients():
            noted.add(_Added(output=output, given=x, read_bias=_ceilings))
        return output

    primitive.__call__ = call
    try:
        yield
    finally:
        primitive.__call__ = forward


def _ceilings(given: FloatArray) -> FloatArray:
    """What ReLU6 adds to give what it gives; nothing where its input is 6, which MindSpore differentiates as below."""
    return np.where(given > _CEILING, np.float32(_CEILING), np.float32(0.0))
