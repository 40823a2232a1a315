"""How strongly channels of a layer answer to images, and where that rises in the images."""

from __future__ import annotations

from typing import Any

import mindspore as ms
import numpy as np
from mindspore import Tensor

from .backward.rectified import Rule, backward_rule, rectified_output
from .service import Network
from .tensors import FloatArray, IntArray, as_array, require_pynative
from .tensors.layers import IN_GRAPHS, find_layer


def channel_answers(
    network: Network, images: FloatArray, layer: str, channels: IntArray, rule: Rule = "plain"
) -> tuple[FloatArray, FloatArray]:
    """The mean of one channel of a layer's output for each image, and its gradient; a forward and a backward per pass.

    Of a layer that runs several times in a pass, the last run counts. Passes count as "ascend".

    Args:
        network: where passes run.
        images: (N, C, H, W).
        layer: dotted name of a layer that gives (N, channels) or (N, channels, h, w).
        channels: (N,), the channel of each image.
        rule: how gradients go back through ReLU and ReLU6; "deconvolution" also where they are closed.

    Returns:
        Means (N,), and gradients with respect to the images (N, C, H, W).

    Raises:
        ValueError: if there is no such layer or channel, the layer does not run or gives something else, there are no
            images, no ReLU ran for another rule than plain or something else rectifies, or MindSpore is in graph mode
            (which ignores hooks in silence).
    """
    require_pynative("the gradient of a layer")
    if not len(images):
        raise ValueError("no images to differentiate")
    means, gradients = [], []
    for first in range(0, len(images), network.pass_size):
        chunk = slice(first, first + network.pass_size)
        full, asked = network.filled(images[chunk]), network.filled(channels[chunk])
        rows = len(images[chunk])
        with backward_rule(rule), network.running("ascend", rows):
            answers, gradient = _differentiated(network, full, layer, asked, rule)
            means.append(as_array(answers)[:rows])
            gradients.append(as_array(gradient)[:rows])
    return np.concatenate(means), np.concatenate(gradients)


def check_channels(layer: str, shape: tuple[int, ...], channels: IntArray) -> None:
    """Make sure that a layer of that output shape has these channels.

    Raises:
        ValueError: if it has not, or is no (N, channels) or (N, channels, h, w).
    """
    if len(shape) not in (2, 4):
        raise ValueError(f"layer {layer!r} must give (N, channels) or (N, channels, h, w), it gives {shape}")
    if channels.min() < 0 or channels.max() >= shape[1]:
        raise ValueError(
            f"channels of {layer!r} must lie in 0..{shape[1] - 1}, got {channels.min()} to {channels.max()}"
        )


def _differentiated(
    network: Network, images: FloatArray, layer: str, channels: IntArray, rule: Rule
) -> tuple[Tensor, Tensor]:
    """One pass."""
    noted: list[Any] = []

    def answers(batch: Tensor) -> tuple[Tensor, Tensor]:
        noted.clear()
        rectified_output(network.cell, network.input(batch), rule)
        output = noted[-1] if noted else None
        if not isinstance(output, Tensor):
            ran = f"gives a {type(output).__name__}, not a Tensor"
            raise ValueError(f"layer {layer!r} {ran if noted else f'did not run in the forward pass{IN_GRAPHS}'}")
        check_channels(layer, tuple(output.shape), channels)
        chosen = Tensor(np.eye(output.shape[1], dtype=np.float32)[channels])
        means = output if output.ndim == 2 else output.mean((2, 3))
        asked = (means.astype(ms.float32) * chosen).sum(1)
        return asked.sum(), asked

    hook = find_layer(network.cell, layer).register_forward_hook(lambda _cell, _inputs, output: noted.append(output))
    try:
        (_, asked), gradient = ms.value_and_grad(answers, 0, None, has_aux=True)(Tensor(images))
    finally:
        hook.remove()
    return asked, gradient
