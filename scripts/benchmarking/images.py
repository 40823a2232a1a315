"""Images and labels for each network, in NumPy alone, so that both libraries get the same."""

from __future__ import annotations

from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
from PIL import Image

from .subjects import DATA, Subject

Array = npt.NDArray[Any]
_CIFAR_MEAN = np.array([0.485, 0.456, 0.406], np.float32).reshape(3, 1, 1)
_CIFAR_STD = np.array([0.229, 0.224, 0.225], np.float32).reshape(3, 1, 1)


def images_of(subject: Subject, count: int) -> tuple[Array, Array]:
    """So many images float32 (N, C, H, W) and a label (N,) of each; those that there are, again and again."""
    images, labels = _SOURCES[subject.name](subject)
    place = np.arange(count) % len(images)
    return images[place], labels[place]


def boxes_of(subject: Subject, count: int) -> Array:
    """A box (N, 4) in the middle of each image: where labels shall be, for metrics that ask."""
    _, height, width = subject.shape
    return np.tile(np.array([width // 4, height // 4, width // 2, height // 2], np.int32), (count, 1))


def squares(image: Array) -> Array:
    """Superpixels (H, W): 8 x 8 rectangles that tile an image (H, W, C)."""
    height, width = image.shape[:2]
    across, down = np.arange(width) * 8 // width, np.arange(height) * 8 // height
    return np.asarray(down[:, None] * 8 + across, np.int64)


def _scenes(_: Subject) -> tuple[Array, Array]:
    from explainrun.configs.digit_scenes import DigitScenes, normalized  # noqa: PLC0415 - loads MindSpore

    scenes = list(DigitScenes("test", 64, first=1))
    return np.stack([normalized(scene.image) for scene in scenes]), np.array([scene.labels[0] for scene in scenes])


def _cifar(_: Subject) -> tuple[Array, Array]:
    with h5py.File(DATA / "cifar10_400.h5") as file:
        images, labels = file["images"][:], file["labels"][:]
    scaled = (images / np.float32(255) - _CIFAR_MEAN) / _CIFAR_STD
    return scaled.astype(np.float32), labels.astype(np.int64)


def _photos(_: Subject) -> tuple[Array, Array]:
    with h5py.File(DATA / "lite0" / "photos_48.h5") as file:
        images, labels = file["images"][:], file["labels"][:]
    return (images.astype(np.float32) - 127) / 128, labels.astype(np.int64)


def _blobs(subject: Subject) -> tuple[Array, Array]:
    """Smooth random colours."""
    _, height, width = subject.shape
    small = np.random.default_rng(0).normal(size=(16, 3, 7, 7)).astype(np.float32)
    large = [[np.asarray(Image.fromarray(channel).resize((width, height), Image.Resampling.BICUBIC)) for channel in one]
             for one in small]  # fmt: skip
    return np.array(large, np.float32), np.arange(16, dtype=np.int64)


_SOURCES = {"digits": _scenes, "resnet20": _cifar, "lite0": _photos, "resnet50": _blobs}
