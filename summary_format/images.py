"""Pictures of a run: the original image as a person sees it, and the map that the viewer colours."""

from __future__ import annotations

import io
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from .map_scale import holds_negatives, shown_values, unit_values
from .problem import Problem

Statistics = Sequence[float] | float


def check_together(mean: Any, std: Any) -> None:
    """Make sure that pixels are normalised, or not.

    Args:
        mean: what is subtracted, None for nothing.
        std: what the rest is divided by, None for nothing.

    Raises:
        ValueError: if one of the two is given alone.
    """
    if (mean is None) != (std is None):
        raise ValueError(Problem.of("mean-without-std", "mean and std go together: give both or neither"))


def original_picture(
    image: npt.NDArray[np.generic], mean: Statistics | None = None, std: Statistics | None = None
) -> Image.Image:
    """The image before it was normalised, as RGB.

    Args:
        image: (C, H, W) with 1 channel (grey), 3 (RGB) or 4 (of which the first three are shown).
        mean: what was subtracted, for each channel or for all.
        std: what the rest was divided by. Pixels are taken to have run from 0 to 255, where a statistic
            exceeds 10 or a restored pixel 2, else from 0 to 1.

    Returns:
        An image of uint8 as it is; the true colours where mean and std are given; else the colours stretched so
        that the smallest value is black and the largest white (a constant image is black).

    Raises:
        ValueError: if the number of channels is another, or the statistics do not fit it.
    """
    channels = image.shape[0] if image.ndim == 3 else 0
    if channels not in (1, 3, 4):
        raise ValueError(f"an image must be (C, H, W) with 1, 3 or 4 channels, got shape {image.shape}")
    pixels = image.astype(np.float64)
    if mean is not None and std is not None:
        scale, offset = _per_channel(std, channels, "std"), _per_channel(mean, channels, "mean")
        if image.dtype != np.uint8:
            pixels = _restored(pixels, scale, offset)
    elif image.dtype != np.uint8:
        pixels = unit_range(pixels) * 255.0
    levels = pixels.clip(0.0, 255.0).round().astype(np.uint8)
    colours = levels[[0, 0, 0]] if channels == 1 else levels[:3]
    return Image.fromarray(np.ascontiguousarray(colours.transpose(1, 2, 0)))


def heatmap_picture(saliency: npt.NDArray[np.floating[Any]], signed: bool | None = None) -> Image.Image:
    """A map (H, W) as 8-bit grey for the viewer, which colours it, by the rule of ``map_scale``.

    Args:
        saliency: the map, finite.
        signed: whether its method may give negative values, so that 0 is level 128; None to see that from the map. Of
            others the smallest value is black.

    Returns:
        Outliers are white (and of signed maps black); a constant map is 0 everywhere.
    """
    signed = holds_negatives(saliency) if signed is None else signed
    levels = unit_values(shown_values(saliency, signed), signed) * 255.0
    return Image.fromarray(levels.round().astype(np.uint8))


def unit_range(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The values moved and scaled to 0..1; all zero where they are all equal."""
    low, high = values.min(), values.max()
    span = high - low
    return (values - low) / span if span > 0 else np.zeros_like(values)


def jpeg(picture: Image.Image) -> bytes:
    """The picture as JPEG, colours unsubsampled."""
    return _encoded(picture, "JPEG", quality=95, subsampling=0)


def png(picture: Image.Image) -> bytes:
    """The picture as PNG, exact; quick to pack, since of maps little repeats but runs of one level."""
    return _encoded(picture, "PNG", compress_level=1, compress_type=zlib.Z_RLE)


def _encoded(picture: Image.Image, kind: str, **options: int) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def _restored(
    pixels: npt.NDArray[np.float64], scale: npt.NDArray[np.float64], offset: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Pixels of 0..255 from normalised ones."""
    pixels = pixels * scale + offset
    of_bytes = max(scale.max(), offset.max()) > 10.0 or pixels.max() > 2.0
    return pixels if of_bytes else pixels * 255.0


def _per_channel(statistics: Statistics, channels: int, name: str) -> npt.NDArray[np.float64]:
    values = np.atleast_1d(np.asarray(statistics, np.float64))
    if values.ndim != 1 or values.size not in (1, channels):
        words = "{name} must hold one number or one for each of {channels} channels, got {given}"
        raise ValueError(Problem.of("statistics-count", words, name=name, channels=channels, given=statistics))
    return np.broadcast_to(values, (channels,))[:, None, None]
