"""The order that maps give to pixels and to groups of pixels; equal ones are in an order drawn by the image."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ...explainers.network.tensors import IntArray

Order = npt.NDArray[np.intp]
Values = npt.NDArray[np.floating]  # type: ignore[type-arg]


def order_of(values: Values, chance: npt.NDArray[np.float64]) -> Order:
    """Places of values (K,) from the largest to the smallest; equal ones from the lowest chance (K,) to the highest."""
    rising = -values
    order = np.argsort(rising, kind="stable")
    new = np.append(True, rising[order[1:]] != rising[order[:-1]])
    tied = np.flatnonzero(~new | ~np.append(new[1:], True))
    equal = order[tied]
    order[tied] = equal[np.lexsort((chance[equal], np.cumsum(new)[tied]))]
    return order


def ranks_of(order: Order) -> npt.NDArray[np.int32]:
    """The place of each value in an order."""
    ranks = np.empty(order.size, np.int32)
    ranks[order] = np.arange(order.size, dtype=np.int32)
    return ranks


def means_of(map_: Values, groups: IntArray) -> npt.NDArray[np.float64]:
    """Mean (K,) of a map (H, W) over each of K groups of its pixels (H, W)."""
    flat = groups.reshape(-1)
    means: npt.NDArray[np.float64] = np.bincount(flat, map_.reshape(-1)) / np.bincount(flat)
    return means


def has_order(values: Values) -> bool:
    """Whether values are finite and not all equal."""
    return bool(np.isfinite(values).all() and values.min() < values.max())


def has_ties(values: Values) -> bool:
    """Whether some of the values are equal."""
    rising = np.sort(values, axis=None)
    return bool((rising[1:] == rising[:-1]).any())
