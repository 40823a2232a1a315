"""Regions of an image that overlap, and how they are ranked by the attribution that they add."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import distance_transform_edt

from ...summary_format.images import unit_range
from ...summary_format.problem import Problem
from ..network.tensors import FloatArray, IntArray
from ..perturbation.superpixels import SegmentationFunction, of_scikit_image

Regions = npt.NDArray[np.bool_]
Values = npt.NDArray[np.float64]

# Those of PAIR's saliency package: Felzenszwalb's segments from fine to coarse, of the image at one size for all.
_SCALES = (50, 100, 150, 250, 500, 1200)
_SIGMA, _LEAST_PIXELS, _SIDE = 0.8, 150, 224
_PIXELS_TOGETHER = 4096


def over_segmented(image: FloatArray) -> IntArray:
    """Segments (6, H, W) of an image (C, H, W), from fine to coarse, by Felzenszwalb and Huttenlocher (2004).

    The image is brought to -1..1 and to 224 x 224 pixels for it, and the segments back by the nearest pixel.
    """
    picture = 2.0 * unit_range(image.astype(np.float64)).transpose(1, 2, 0) - 1.0
    resize: Any = _resize()
    enlarged = resize(picture, (_SIDE, _SIDE), order=3, mode="constant", preserve_range=True, anti_aliasing=True)
    felzenszwalb = of_scikit_image("felzenszwalb")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Got image with third dimension", RuntimeWarning)  # of more channels than 3
        found = [felzenszwalb(enlarged, scale=scale, sigma=_SIGMA, min_size=_LEAST_PIXELS) for scale in _SCALES]
    back = {"order": 0, "preserve_range": True, "mode": "constant", "anti_aliasing": False}
    segments: IntArray = np.stack([resize(one, image.shape[1:], **back).astype(np.int64) for one in found])
    return segments


def own_segments(segmentation: SegmentationFunction, image: FloatArray) -> IntArray:
    """Segments (S, H, W) of an image (C, H, W) by a user's function of it as (H, W, C), in 0..1.

    Raises:
        ValueError: if it gives something else than integers (H, W) or (S, H, W).
    """
    picture = np.ascontiguousarray(unit_range(image.astype(np.float64)).transpose(1, 2, 0))
    labels = segmentation(picture)
    size = image.shape[1:]
    fits = isinstance(labels, np.ndarray) and labels.dtype.kind in "iu" and labels.shape[-2:] == size
    if not fits or labels.ndim not in (2, 3) or not labels.size:
        what = f"{labels.dtype} {labels.shape}" if isinstance(labels, np.ndarray) else type(labels).__name__
        words = "segmentation must give an array of integers {size}, or several of these as one array, it gave {what}"
        raise ValueError(Problem.of("regions-not-labels", words, size=size, what=what))
    segments: IntArray = labels.reshape(-1, *size)
    return segments


def regions_of(segments: IntArray, dilation: int) -> Regions:
    """Every segment of (S, H, W) as a region (M, H, W), of all pixels that lie as near to it as ``dilation``."""
    return np.stack(list(_dilated(segments, dilation)))


def ranked(attribution: FloatArray, regions: Regions, *, least: int, area: float) -> FloatArray:
    """A map (H, W) in which each region has the mean attribution of what it adds to those chosen before it.

    Kapishnikov et al.: XRAI (2019), algorithm 1. The region is chosen next whose new pixels have the largest mean.

    Args:
        attribution: (H, W).
        regions: (M, H, W).
        least: new pixels that a region must add.
        area: share of the image, above which no further region is chosen. What is left has its own mean.
    """
    values, flat = attribution.astype(np.float64).ravel(), regions.reshape(len(regions), -1)
    found, free = np.full(len(values), np.nan), np.ones(len(values), bool)
    sums, counts = _totals(flat, free, values)
    left = np.ones(len(flat), bool)
    while (~free).mean() <= area:
        left &= counts >= least
        if not left.any():
            break
        means = np.divide(sums, counts, out=np.full(len(sums), -np.inf), where=left)
        best = int(means.argmax())
        new = flat[best] & free
        found[new], left[best] = values[new].mean(), False
        free &= ~new
        gone_sums, gone_counts = _totals(flat, new, values)
        sums, counts = sums - gone_sums, counts - gone_counts
    return _with_rest(found, free, values).reshape(attribution.shape)


def ranked_fast(attribution: FloatArray, regions: Regions, *, least: int) -> FloatArray:
    """The same, but regions are chosen by the mean of all their pixels, whichever were chosen before."""
    values, flat = attribution.astype(np.float64).ravel(), regions.reshape(len(regions), -1)
    found, free = np.full(len(values), np.nan), np.ones(len(values), bool)
    sums, counts = _totals(flat, free, values)
    for place in np.argsort(-sums / counts, kind="stable").tolist():
        new = flat[place] & free
        if np.count_nonzero(new) >= least:
            found[new] = values[new].mean()
            free &= ~new
    return _with_rest(found, free, values).reshape(attribution.shape)


def _with_rest(found: Values, free: Regions, values: Values) -> FloatArray:
    """What was found, and the mean of the rest there."""
    if free.any():
        found[free] = values[free].mean()
    return found.astype(np.float32)


def _totals(regions: Regions, pixels: Regions, values: Values) -> tuple[Values, IntArray]:
    """Of some pixels those in each region: the sum of their values, and their number, (M,) each."""
    sums, counts, places = np.zeros(len(regions)), np.zeros(len(regions), np.int64), np.flatnonzero(pixels)
    for first in range(0, len(places), _PIXELS_TOGETHER):
        some = places[first : first + _PIXELS_TOGETHER]
        inside = regions[:, some]
        sums += np.where(inside, values[some], 0.0).sum(axis=1)
        counts += np.count_nonzero(inside, axis=1)
    return sums, counts


def _dilated(segments: IntArray, dilation: int) -> Iterator[npt.NDArray[np.bool_]]:
    """Each segment (H, W) with all pixels as near to it as that."""
    for labels in segments:
        for label in np.unique(labels):
            inside = labels == label
            yield distance_transform_edt(~inside) <= dilation if dilation and not inside.all() else inside


def _resize() -> Any:
    from skimage.transform import resize  # noqa: PLC0415  (slow to import, and not all need it)

    return resize
