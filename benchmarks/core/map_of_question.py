"""A question's map as an order of groups of pixels, and the changed images that are made by it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import groupby
from typing import Any

import numpy as np
import numpy.typing as npt

from ...explainers.core.windows import choose
from ...explainers.network import Block
from ...explainers.network.tensors import FloatArray
from .covered_images import BlendedImage, Curve, GroupsCovered
from .groups import PIXELS, Groups
from .perturbations import ImageOfView
from .removal import Removal
from .saliency_order import Order, has_order, has_ties, means_of, order_of, ranks_of

Asked = GroupsCovered | BlendedImage


class MapOfQuestion:
    """A question's map, and the order that it gives to groups of pixels.

    Args:
        map_: (H, W), finite.
        image: that it is of.
    """

    def __init__(self, map_: FloatArray, image: ImageOfView) -> None:
        self._map, self.image = map_, image
        self._tied: dict[Groups, bool] = {}
        self._values: dict[Groups, npt.NDArray[Any]] = {PIXELS: map_.reshape(-1)}

    def number(self, groups: Groups) -> int:
        """How many groups its image has."""
        return len(self.values(groups))

    def values(self, groups: Groups) -> npt.NDArray[Any]:
        """Mean (K,) of the map over each group."""
        if groups not in self._values:
            self._values[groups] = means_of(self._map, self.image.groups(groups))
        return self._values[groups]

    def known_as(self, image: GroupsCovered) -> GroupsCovered:
        """How an image is known that may be seen from the most or the least salient group."""
        groups = image.groups
        if image.least_first and groups not in self._tied:
            self._tied[groups] = has_ties(self.values(groups))
        return image.known_as(self.number(groups), tied=self._tied.get(groups, False))

    def points(self, curve: Curve) -> tuple[GroupsCovered, ...]:
        """The images along a curve; none where the groups that it covers have no order."""
        if curve.groups != PIXELS and not has_order(self.values(curve.groups)):
            return ()
        return curve.images(self.number(curve.groups))

    def ranks(self, groups: Groups, *, least_first: bool) -> npt.NDArray[np.int32]:
        """The rank (H, W) of each pixel's group."""
        ranks = ranks_of(self.order(groups, least_first=least_first))
        found: npt.NDArray[np.int32] = (
            ranks.reshape(self._map.shape) if groups == PIXELS else ranks[self.image.groups(groups)]
        )
        return found

    def order(self, groups: Groups, *, least_first: bool) -> Order:
        """The groups from the most to the least salient; equal ones in an order drawn from the image's generator."""
        values = self.values(groups)
        chance = self.image.generator("pixel order" if groups == PIXELS else "group order").random(values.size)
        return order_of(-values if least_first else values, chance)

    def blocks(self, images: Sequence[Asked]) -> Iterator[Block]:
        """Changed copies of the image, in order, as many at once as are made alike."""
        known: dict[tuple[Groups, bool], npt.NDArray[np.int32]] = {}
        for _, alike in groupby(images, key=_made_alike):
            yield self.block(list(alike), known)

    def block(
        self, images: Sequence[Any], known: dict[tuple[Groups, bool], npt.NDArray[np.int32]] | None = None
    ) -> Block:
        """Changed copies of the image, in order, that are made alike: the order of groups and the rule are the same.

        Args:
            images: the copies.
            known: ranks (H, W) by groups and whether the least salient comes first, to which those here are added.
        """
        shape, first = (len(images), *self.image.image.shape), images[0]
        if isinstance(first, BlendedImage):
            return Block(shape, lambda _, out: np.copyto(out, self.blended(first.removal)))
        known = {} if known is None else known
        if (order := (first.groups, first.least_first)) not in known:
            known[order] = self.ranks(first.groups, least_first=first.least_first)
        ranks = known[order]
        firsts, lasts = np.array([image[2:4] for image in images], np.int32).T
        if not isinstance(first.removal, str):
            values = np.array([image.removal for image in images], np.float32)
            return Block(shape, partial(_cover, self.image.image, ranks, firsts, lasts, values))
        remover = self.image.remover(first.removal)

        def write(which: slice, out: FloatArray) -> None:
            remover.write(_between(ranks, firsts[which], lasts[which]), out)

        return Block(shape, write)

    def blended(self, removal: Removal) -> FloatArray:
        """The image, each pixel kept as far as the map says."""
        low, high = self._map.min(), self._map.max()
        shares = ((self._map.astype(np.float64) - low) / (float(high) - low)).astype(np.float32)
        return self.image.remover(removal).blended(shares)


def sorted_by(image: Asked) -> tuple[Any, ...]:
    """So that those come together that are made alike, and each image of a question at a place of its own."""
    if isinstance(image, BlendedImage):
        return ("blended", "", False, str(image.removal), 0, 0, 0.0)
    named, value = (image.removal, 0.0) if isinstance(image.removal, str) else ("", image.removal)
    return ("", _of_groups(image.groups), image.least_first, named, image.first, image.last, value)


def _of_groups(groups: Groups) -> str:
    return "" if groups == PIXELS else f"{groups!r}"


def _made_alike(image: Asked) -> tuple[Any, ...]:
    return sorted_by(image)[:4]


def _between(
    ranks: npt.NDArray[np.int32], firsts: npt.NDArray[np.int32], lasts: npt.NDArray[np.int32]
) -> npt.NDArray[np.bool_]:
    """(N, H, W) which pixels have a rank from each first one to its last (excluded)."""
    first, last = (of_images[:, None, None] for of_images in (firsts, lasts))
    between: npt.NDArray[np.bool_] = (ranks >= first) & (ranks < last)
    return between


def _cover(
    untouched: FloatArray,
    ranks: npt.NDArray[np.int32],
    firsts: npt.NDArray[np.int32],
    lasts: npt.NDArray[np.int32],
    values: FloatArray,
    which: slice,
    out: FloatArray,
) -> None:
    """Make some covered images, of which each has a value where ranks lie between its first and its last."""
    choose(_between(ranks, firsts[which], lasts[which]), values[which, None, None, None], untouched, out)
