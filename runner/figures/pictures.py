"""Pictures by path or address, upright, and as the pixels that a network takes."""

from __future__ import annotations

import io
import time
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from ...explainers.network.tensors import FloatArray
from ...summary_format.errors import ExplainrunError
from ...summary_format.images import Statistics, check_together
from ...summary_format.problem import Problem
from ..data.file_datasets import MODES, normalized, open_picture

SECONDS_TO_ANSWER = 20
SECONDS_TO_ARRIVE = 120
LARGEST_DOWNLOAD = 64 * 2**20
_CHUNK = 2**16
_SHOWN_SIDE = 640  # pixels of a picture's longer side that a panel can show


class PictureError(ExplainrunError, ValueError):
    """A picture that cannot be had; says which and why, in one line."""


@dataclass(frozen=True)
class Pixels:
    """How a picture becomes what a network takes.

    Attributes:
        size: (height, width) it is brought to, bilinearly; None leaves it as it is.
        channels: 1 (grey), 3 (RGB) or 4 (RGBA).
        mean, std: taken from pixels of 0..1 and what the rest is divided by, for each channel or for all; where one
            exceeds 10, of pixels of 0..255. None leaves them in 0..1.

    Raises:
        ValueError: if one of mean and std is missing, they or size hold numbers that do not fit, or channels is another
            number.
    """

    size: tuple[int, int] | None = None
    channels: int = 3
    mean: Statistics | None = None
    std: Statistics | None = None

    def __post_init__(self) -> None:
        if self.channels not in MODES:
            words = "channels must be one of {known}, got {given}"
            raise ValueError(Problem.of("channels-unknown", words, known=tuple(MODES), given=self.channels))
        check_together(self.mean, self.std)
        for name, values in (("mean", self.mean), ("std", self.std)):
            if values is not None and np.size(values) not in (1, self.channels):
                words = "{name} holds {numbers:plural number}, the pictures get {channels:plural channel}"
                counts = {"numbers": np.size(values), "channels": self.channels}
                raise ValueError(Problem.of("statistics-not-channels", words, name=name, **counts))
        if self.std is not None and np.min(self.std) <= 0:
            raise ValueError(Problem.of("std-not-positive", "std must be above 0, got {given}", given=self.std))
        if self.size is not None and (len(self.size) != 2 or min(self.size) < 1):
            words = "size must be a height and a width in pixels, got {given}"
            raise ValueError(Problem.of("size-not-two", words, given=self.size))

    def of(self, picture: Image.Image) -> FloatArray:
        """A picture as an image (C, H, W)."""
        picture = converted(picture, MODES[self.channels])
        if self.size is not None:
            picture = picture.resize((self.size[1], self.size[0]), Image.Resampling.BILINEAR)
        pixels = np.asarray(picture)
        pixels = pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
        return normalized(np.ascontiguousarray(pixels), self.mean, self.std)


def read_picture(source: str | Path) -> Image.Image:
    """A picture from a file or an http(s) address, turned upright where its camera says how.

    Raises:
        PictureError: if there is none, it takes too long or is too large, or is not a picture.
    """
    if str(source).lower().startswith(("http://", "https://")):
        content: io.BytesIO | Path = io.BytesIO(_downloaded(str(source)))
    elif not Path(source).is_file():
        if Path(source).is_dir():
            raise PictureError(Problem.of("picture-is-folder", "no picture {source}: it is a folder", source=source))
        raise PictureError(Problem.of("no-picture", "no picture {source}", source=source))
    else:
        content = Path(source)
    try:
        with open_picture(content) as opened:
            return ImageOps.exif_transpose(opened)
    except UnidentifiedImageError:
        problem = Problem.of("picture-kind", "{source} is not a picture of a known kind", source=source)
        raise PictureError(problem) from None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        words, said = "{source} cannot be read: {said}", " ".join(str(error).split())
        raise PictureError(Problem.of("picture-unreadable", words, source=source, said=said)) from error


def converted(picture: Image.Image, mode: str) -> Image.Image:
    """A picture of any kind in 8 bits per channel: "L", "RGB" or "RGBA".

    What is transparent becomes white where the new mode has no transparency. Grey of 16 bits is brought to 8, and of
    floating point taken to run from 0 to 1, or to 255 if it exceeds 1.
    """
    if picture.mode.startswith("I"):
        picture = _eight_bits(picture, 65535.0)
    elif picture.mode == "F":
        picture = _eight_bits(picture, 255.0 if np.asarray(picture).max() > 1 else 1.0)
    transparent = picture.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in picture.info
    if transparent and mode != "RGBA":
        layer = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
    return picture.convert(mode)


def seen(picture: Image.Image) -> Image.Image:
    """A picture as a panel shows it: RGB, not larger than that takes."""
    shown = converted(picture, "RGB")
    shown.thumbnail((_SHOWN_SIDE, _SHOWN_SIDE))
    return shown


def _eight_bits(picture: Image.Image, top: float) -> Image.Image:
    values = np.asarray(picture, np.float64) * (255.0 / top)
    return Image.fromarray(np.nan_to_num(values).clip(0.0, 255.0).round().astype(np.uint8))


def _downloaded(address: str) -> bytes:
    request = Request(address, headers={"User-Agent": "explainrun"})  # some servers refuse Python's own
    content, deadline = bytearray(), time.monotonic() + SECONDS_TO_ARRIVE
    try:
        with urlopen(request, timeout=SECONDS_TO_ANSWER) as answer:
            while chunk := answer.read1(_CHUNK):
                content += chunk
                if len(content) > LARGEST_DOWNLOAD:
                    words = "{address} is larger than {size} MiB; fetch it yourself"
                    size = LARGEST_DOWNLOAD // 2**20
                    raise PictureError(Problem.of("picture-too-large", words, address=address, size=size))
                if time.monotonic() > deadline:
                    words = "{address} did not arrive within {seconds} seconds"
                    raise PictureError(
                        Problem.of("picture-too-slow", words, address=address, seconds=SECONDS_TO_ARRIVE)
                    )
    except HTTPError as error:
        words = "{address} cannot be fetched: the server says {status} {reason}"
        values = {"address": address, "status": error.code, "reason": error.reason}
        raise PictureError(Problem.of("picture-refused", words, **values)) from error
    except (OSError, ValueError, HTTPException) as error:
        if isinstance(error, PictureError):
            raise
        told = "no answer in time" if isinstance(error, TimeoutError) else getattr(error, "reason", error)
        words, said = "{address} cannot be fetched: {said}", " ".join(str(told).split())
        raise PictureError(Problem.of("picture-not-fetched", words, address=address, said=said)) from error
    return bytes(content)
