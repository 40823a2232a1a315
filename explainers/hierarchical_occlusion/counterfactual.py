"""What a hierarchical occlusion search found: boxes in layers, as a tree and as pictures."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from textwrap import indent
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from mindspore import Tensor
from PIL import Image, ImageDraw

from ...summary_format import original_picture
from ...summary_format.images import Statistics
from ..perturbation.baselines import blurred

Outcome = Literal["found", "blur suffices", "not reached", "below threshold"]
NO_PARENT = -1
_OUTLINE = (255, 40, 40)
_SIDE_PER_OUTLINE = 112  # pixels of the picture's short side for each pixel of an outline's thickness


@dataclass(frozen=True)
class Box:
    """A region of an image, in pixels.

    Attributes:
        x: how far its left edge is from the image's, along the width.
        y: how far its top edge is from the image's, along the height.
        width: at least 1.
        height: at least 1.
        parent: which box of the layer above it lies in; -1 in layer 1.
    """

    x: int
    y: int
    width: int
    height: int
    parent: int = NO_PARENT

    def __str__(self) -> str:
        return f"{self.width} x {self.height} at x {self.x}, y {self.y}"

    @property
    def pixels(self) -> tuple[slice, slice]:
        """Where it lies in an array (..., H, W)."""
        return slice(self.y, self.y + self.height), slice(self.x, self.x + self.width)


@dataclass(frozen=True)
class Layer:
    """Boxes that suffice together.

    Attributes:
        probability: of the label on the blurred image with these boxes shown, at least the threshold.
        boxes: in the order in which they were revealed, those in one parent next to each other.
    """

    probability: float
    boxes: tuple[Box, ...]


@dataclass(frozen=True)
class Node:
    """A box with the boxes that refine it, in the order in which they were revealed."""

    x: int
    y: int
    width: int
    height: int
    children: tuple[Node, ...] = ()

    def __str__(self) -> str:
        own = str(Box(self.x, self.y, self.width, self.height))
        return "\n".join([own, *(indent(str(child), "  ") for child in self.children)])


@dataclass(frozen=True)
class Counterfactual:
    """The answer to one (image, label) question.

    Attributes:
        label: that was asked about.
        outcome: "found" (there is at least one layer), "blur suffices" (the blurred image alone reaches the
            threshold), "not reached" (no choice of windows reached it), "below threshold" (the untouched image does
            not exceed it, so nothing was searched).
        probability: of the label on the untouched image.
        blurred_probability: on the blurred image; NaN where nothing was searched.
        sigma: of the Gaussian blur, in pixels.
        layers: from the largest windows to the smallest.
        rounds: how many images each step of the search asked about; the first two (the blurred image, the windows of
            layer 1) are asked once for all labels of an image.
    """

    label: int
    outcome: Outcome
    probability: float
    blurred_probability: float
    sigma: int
    layers: tuple[Layer, ...] = ()
    rounds: tuple[int, ...] = ()

    def tree(self) -> tuple[Node, ...]:
        """The boxes of layer 1, each with those that refine it."""
        below: dict[int, list[Node]] = {}
        for layer in reversed(self.layers):
            above: dict[int, list[Node]] = {}
            for place, box in enumerate(layer.boxes):
                node = Node(box.x, box.y, box.width, box.height, tuple(below.get(place, ())))
                above.setdefault(box.parent, []).append(node)
            below = above
        return tuple(below.get(NO_PARENT, ()))

    def __str__(self) -> str:
        head = (
            f"label {self.label}, {self.outcome}: probability {self.probability:.3f}, "
            f"blurred {self.blurred_probability:.3f} (sigma {self.sigma})"
        )
        return "\n".join([head, *(indent(str(node), "  ") for node in self.tree())])


def composite(image: npt.NDArray[Any], blurred: npt.NDArray[Any], boxes: Iterable[Box]) -> npt.NDArray[Any]:
    """The blurred image (C, H, W) with the image's own pixels inside the boxes."""
    shown = blurred.copy()
    for box in boxes:
        rows, columns = box.pixels
        shown[:, rows, columns] = image[:, rows, columns]
    return shown


def draw_layers(
    image: Tensor | npt.NDArray[Any], counterfactual: Counterfactual, mean: Statistics | None = None,
    std: Statistics | None = None,
) -> list[Image.Image]:  # fmt: skip
    """The image, then a picture per layer: blurred but in the layer's boxes, outlined just inside their edges.

    Args:
        image: that was searched, (C, H, W) or (1, C, H, W).
        counterfactual: what was found on it.
        mean: what was subtracted from the pixels, for each channel or for all.
        std: what the rest was divided by. Without both, colours are stretched over the image's range.

    Returns:
        RGB pictures of the image's size, one more than there are layers.

    Raises:
        TypeError: if the image is neither a Tensor nor an array.
        ValueError: if it is not a single image, or the statistics do not fit it.
    """
    pixels = one_image(image)
    # Stretched apart, a picture's colours would depend on which parts are shown; a blur may leave the range by a bit.
    background = blurred(pixels, counterfactual.sigma).clip(pixels.min(), pixels.max())
    both = original_picture(np.concatenate([pixels, background], axis=1), mean, std)
    height, width = pixels.shape[1:]
    original, covered = both.crop((0, 0, width, height)), both.crop((0, height, width, 2 * height))
    return [original, *(_drawn(original, covered, layer.boxes) for layer in counterfactual.layers)]


def one_image(image: Any) -> npt.NDArray[Any]:
    """One image (C, H, W), given as a Tensor or array with or without a leading axis of length 1.

    Raises:
        TypeError: if it is something else.
        ValueError: if it has another shape.
    """
    if not isinstance(image, (Tensor, np.ndarray)):
        raise TypeError(f"the image must be a Tensor or an array, got {type(image).__name__}")
    pixels: npt.NDArray[Any] = image.asnumpy() if isinstance(image, Tensor) else image
    if pixels.ndim == 4 and len(pixels) == 1:
        pixels = pixels[0]
    if pixels.ndim != 3:
        raise ValueError(
            f"the image must have shape (C, H, W) or (1, C, H, W), got {pixels.shape}; give one image at a time"
        )
    return pixels


def _drawn(original: Image.Image, background: Image.Image, boxes: Iterable[Box]) -> Image.Image:
    picture = background.copy()
    corners = [(box.x, box.y, box.x + box.width, box.y + box.height) for box in boxes]
    for corner in corners:
        picture.paste(original.crop(corner), corner)
    pen = ImageDraw.Draw(picture)
    thickness = max(1, min(picture.size) // _SIDE_PER_OUTLINE)
    for left, top, right, bottom in corners:  # after all boxes are pasted, for they may overlap
        pen.rectangle((left, top, right - 1, bottom - 1), outline=_OUTLINE, width=thickness)
    return picture
