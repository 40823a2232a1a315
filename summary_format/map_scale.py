"""How the values of a map become what a picture shows: one rule for the viewer's pictures, overlays and figures.

A few pixels of a gradient map are often many times as large as all others, which would be black beside them. So the
largest values that together hold ``OUTLIERS`` per cent of a map's total magnitude are drawn alike, as captum does with
2 per cent. Of a map of one sign the smallest value is 0. Of a signed one 0 stays 0, in the middle.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]

OUTLIERS = 10.0
_BINS = 4096
_ROUNDING = 1e-6  # of the largest magnitude: what is below zero by less is not there


def outlier_scale(values: Values, outliers: float = OUTLIERS) -> float:
    """The smallest magnitude up to which the magnitudes, sorted and added up, reach all but ``outliers`` per cent."""
    magnitudes = np.abs(values).ravel()
    largest = magnitudes.max(initial=0.0)
    if not 0.0 < largest / _BINS < np.inf:
        return float(largest)
    # Sorted are only those between which the answer lies: sums of bins say which that are, and sorting all takes as
    # long as everything else that a picture needs.
    bins = (magnitudes / largest * _BINS).astype(np.intp)
    sums = np.bincount(bins, magnitudes).cumsum()
    wanted = sums[-1] * (100.0 - outliers) / 100.0
    within = min(int(np.searchsorted(sums, wanted)), _BINS)  # the last bin holds the largest alone
    ascending = np.sort(magnitudes[bins == within])
    below = sums[within - 1] if within else 0.0
    reached = int(np.searchsorted(below + ascending.cumsum(), wanted))
    return float(ascending[min(reached, len(ascending) - 1)])


def divided(values: Values, scale: float) -> Values:
    """The values by a scale, cut to -1..1; zero where the scale is."""
    return (values / scale).clip(-1.0, 1.0) if scale > 0 else np.zeros_like(values)


def holds_negatives(saliency: npt.NDArray[np.floating[Any]]) -> bool:
    """Whether a map (H, W) is negative anywhere, by more than rounding."""
    return bool(saliency.min() < -_ROUNDING * np.abs(saliency).max())


def shown_values(saliency: npt.NDArray[np.floating[Any]], signed: bool | None = None) -> Values:
    """What a picture of a map (H, W) shows: -1..1 of a signed one, else 0..1; a constant one is 0.

    Args:
        saliency: the map, finite.
        signed: whether its method may give negative values; None to see that from the map.
    """
    values = saliency.astype(np.float64)
    if values.min() == values.max():
        return np.zeros_like(values)
    if not (holds_negatives(saliency) if signed is None else signed):
        values = values - values.min()
    return divided(values, outlier_scale(values))


def unit_values(shown: Values, signed: bool) -> Values:
    """What ``shown_values`` gave as 0..1, as colour maps take it: 0 of a signed map is 0.5."""
    return (shown + 1.0) / 2.0 if signed else shown.clip(min=0.0)
