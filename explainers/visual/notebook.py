"""Pictures in a notebook, else in windows, else in files."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageShow

from ..network.tensors import FloatArray

_log = logging.getLogger("explainrun")


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook."""
    return "ipykernel" in sys.modules and hasattr(sys.modules.get("IPython"), "display")


def has_picture(images: FloatArray, maps: FloatArray) -> bool:
    """Whether there is anything to show without being asked to: colours, and numbers throughout."""
    return images.shape[1] in (1, 3, 4) and bool(np.isfinite(maps).all())


def display(pictures: Sequence[Image.Image]) -> None:
    """Show pictures: in the notebook whose kernel this is, or each in a window; in a file where there is no display.

    Raises:
        OSError: if such a file cannot be written.
    """
    if in_notebook():
        for picture in pictures:
            sys.modules["IPython"].display.display(picture)
    else:
        for picture in pictures:
            if not (has_display() and ImageShow.show(picture)):
                write_instead(picture.save)


def has_display() -> bool:
    """Whether a window may open; where that cannot be seen, it is tried."""
    return sys.platform in ("darwin", "win32") or any(os.environ.get(key) for key in ("DISPLAY", "WAYLAND_DISPLAY"))


def write_instead(save: Callable[[Path], Any]) -> None:
    """Write what there is no display for to the working folder, and say where.

    Args:
        save: writes it to a path.

    Raises:
        OSError: if it cannot be written.
    """
    path = free_name("explained", Path.cwd())
    try:
        save(path)
    except OSError as error:
        raise OSError(f"there is no display, and {path} cannot be written: {error.strerror or error}") from error
    _log.warning("there is no display; the picture is written to %s", path)


def free_name(stem: str, folder: Path) -> Path:
    """Where a picture goes that is named so, in a folder, beside files that are there."""
    paths = (folder / f"{stem}{'' if number == 1 else f'_{number}'}.png" for number in count(1))
    return next(path for path in paths if not os.path.lexists(path))
