"""Windows of an image put over others, many at once."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from ..network.tensors import FloatArray

Places = npt.NDArray[np.integer]  # type: ignore[type-arg]


def copy_windows(source: FloatArray, starts: Places, extents: Places, out: FloatArray) -> None:
    """Copy a window of one image into each of several, in place.

    Args:
        source: (C, H, W), what windows are taken from.
        starts: (N, 3), the channel, row and column where each window begins.
        extents: (N, 3), how many of them it covers; the fewer kinds there are, the faster.
        out: (N, C, H, W), what they are put into, at the same place.
    """
    for extent in np.unique(extents, axis=0):
        rows = np.flatnonzero((extents == extent).all(axis=1))
        corners = tuple(starts[rows].T)
        into = sliding_window_view(out, tuple(extent), axis=(1, 2, 3), writeable=True)
        into[(rows, *corners)] = sliding_window_view(source, tuple(extent))[corners]
