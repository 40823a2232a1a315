"""Pictures in a notebook, or in windows where there is none."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np
from PIL import Image

from ..network.tensors import FloatArray


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook."""
    return "ipykernel" in sys.modules and hasattr(sys.modules.get("IPython"), "display")


def has_picture(images: FloatArray, maps: FloatArray) -> bool:
    """Whether there is anything to show without being asked to: colours, and numbers throughout."""
    return images.shape[1] in (1, 3, 4) and bool(np.isfinite(maps).all())


def display(pictures: Sequence[Image.Image]) -> None:
    """Show pictures: in the notebook whose kernel this is, or each in a window."""
    if in_notebook():
        for picture in pictures:
            sys.modules["IPython"].display.display(picture)
    else:
        for picture in pictures:
            picture.show()
