"""Maps as pictures, and pictures' sizes changed in float."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from mindspore import Tensor
from PIL import Image

from ...summary_format.images import unit_range

_OPACITY = 1.2  # how strongly a map covers the picture beneath: 1 leaves its largest value just opaque


def saliency_to_image(
    saliency: Tensor | npt.NDArray[Any],
    original: Image.Image | None = None,
    cm: Callable[[npt.NDArray[Any]], npt.NDArray[Any]] | None = None,
    normalize: bool = True,
    with_alpha: bool = False,
) -> Image.Image:
    """A map as a coloured picture, more opaque where it is larger, laid over the original if there is one.

    Args:
        saliency: (H, W), or with leading axes of length 1.
        original: what to lay it over; resized to the map where sizes differ.
        cm: colour map from (H, W) in 0..1 to RGBA (H, W, 4) in 0..1; matplotlib's viridis by default.
        normalize: stretch the map to 0..1 first (a constant map becomes 0); otherwise its values are cut to 0..1.
        with_alpha: keep the alpha channel.

    Returns:
        RGB, or RGBA if with_alpha.

    Raises:
        TypeError: if original is not a PIL image or cm cannot be called.
        ValueError: if the map is not two-dimensional or holds NaN or infinity.
    """
    if original is not None and not isinstance(original, Image.Image):
        raise TypeError(f"original must be a PIL image, got {type(original).__name__}")
    if cm is not None and not callable(cm):
        raise TypeError(f"cm must be a colour map such as matplotlib.colormaps['jet'], got {cm!r}")
    values = np.asarray(saliency.asnumpy() if isinstance(saliency, Tensor) else saliency, np.float64)
    if values.ndim < 2 or values.size != values.shape[-2] * values.shape[-1]:
        raise ValueError(f"saliency must be one map (H, W), got shape {values.shape}")
    values = values.reshape(values.shape[-2:])
    if not np.isfinite(values).all():
        raise ValueError("saliency holds NaN or infinity, so it has no picture")
    values = unit_range(values) if normalize else values.clip(0.0, 1.0)
    colours = np.array((cm or _viridis())(values), np.float64)
    colours[..., 3] = (values * _OPACITY).clip(0.0, 1.0)
    picture = Image.fromarray((colours * 255.0).round().astype(np.uint8), "RGBA")
    if original is not None:
        picture = Image.alpha_composite(original.convert("RGBA").resize(picture.size), picture)
    return picture if with_alpha else picture.convert("RGB")


def _viridis() -> Callable[[npt.NDArray[Any]], npt.NDArray[Any]]:
    from .any_backend import matplotlib  # noqa: PLC0415  (slow to import, and only pictures need it)

    viridis: Callable[[npt.NDArray[Any]], npt.NDArray[Any]] = matplotlib.colormaps["viridis"]
    return viridis
