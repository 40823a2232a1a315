"""A hierarchy of an image's segments, by where they lie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from ..network.tensors import IntArray

_LEAF = -1


@dataclass(frozen=True)
class SegmentTree:
    """Groups of K segments, each halved again and again until segments are alone.

    Attributes:
        members: (2 K - 1, K), which segments are in each group; the first group holds them all.
        halves: (2 K - 1, 2), the two groups that each falls into; -1 where it is a single segment.
    """

    members: npt.NDArray[np.bool_]
    halves: IntArray

    @classmethod
    def of(cls, segments: IntArray) -> SegmentTree:
        """The hierarchy of segments (H, W), from 0 to K - 1.

        A group is halved across the axis along which the centres of its segments reach further, down the image where
        they reach as far, into as many segments on either side; the first half has one more where they are odd.
        """
        centres = _centres(segments)
        members, halves = list[npt.NDArray[np.bool_]](), list[tuple[int, int]]()
        waiting: list[tuple[IntArray, int]] = [(np.arange(len(centres)), _LEAF)]  # with the group that each is half of
        while waiting:
            group, parent = waiting.pop(0)
            if parent != _LEAF:
                first, _ = halves[parent]
                halves[parent] = (len(halves), _LEAF) if first == _LEAF else (first, len(halves))
            members.append(np.isin(np.arange(len(centres)), group))
            halves.append((_LEAF, _LEAF))
            waiting += [(half, len(halves) - 1) for half in _halved(group, centres)]
        return cls(np.array(members), np.array(halves))

    @cached_property
    def depths(self) -> Sequence[int]:
        """How many halvings each group is away from all segments."""
        depths = [0] * len(self.halves)
        for group, (first, second) in enumerate(self.halves.tolist()):
            if first != _LEAF:
                depths[first] = depths[second] = depths[group] + 1
        return depths

    @property
    def coalitions(self) -> int:
        """How many coalitions the exact Owen values take beside all segments and none.

        A group's two halves are shown in turn where each group that its own groups are halves with is shown, or is
        hidden: twice 2 to the power of its depth. No two of them are the same coalition.
        """
        inner = (self.halves[:, 0] != _LEAF).tolist()
        return sum(2 * 2**depth for depth, halved in zip(self.depths, inner, strict=True) if halved)


def _centres(segments: IntArray) -> npt.NDArray[np.float64]:
    """(K, 2) the mean row and column of each segment's pixels."""
    flat = segments.ravel()
    sizes = np.bincount(flat)
    places = np.indices(segments.shape).reshape(2, -1)
    return np.stack([np.bincount(flat, axis) / sizes for axis in places], axis=1)


def _halved(group: IntArray, centres: npt.NDArray[np.float64]) -> Sequence[IntArray]:
    """The two halves of a group; none of a single segment."""
    if len(group) == 1:
        return ()
    along = centres[group]
    down, across = np.ptp(along, axis=0)
    axis = 0 if down >= across else 1
    ordered = group[np.lexsort((group, along[:, 1 - axis], along[:, axis]))]
    middle = -(-len(group) // 2)
    return ordered[:middle], ordered[middle:]
