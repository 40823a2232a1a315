"""Masks of a whole image from values on a coarse grid: the smooth maximum of a bump on each, and its gradient."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import NamedTuple

import numpy as np

from ..network.tensors import FloatArray

_COLDNESS = np.float32(20)  # one over the temperature of the smooth maximum
Slices = tuple[slice, slice]


@dataclass(frozen=True)
class Side:
    """One side of the image and of the grid, whose point i lies on pixel ``step`` * i.

    Masks are made in cells of ``step`` pixels; that of number i begins on point i.

    Attributes:
        length: pixels of the image.
        step: pixels from one point to the next.
        border: pixels that the mask has before the first and behind the last point.
    """

    length: int
    step: int
    border: int

    @property
    def points(self) -> int:
        return -(-self.length // self.step)

    @property
    def first_cell(self) -> int:
        return -self.border // self.step

    @property
    def cells(self) -> int:
        return self.points + self.border // self.step - self.first_cell

    @property
    def mask(self) -> slice:
        """Where the mask lies on the pixels of all cells."""
        first = -self.step * self.first_cell - self.border
        return slice(first, first + self.step * (self.points - 1) + 2 * self.border + 1)

    def reached(self, tap: int) -> tuple[slice, slice]:
        """The cells that have a point so many points further on, and those points."""
        first, end = max(0, -tap - self.first_cell), min(self.cells, self.points - tap - self.first_cell)
        move = self.first_cell + tap
        return slice(first, max(first, end)), slice(first + move, max(first, end) + move)


class _Reach(NamedTuple):
    """Points that lie equally far from a pixel of each cell: which pixel, which cells, which points."""

    phase: int
    cells: Slices
    points: Slices


class Masks(NamedTuple):
    """Masks that were made.

    Attributes:
        values: (R, height, width), border included, in 0..1.
        cells: the same, cell by cell (step * step, cells, cells, R), as they are made.
        totals: what divides them, of the same shape.
    """

    values: FloatArray
    cells: FloatArray
    totals: FloatArray


class SmoothMasks:
    """Makes masks (R, height, width) of values in 0..1 on a grid (R, h, w).

    Fong, Patrick, Vedaldi: Understanding Deep Networks via Extremal Perturbations and Smooth Masks (2019), section 3.2:
    a pixel has the smooth maximum, over the points around, of a point's value times the kernel of its distance. The
    kernel is that of the authors' code: with the distance over sigma as z, exp(-2 (z - 1/2)^2) from 1/2 on, 1 before.
    The maximum is over the (2 r + 1)^2 points around, those outside the grid with the value 0. A point's
    weight in it goes by its value alone, and equally far points share theirs, so that few exponentials are needed.

    Args:
        size: height and width of the image, in pixels.
        step: pixels from one point of the grid to the next.
        sigma: of the kernel, in pixels; also how far masks reach over the grid's edge.

    Attributes:
        grid: (h, w).
        extent: (height, width) of the masks.
        image: where the image lies on them.
    """

    def __init__(self, size: tuple[int, int], step: int, sigma: float) -> None:
        border = math.ceil(sigma)
        self._sides = Side(size[0], step, border), Side(size[1], step, border)
        self._step, self._sigma, self._radius = step, sigma, 1 + math.ceil(sigma / step)
        self.grid = tuple(side.points for side in self._sides)
        self.image = tuple(slice(border, border + length) for length in size)
        self.extent = tuple(side.mask.stop - side.mask.start for side in self._sides)

    def make(self, values: FloatArray) -> Masks:
        """Masks of values (R, h, w)."""
        values = _rows_last(values)
        shape = (self._step**2, *(side.cells for side in self._sides), values.shape[-1])
        totals, sums = np.empty(shape, np.float32), np.zeros(shape, np.float32)
        totals[:] = self._outside
        for weight, reaches in self._reaches:
            powers = np.exp(_COLDNESS * weight * values)
            parts = weight * values * powers
            for phase, cells, points in reaches:
                totals[phase][cells] += powers[points]
                sums[phase][cells] += parts[points]
        sums /= totals
        return Masks(self._unfolded(sums), sums, totals)

    def slopes(self, values: FloatArray, masks: Masks, gradient: FloatArray) -> FloatArray:
        """The gradient (R, h, w) with respect to values, from that (R, height, width) with respect to their masks."""
        values = _rows_last(values)
        shares = self._folded(gradient) / masks.totals
        of_masks = shares * masks.cells
        slopes = np.zeros_like(values)
        for weight, reaches in self._reaches:
            direct, around = np.zeros_like(values), np.zeros_like(values)
            for phase, cells, points in reaches:
                direct[points] += shares[phase][cells]
                around[points] += of_masks[phase][cells]
            slope = (1 + _COLDNESS * weight * values) * direct - _COLDNESS * around
            slopes += weight * np.exp(_COLDNESS * weight * values) * slope
        return np.ascontiguousarray(np.moveaxis(slopes, -1, 0))

    @cached_property
    def _reaches(self) -> list[tuple[np.float32, list[_Reach]]]:
        """What a point's value is multiplied by, from each distance, and all that are so far apart."""
        by_distance: defaultdict[int, list[_Reach]] = defaultdict(list)
        taps = range(-self._radius, self._radius + 1)
        for down, right in product(taps, taps):
            pairs = [side.reached(tap) for side, tap in zip(self._sides, (down, right), strict=True)]
            cells, points = (pairs[0][0], pairs[1][0]), (pairs[0][1], pairs[1][1])
            for phase, (y, x) in enumerate(product(range(self._step), repeat=2)):
                squared = (y - self._step * down) ** 2 + (x - self._step * right) ** 2
                by_distance[squared].append(_Reach(phase, cells, points))
        return [(self._kernel(math.sqrt(squared)), found) for squared, found in sorted(by_distance.items())]

    def _kernel(self, distance: float) -> np.float32:
        return np.float32(math.exp(-2 * max(distance / self._sigma - 0.5, 0.0) ** 2))

    @cached_property
    def _outside(self) -> FloatArray:
        """How many of the points around each cell (cells, cells, 1) lie outside the grid; each adds the power of 0."""
        inside = []
        for side in self._sides:
            cells = np.arange(side.cells) + side.first_cell
            first, last = (cells - self._radius).clip(0, side.points), (cells + self._radius + 1).clip(0, side.points)
            inside.append(last - first)
        outside: FloatArray = ((2 * self._radius + 1) ** 2 - np.outer(*inside))[..., None].astype(np.float32)
        return outside

    def _unfolded(self, cells: FloatArray) -> FloatArray:
        """Values by cell (step * step, cells, cells, R) as images (R, height, width)."""
        rows, columns = (side.cells for side in self._sides)
        blocks = cells.reshape(self._step, self._step, rows, columns, -1).transpose(4, 2, 0, 3, 1)
        whole = blocks.reshape(len(blocks), rows * self._step, columns * self._step)
        return np.ascontiguousarray(whole[:, self._sides[0].mask, self._sides[1].mask])

    def _folded(self, images: FloatArray) -> FloatArray:
        """The same the other way round, zeros where there is no mask."""
        rows, columns = (side.cells for side in self._sides)
        whole = np.zeros((len(images), rows * self._step, columns * self._step), np.float32)
        whole[:, self._sides[0].mask, self._sides[1].mask] = images
        blocks = whole.reshape(-1, rows, self._step, columns, self._step).transpose(2, 4, 1, 3, 0)
        return np.ascontiguousarray(blocks).reshape(self._step**2, rows, columns, -1)


def _rows_last(values: FloatArray) -> FloatArray:
    """Values (h, w, R), so that those of one point lie side by side: sums over slices are fast then."""
    return np.ascontiguousarray(np.moveaxis(values, 0, -1))
