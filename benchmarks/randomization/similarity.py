"""How alike two maps are."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from scipy.ndimage import uniform_filter

from ...explainers.core.resize import stretched
from ...explainers.network.tensors import FloatArray
from ...summary_format.rank_correlation import rank_correlations
from ..core.metric import Scores

_WINDOW = 7  # pixels a side, or the largest odd number of them that fits
_STEADY = (0.01**2, 0.03**2)  # what keeps quotients of means and of variances near 1 where both are small
Similarity = Callable[[FloatArray, FloatArray], Scores]


def similarities(similarity: Similarity, before: FloatArray, after: FloatArray) -> Scores:
    """(Q,) how alike maps (Q, H, W) are to others.

    NaN where one is not finite, or the first is constant. A second one that is constant has nothing of the first one's
    order: 0.
    """
    flat = [maps.reshape(len(maps), -1) for maps in (before, after)]
    finite = np.isfinite(flat[0]).all(axis=1) & np.isfinite(flat[1]).all(axis=1)
    ordered = [of.min(axis=1) < of.max(axis=1) for of in flat]
    found = np.where(finite & ordered[0], 0.0, np.nan)
    compared = finite & ordered[0] & ordered[1]
    if compared.any():
        found[compared] = similarity(before[compared], after[compared])
    return found


def structural_similarities(first: FloatArray, second: FloatArray) -> Scores:
    """(Q,) mean structural similarity (SSIM) of maps (Q, H, W), each brought to 0..1 before; in -1..1.

    Wang et al.: Image Quality Assessment: From Error Visibility to Structural Similarity (2004), with windows of 7 x 7
    equal weights, or the largest odd square that fits, none of them over the edge, and variances of samples.
    """
    one, two = (stretched(maps).astype(np.float64) for maps in (first, second))
    side = min(_WINDOW, *(length - 1 + length % 2 for length in one.shape[1:]))
    edge, count = side // 2, side * side

    def mean(values: Scores) -> Scores:
        found: Scores = uniform_filter(values, (1, side, side))
        return found[:, edge : found.shape[1] - edge, edge : found.shape[2] - edge]

    means = mean(one), mean(two)
    unbiased = count / max(count - 1, 1)
    variances = [unbiased * (mean(of * of) - its * its) for of, its in zip((one, two), means, strict=True)]
    shared = unbiased * (mean(one * two) - means[0] * means[1])
    level = (2 * means[0] * means[1] + _STEADY[0]) / (means[0] ** 2 + means[1] ** 2 + _STEADY[0])
    structure = (2 * shared + _STEADY[1]) / (variances[0] + variances[1] + _STEADY[1])
    found: Scores = (level * structure).mean(axis=(1, 2))
    return found


SIMILARITIES: Mapping[str, Similarity] = {"spearman": rank_correlations, "ssim": structural_similarities}
