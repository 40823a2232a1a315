"""Scenes of real handwriting: scikit-learn's digits pasted on cluttered RGB backgrounds, every digit with its box.

Scene ``i`` of a split depends on (seed, split, i) alone, so a longer set begins with the shorter one, and a scene
of the test split holds only handwriting that no training scene holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args

import h5py
import mindspore.dataset as ds
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw
from sklearn.datasets import load_digits

Split = Literal["train", "test"]
Column = Literal["image", "labels", "bboxes"]
Box = tuple[int, int, int, int]

SIDE = 112
MOST_DIGITS = 3
CLASS_NAMES = tuple(str(digit) for digit in range(10))
MEAN = (0.5, 0.5, 0.5)
STD = (0.25, 0.25, 0.25)

_PLACING_TRIES = 40
_TEST_SHARE = 5  # every fifth handwritten digit is kept for the test split


@dataclass(frozen=True)
class Scene:
    """One scene.

    Attributes:
        image: uint8 (112, 112, 3), RGB.
        labels: the digits in the scene, one to three, in the order in which they were pasted.
        boxes: for every digit x, y, width, height in pixels from the top left corner, tight around its ink.
    """

    image: npt.NDArray[np.uint8]
    labels: tuple[int, ...]
    boxes: tuple[Box, ...]


class DigitScenes(Sequence[Scene]):
    """A deterministic sequence of scenes.

    Args:
        split: "train" or "test"; the two share no handwritten digit.
        count: how many scenes.
        first: index of the first scene.
        seed: another seed gives other scenes of the same handwriting.

    Raises:
        ValueError: if the split is unknown, or count or first are negative.
    """

    def __init__(self, split: Split = "test", count: int = 100, first: int = 0, seed: int = 0) -> None:
        if split not in get_args(Split):
            raise ValueError(f"split must be one of {get_args(Split)}, got {split!r}")
        if count < 0 or first < 0:
            raise ValueError(f"count and first must not be negative, got {count} and {first}")
        self._key = (seed, get_args(Split).index(split))
        self._count, self._first = count, first
        self._ink, self._digits = _handwriting(split)

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(f"scene {index} of {len(self)}")
        return self._make(np.random.default_rng((*self._key, self._first + index % len(self))))

    def dataset(self, columns: Sequence[Column] = ("image", "labels", "bboxes")) -> ds.GeneratorDataset:
        """The scenes as a MindSpore dataset, one sample a row (call ``.batch(n)`` on it if you like).

        Columns: image float32 (3, 112, 112), normalised with ``MEAN`` and ``STD``; labels int32 (3,), padded
        with -1; bboxes int32 (3, 4) as x, y, width, height, padded with 0.
        """
        return ds.GeneratorDataset(_Rows(self, columns), list(columns), shuffle=False, num_parallel_workers=1)

    def write_hdf5(self, path: str | Path) -> None:
        """Write images uint8 (N, 3, 112, 112), labels (N, 3), bboxes (N, 3, 4), and class_names, mean, std."""
        with h5py.File(path, "w") as file:
            images = file.create_dataset("images", (len(self), 3, SIDE, SIDE), np.uint8, chunks=(1, 3, SIDE, SIDE))
            labels = file.create_dataset("labels", (len(self), MOST_DIGITS), np.int32)
            boxes = file.create_dataset("bboxes", (len(self), MOST_DIGITS, 4), np.int32)
            file.attrs.update(class_names=CLASS_NAMES, mean=MEAN, std=STD)
            for i, scene in enumerate(self):
                truth = _padded(scene)
                images[i], labels[i], boxes[i] = scene.image.transpose(2, 0, 1), truth["labels"], truth["bboxes"]

    def _make(self, rng: np.random.Generator) -> Scene:
        canvas = _background(rng)
        labels: list[int] = []
        boxes: list[Box] = []
        for _ in range(int(rng.integers(1, MOST_DIGITS + 1))):
            pick = int(rng.integers(len(self._digits)))
            ink = _drawn(self._ink[pick], rng)
            box = _free_place(ink.shape, boxes, rng)
            if box is not None:
                _paste(canvas, ink, box, rng)
                labels.append(int(self._digits[pick]))
                boxes.append(box)
        canvas += rng.normal(0.0, 0.02, canvas.shape)
        image = (canvas.clip(0.0, 1.0) * 255.0).round().astype(np.uint8)
        return Scene(image, tuple(labels), tuple(boxes))


class _Rows:
    """Scenes by index as the rows of a dataset, which so knows its length without making them all."""

    def __init__(self, scenes: DigitScenes, columns: Sequence[Column]) -> None:
        self._scenes, self._columns = scenes, columns

    def __len__(self) -> int:
        return len(self._scenes)

    def __getitem__(self, index: int) -> tuple[npt.NDArray[Any], ...]:
        scene: Scene = self._scenes[int(index)]
        arrays = {"image": normalized(scene.image), **_padded(scene)}
        return tuple(arrays[name] for name in self._columns)


def scene_dataset(
    split: Split = "test",
    count: int = 100,
    first: int = 0,
    seed: int = 0,
    columns: Sequence[Column] = ("image", "labels", "bboxes"),
) -> ds.GeneratorDataset:
    """``DigitScenes(...).dataset(columns)`` in one call, as configs name it."""
    return DigitScenes(split, count, first, seed).dataset(columns)


def normalized(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """An (H, W, 3) RGB image as the float32 (3, H, W) that the bundled network takes."""
    scaled = (image.astype(np.float32) / 255.0 - np.array(MEAN, np.float32)) / np.array(STD, np.float32)
    return np.ascontiguousarray(scaled.transpose(2, 0, 1), dtype=np.float32)


@cache
def _handwriting(split: Split) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    digits = load_digits()
    held_out = np.arange(len(digits.target)) % _TEST_SHARE == 0
    chosen = held_out if split == "test" else ~held_out
    return digits.images[chosen] / 16.0, digits.target[chosen]


def _padded(scene: Scene) -> dict[str, npt.NDArray[np.int32]]:
    labels = np.full(MOST_DIGITS, -1, np.int32)
    boxes = np.zeros((MOST_DIGITS, 4), np.int32)
    labels[: len(scene.labels)], boxes[: len(scene.boxes)] = scene.labels, scene.boxes
    return {"labels": labels, "bboxes": boxes}


def _background(rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """A smooth field of colours with strokes, ovals and rectangles over it, in 0..1."""
    coarse = (rng.uniform(60, 195, 3) + rng.normal(0, 25, (5, 5, 3))).clip(0, 255).astype(np.uint8)
    picture = Image.fromarray(coarse).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(picture)
    for _ in range(int(rng.integers(4, 10))):
        x, y = rng.integers(0, SIDE, 2)
        width, height = rng.integers(3, 28, 2)
        colour = tuple(int(value) for value in rng.integers(20, 236, 3))
        corners = (int(x), int(y), int(x + width), int(y + height))
        kind = rng.integers(3)
        if kind == 0:
            draw.line(corners, fill=colour, width=int(rng.integers(1, 4)))
        elif kind == 1:
            draw.ellipse(corners, outline=colour, width=int(rng.integers(1, 3)))
        else:
            draw.rectangle(corners, fill=colour)
    return np.asarray(picture, np.float64) / 255.0


def _drawn(digit: npt.NDArray[np.float64], rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """One 8 x 8 digit as ink in 0..1 at a random size and slant, cut to its bounding box."""
    height = int(rng.integers(22, 47))
    width = int(height * rng.uniform(0.75, 1.1))
    picture = Image.fromarray(np.pad(digit, 1).astype(np.float32))
    picture = picture.resize((width, height), Image.Resampling.BICUBIC)
    picture = picture.rotate(rng.uniform(-12, 12), Image.Resampling.BILINEAR, expand=True)
    ink = np.asarray(picture, np.float64).clip(0.0, 1.0)
    rows, columns = np.nonzero(ink > 0.3)
    return ink[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]


def _free_place(shape: tuple[int, ...], taken: list[Box], rng: np.random.Generator) -> Box | None:
    """A random place of that (height, width) that overlaps no taken box, or None after some tries."""
    height, width = shape
    for _ in range(_PLACING_TRIES):
        x, y = int(rng.integers(0, SIDE - width + 1)), int(rng.integers(0, SIDE - height + 1))
        if all(x + width <= bx or bx + bw <= x or y + height <= by or by + bh <= y for bx, by, bw, bh in taken):
            return x, y, width, height
    return None


def _paste(canvas: npt.NDArray[np.float64], ink: npt.NDArray[np.float64], box: Box, rng: np.random.Generator) -> None:
    """Blend the ink in, in a tone well lighter or well darker than what lies beneath."""
    x, y, width, height = box
    patch = canvas[y : y + height, x : x + width]
    below = patch.mean()
    lighter = below + 0.35 <= 1.0 and (below < 0.35 or rng.random() < 0.5)
    tone = rng.uniform(below + 0.35, 1.0) if lighter else rng.uniform(0.0, below - 0.35)
    colour = (tone + rng.normal(0.0, 0.06, 3)).clip(0.0, 1.0)
    patch += ink[..., None] * (colour - patch)
