"""Noisy linear imputation: covered pixels become weighted means of their neighbours."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy.sparse import csc_matrix
from scipy.sparse.linalg import splu

from ...explainers.network.tensors import FloatArray

NOISE = 0.01  # standard deviation, in the unit in which the network takes pixels
_OFFSETS = ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1))
_WEIGHTS = np.array([1 / 12 if row and column else 1 / 6 for row, column in _OFFSETS])


def imputed(image: FloatArray, covered: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """What stands at covered pixels, (C, K) of K of them, by rows: each pixel is the weighted mean of its neighbours.

    Rong et al.: A Consistent and Efficient Evaluation Strategy for Attribution Methods (2022), without the noise:
    direct neighbours weigh 1/6, diagonal ones 1/12, those out of the image nothing, and the weights of a pixel are
    divided by their sum. The equations of all covered pixels are solved together. Where everything is covered, any
    constant solves them; each channel's mean is taken.

    Args:
        image: (C, H, W).
        covered: (H, W).
    """
    unknown, channels = np.flatnonzero(covered), image.reshape(len(image), -1).astype(np.float64)
    if len(unknown) == covered.size:
        return np.repeat(channels.mean(axis=1, keepdims=True), covered.size, axis=1)
    neighbours = _neighbours(covered.shape)[:, unknown]
    there = neighbours >= 0
    open_too = there & covered.reshape(-1)[neighbours]
    weights = _WEIGHTS[:, None] * there
    known = np.einsum("nk,cnk->ck", weights * ~open_too, channels[:, neighbours])
    number = np.zeros(covered.size, np.intp)
    number[unknown] = np.arange(len(unknown))
    direction, equation = np.nonzero(open_too)
    own = np.arange(len(unknown))
    places = np.append(equation, own), np.append(number[neighbours[direction, equation]], own)
    factors = np.append(-_WEIGHTS[direction], weights.sum(axis=0))
    system = csc_matrix((factors, places), (len(unknown), len(unknown)))
    solved: npt.NDArray[np.float64] = splu(system, "MMD_AT_PLUS_A", 0.0, options={"SymmetricMode": True}).solve(known.T)
    return solved.T


@lru_cache(maxsize=4)
def _neighbours(size: tuple[int, int]) -> npt.NDArray[np.int32]:
    """(8, H W) the flat place of each pixel's neighbour in each direction, -1 where that is out of the image."""
    height, width = size
    places = np.full((height + 2, width + 2), -1, np.int32)
    places[1:-1, 1:-1] = np.arange(height * width).reshape(size)
    shifted = [places[1 + row : 1 + row + height, 1 + column : 1 + column + width] for row, column in _OFFSETS]
    found: npt.NDArray[np.int32] = np.stack(shifted).reshape(len(_OFFSETS), -1)
    return found
