"""What pixels of each type mean that a file holds; docs/reference/configs.md has it as a table."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ...explainers.network.tensors import FloatArray
from ...summary_format.images import Statistics
from ...summary_format.problem import Problem

TOPS = {np.dtype(np.uint8): 255, np.dtype(np.uint16): 65535, np.dtype(bool): 1}  # of types that are used in full


def normalized(images: npt.NDArray[Any], mean: Statistics | None, std: Statistics | None) -> FloatArray:
    """Images (C, H, W) as the network takes them: integers brought to 0..1 and normalised, others only made float32.

    Args:
        images: integers of 8 or 16 bits without a sign and booleans run up to their largest value, other integers to
            255; floating point is taken as it is.
        mean: taken from pixels of 0..1, for each channel or for all; of 0..255, where it or std exceeds 10.
        std: what the rest is divided by.

    Raises:
        ValueError: if they are not numbers, or integers outside 0..255 of a type that does not say how far they run.
    """
    if images.dtype.kind == "f":
        with np.errstate(over="ignore"):  # infinity is refused where samples are checked
            return images.astype(np.float32, copy=False)
    if images.dtype.kind not in "biu":
        words = "pixels must be numbers, they are {kind}"
        raise ValueError(Problem.of("pixels-not-numbers", words, kind=str(images.dtype)))
    kind = images.dtype.newbyteorder("=")
    top = TOPS.get(kind, 255)
    if kind not in TOPS and images.size and (images.min() < 0 or images.max() > top):
        words = (
            "pixels of {kind} run from {lowest} to {highest}, not within 0..255; give uint8, uint16 of 0..65535, or "
            "float32 as the network takes it"
        )
        extremes = {"lowest": int(images.min()), "highest": int(images.max())}
        raise ValueError(Problem.of("pixels-out-of-range", words, kind=str(kind), **extremes))
    made = images.astype(np.float32)
    if mean is None or std is None:
        made /= np.float32(top)
        return made
    offset, scale = (np.atleast_1d(np.asarray(values, np.float32))[:, None, None] for values in (mean, std))
    unit = np.float32(top if max(offset.max(), scale.max()) <= 10 else top / 255)
    if len(made) == 1 < max(len(offset), len(scale)):  # grey, and numbers for each of several channels
        made = np.repeat(made, max(len(offset), len(scale)), axis=0)
    made /= unit  # in place, since a large picture takes gigabytes
    made -= offset
    made /= scale
    return made
