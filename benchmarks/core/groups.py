"""Pixels that are covered together: each alone, in patches, or in superpixels."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...explainers.arguments import one_of, whole_number
from ...explainers.network.tensors import FloatArray, IntArray
from ...explainers.perturbation.superpixels import Segmentation, SegmentationFunction

KINDS = ("pixels", "patches", "superpixels")
_PATCHES_A_SIDE = 8  # of the image's short side, where no size is given


class Groups(ABC):
    """A way to cut images into groups of pixels; equal ones cut alike, and metrics then share what is made of them."""

    @abstractmethod
    def of(self, image: FloatArray, generator: np.random.Generator) -> IntArray:
        """The group of each pixel (H, W) of an image (C, H, W), from 0 to K - 1 without gaps."""

    def check(self, shape: tuple[int, ...]) -> None:  # noqa: B027 - most fit any image
        """Make sure that images (C, H, W) can be cut.

        Raises:
            ValueError: if they cannot.
        """


@dataclass(frozen=True)
class Pixels(Groups):
    """Each pixel alone, all its channels."""

    def of(self, image: FloatArray, generator: np.random.Generator) -> IntArray:
        return np.arange(image[0].size).reshape(image.shape[1:])


@dataclass(frozen=True)
class Patches(Groups):
    """Squares, those at the right and at the bottom cut off by the border.

    Attributes:
        side: in pixels; None for an eighth of the image's short side, rounded, at least 1.
    """

    side: int | None = None

    def of(self, image: FloatArray, generator: np.random.Generator) -> IntArray:
        height, width = image.shape[1:]
        side = self.side or max(1, round(min(height, width) / _PATCHES_A_SIDE))
        rows, columns = np.indices((height, width)) // side
        groups: IntArray = rows * -(-width // side) + columns
        return groups


@dataclass(frozen=True)
class Superpixels(Groups):
    """Segments of like pixels, those that ``LIME`` and ``KernelSHAP`` find with the same options.

    Attributes:
        segmentation: what finds them.
        known_by: its method and options, by which it is known again.
    """

    segmentation: Segmentation = field(compare=False, repr=False)
    known_by: tuple[Any, ...]

    def check(self, shape: tuple[int, ...]) -> None:
        self.segmentation.check(shape)

    def of(self, image: FloatArray, generator: np.random.Generator) -> IntArray:
        self.check(image.shape)
        return self.segmentation(image, generator)


PIXELS = Pixels()


def checked_groups(
    groups: Any,
    patch_size: Any,
    segmentation: str | SegmentationFunction,
    segmentation_options: Mapping[str, Any] | None,
    owner: str,
) -> Groups:
    """Groups that a user names.

    Args:
        groups: "pixels", "patches" or "superpixels".
        patch_size: side of patches, in pixels; None for an eighth of the image's short side.
        segmentation: what finds superpixels; see ``Segmentation``.
        segmentation_options: for it, by name.
        owner: whose they are, for messages.

    Raises:
        TypeError: if the segmentation or its options are of another type.
        ValueError: if there are no such groups, segmentation or options, or patch_size is not a whole number from 1.
    """
    kind = one_of(groups, KINDS, "groups")
    side = None if patch_size is None else whole_number(patch_size, "patch_size")
    found = Segmentation(segmentation, segmentation_options, owner)
    if kind == "superpixels":
        options = tuple(sorted((str(name), repr(value)) for name, value in (segmentation_options or {}).items()))
        return Superpixels(found, (segmentation, options))
    return Patches(side) if kind == "patches" else PIXELS
