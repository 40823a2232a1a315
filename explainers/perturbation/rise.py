"""RISE: random masks, each weighted by what the network says of what it leaves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from mindspore import Tensor, nn

from ..arguments import real_number, whole_number
from ..core.call_options import CallOptions
from ..core.explainer import Explainer, view_of_call
from ..core.measured_size import PassSize
from ..core.together import Estimate
from ..core.view import View
from ..core.windows import behind
from ..network import DEFAULT_PASS_SIZE, Block, Jit, Output
from ..network.tensors import Activation, FloatArray, IntArray, checked_activation

_BLOCK_PIXELS = 1 << 21  # of masks that memory holds at a time
_BLOCK_MASKS = 64

Weights = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Masks:
    """Random masks of one image.

    Attributes:
        cells: (N, h, w), 1 where a cell of the coarse grid shows the image.
        shifts: (N, 2), rows and columns by which each enlarged grid is cut off, within one cell.
        size: (H, W) of the image.
    """

    cells: FloatArray
    shifts: IntArray
    size: tuple[int, int]

    @classmethod
    def drawn(
        cls,
        generator: np.random.Generator,
        number: int,
        grid: tuple[int, int],
        chance: float,
        size: tuple[int, int],
    ) -> Masks:
        """So many masks, of which every cell shows the image with that chance."""
        cells = (generator.random((number, *grid), np.float32) < chance).astype(np.float32)
        shifts = generator.integers(0, [_cell(side, many) for side, many in zip(size, grid, strict=True)], (number, 2))
        return cls(cells, shifts, size)

    def blocks(self) -> Iterator[slice]:
        """The masks in blocks that depend on the image's size alone, so that sums over them do not vary."""
        step = max(1, min(_BLOCK_MASKS, _BLOCK_PIXELS // (self.size[0] * self.size[1])))
        for first in range(0, len(self.cells), step):
            yield slice(first, first + step)

    def pictures(self, block: slice) -> FloatArray:
        """(block, H, W): grids enlarged bilinearly to one cell more than the image, and cut out at their shifts."""
        rows, columns = (
            _enlarging(side, many)[self.shifts[block, axis, None] + np.arange(side)]
            for axis, (side, many) in enumerate(zip(self.size, self.cells.shape[1:], strict=True))
        )
        enlarged: FloatArray = rows @ self.cells[block] @ columns.swapaxes(1, 2)
        return enlarged


class RISE(Explainer):
    """Importance of a pixel: the mean probability of the label over random masks that show the pixel; never negative.

    Petsiuk, Das, Saenko: RISE (2018), equation 6 and section 3.2: an h x w grid of cells that are 1 with probability
    p, enlarged bilinearly to one cell (H / h x W / w, rounded up) more than the image and shifted at random within a
    cell; the map is the sum of masks weighted by the label's probability, over N p. Costs N images, for all labels of
    an image. Every image draws its masks from its own generator.

    Args:
        network: see ``Explainer``.
        activation_fn: from logits (N, classes) to probabilities, such as ``nn.Softmax()``.
        perturbation_per_eval: taken for the old package's sake, without effect: passes have the network's pass size.
        num_masks: N. The map's standard error falls as 1 / sqrt(N); see ``standard_error``.
        grid: h = w, or (h, w). The paper's is 7; the old package took 10.
        probability: p.
        name: see ``Explainer``.

    Raises:
        TypeError: if the network or the activation is of another type.
        ValueError: if num_masks or a side of the grid is not a whole number from 2, or probability is not above
            0 and below 1. Later, if the grid has more cells a side than the image has pixels.
    """

    signed = False

    def __init__(
        self,
        network: nn.Cell,
        activation_fn: Activation,
        perturbation_per_eval: int = 32,
        num_masks: int = 6000,
        grid: int | tuple[int, int] = 7,
        probability: float = 0.5,
        name: str | None = None,
    ) -> None:
        super().__init__(network, name)
        self.activation_fn = checked_activation(activation_fn)
        self.num_masks = whole_number(num_masks, "num_masks", 2)
        sides: tuple[Any, ...] = tuple(np.atleast_1d(grid)) if np.ndim(grid) else (grid, grid)
        if len(sides) != 2:
            raise ValueError(f"grid must be a whole number from 2 or (height, width), got {grid!r}")
        self.grid = (whole_number(sides[0], "grid", 2), whole_number(sides[1], "grid", 2))
        if not 0 < real_number(probability, "probability") < 1:
            raise ValueError(f"probability must lie between 0 and 1, got {probability!r}")
        self.probability = float(probability)

    def attribute(self, view: View) -> FloatArray:
        return self.estimate(view).maps

    def estimate(self, view: View) -> Estimate:
        """Maps, and of each its mean standard error over the pixels as a share of the map's range."""
        return Estimate.with_standard_errors(*self._maps_and_errors(view))

    def standard_error(
        self,
        inputs: Tensor,
        targets: Any,
        *,
        output: Output = None,
        jit: Jit = "auto",
        pass_size: PassSize = DEFAULT_PASS_SIZE,
    ) -> tuple[Tensor, Tensor]:
        """Maps and their standard errors, pixel by pixel.

        Args:
            inputs: (N, C, H, W), as the network takes them.
            targets: as for the direct call.
            output: as for the direct call.
            jit: as for the direct call.
            pass_size: as for the direct call.

        Returns:
            Twice (N, L, H, W): the maps, as the direct call gives them, and the standard error of each value.

        Raises:
            TypeError: if inputs or targets are of another type.
            ValueError: if their shapes do not fit, or a target is out of range.
        """
        view, place = view_of_call(self, inputs, targets, CallOptions(output, jit, pass_size))
        maps, errors = self._maps_and_errors(view)
        return Tensor(maps[place]), Tensor(errors[place])

    def images_needed(self, images: int, questions: int, shape: tuple[int, ...]) -> Mapping[str, int]:
        for cells, side, axis in zip(self.grid, shape[1:], ("height", "width"), strict=True):
            if cells > side:
                raise ValueError(f"a grid of {cells} cells does not fit images of {axis} {side}; make it smaller")
        return {"mask": images * self.num_masks}

    def _maps_and_errors(self, view: View) -> tuple[FloatArray, FloatArray]:
        """(Q, H, W) each."""
        maps, errors = (np.empty((len(view.rows), *view.size), np.float32) for _ in range(2))
        rows = [int(row) for row in np.unique(view.rows)]
        masked = (block for row in rows for block in self._masked(view, row))
        says = view.network.streamed_probabilities(masked, self.activation_fn, "mask")
        found = view.answered(says, [self.num_masks] * len(rows))
        for (row, places, probabilities), weight in zip(found, self._weights(view, rows), strict=True):
            maps[places], errors[places] = _weighted(
                self._masks(view, row), probabilities.astype(np.float64), weight, self.probability
            )
        return maps, errors

    def _masks(self, view: View, row: int) -> Masks:
        return Masks.drawn(view.generator(row, "RISE"), self.num_masks, self.grid, self.probability, view.size)

    def _masked(self, view: View, row: int) -> Iterator[Block]:
        """An image (C, H, W) behind each of its masks."""
        image, masks = view.images[row], self._masks(view, row)
        for block in masks.blocks():
            yield behind(image, masks.pictures(block))

    def _weights(self, view: View, rows: Sequence[int]) -> Iterator[Weights]:
        """How much each mask of each image counts (N,)."""
        for _ in rows:
            yield np.ones(self.num_masks)


def _weighted(
    masks: Masks, probabilities: Weights, weights: Weights, probability: float
) -> tuple[FloatArray, FloatArray]:
    """Maps (L, H, W) and their standard errors.

    With y = probabilities (N, L) times mask over p, the map is sum(w y) / sum(w), and its squared error
    sum(w^2 (y - map)^2) / sum(w)^2, which for equal weights is the variance of the mean. Not computed where all weights
    are 0.
    """
    labels, (height, width) = probabilities.shape[1], masks.size
    first, mixed, second = (np.zeros((labels, height * width)) for _ in range(3))
    for block in masks.blocks():
        pictures = masks.pictures(block).reshape(-1, height * width)
        squared, weight = pictures**2, weights[block]
        for label in range(labels):  # one by one, so that a map's bits do not depend on how many are asked for
            value = weight * probabilities[block, label] / probability
            linear = np.stack([value, weight * value]).astype(np.float32) @ pictures
            first[label] += linear[0]
            mixed[label] += linear[1]
            second[label] += (value**2).astype(np.float32) @ squared
    whole, squares = weights.sum(), (weights**2).sum()
    with np.errstate(invalid="ignore", divide="ignore"):
        maps = first / whole
        variances = (second - 2.0 * maps * mixed + maps**2 * squares).clip(min=0.0) / whole**2
    shape = (labels, height, width)
    return maps.reshape(shape).astype(np.float32), np.sqrt(variances).reshape(shape).astype(np.float32)


def _cell(side: int, cells: int) -> int:
    """Pixels of a cell along one side, rounded up."""
    return -(-side // cells)


def _enlarging(side: int, cells: int) -> FloatArray:
    """The matrix that brings a row of cells to their number plus one, times their size: bilinear, mirrored outside."""
    length = (cells + 1) * _cell(side, cells)
    places = (np.arange(length) + 0.5) * cells / length - 0.5
    left = np.floor(places).astype(int)
    matrix = np.zeros((length, cells), np.float32)
    for neighbour, share in ((left, 1.0 - (places - left)), (left + 1, places - left)):
        inside = cells - 1 - np.abs(cells - 1 - np.abs(neighbour))
        np.add.at(matrix, (np.arange(length), inside), share.astype(np.float32))
    return matrix
