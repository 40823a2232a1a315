"""What an output of a layer may be: feature maps, channels last, tokens on a grid, attention."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from mindspore import nn

from ...summary_format.problem import Problem
from ..network.running_order import ChannelAxis, channel_axis, is_attention

Grid = tuple[int, int]
_CLEARLY = 0.3  # as far as a third more height for the width
_OFF = 1  # places that a side of feature maps may have more or fewer than the image's over the stride: padding


def proportional(grid: Grid, size: Grid) -> bool:
    """Whether a grid may be an image of this size behind equal strides along both sides."""
    lowest = max((side - _OFF) / pixels for side, pixels in zip(grid, size, strict=True))
    highest = min((side + _OFF) / pixels for side, pixels in zip(grid, size, strict=True))
    return lowest <= highest


def has_channels_last(shape: Sequence[int], axis: ChannelAxis | None, size: Grid) -> bool:
    """Whether (N, a, b, c) is (N, h, w, channels): by what gives it, else by which sides are those of an image."""
    if axis is not None:
        return axis == "last"
    last, first = (shape[1], shape[2]), (shape[2], shape[3])
    nearer = _distortion(last, size) + _CLEARLY < _distortion(first, size)
    return proportional(last, size) and (nearer or not proportional(first, size))


def _distortion(grid: Grid, size: Grid) -> float:
    """How far the proportions of a grid are from those of the image."""
    return abs(math.log(grid[0] * size[1] / (grid[1] * size[0])))


def token_grid(tokens: int, seen: Sequence[Grid], size: Grid) -> Grid | None:
    """The grid that the last of so many tokens form, those before them being class tokens and the like.

    Args:
        tokens: how many there are.
        seen: grids of feature maps that ran before, in order. Without any, the grids of the image's patches count.
        size: of the image.

    Returns:
        Of the grids that leave fewer tokens than a row has, the one that leaves fewest, the last seen among equals;
        None if there is none.
    """
    known = _halved(reversed(seen)) if seen else _patches(size)
    left = [(tokens - height * width, place, (height, width)) for place, (height, width) in enumerate(known)]
    fitting = [one for one in left if 0 <= one[0] < one[2][1] and one[2] != (1, 1)]
    return min(fitting)[2] if fitting else None


def check_feature_maps(values: npt.NDArray[Any], cell: nn.Cell, layer: str, size: Grid | None) -> None:
    """Refuse what a layer gives where it is tokens, attention, or feature maps with channels last.

    Args:
        values: (N, ...).
        cell: the layer.
        layer: its name.
        size: of the image, by which channels that come last are noticed; None leaves that to the layer's class.

    Raises:
        ValueError: says what it is, and what to do.
    """
    given = {"layer": layer, "shape": values.shape}
    if values.ndim == 3:
        grid = size and token_grid(values.shape[1], (), size)
        words = (
            "layer {layer!r} gives {shape}, which is not (N, channels, h, w); reshape brings tokens to a grid: "
            "reshape=(height, width)"
        )
        if grid is None:
            raise ValueError(Problem.of("layer-tokens", words, **given))
        words = (
            "layer {layer!r} gives {shape}, which is not (N, channels, h, w); reshape brings tokens to a grid, perhaps "
            "reshape={grid}"
        )
        raise ValueError(Problem.of("layer-tokens-on-grid", words, **given, grid=grid))
    if values.ndim != 4:
        return
    if is_attention(values):
        words = (
            "layer {layer!r} gives {shape} whose rows sum up to 1, as attention does, not feature maps; name the layer "
            "around it, and the grid of its tokens with reshape=(height, width)"
        )
        raise ValueError(Problem.of("layer-attention", words, **given))
    axis = channel_axis(cell)
    if (axis or size) and has_channels_last(values.shape, axis, size or (1, 1)):
        words = (
            "layer {layer!r} gives {shape}, channels last, not (N, channels, h, w); reshape={grid} brings the channels "
            "forward"
        )
        raise ValueError(Problem.of("layer-channels-last", words, **given, grid=values.shape[1:3]))


def on_grid(values: Any, grid: Grid) -> Any:
    """What a layer gives, (N, T, channels) or (N, h, w, channels), as (N, channels, h, w); None if it has no such grid.

    Of tokens the last h * w count, and those before them must be fewer than one row has.
    """
    height, width = grid
    if values.ndim == 4 and values.shape[1:3] == grid:
        return np.ascontiguousarray(values.transpose(0, 3, 1, 2))
    if values.ndim != 3 or not 0 <= values.shape[1] - height * width < width:
        return None
    tokens = values[:, values.shape[1] - height * width :]
    return np.ascontiguousarray(tokens.reshape(len(values), height, width, -1).transpose(0, 3, 1, 2))


def _halved(grids: Iterator[Grid]) -> Iterator[Grid]:
    """Each grid, then what is left of them where patches are merged, two by two."""
    merged = list(grids)
    while merged:
        yield from merged
        halves = (
            grid for height, width in merged for grid in ((height // 2, width // 2), (-(-height // 2), -(-width // 2)))
        )
        merged = [grid for grid in dict.fromkeys(halves) if min(grid) > 0 and grid not in ((1, 1), *merged)]


def _patches(size: Grid) -> Iterator[Grid]:
    height, width = size
    for side in range(1, min(size) + 1):
        yield height // side, width // side
        yield -(-height // side), -(-width // side)
