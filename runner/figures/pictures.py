"""Pictures by path or address."""

from __future__ import annotations

import time
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from PIL import Image

from ...summary_format.problem import Problem
from ..data.pictures import PictureError, converted, decoded, read_content

SECONDS_TO_ANSWER = 20
SECONDS_TO_ARRIVE = 120
LARGEST_DOWNLOAD = 64 * 2**20
_CHUNK = 2**16
_SHOWN_SIDE = 640  # pixels of a picture's longer side that a panel can show


def read_picture(source: str | Path) -> Image.Image:
    """A picture from a file or an http(s) address, upright and in 8 bits per channel.

    Raises:
        PictureError: if there is none, it takes too long or is too large, or is not a picture.
    """
    if str(source).lower().startswith(("http://", "https://")):
        return decoded(_downloaded(str(source)), str(source))
    if not Path(source).is_file():
        if Path(source).is_dir():
            raise PictureError(Problem.of("picture-is-folder", "no picture {source}: it is a folder", source=source))
        raise PictureError(Problem.of("no-picture", "no picture {source}", source=source))
    return read_content(Path(source), source)


def seen(picture: Image.Image) -> Image.Image:
    """A picture as a panel shows it: RGB, not larger than that takes."""
    shown = converted(picture, "RGB")
    shown.thumbnail((_SHOWN_SIDE, _SHOWN_SIDE))
    return shown


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
