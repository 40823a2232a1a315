"""Numbers as they travel into the page: base64 of little-endian arrays, and maps as one signed byte a pixel."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
LEVELS = 127  # on each side of zero


def packed(values: Array) -> dict[str, Any]:
    """An array as the page reads it: type ("f4", "i4", "u1", ...), shape and base64."""
    array = np.asarray(values)
    return {"type": array.dtype.str[1:], "shape": list(array.shape), "data": base64_of(array)}


def base64_of(values: Array) -> str:
    """The bytes of an array, little-endian, as base64."""
    array = np.ascontiguousarray(values)
    return base64.b64encode(array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()).decode()


def map_codes(maps: Array) -> tuple[Array, list[float | None]]:
    """Maps as one signed byte a pixel, and the size that a code of 127 stands for.

    A code is 127 times the root of the value's share of the largest, with its sign. So zero stays zero, and where a few
    pixels are a hundred times the others, those still have a dozen levels, which even steps would make one.

    Args:
        maps: (Q, H, W), float32; what is not finite makes a whole map unknown.

    Returns:
        Codes (Q, H, W), int8, and for each map its scale: the largest absolute value, None of an unknown map.
    """
    known = np.isfinite(maps).all(axis=(1, 2))
    finite = np.where(known[:, None, None], maps, 0.0).astype(np.float32, copy=False)
    scales = np.abs(finite).max(axis=(1, 2), initial=0.0)
    shares = np.sqrt(np.abs(finite) / np.where(scales > 0, scales, 1.0)[:, None, None])
    codes = np.copysign(np.rint(shares * LEVELS), finite).astype(np.int8)
    return codes, [float(scale) if of else None for scale, of in zip(scales, known, strict=True)]


def reduced(maps: Array, longest: int) -> Array:
    """Maps (Q, H, W) made smaller by area means, so that neither side exceeds ``longest``; smaller ones as they are."""
    height, width = reduced_size(maps.shape[1:], longest)
    if (height, width) == maps.shape[1:]:
        return maps
    rows, columns = _area_means(maps.shape[1], height), _area_means(maps.shape[2], width)
    smaller: Array = np.matmul(np.matmul(rows, maps.astype(np.float32, copy=False)), columns.T)
    return smaller


def reduced_size(size: tuple[int, ...], longest: int) -> tuple[int, int]:
    """Height and width of what fits into a square of that side, proportions kept; never larger than it was."""
    factor = min(1.0, longest / max(*size, 1))
    height, width = (max(1, round(side * factor)) if side else 0 for side in size)
    return height, width


def _area_means(size: int, parts: int) -> Array:
    """(parts, size) weights that give each part the mean of the stretch that it covers."""
    edges = np.linspace(0.0, size, parts + 1)
    starts, ends = edges[:-1, None], edges[1:, None]
    pixels = np.arange(size)
    covered = np.minimum(ends, pixels + 1) - np.maximum(starts, pixels)
    weights: Array = (np.maximum(covered, 0.0) / (ends - starts)).astype(np.float32)
    return weights
