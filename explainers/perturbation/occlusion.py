"""Occlusion: how much the probability falls where a window covers the image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from mindspore import nn

from ..core.explainer import Explainer
from ..core.view import View
from ..core.windows import with_windows
from ..network import Block
from ..network.tensors import Activation, FloatArray, IntArray, check_labels, checked_activation
from .baselines import Baseline, baseline_image, check_baseline_fits, checked_baseline

Extent = int | Sequence[int] | None
_WINDOWS_A_SIDE = 32
_AXES = ("channels", "height", "width")


class Windows(NamedTuple):
    """Where windows stand along one axis: each from its start to its stop (excluded)."""

    starts: tuple[int, ...]
    stops: tuple[int, ...]

    def indicators(self, length: int) -> FloatArray:
        """(windows, length), 1 where a window covers."""
        places = np.arange(length)
        inside = (places >= np.array(self.starts)[:, None]) & (places < np.array(self.stops)[:, None])
        return inside.astype(np.float32)


class Occlusion(Explainer):
    """Importance of a pixel: the mean fall of the label's probability over the windows that cover it; signed.

    Zeiler, Fergus: Visualizing and Understanding Convolutional Networks (2013), section 4.2. Windows start at every
    ``stride`` from the top left; the last ones are cut by the border, so that every pixel is covered. Costs one image
    per window, for all labels of an image.

    Args:
        network: see ``Explainer``.
        activation_fn: from logits (N, classes) to probabilities, such as ``nn.Softmax()``.
        perturbation_per_eval: taken for the old package's sake, without effect: passes have the network's pass size.
        window: pixels covered at once: an int for a square, (height, width), or (channels, height, width). By default
            windows that just cover the image with 32 of them a side, spread evenly, as the old package meant to; on
            sides of up to 32 pixels windows of 3 at every pixel.
        stride: pixels from one window to the next, in the same forms; by default the window, so that windows tile
            the image.
        baseline: what covers: a number, an array that broadcasts to (C, H, W), "mean" (each channel's) or "blur".
        name: see ``Explainer``.

    Raises:
        TypeError: if the network or the activation is of another type.
        ValueError: if a window or stride is not a whole number from 1 or two or three of them, there is a stride
            without a window, or the baseline is malformed. Later, if a window or the baseline does not fit the images,
            or a stride exceeds its window (pixels between would never be covered).
    """

    signed = True

    def __init__(
        self,
        network: nn.Cell,
        activation_fn: Activation,
        perturbation_per_eval: int = 32,
        window: Extent = None,
        stride: Extent = None,
        baseline: Baseline = 0.0,
        name: str | None = None,
    ) -> None:
        super().__init__(network, name)
        self.activation_fn = checked_activation(activation_fn)
        self.window, self.stride = _extent(window, "window"), _extent(stride, "stride")
        self.baseline = checked_baseline(baseline)
        if self.window is None and self.stride is not None:
            raise ValueError("stride needs a window; give both, or neither for 32 windows a side")

    def attribute(self, view: View) -> FloatArray:
        rows = np.unique(view.rows)
        shape = view.images.shape[1:]
        axes = self._axes(shape)
        windows = np.array(list(product(*(zip(*axis, strict=True) for axis in axes))))
        check_labels(view.labels, view.logits.shape[1])
        asked = view.network.activated(view.logits[rows], self.activation_fn)
        covered = (self._covered(view.images[row], windows) for row in rows)
        said = view.network.streamed_probabilities(covered, self.activation_fn, "occlude")
        maps = np.empty((len(view.rows), *view.size), np.float32)
        found = view.answered(said, [len(windows)] * len(rows))
        for (_, places, probabilities), whole in zip(found, asked, strict=True):
            maps[places] = _means((whole[view.labels[places]] - probabilities).T, axes, shape)
        return maps

    def images_needed(self, images: int, questions: int, shape: tuple[int, ...]) -> Mapping[str, int]:
        check_baseline_fits(self.baseline, shape)
        return {"occlude": images * int(np.prod([len(axis.starts) for axis in self._axes(shape)]))}

    def _axes(self, shape: tuple[int, ...]) -> tuple[Windows, Windows, Windows]:
        """Where windows stand along the channels, the height and the width of images (C, H, W).

        Raises:
            ValueError: if a window does not fit, or leaves out pixels.
        """
        if self.window is None:
            return Windows((0,), (shape[0],)), _default(shape[1]), _default(shape[2])
        window, stride = self.window, self.stride or self.window
        window = window if len(window) == len(shape) else (shape[0], *window)
        stride = stride if len(stride) == len(shape) else (window[0], *stride)
        channels, height, width = map(_stepped, _AXES, window, stride, shape)
        return channels, height, width

    def _covered(self, image: FloatArray, windows: IntArray) -> Block:
        """The image (C, H, W) with each window covered in turn; windows (N, 3, 2), from and to along each axis."""
        starts, stops = windows[..., 0], windows[..., 1]
        return with_windows(image, baseline_image(self.baseline, image), starts, stops - starts)


def _extent(value: Extent, name: str) -> tuple[int, ...] | None:
    """(height, width) or (channels, height, width); None stays None."""
    if value is None:
        return None
    values: tuple[Any, ...] = tuple(np.atleast_1d(value)) if np.ndim(value) else (value, value)
    wrong = [one for one in values if isinstance(one, bool) or not isinstance(one, (int, np.integer)) or one < 1]
    if wrong or len(values) not in (2, 3):
        raise ValueError(
            f"{name} must be a whole number from 1, (height, width) or (channels, height, width), got {value!r}"
        )
    return tuple(int(one) for one in values)


def _default(side: int) -> Windows:
    """32 windows that just cover a side, spread evenly; of 3 pixels at every pixel of a side of up to 32."""
    if side <= _WINDOWS_A_SIDE:
        return _stepped("side", min(3, side), 1, side)
    window = -(-side // _WINDOWS_A_SIDE)
    starts = [round(place) for place in np.linspace(0, side - window, _WINDOWS_A_SIDE)]
    return Windows(tuple(starts), tuple(start + window for start in starts))


def _stepped(axis: str, window: int, stride: int, length: int) -> Windows:
    """Windows at every stride, the last one cut by the border.

    Raises:
        ValueError: if they do not fit, or leave out pixels.
    """
    if window > length:
        raise ValueError(f"a window of {window} does not fit images of {axis} {length}; make it smaller")
    if stride > window and window < length:
        raise ValueError(
            f"a stride of {stride} leaves out pixels between windows of {window} in {axis}; make it smaller"
        )
    steps = -(-(length - window) // stride)
    starts = tuple(step * stride for step in range(steps + 1))
    return Windows(starts, tuple(min(start + window, length) for start in starts))


def _means(falls: FloatArray, axes: tuple[Windows, Windows, Windows], shape: tuple[int, ...]) -> FloatArray:
    """Maps (L, H, W) from what each window did to each label, (L, windows): the mean over those that cover a pixel."""
    rows, columns = axes[1].indicators(shape[1]), axes[2].indicators(shape[2])
    by_place = falls.reshape(len(falls), -1, len(rows), len(columns)).mean(axis=1, dtype=np.float64)
    times = np.outer(rows.sum(axis=0), columns.sum(axis=0))
    means: FloatArray = (rows.T @ by_place @ columns / times).astype(np.float32)
    return means
