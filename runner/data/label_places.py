"""Where labels are in an image: in boxes, in masks of their own, or in a segmentation map."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ...explainers.network.tensors import FloatArray
from ...summary_format.problem import Problem
from ..problems import SampleError

Mask = npt.NDArray[np.bool_]
VOID = 255  # in segmentation maps: no class, as negative numbers are, where there are fewer classes
_SHOWN = 8  # wrong indices that an error shows


@dataclass(frozen=True)
class LabelMasks:
    """A mask for each label.

    Attributes:
        labels: (K,) class indices; one that stands several times lies in several masks.
        masks: (K, H, W) where each is.
    """

    labels: npt.NDArray[np.integer[Any]]
    masks: Mask

    @property
    def content(self) -> bytes:
        """What is equal where the masks are."""
        return repr(self.labels.tolist()).encode() + np.packbits(self.masks).tobytes()

    def mask(self, label: int) -> Mask:
        """Where a label is, (H, W)."""
        found: Mask = self.masks[self.labels == label].any(axis=0)
        return found


@dataclass(frozen=True)
class Segmentation:
    """The class of each pixel.

    Attributes:
        indices: (H, W) class indices; negative ones, and 255 where there are fewer classes, stand for none.
    """

    indices: npt.NDArray[np.integer[Any]]

    @property
    def content(self) -> bytes:
        """What is equal where the maps are, of whatever type their numbers are."""
        return b"segmentation" + self.indices.astype("<i8").tobytes()

    def mask(self, label: int) -> Mask:
        """Where a label is, (H, W)."""
        found: Mask = self.indices == label
        return found


@dataclass(frozen=True)
class Boxes:
    """Boxes of labels.

    Attributes:
        by_label: for each label its boxes (K, 4) as x, y, width, height in pixels from the top left.
    """

    by_label: dict[int, FloatArray]

    def mask(self, label: int, size: tuple[int, int]) -> Mask:
        """Where a label is, (H, W): the pixels whose centres lie in one of its boxes. All False without a box.

        A box too small to hold a pixel's centre stands for the pixel that holds its own.
        """
        height, width = size
        covered = np.zeros((height, width), bool)
        for x, y, box_width, box_height in self.by_label.get(label, ()):
            if box_width > 0 and box_height > 0:
                covered |= _inside(y, box_height, height)[:, None] & _inside(x, box_width, width)
        return covered


def _inside(start: float, length: float, pixels: int) -> Mask:
    """Which pixels along an axis lie in a box."""
    centres = np.arange(pixels) + 0.5
    inside: Mask = (centres > start) & (centres < start + length)
    if not inside.any():
        inside[int(np.clip(start + length / 2, 0, pixels - 1))] = True
    return inside


def places_of(
    sample_id: int,
    given: npt.NDArray[Any],
    labels: npt.NDArray[np.integer[Any]],
    size: tuple[int, int],
    num_classes: int,
) -> Boxes | LabelMasks | Segmentation:
    """Where a sample's labels are, as the dataset's third column says.

    What it is shows in its shape: boxes (K, 4), masks (K, H, W) or a segmentation map (H, W). On an image of K x 4
    pixels, where both are alike, numbers (K, 4) are boxes.

    Args:
        sample_id: the sample, for messages.
        given: what the column holds.
        labels: (K,) what the labels' column holds; those outside 0..num_classes-1 are padding.
        size: (H, W) of the image.
        num_classes: how many classes there are.

    Raises:
        SampleError: if it has another shape, boxes do not fit, masks are not numbers, or a segmentation map holds
            something else than class indices.
    """
    kept = (labels >= 0) & (labels < num_classes)
    values = np.atleast_2d(np.asarray(given))
    if values.shape == (len(labels), 4):
        boxes = values.astype(np.float32)
        _check_boxes(sample_id, boxes[kept], size)
        return Boxes({int(label): boxes[labels == label] for label in np.unique(labels[kept])})
    if values.shape == (len(labels), *size):
        return LabelMasks(labels[kept], _checked_masks(sample_id, values)[kept])
    if values.shape == size:
        return Segmentation(_checked_indices(sample_id, values, num_classes))
    words = (
        "sample {sample}: the places of {labels:plural label} must be boxes ({labels}, 4), masks ({labels}, {height}, "
        "{width}) or a segmentation map ({height}, {width}), got {shape}"
    )
    sizes = {"height": size[0], "width": size[1], "shape": np.shape(given)}
    raise SampleError(Problem.of("sample-box-count", words, sample=sample_id, labels=len(labels), **sizes))


def _checked_masks(sample_id: int, masks: npt.NDArray[Any]) -> Mask:
    if masks.dtype.kind not in "biuf" or not np.isfinite(masks).all():
        words = "sample {sample}: masks must be numbers above 0 where the label is, or True, got {kind}{odd}"
        odd = "" if masks.dtype.kind not in "biuf" else " with NaN or infinity"
        raise SampleError(Problem.of("sample-masks", words, sample=sample_id, kind=str(masks.dtype), odd=odd))
    found: Mask = masks > 0
    return found


def _checked_indices(sample_id: int, indices: npt.NDArray[Any], num_classes: int) -> npt.NDArray[np.integer[Any]]:
    if indices.dtype.kind not in "iu":
        words = (
            "sample {sample}: a segmentation map must hold class indices, it is {kind}; give masks as (labels, H, W)"
        )
        raise SampleError(Problem.of("segmentation-kind", words, sample=sample_id, kind=str(indices.dtype)))
    odd = np.unique(indices[(indices >= num_classes) & (indices != VOID)])
    if len(odd):
        words = (
            "sample {sample}: the segmentation map holds {given:list}, the classes are 0..{last}; write 255, or a "
            "number below 0, where there is none"
        )
        values = {"given": odd[:_SHOWN].tolist(), "last": num_classes - 1}
        raise SampleError(Problem.of("segmentation-classes", words, sample=sample_id, **values))
    return indices


def _check_boxes(sample_id: int, boxes: FloatArray, size: tuple[int, int]) -> None:
    """Refuse boxes that are not x, y, width, height in pixels; one of no size says that a label has none."""
    height, width = size
    for box in boxes.tolist():
        x, y, box_width, box_height = box
        if not all(map(math.isfinite, box)) or box_width < 0 or box_height < 0:
            words = "sample {sample}: the box {box} must be finite, of a width and height not below 0"
            raise SampleError(Problem.of("box-not-finite", words, sample=sample_id, box=_short(box)))
        if 0 < box_width < 1 and 0 < box_height < 1:
            words = (
                "sample {sample}: the box {box} is smaller than a pixel; boxes are in pixels, not shares of the image"
            )
            raise SampleError(Problem.of("box-below-a-pixel", words, sample=sample_id, box=_short(box)))
        if box_width and box_height and (x >= width or y >= height or x + box_width <= 0 or y + box_height <= 0):
            words = (
                "sample {sample}: the box {box} lies outside the image of {width} x {height} pixels; boxes are x, y, "
                "width, height"
            )
            raise SampleError(
                Problem.of("box-outside", words, sample=sample_id, box=_short(box), width=width, height=height)
            )


def _short(numbers: list[float]) -> list[float]:
    """Numbers with the digits that messages show."""
    return [float(f"{number:g}") for number in numbers]
