"""Maps brought to another size, and to 0..1."""

from __future__ import annotations

import numpy as np

from ..network.tensors import FloatArray


def resized(maps: FloatArray, size: tuple[int, int]) -> FloatArray:
    """Float32 maps (Q, h, w) at another (height, width): bilinear, half-pixel centres."""
    height, width = size
    if maps.shape[1:] == size:
        return maps
    across: FloatArray = _interpolating(maps.shape[1], height) @ maps @ _interpolating(maps.shape[2], width).T
    return across


def stretched(maps: FloatArray) -> FloatArray:
    """Maps (Q, H, W), each brought to 0..1; a constant one to 0; one that is not finite stays so."""
    least = maps.min(axis=(1, 2), keepdims=True)
    extent = maps.max(axis=(1, 2), keepdims=True) - least
    with np.errstate(invalid="ignore"):  # NaN and infinity are handed on
        return np.divide(maps - least, extent, out=np.zeros_like(maps), where=extent != 0)


def _interpolating(before: int, after: int) -> FloatArray:
    """The matrix (after, before) that brings one axis to another length, edges repeated."""
    places = ((np.arange(after) + 0.5) * before / after - 0.5).clip(0, before - 1)
    left = np.minimum(places.astype(int), max(before - 2, 0))
    weights = np.zeros((after, before), np.float32)
    weights[np.arange(after), left] = 1 - (places - left)
    weights[np.arange(after), np.minimum(left + 1, before - 1)] += (places - left).astype(np.float32)
    return weights
