"""Masks of a whole image from values of large cells: enlarged and blurred, and how they vary."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter1d

from ..network.tensors import FloatArray

_BLUR = 5 / 8  # of a cell


class CoarseMasks:
    """Makes masks (R, height, width) of the values (R, h, w) of cells; linear in these.

    Args:
        size: height and width, in pixels.
        cell: pixels a cell has each way; the last ones may be cut.

    Attributes:
        grid: (h, w).
    """

    def __init__(self, size: tuple[int, int], cell: int) -> None:
        self._down, self._across = (_enlarging(length, cell) for length in size)
        self.grid = (self._down.shape[1], self._across.shape[1])

    def enlarged(self, values: FloatArray) -> FloatArray:
        """Masks of values (R, h, w): each pixel has its cell's, then all is blurred, edges repeated."""
        masks: FloatArray = self._down @ values @ self._across.T
        return masks

    def gathered(self, gradient: FloatArray) -> FloatArray:
        """The gradient (R, h, w) with respect to values, from that (R, height, width) with respect to their masks."""
        gathered: FloatArray = self._down.T @ gradient @ self._across
        return gathered


def _enlarging(length: int, cell: int) -> FloatArray:
    """The matrix (length, cells) that makes a side's pixels of its cells."""
    cells = -(-length // cell)
    pixels = np.repeat(np.eye(cells), cell, axis=0)[:length]
    enlarging: FloatArray = gaussian_filter1d(pixels, _BLUR * cell, axis=0, mode="nearest").astype(np.float32)
    return enlarging


def variation_slopes(values: FloatArray, power: float) -> FloatArray:
    """The gradient of the total variation of values (R, h, w): the sum of the length of their gradient, to a power.

    The gradient at a place has the rise to the next row and that to the next column, 0 in the last ones.
    """
    down, right = np.zeros_like(values), np.zeros_like(values)
    down[:, :-1], right[:, :, :-1] = np.diff(values, axis=1), np.diff(values, axis=2)
    length = np.sqrt(down**2 + right**2)
    factor = np.zeros_like(length)
    np.power(length, power - 2, out=factor, where=length > 0)
    down, right = power * factor * down, power * factor * right
    slopes = -down - right
    slopes[:, 1:] += down[:, :-1]
    slopes[:, :, 1:] += right[:, :, :-1]
    return slopes.astype(np.float32)
