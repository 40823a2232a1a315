"""What channels of a layer look for: images that they answer to most, and how they answer to given images."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from mindspore import Tensor, nn
from PIL import Image

from ...summary_format import original_picture
from ...summary_format.images import Statistics
from ..arguments import positive_number, real_number, whole_number
from ..core.explainer import image_array
from ..core.resize import resized
from ..core.view import keyed_generator
from ..core.windows import rolled
from ..hierarchical_occlusion.counterfactual import one_image
from ..network import DEFAULT_PASS_SIZE, Network, channel_answers, check_channels, layer_outputs
from ..network.tensors import FloatArray, IntArray, checked_network
from ..network.tensors.layers import find_layer
from ..perturbation.baselines import blurred

Limits = tuple[float | Sequence[float], float | Sequence[float]]

_log = logging.getLogger("explainrun")


@dataclass(frozen=True)
class VisualizedFeatures:
    """Images that channels of a layer answer to.

    Attributes:
        layer: its dotted name.
        channels: n of them.
        images: (n, C, H, W), as the network takes them, one per channel.
        activations: (n, steps + 1), the channel's mean activation on the image before each step and after the last.
    """

    layer: str
    channels: tuple[int, ...]
    images: FloatArray
    activations: FloatArray

    def pictures(self, mean: Statistics | None = None, std: Statistics | None = None) -> list[Image.Image]:
        """The images as RGB pictures.

        Args:
            mean: what images have subtracted, for each channel or for all.
            std: what the rest is divided by. Values outside black and white are cut off then; without both, colours
                are stretched over each image's range.

        Raises:
            ValueError: if images have neither 1, 3 nor 4 channels, or the statistics do not fit.
        """
        images = self.images
        if mean is not None and std is not None:
            centre, scale = np.asarray(mean, np.float64), np.asarray(std, np.float64)
            white = 255.0 if max(centre.max(), scale.max()) > 10 else 1.0  # as ``original_picture`` distinguishes them
            images = _within(images, -centre / scale, (white - centre) / scale)
        return [original_picture(image, mean, std) for image in images]


class FeatureVisualization:
    """Images that a channel's mean activation rises on, by gradient ascent, one for each of several channels.

    Erhan et al.: Visualizing Higher-Layer Features of a Deep Network (2009); Olah et al.: Feature
    Visualization (2017). The image's pixels follow the gradient of the mean over places of the channel (of a layer that
    gives (N, channels), such as the logits, of the channel itself) by the rule of Adam (Kingma, Ba 2015, algorithm 1:
    decay 0.9 and 0.999, epsilon 1e-8). By default nothing else is done to them, so that they leave the range of real
    images and hold much that is high in frequency: ``limits`` keeps the range, the other options make smoother pictures
    that answer less strongly.

    Where a channel is zero all over an image, its ReLUs closed, there is no gradient to follow; such a step goes where
    the gradient points with all ReLUs open (the deconvolution rule), which costs another pass. A channel that even so
    does not change is reported in the log.

    Costs a forward and a backward per step for as many channels as a pass holds, and one forward more. Noise and jitter
    come from a generator of each channel's own.

    Args:
        network: see ``Explainer``.
        layer: dotted name of a layer that gives (N, channels) or (N, channels, h, w).
        channels: one, or several.
        steps: how many.
        lr: how far a pixel goes in a step at most, roughly, in the unit of the network's input.
        limits: (low, high) that pixels are kept between, each a number or one for each of the image's channels; no
            limits by default.
        jitter: how many pixels the image is shifted at random, at most, down and right or up and left, before each step
            but the first (what leaves on one side enters on the other).
        decay: share of the image that each step takes away.
        blur: sigma in pixels of a Gaussian blur after each step; 0 for none.
        seed: of the random numbers.

    Raises:
        TypeError: if the network is not a ``mindspore.nn.Cell``.
        ValueError: if there is no such layer, a channel or number is not as said, or none are given. Later, if the
            layer has no such channel.
    """

    def __init__(
        self,
        network: nn.Cell,
        layer: str,
        channels: int | Sequence[int],
        steps: int = 100,
        lr: float = 1.0,
        limits: Limits | None = None,
        jitter: int = 0,
        decay: float = 0.0,
        blur: float = 0.0,
        seed: int = 0,
    ) -> None:
        self.network, self.layer = checked_network(network), layer
        find_layer(network, layer)
        self.channels = _channels(channels)
        self.steps, self.lr = whole_number(steps, "steps"), positive_number(lr, "lr")
        self.limits = None if limits is None else _limits(limits)
        self.jitter = whole_number(jitter, "jitter", 0)
        self.decay, self.blur = real_number(decay, "decay"), real_number(blur, "blur")
        if not 0 <= self.decay < 1 or self.blur < 0:
            raise ValueError(f"decay must lie in 0..1 (1 excluded) and blur be at least 0, got {decay!r} and {blur!r}")
        self.seed = whole_number(seed, "seed", 0)

    def __call__(
        self,
        shape: Sequence[int] | None = None,
        image: Tensor | npt.NDArray[Any] | None = None,
        noise: float = 1.0,
        pass_size: int | None = None,
    ) -> VisualizedFeatures:
        """Let images rise from Gaussian noise, or from an image.

        Args:
            shape: (C, H, W) of the images, to begin with noise.
            image: to begin with, (C, H, W) or (1, C, H, W).
            noise: its standard deviation, in the unit of the network's input.
            pass_size: channels a pass, which is filled up, so that a channel's image does not depend on those beside
                it; in its last bits, which grow over the steps, it does on this number. By default the number of
                channels, up to 16.

        Raises:
            TypeError: if the image is neither a Tensor nor an array.
            ValueError: if not exactly one of shape and image is given, one is not as said, limits do not fit it, or the
                layer has no such channels or gives something else.
        """
        start = self._start(shape, image, positive_number(noise, "noise"))
        if pass_size is None:
            pass_size = min(len(self.channels), DEFAULT_PASS_SIZE)
        network = Network(self.network, whole_number(pass_size, "pass_size"), fill=True)
        parts = [slice(first, first + network.pass_size) for first in range(0, len(start), network.pass_size)]
        ascended = [self._ascended(network, start[part], self.channels[part]) for part in parts]
        images, activations = (np.concatenate(several) for several in zip(*ascended, strict=True))
        found = VisualizedFeatures(self.layer, self.channels, images, activations)
        flat = np.ptp(found.activations, axis=1) == 0
        if flat.any():
            still = ", ".join(str(channel) for channel, same in zip(self.channels, flat, strict=True) if same)
            _log.warning("channel %s of %r answers to no change: its activation stayed the same; another start, or the "
                         "layer before its activation function, may help", still, self.layer)  # fmt: skip
        return found

    def _start(self, shape: Sequence[int] | None, image: Any, noise: float) -> FloatArray:
        """(n, C, H, W)."""
        if (shape is None) == (image is None):
            raise ValueError("give either the shape (C, H, W) of images to make from noise, or an image to begin with")
        if image is not None:
            pixels = image_array(one_image(image)[None])
            start = np.repeat(pixels, len(self.channels), axis=0)
        else:
            if not isinstance(shape, Sequence) or len(shape) != 3:
                raise ValueError(f"shape must be (C, H, W), got {shape!r}")
            sides = tuple(whole_number(side, "shape") for side in shape)
            draws = [self._generator(channel, "noise").standard_normal(sides, np.float32) for channel in self.channels]
            start = np.float32(noise) * np.stack(draws)
        return self._limited(start)

    def _ascended(self, network: Network, images: FloatArray, channels: Sequence[int]) -> tuple[FloatArray, FloatArray]:
        """Images of one pass after the last step, and their activations (n, steps + 1)."""
        asked = np.array(channels)
        activations = np.empty((len(images), self.steps + 1), np.float32)
        first, second = np.zeros_like(images), np.zeros_like(images)
        with np.errstate(over="ignore", invalid="ignore"):
            for step, shifts in enumerate(self._shifts(channels)):
                activations[:, step], gradient = self._answers(network, rolled(images, shifts), asked)
                gradient = rolled(gradient, -shifts)
                first = 0.9 * first + 0.1 * gradient
                second = 0.999 * second + 0.001 * gradient**2
                size = np.sqrt(second / (1 - 0.999 ** (step + 1))) + 1e-8
                images = self._regular(images + self.lr * (first / (1 - 0.9 ** (step + 1))) / size)
        answers = layer_outputs(network, images, [self.layer])[self.layer]
        activations[:, -1] = answers.reshape(*answers.shape[:2], -1).mean(axis=2)[np.arange(len(images)), asked]
        return images, activations

    def _answers(self, network: Network, images: FloatArray, channels: IntArray) -> tuple[FloatArray, FloatArray]:
        """Activations (n,) and gradients; where these are zero throughout, as if every ReLU were open."""
        activations, gradients = channel_answers(network, images, self.layer, channels)
        closed = ~gradients.any(axis=(1, 2, 3))
        if closed.any():
            with suppress(ValueError):  # there is no ReLU, or something beside ReLUs
                opened = channel_answers(network, images[closed], self.layer, channels[closed], "deconvolution")
                gradients[closed] = opened[1]
        return activations, gradients

    def _shifts(self, channels: Sequence[int]) -> Iterator[IntArray]:
        """How far down and right each image is shifted (n, 2), for every step."""
        generators = [self._generator(channel, "jitter") for channel in channels]
        yield np.zeros((len(channels), 2), np.int64)
        for _ in range(self.steps - 1):
            yield np.stack([one.integers(-self.jitter, self.jitter + 1, 2) for one in generators])

    def _regular(self, images: FloatArray) -> FloatArray:
        """Images after what is done to them between steps."""
        if self.decay:
            images = images * (1 - self.decay)
        if self.blur:
            images = np.stack([blurred(image, self.blur) for image in images])
        return self._limited(images)

    def _limited(self, images: FloatArray) -> FloatArray:
        return images if self.limits is None else _within(images, *self.limits)

    def _generator(self, channel: int, purpose: str) -> np.random.Generator:
        return keyed_generator(self.seed, channel, f"FeatureVisualization {purpose}")


def activation_maps(
    network: nn.Cell,
    inputs: Tensor | npt.NDArray[Any],
    layer: str,
    channels: int | Sequence[int] | None = None,
    *,
    resize: bool = False,
) -> Tensor:
    """What channels of a layer give for images, place by place.

    Args:
        network: see ``Explainer``.
        inputs: (N, C, H, W), as the network takes them.
        layer: dotted name of a layer that gives (N, channels, h, w).
        channels: one, or several; all by default.
        resize: bring the maps to the images' size, bilinearly, from half-pixel centres.

    Returns:
        Float32 (N, channels asked for, h, w), or (N, ..., H, W).

    Raises:
        TypeError: if the network is not a ``mindspore.nn.Cell``, or inputs are neither a Tensor nor an array.
        ValueError: if there is no such layer or channel, or the layer gives something else.
    """
    images = image_array(inputs)
    outputs = layer_outputs(Network(checked_network(network)), images, [layer])[layer]
    if outputs.ndim != 4:
        raise ValueError(f"layer {layer!r} must give (N, channels, h, w), it gives {outputs.shape}")
    asked = tuple(range(outputs.shape[1])) if channels is None else _channels(channels)
    check_channels(layer, outputs.shape, np.array(asked))
    maps = outputs[:, asked]
    if resize:
        size = (images.shape[2], images.shape[3])
        maps = np.stack([resized(of_image, size) for of_image in maps])
    return Tensor(maps)


def _channels(channels: Any) -> tuple[int, ...]:
    several = tuple(channels) if isinstance(channels, (Sequence, np.ndarray)) else (channels,)
    if not several:
        raise ValueError("channels must name at least one channel, got none")
    return tuple(whole_number(channel, "channels", 0) for channel in several)


def _limits(limits: Any) -> tuple[FloatArray, FloatArray]:
    ends = tuple(np.asarray(end) for end in limits) if isinstance(limits, (list, tuple)) else ()
    numbers = len(ends) == 2 and all(end.dtype.kind in "iuf" and end.ndim < 2 for end in ends)
    numbers = numbers and len({end.size for end in ends} - {1}) < 2
    if (
        not numbers
        or not np.isfinite(np.concatenate([end.ravel() for end in ends])).all()
        or (ends[0] >= ends[1]).any()
    ):
        raise ValueError(
            "limits must be (low, high), low below high, each a finite number or one for each of the image's channels, "
            f"got {limits!r}"
        )
    return ends[0].astype(np.float32), ends[1].astype(np.float32)


def _within(images: FloatArray, low: npt.NDArray[Any], high: npt.NDArray[Any]) -> FloatArray:
    """Images cut off at limits, numbers or one for each of their channels."""
    ends = [end.astype(np.float32).reshape(-1, 1, 1) for end in (low, high)]
    if any(len(end) not in (1, images.shape[1]) for end in ends):
        raise ValueError(f"limits must be numbers or one for each of {images.shape[1]} channels, got {len(ends[0])}")
    return images.clip(*ends)
