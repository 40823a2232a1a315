"""How alike the orders are that two maps give their pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata


def rank_correlations(first: npt.NDArray[Any], second: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """(N,) Spearman's rank correlation over the pixels of maps (N, H, W); equal pixels share their mean rank.

    NaN where a map is constant.
    """
    ranks = [rankdata(maps.reshape(len(maps), -1), axis=1).astype(np.float64) for maps in (first, second)]
    one, two = (rank - rank.mean(axis=1, keepdims=True) for rank in ranks)
    with np.errstate(invalid="ignore"):
        lengths = np.sqrt((one**2).sum(axis=1) * (two**2).sum(axis=1))
        correlations: npt.NDArray[np.float64] = (one * two).sum(axis=1) / lengths
    return correlations
