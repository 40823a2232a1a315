"""Changed copies of an image, many at once: windows put into it, what a mask shows, its product with factors."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from ..network import Block
from ..network.tensors import FloatArray, IntArray

Places = npt.NDArray[np.integer]  # type: ignore[type-arg]


def with_windows(image: FloatArray, source: FloatArray, starts: Places, extents: Places) -> Block:
    """The image (C, H, W) with each of some windows of another in turn; see ``copy_windows``."""

    def write(which: slice, out: FloatArray) -> None:
        np.copyto(out, image)
        copy_windows(source, starts[which], extents[which], out)

    return Block((len(starts), *image.shape), write)


def behind(image: FloatArray, factors: FloatArray) -> Block:
    """An image (C, H, W) times each of some masks (N, H, W), or numbers (N, 1, 1)."""

    def write(which: slice, out: FloatArray) -> None:
        np.multiply(image, factors[which, None], out=out)

    return Block((len(factors), *image.shape), write)


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
        into = sliding_window_view(out, (1, *extent), writeable=True)
        into[(rows, *corners, 0)] = sliding_window_view(source, tuple(extent))[corners]


def choose(shown: npt.NDArray[np.bool_], source: FloatArray, otherwise: FloatArray, out: FloatArray) -> None:
    """Make images of one where masks show it, and of another elsewhere.

    As ``np.where``, several times as fast where masks are torn: no pixel is branched on.

    Args:
        shown: (N, H, W).
        source: float32, broadcasts to (N, C, H, W).
        otherwise: float32, does too.
        out: (N, C, H, W).
    """
    one, other, bits = (values.view(np.uint32) for values in (source, otherwise, out))
    all_bits = np.negative(shown[:, None].view(np.int8), dtype=np.int32).view(np.uint32)
    np.bitwise_xor(one, other, out=bits)
    bits &= all_bits
    bits ^= other


def rolled(images: FloatArray, shifts: IntArray) -> FloatArray:
    """Images shifted down and right, each by its own (n, 2); what leaves enters on the other side."""
    if not shifts.any():
        return images
    return np.stack([np.roll(image, tuple(shift), (1, 2)) for image, shift in zip(images, shifts, strict=True)])
