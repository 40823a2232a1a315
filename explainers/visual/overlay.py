"""Maps as pictures, and pictures' sizes changed in float."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from mindspore import Tensor
from PIL import Image

from ...summary_format.map_scale import holds_negatives, shown_values, unit_values
from .visualization import colour_map

_OPACITY = 1.2  # how strongly a map covers the picture beneath: 1 leaves its largest value just opaque


def saliency_to_image(
    saliency: Tensor | npt.NDArray[Any],
    original: Image.Image | None = None,
    cm: Callable[[npt.NDArray[Any]], npt.NDArray[Any]] | None = None,
    normalize: bool = True,
    with_alpha: bool = False,
    signed: bool | None = None,
) -> Image.Image:
    """A map as a coloured picture, more opaque where it is larger, laid over the original if there is one.

    The largest values that together hold 10 per cent of the map's total magnitude are drawn alike, so that a few
    outliers do not leave the rest invisible. What is 0 in a signed map is transparent.

    Args:
        saliency: (H, W), or with leading axes of length 1.
        original: what to lay it over; resized to the map where sizes differ.
        cm: colour map from (H, W) in 0..1 to RGBA (H, W, 4) in 0..1; by default matplotlib's viridis, and red, white
            and green for signed maps, of which 0.5 is zero.
        normalize: bring the map to 0..1 first (a constant map becomes 0); otherwise its values are cut to 0..1.
        with_alpha: keep the alpha channel.
        signed: whether the method may give negative values, whose size then counts, and 0 stays 0; of other maps the
            smallest value becomes 0. By default that is seen from the map.

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
    signed = normalize and (holds_negatives(values) if signed is None else signed)
    shown = shown_values(values, signed) if normalize else values.clip(0.0, 1.0)
    colours = np.array((cm or colour_map(None if signed else "viridis", "all"))(unit_values(shown, signed)), np.float64)
    colours[..., 3] = (np.abs(shown) * _OPACITY).clip(0.0, 1.0)
    picture = Image.fromarray((colours * 255.0).round().astype(np.uint8), "RGBA")
    if original is not None:
        picture = Image.alpha_composite(original.convert("RGBA").resize(picture.size), picture)
    return picture if with_alpha else picture.convert("RGB")
