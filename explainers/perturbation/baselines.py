"""What stands where an image is covered."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from mindspore import Tensor
from scipy.ndimage import gaussian_filter

from ...summary_format.problem import Problem
from ..network.tensors import FloatArray

Baseline = float | str | FloatArray
WORDS = ("mean", "blur")
_BLUR_DIVISOR = 25  # of the image's short side, for the blur's sigma


def checked_baseline(baseline: Any, name: str = "baseline") -> Baseline:
    """A baseline: a number, an array (one number per channel, or what broadcasts to (C, H, W)), "mean" or "blur".

    Raises:
        ValueError: if it is something else, or not finite.
    """
    if isinstance(baseline, str):
        if baseline not in WORDS:
            raise ValueError(f"{name} must be a number, an array, 'mean' or 'blur', got {baseline!r}")
        return baseline
    values = np.asarray(baseline.asnumpy() if isinstance(baseline, Tensor) else baseline)
    if values.dtype.kind not in "iuf" or not np.isfinite(values).all():
        raise ValueError(f"{name} must be a finite number, a finite array, 'mean' or 'blur', got {baseline!r}")
    if values.ndim == 1:
        values = values[:, None, None]  # one number per channel
    elif values.ndim == 4 and len(values) == 1:
        values = values[0]
    return float(values) if values.ndim == 0 else values.astype(np.float32)


def checked_baselines(baselines: Any) -> tuple[Baseline, ...]:
    """One baseline, or those of a list.

    Raises:
        ValueError: if one is something else, or the list is empty.
    """
    several = baselines if isinstance(baselines, (list, tuple)) else [baselines]
    if not several:
        raise ValueError(Problem.of("no-baselines", "baselines must hold at least one, got none"))
    return tuple(checked_baseline(baseline, "baselines") for baseline in several)


def check_baseline_fits(baseline: Baseline, shape: tuple[int, ...]) -> None:
    """Make sure that a baseline can cover images (C, H, W).

    Raises:
        ValueError: if it is an array of a shape that does not.
    """
    if isinstance(baseline, np.ndarray):
        try:
            np.broadcast_to(baseline, shape)
        except ValueError:
            misfit = f"a baseline of shape {baseline.shape} does not fit images of shape {shape}"
            raise ValueError(f"{misfit}; give (C,), (H, W) or (C, H, W)") from None


def baseline_image(baseline: Baseline, image: FloatArray) -> FloatArray:
    """What covers an image (C, H, W): of the same shape.

    A number everywhere; an array that broadcasts to the image; "mean", each channel's mean; "blur", the image's own
    Gaussian blur (see ``blurred``).
    """
    if isinstance(baseline, str):
        if baseline == "blur":
            return blurred(image, blur_sigma(image.shape[1:]))
        return np.broadcast_to(image.mean(axis=(1, 2), keepdims=True), image.shape)
    return np.broadcast_to(np.asarray(baseline, np.float32), image.shape)


def blur_sigma(size: tuple[int, ...]) -> int:
    """The sigma, in pixels, that makes an image (height, width) unrecognisable: its short side over 25, rounded."""
    return max(1, round(min(size) / _BLUR_DIVISOR))


def blurred(image: FloatArray, sigma: float) -> FloatArray:
    """An image (C, H, W) blurred channel by channel, its edges repeated outwards."""
    smooth: npt.NDArray[np.float32] = gaussian_filter(image, (0, sigma, sigma), mode="nearest")
    return smooth
