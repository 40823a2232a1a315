"""The pictures that explain.yaml explains, as a MindSpore dataset: fill in how yours are read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mindspore.dataset as ds
import numpy as np
from PIL import Image

SUFFIXES = (".jpg", ".jpeg", ".png")


class Pictures:
    """Rows (image, label) of pictures, by index.

    FILL IN: this reads a folder of pictures for each class. An image is float32 (3, height, width), as the network
    takes it; a label is the index of a class, or several, padded with -1. Where boxes are known, a third column has one
    for each label: x, y, width and height in pixels from the top left.
    """

    def __init__(self, folder: Path, class_names: Sequence[str], size: Sequence[int], mean: Any, std: Any) -> None:
        self.size, self.mean, self.std = size, np.float32(mean), np.float32(std)
        self.files = [
            (path, label)
            for label, name in enumerate(class_names)
            for path in sorted((folder / name).glob("*"))
            if path.suffix.lower() in SUFFIXES
        ]
        if not self.files:
            raise FileNotFoundError(f"no pictures in {folder}, which must hold a folder for each of {class_names}")

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        path, label = self.files[int(index)]
        with Image.open(path) as opened:
            picture = opened.convert("RGB").resize((self.size[1], self.size[0]), Image.Resampling.BILINEAR)
        pixels = (np.asarray(picture, np.float32) - self.mean) / self.std
        return np.ascontiguousarray(pixels.transpose(2, 0, 1), np.float32), np.int32(label)


def dataset(
    folder: str, class_names: Sequence[str], size: Sequence[int], mean: float | list[float], std: float | list[float]
) -> ds.GeneratorDataset:
    """The dataset that explain.yaml names, with the options that stand there.

    It must give the same samples in the same order each time: without shuffling, and without random transforms.

    Args:
        folder: relative to this file.
        class_names: in the order of the network's outputs.
        size: (height, width) that pictures are brought to.
        mean: taken from pixels of 0..255, for each channel or for all.
        std: what the rest is divided by.
    """
    pictures = Pictures(Path(__file__).parent / folder, list(class_names), size, mean, std)
    return ds.GeneratorDataset(pictures, ["image", "label"], shuffle=False, num_parallel_workers=1)
