"""Which covered images of a question metrics ask about, in terms of the order that its map gives."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import isqrt
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ...explainers.network.tensors import Activation
from .groups import PIXELS, Groups
from .perturbations import Perturbation
from .removal import Removal


class CoveredImage(NamedTuple):
    """A covered image of a question: pixels of rank ``first`` to ``last`` (excluded) are removed.

    Rank 0 is the most salient pixel. ``baseline`` is the value that stands there, or "mean", "blur" or "noisy_linear";
    see ``checked_removal``.
    """

    first: int
    last: int
    baseline: Removal


class BlendedImage(NamedTuple):
    """An image whose every pixel is kept as far as its map says, scaled to 0..1; the rest is what ``removal`` gives."""

    removal: Removal


class GroupsCovered(NamedTuple):
    """A covered image of one question, by which it is known whoever asks about it.

    Groups of rank ``first`` to ``last`` (excluded) are removed; rank 0 is the most salient one, or the least.
    """

    groups: Groups
    least_first: bool
    first: int
    last: int
    removal: Removal

    def known_as(self, number: int, *, tied: bool) -> GroupsCovered:
        """The same image in terms of the most salient first, of so many groups, where none are equal."""
        if not self.least_first or tied:
            return self
        return self._replace(least_first=False, first=number - self.last, last=number - self.first)


@dataclass(frozen=True, kw_only=True)
class Curve:
    """Covered images in a row, of which each has more groups of pixels removed; the last of them all.

    Metrics that read equal curves share them.

    Attributes:
        groups: the pixels that are removed together.
        removal: what stands there.
        steps: how many pieces are removed one after the other; by default the whole part of sqrt(H W) for pixels, and
            one group at a time for others. Never more than there are groups.
        least_first: whether the least salient groups are removed first. Equal groups are removed in the order of the
            same draw either way, so that the curves of a map and its negative are each other's.
        shares: of the groups that are removed, rounded down, in place of steps.
    """

    groups: Groups = PIXELS
    removal: Removal = 0.0
    steps: int | None = None
    least_first: bool = False
    shares: tuple[float, ...] | None = None

    def edges(self, number: int) -> list[int]:
        """How many of so many groups are removed at each of its points."""
        if self.shares is not None:
            return [int(share * number + 1e-9) for share in self.shares]
        default = isqrt(number) if self.groups == PIXELS else number
        return steps_of(number, self.steps or default)

    def images(self, number: int) -> tuple[GroupsCovered, ...]:
        """What is asked about at each of its points, of an image of so many groups."""
        return _images(self, number)


@lru_cache(maxsize=256)
def _images(curve: Curve, number: int) -> tuple[GroupsCovered, ...]:
    """One object for all questions that ask about the same image."""
    return tuple(GroupsCovered(curve.groups, curve.least_first, 0, edge, curve.removal) for edge in curve.edges(number))


def steps_of(number: int, steps: int) -> list[int]:
    """How many of so many groups are taken after 0, 1, ... steps."""
    steps = min(steps, number)
    return [step * number // steps for step in range(steps + 1)]


@dataclass(frozen=True)
class Covering:
    """The images that a metric asks about.

    Attributes:
        images: for every question the same. Without pixels covered, the untouched one; with all, the baseline alone.
        activation_fn: from logits to probabilities; the same object each time, since it is known by that.
        curves: for each question its own number of images, where groups depend on the image.
        perturbations: changed copies of each image, whatever its maps.
    """

    images: tuple[CoveredImage | BlendedImage, ...]
    activation_fn: Activation
    curves: tuple[Curve, ...] = ()
    perturbations: tuple[Perturbation, ...] = ()

    def check(self, shape: tuple[int, ...]) -> None:
        """Make sure that images (C, H, W) can be changed so.

        Raises:
            ValueError: if they cannot be cut into groups of pixels.
        """
        for curve in self.curves:
            curve.groups.check(shape)
        for perturbation in self.perturbations:
            perturbation.check(shape)

    @cached_property
    def static(self) -> tuple[GroupsCovered | BlendedImage, ...]:
        """Its images as they are known."""
        return tuple(
            image if isinstance(image, BlendedImage) else GroupsCovered(PIXELS, False, *image) for image in self.images
        )


def passing_images(coverings: Iterable[Covering], number: Callable[[Groups], int]) -> int:
    """How many images some coverings send through the network at most, for a question on an image of so many groups."""
    wanted = {image for covering in coverings for image in covering.static}
    wanted |= {
        image for covering in coverings for curve in covering.curves for image in curve.images(number(curve.groups))
    }
    return sum(
        isinstance(image, BlendedImage) or 0 < image.last - image.first < number(image.groups) for image in wanted
    )


class CurvePoints(NamedTuple):
    """A curve of one question, such as what the network says while an image changes.

    Attributes:
        across: (points,) where its points lie, such as the share of the groups that are removed.
        heights: (points,) such as the probability of the label.
    """

    across: npt.NDArray[np.float64]
    heights: npt.NDArray[np.float64]

    @property
    def area(self) -> float:
        """Under the curve, by trapezoids, over the range that it covers: its mean height."""
        heights = (self.heights[1:] + self.heights[:-1]) / 2.0
        widths = np.diff(self.across)
        return float((heights * widths).sum() / widths.sum())
