"""Pictures by path or address."""

from __future__ import annotations

import re
from pathlib import Path

from PIL import Image

from ...summary_format.names import without_login
from ...summary_format.problem import Problem
from ..data.pictures import PictureError, converted, decoded, read_content
from .downloads import downloaded, is_address

_SHOWN_SIDE = 640  # pixels of a picture's longer side that a panel can show


def read_picture(source: str | Path) -> Image.Image:
    """A picture from a file or an http(s) address, upright and in 8 bits per channel.

    Raises:
        PictureError: if there is none, it takes too long or is too large, or is not a picture.
    """
    shown = without_login(str(source))
    if is_address(str(source)):
        return decoded(downloaded(str(source)), shown)
    if not Path(source).is_file():
        if Path(source).is_dir():
            raise PictureError(Problem.of("picture-is-folder", "no picture {source}: it is a folder", source=shown))
        raise PictureError(Problem.of("no-picture", "no picture {source}", source=shown))
    return read_content(Path(source), shown)


def picture_name(source: str | Path) -> str:
    """What a picture is called: the last part of its path, or of its address without what may be secret there."""
    text = without_login(str(source))
    if is_address(text):
        text = re.split("[?#]", text, maxsplit=1)[0].rstrip("/").replace("//***@", "//")
    return text.rpartition("/")[2] or text


def seen(picture: Image.Image) -> Image.Image:
    """A picture as a panel shows it: RGB, not larger than that takes."""
    shown = converted(picture, "RGB")
    shown.thumbnail((_SHOWN_SIDE, _SHOWN_SIDE))
    return shown
