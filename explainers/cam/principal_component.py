"""Feature maps reduced to what they have along their first principal component."""

from __future__ import annotations

import numpy as np

from ..network.tensors import FloatArray


def along_principal_component(channels: FloatArray, *, centered: bool) -> FloatArray:
    """Feature maps (channels, h, w), each place's vector projected on the first right singular vector of them all.

    The sign is the one that goes along with the mean over channels.

    Args:
        channels: the feature maps, whatever they were weighed by.
        centered: subtract each channel's mean first.

    Returns:
        (h, w); NaN throughout where a value is not finite.
    """
    vectors = channels.reshape(len(channels), -1).T.astype(np.float64)
    if not np.isfinite(vectors).all():
        return np.full(channels.shape[1:], np.nan, np.float32)
    mean = vectors.mean(axis=1)
    if centered:
        vectors = vectors - vectors.mean(axis=0)
    _, _, directions = np.linalg.svd(vectors, full_matrices=False)
    projected = vectors @ directions[0]
    signed = projected if projected @ mean >= 0 else -projected
    map_: FloatArray = signed.reshape(channels.shape[1:]).astype(np.float32)
    return map_


def projected(channels: FloatArray, *, centered: bool) -> FloatArray:
    """The same (Q, h, w) of several (Q, channels, h, w), each by itself."""
    return np.stack([along_principal_component(one, centered=centered) for one in channels])
