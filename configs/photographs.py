"""Photographs that come with scikit-image and scikit-learn, labelled with ImageNet's classes; nothing is downloaded.

Their pixels are (value - 127) / 128, of the middle square, seven eighths of the shorter side, brought to 224 x 224
bicubically: as EfficientNet-Lite0 was evaluated.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import mindspore.dataset as ds
import numpy as np
import numpy.typing as npt
from PIL import Image

Box = tuple[int, int, int, int]

SIDE = 224
MEAN, STD = 127.0, 128.0
CLASSES = Path(__file__).with_name("imagenet_classes.txt")
_MIDDLE = 224 / 256
_MOST_LABELS = 2
_NOWHERE: Box = (0, 0, 0, 0)


@dataclass(frozen=True)
class Photograph:
    """One photograph.

    Attributes:
        package: in which it lies.
        file: its name there.
        licence: under which its authors gave it.
        boxes: of what is seen, by ImageNet's class: x, y, width, height in pixels of the 224 x 224 from the top left;
            (0, 0, 0, 0) where it fills the picture. Empty where ImageNet has no class for what is seen.
    """

    package: str
    file: str
    licence: str
    boxes: Mapping[str, Box] = field(default_factory=dict)

    def pixels(self) -> npt.NDArray[np.uint8]:
        """RGB, uint8 (224, 224, 3).

        Raises:
            FileNotFoundError: if the package, in the version that is installed, does not hold it.
        """
        with files(self.package).joinpath(self.file).open("rb") as stream, Image.open(stream) as opened:
            picture = opened.convert("RGB")
        side = _MIDDLE * min(picture.size)
        left, top = (picture.width - side) / 2, (picture.height - side) / 2
        square = (left, top, left + side, top + side)
        return np.asarray(picture.resize((SIDE, SIDE), Image.Resampling.BICUBIC, square))


_SKIMAGE, _SKLEARN = "skimage.data", "sklearn.datasets.images"
PHOTOGRAPHS = (
    Photograph(_SKIMAGE, "astronaut.png", "public domain (NASA)", {"space shuttle": (160, 0, 50, 126)}),
    Photograph(_SKIMAGE, "camera.png", "CC0 (Lav Varshney)", {"tripod": (104, 84, 75, 140)}),
    Photograph(_SKIMAGE, "chelsea.png", "CC0 (Stefan van der Walt)", {"tabby": _NOWHERE}),
    Photograph(_SKIMAGE, "clock_motion.png", "public domain (Stefan van der Walt)", {"wall clock": (64, 62, 117, 106)}),
    Photograph(
        _SKIMAGE, "coffee.png", "CC0 (Rachel Michetti)", {"espresso": (50, 44, 107, 72), "cup": (32, 0, 152, 182)}
    ),
    Photograph(_SKIMAGE, "rocket.jpg", "public domain (SpaceX)"),
    Photograph(_SKLEARN, "china.jpg", "CC BY 2.0 (danielbuechele, Flickr)", {"palace": (0, 2, 144, 216)}),
    Photograph(_SKLEARN, "flower.jpg", "CC BY 2.0 (vultilion, Flickr)"),
)


def photograph_dataset() -> ds.GeneratorDataset:
    """All of them as a MindSpore dataset, a row each.

    Columns: image float32 (3, 224, 224), normalised with ``MEAN`` and ``STD``; labels int32 (2,), padded with -1;
    bboxes int32 (2, 4) as x, y, width, height, padded with 0.
    """
    columns = ["image", "labels", "bboxes"]
    return ds.GeneratorDataset(_Rows(), columns, shuffle=False, num_parallel_workers=1)


def normalized(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """An (H, W, 3) RGB image as the float32 (3, H, W) that the network takes."""
    scaled = (pixels.astype(np.float32) - np.float32(MEAN)) / np.float32(STD)
    return np.ascontiguousarray(scaled.transpose(2, 0, 1))


class _Rows:
    """Photographs by index as the rows of a dataset."""

    def __len__(self) -> int:
        return len(PHOTOGRAPHS)

    def __getitem__(self, index: int) -> tuple[npt.NDArray[Any], ...]:
        photograph = PHOTOGRAPHS[int(index)]
        labels = np.full(_MOST_LABELS, -1, np.int32)
        boxes = np.zeros((_MOST_LABELS, 4), np.int32)
        for place, (name, box) in enumerate(photograph.boxes.items()):
            labels[place], boxes[place] = _labels()[name], box
        return normalized(photograph.pixels()), labels, boxes


@cache
def _labels() -> dict[str, int]:
    return {name: label for label, name in enumerate(CLASSES.read_text("utf-8").splitlines())}
