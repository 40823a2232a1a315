"""Changed copies of images that do not depend on maps: all explainers and labels of an image share what is said."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from ...explainers.core.view import View
from ...explainers.network import Block
from ...explainers.network.tensors import FloatArray, IntArray
from .groups import PIXELS, Groups
from .removal import Removal, Remover

_WRITTEN_TOGETHER = 16  # copies of an image, where a metric looks at them again
_REMOVERS_KEPT = 8  # of a batch: those of an image and a few rules, which its questions ask for one after the other

Removed = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class ImageOfView:
    """One image of a view, with what is found out about it once.

    Attributes:
        view: whose.
        row: which.
        memory: where that is kept, for all that look at the same batch.
    """

    view: View
    row: int
    memory: dict[Any, Any]

    @property
    def image(self) -> FloatArray:
        """(C, H, W), as the network takes it."""
        untouched: FloatArray = self.view.images[self.row]
        return untouched

    def generator(self, purpose: str) -> np.random.Generator:
        """Its random numbers for a purpose."""
        return self.view.generator(self.row, purpose)

    def groups(self, groups: Groups) -> IntArray:
        """The group of each pixel, (H, W)."""
        key = (groups, "groups", int(self.view.sample_ids[self.row]))
        if key not in self.memory:
            self.memory[key] = groups.of(self.image, self.generator("segmentation"))
        found: IntArray = self.memory[key]
        return found

    def number(self, groups: Groups) -> int:
        """How many groups there are."""
        if groups == PIXELS:
            return int(self.image[0].size)
        return int(self.groups(groups).max()) + 1

    def remover(self, removal: Removal) -> Remover:
        """What removes its pixels; the last few of a batch are kept."""
        kept: dict[Any, Remover] = self.memory.setdefault("removers", {})
        key = (removal, int(self.view.sample_ids[self.row]))
        if key not in kept:
            if len(kept) >= _REMOVERS_KEPT:
                del kept[next(iter(kept))]
            kept[key] = Remover(self.image, removal, self.generator("imputation noise"))
        return kept[key]


class Perturbation(ABC):
    """Changed copies of an image, drawn by its own generator. Equal ones are made once; a frozen dataclass is.

    Attributes:
        constant_maps: whether an image is asked about as well of which no map has an order.
    """

    constant_maps: ClassVar[bool] = False

    @abstractmethod
    def number(self, image: ImageOfView) -> int:
        """How many copies of an image there are."""

    @abstractmethod
    def block(self, image: ImageOfView) -> Block:
        """The copies (number, C, H, W)."""

    def check(self, shape: tuple[int, ...]) -> None:  # noqa: B027 - most fit any image
        """Make sure that there are such copies of images (C, H, W).

        Raises:
            ValueError: if there are not.
        """


class PixelsRemoved(Perturbation):
    """Copies of an image, each without some of its pixels.

    Attributes:
        removal: what stands there.
    """

    removal: Removal

    @abstractmethod
    def masks(self, image: ImageOfView) -> Masks:
        """Which pixels each copy lacks."""

    def block(self, image: ImageOfView) -> Block:
        masks, remover = self.masks(image), image.remover(self.removal)

        def write(which: slice, out: FloatArray) -> None:
            remover.write(masks.of(which), out)

        return Block((self.number(image), *image.image.shape), write)

    def sums(self, image: ImageOfView, maps: FloatArray) -> npt.NDArray[np.float64]:
        """(L, number) sums of maps (L, H, W) over the pixels that each copy lacks."""
        masks, number, found = self.masks(image), self.number(image), []
        flat = maps.reshape(len(maps), -1).astype(np.float64)
        for first in range(0, number, _WRITTEN_TOGETHER):
            removed = masks.of(slice(first, min(first + _WRITTEN_TOGETHER, number))).reshape(-1, flat.shape[1])
            found.append(np.stack([(removed * values).sum(axis=1) for values in flat]))
        return np.concatenate(found, axis=1)


class Masks(ABC):
    """Masks that are made when they are looked at, in order."""

    @abstractmethod
    def of(self, which: slice) -> Removed:
        """Some of them, (N, H, W): those after the ones that were made last."""


@dataclass(frozen=True)
class EachGroup(PixelsRemoved):
    """As many copies of an image as it has groups of pixels, each without one of them.

    Attributes:
        cut: the groups.
        removal: see ``PixelsRemoved``.
    """

    cut: Groups
    removal: Removal

    def check(self, shape: tuple[int, ...]) -> None:
        self.cut.check(shape)

    def number(self, image: ImageOfView) -> int:
        return image.number(self.cut)

    def masks(self, image: ImageOfView) -> Masks:
        return _OfGroups(image.groups(self.cut))

    def sums(self, image: ImageOfView, maps: FloatArray) -> npt.NDArray[np.float64]:
        groups = image.groups(self.cut).reshape(-1)
        return np.stack([np.bincount(groups, map_.reshape(-1)) for map_ in maps])


@dataclass(frozen=True)
class RandomSubsets(PixelsRemoved):
    """Copies of an image without a random subset of its pixels each, every pixel as likely as another.

    Attributes:
        sizes: how many pixels the subsets have; ``samples`` of the first, then of the next.
        samples: subsets of each size.
        removal: see ``PixelsRemoved``.
    """

    sizes: tuple[int, ...]
    samples: int
    removal: Removal

    def number(self, image: ImageOfView) -> int:
        return len(self.sizes) * self.samples

    def masks(self, image: ImageOfView) -> Masks:
        return _Subsets(np.repeat(self.sizes, self.samples), image)


@dataclass(frozen=True)
class _OfGroups(Masks):
    groups: IntArray

    def of(self, which: slice) -> Removed:
        removed: Removed = self.groups == np.arange(which.start, which.stop)[:, None, None]
        return removed


@dataclass(frozen=True)
class _Subsets(Masks):
    """Masks of the pixels of the lowest of so many random numbers, which one generator gives, mask after mask."""

    sizes: IntArray
    image: ImageOfView

    @cached_property
    def _generator(self) -> np.random.Generator:
        return self.image.generator("random subsets")

    def of(self, which: slice) -> Removed:
        height, width = self.image.view.size
        chance = self._generator.random((len(self.sizes[which]), height * width))
        highest = np.empty((len(chance), 1))
        for size in np.unique(self.sizes[which]):
            alike = self.sizes[which] == size
            highest[alike] = np.partition(chance[alike], size - 1, axis=1)[:, size - 1 : size]
        return (chance <= highest).reshape(-1, height, width)
