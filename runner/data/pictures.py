"""The one reader of pictures: what a file becomes, whether a dataset lists it or ``explain`` is given it.

docs/reference/configs.md ("Pictures and pixels") has the rules as a table.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, ImageOps, ImageSequence, UnidentifiedImageError

from ...explainers.network.tensors import FloatArray
from ...summary_format.errors import ExplainrunError
from ...summary_format.images import Statistics, check_together
from ...summary_format.problem import Problem
from .pixels import normalized

MODES = {1: "L", 3: "RGB", 4: "RGBA"}
_TOP_OF_16_BITS = 65535.0
_BAND = 2**20  # pixels that are converted at a time where that takes many times their own memory
_KIND_OF_PAGE = 254  # TIFF's tag NewSubfileType; its lowest bit marks a smaller copy of another page


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
        """A picture as an image (C, H, W).

        Raises:
            PictureError: if its pixels have no meaning as colours.
        """
        picture = converted(picture, MODES[self.channels])
        if self.size is not None:
            picture = picture.resize((self.size[1], self.size[0]), Image.Resampling.BILINEAR)
        pixels = np.asarray(picture)
        del picture  # of 169 million pixels it takes 0.7 GB
        pixels = np.ascontiguousarray(pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1))
        return normalized(pixels, self.mean, self.std)


def open_picture(source: Path | io.BytesIO) -> Image.Image:
    """A picture of any kind that Pillow reads by itself: for EPS it would start Ghostscript, which runs programs."""
    Image.init()
    return Image.open(source, formats=[kind for kind in Image.OPEN if kind != "EPS"])


def read_content(content: Path | io.BytesIO, source: str | Path) -> Image.Image:
    """A picture, upright and in 8 bits per channel.

    Args:
        content: a file, or what it holds.
        source: what messages call it.

    Raises:
        PictureError: if it is not a picture, is damaged, or cannot be shown as colours.
    """
    with _opened(content, source) as picture:
        return _in_8_bits(ImageOps.exif_transpose(picture))


def read_indices(path: Path) -> npt.NDArray[np.int64]:
    """The numbers (H, W) that a picture holds, upright: places in its palette, or levels of grey as they are stored.

    Raises:
        PictureError: if it is not a picture, is damaged, or holds colours without a palette.
    """
    with _opened(path, path) as picture:
        if picture.mode not in ("1", "L", "P") and not picture.mode.startswith("I"):
            words = "its pixels are {mode}, not one number each; save it as grey or with a palette"
            raise PictureError(Problem.of("mask-mode", words, mode=picture.mode))
        return np.asarray(ImageOps.exif_transpose(picture)).astype(np.int64)


@contextmanager
def _opened(content: Path | io.BytesIO, source: str | Path) -> Iterator[Image.Image]:
    """A picture of one page, as it is stored; what goes wrong with it is said in one line.

    Raises:
        PictureError: then, naming the source.
    """
    try:
        with open_picture(content) as opened:
            _check_pages(opened)
            yield opened
    except PictureError as error:
        raise PictureError(Problem.from_error(error).at(str(source))) from None
    except UnidentifiedImageError:
        if not (content.stat().st_size if isinstance(content, Path) else content.getbuffer().nbytes):
            raise PictureError(Problem.of("picture-empty", "{source} is empty", source=source)) from None
        problem = Problem.of("picture-kind", "{source} is not a picture of a known kind", source=source)
        raise PictureError(problem) from None
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        words, said = "{source} cannot be read: {said}", " ".join(str(error).split())
        if isinstance(error, Image.DecompressionBombError):  # whose words say nothing that one could do
            said = f"it has more than {2 * (Image.MAX_IMAGE_PIXELS or 0):,} pixels; save it smaller"
        raise PictureError(Problem.of("picture-unreadable", words, source=source, said=said)) from error


def decoded(content: bytes, source: str) -> Image.Image:
    """A picture from what a file of it holds, as ``read_content`` gives it."""
    return read_content(io.BytesIO(content), source)


def converted(picture: Image.Image, mode: str) -> Image.Image:
    """A picture of any kind upright and in 8 bits per channel: "L", "RGB" or "RGBA".

    What is transparent becomes white where the new mode has no transparency.

    Raises:
        PictureError: if its pixels have no meaning as colours.
    """
    picture = _in_8_bits(_upright(picture))
    transparent = picture.mode in ("RGBA", "LA", "PA", "RGBa") or "transparency" in picture.info
    return _over_white(picture, mode) if transparent and mode != "RGBA" else picture.convert(mode)


def _upright(picture: Image.Image) -> Image.Image:
    """A picture as its tag says that it stands; itself where it stands so already."""
    picture.load()
    turned = picture.getexif().get(ExifTags.Base.Orientation, 1) != 1
    return ImageOps.exif_transpose(picture) if turned else picture


def _over_white(picture: Image.Image, mode: str) -> Image.Image:
    made = Image.new(mode, picture.size)
    for band in _bands(picture):
        layer = picture.crop(band).convert("RGBA")
        made.paste(Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert(mode), band)
    return made


def _bands(picture: Image.Image) -> Iterator[tuple[int, int, int, int]]:
    """Boxes of some rows each, which cover a picture: what is made of one at a time takes no memory to speak of."""
    rows = max(1, _BAND // picture.width)
    for top in range(0, picture.height, rows):
        yield 0, top, picture.width, min(top + rows, picture.height)


def _check_pages(picture: Image.Image) -> None:
    """Refuse a TIFF of several pages: which one is meant is unknown. Of an animation the first frame is."""
    if picture.format != "TIFF":
        return
    own = (page for page in ImageSequence.Iterator(picture) if not page.tag_v2.get(_KIND_OF_PAGE, 0) & 1)  # type: ignore[attr-defined]
    if len(list(islice(own, 2))) > 1:
        words = "it has several pages; save the one that is meant as a file of its own"
        raise PictureError(Problem.of("picture-pages", words))
    picture.seek(0)


def _in_8_bits(picture: Image.Image) -> Image.Image:
    """The same where a channel has 8 bits or fewer; else grey brought to them."""
    if picture.mode in ("LAB", "La"):
        words = "its colours are {mode}; save it as RGB"
        raise PictureError(Problem.of("picture-mode", words, mode=picture.mode))
    if picture.mode != "F" and not picture.mode.startswith("I"):
        return picture
    lowest, highest = _extremes(picture)
    top = _TOP_OF_16_BITS if picture.mode != "F" else 255.0 if highest > 1 else 1.0
    if lowest < 0 or highest > max(top, 255.0):
        words = "its pixels run from {lowest:.6g} to {highest:.6g}, not within 0..{allowed}; save it with 8 bits"
        allowed = "65535" if picture.mode != "F" else "1 or 0..255"
        extremes = {"lowest": lowest, "highest": highest}
        raise PictureError(Problem.of("picture-range", words, allowed=allowed, **extremes))
    made = Image.new("L", picture.size)
    for band in _bands(picture):
        values = np.asarray(picture.crop(band), np.float64)
        made.paste(Image.fromarray((values * (255.0 / top)).round().astype(np.uint8)), band)
    return made


def _extremes(picture: Image.Image) -> tuple[float, float]:
    """The lowest and the highest value of a grey picture.

    Raises:
        PictureError: if one is not finite.
    """
    lowest, highest = np.inf, -np.inf
    for band in _bands(picture):
        values = np.asarray(picture.crop(band), np.float64)
        if not np.isfinite(values).all():
            raise PictureError(Problem.of("picture-not-finite", "its pixels hold NaN or infinity"))
        lowest, highest = min(lowest, float(values.min())), max(highest, float(values.max()))
    return lowest, highest
