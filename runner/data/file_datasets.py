"""Datasets that a config names by file: HDF5, and a CSV of pictures. Both become MindSpore datasets.

Pictures of 8-bit pixels are brought to 0..1 and normalised with the config's mean and std (where one exceeds 10, they
are taken on pixels of 0..255); HDF5 images of floating point are taken as they are.
"""

from __future__ import annotations

import csv
import io
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import h5py
import mindspore.dataset as ds
import numpy as np
import numpy.typing as npt
from PIL import Image

from ...explainers.network.tensors import FloatArray
from ...summary_format.errors import nearest
from ...summary_format.images import Statistics
from ...summary_format.untrusted.hdf5 import plain_dataset

PADDING = -1
MODES = {1: "L", 3: "RGB", 4: "RGBA"}
BOX_COLUMNS = ("x", "y", "width", "height")


def hdf5_dataset(path: str | Path, mean: Statistics | None = None, std: Statistics | None = None) -> ds.Dataset:
    """Images of an HDF5 file, and labels and boxes where it has them.

    Args:
        path: holds ``images`` (N, C, H, W), uint8 or floating point; optionally ``labels`` (N,) or (N, K); then
            optionally ``bboxes`` (N, K, 4) as x, y, width, height in pixels.
        mean: see the module.
        std: see the module.

    Raises:
        OSError: if the file cannot be read.
        ValueError: if it lacks images, has boxes without labels, lengths differ, or one of the three is not numbers in
            the file itself.
    """
    source = _Hdf5(Path(path), mean, std)
    return _dataset(source, source.columns)


def csv_dataset(
    path: str | Path,
    class_names: Sequence[str],
    folder: str | Path | None = None,
    size: tuple[int, int] | None = None,
    channels: int = 3,
    mean: Statistics | None = None,
    std: Statistics | None = None,
) -> ds.Dataset:
    """Pictures in a folder, with labels and boxes from a CSV file.

    Args:
        path: has the columns image (a path in the folder) and optionally label (a class name or index, may be empty)
            and x, y, width, height (pixels of the picture). A picture with several labels has several rows.
        class_names: what labels may say.
        folder: where the pictures are; the CSV's own folder by default.
        size: (height, width) that pictures and boxes are brought to, bilinearly; by default they are left alone, and
            must all be of one size.
        channels: 1 (grey), 3 (RGB) or 4 (RGBA).
        mean: see the module.
        std: see the module.

    Raises:
        OSError: if the file cannot be read.
        ValueError: if columns are missing or unknown, a label is unknown, a box is not numbers, pictures are missing,
            or channels is another number.
    """
    path = Path(path)
    source = _Pictures(path, Path(folder) if folder else path.parent, class_names, size, channels, mean, std)
    return _dataset(source, source.columns)


def normalized(images: npt.NDArray[Any], mean: Statistics | None, std: Statistics | None) -> FloatArray:
    """8-bit images (C, H, W) as the network takes them; others are only made float32."""
    if images.dtype != np.uint8:
        return images.astype(np.float32, copy=False)
    if mean is None or std is None:
        return images.astype(np.float32) / np.float32(255)
    offset, scale = (np.atleast_1d(np.asarray(values, np.float32))[:, None, None] for values in (mean, std))
    unit = np.float32(255 if max(offset.max(), scale.max()) <= 10 else 1)
    made: FloatArray = (images.astype(np.float32) / unit - offset) / scale
    return made


def open_picture(source: Path | io.BytesIO) -> Image.Image:
    """A picture of any kind that Pillow reads by itself: for EPS it would start Ghostscript, which runs programs."""
    Image.init()
    return Image.open(source, formats=[kind for kind in Image.OPEN if kind != "EPS"])


def skipping(dataset: ds.Dataset, wanted: Callable[[int], bool]) -> ds.Dataset:
    """A dataset without the cost of rows that are not wanted: what it gives for those may be anything.

    Of the datasets of this module that is another one, on the same file; any other is given back as it is. The one
    given stays as it was found, whatever becomes of the other.

    Args:
        dataset: any.
        wanted: which places in it are.
    """
    source = getattr(dataset, "source", None)
    if not isinstance(dataset, ds.GeneratorDataset) or not isinstance(source, _Rows) or not _whole(dataset.sampler):
        return dataset
    return _dataset(_Skipping(source, wanted), source.columns)


def _dataset(source: _Rows | _Skipping, columns: Sequence[str]) -> ds.Dataset:
    """All rows in their order."""
    return ds.GeneratorDataset(source, list(columns), shuffle=False, num_parallel_workers=1)


def _whole(sampler: ds.Sampler) -> bool:
    """Whether a dataset's places are those of its source still: users may have added a sampler of their own."""
    return type(sampler) is ds.SequentialSampler and not (
        sampler.start_index or sampler.num_samples or sampler.child_sampler
    )


class _Rows(ABC):
    """Rows by index.

    Attributes:
        columns: their names.
    """

    columns: tuple[str, ...]

    def __getitem__(self, index: int) -> tuple[npt.NDArray[Any], ...]:
        return self.row(int(index))

    @abstractmethod
    def __len__(self) -> int: ...

    @cached_property
    def blank(self) -> tuple[npt.NDArray[Any], ...]:
        """A row of no meaning, of the same types as all."""
        return tuple(np.zeros((1,) * values.ndim, values.dtype) for values in self.row(0))

    @abstractmethod
    def row(self, index: int) -> tuple[npt.NDArray[Any], ...]:
        """What the columns hold."""


class _Skipping:
    """The same rows, of which only those that are wanted are really read."""

    def __init__(self, rows: _Rows, wanted: Callable[[int], bool]) -> None:
        self._rows, self._wanted = rows, wanted

    def __getitem__(self, index: int) -> tuple[npt.NDArray[Any], ...]:
        return self._rows[index] if self._wanted(int(index)) else self._rows.blank

    def __len__(self) -> int:
        return len(self._rows)


class _Hdf5(_Rows):
    """Rows of an HDF5 file."""

    def __init__(self, path: Path, mean: Statistics | None, std: Statistics | None) -> None:
        self._file = h5py.File(path, "r")
        self._mean, self._std = mean, std
        if self._file.get("images", getlink=True) is None:
            raise ValueError(f"{path} has no dataset 'images'; it has {', '.join(self._file) or 'none'}")
        names = ("images", "labels", "bboxes")
        present = [name for name in names if self._file.get(name, getlink=True) is not None]
        if present != list(names[: len(present)]):
            raise ValueError(f"{path} has 'bboxes' without 'labels'")
        self._rows = [_numeric_dataset(self._file, path, name) for name in present]
        lengths = {name: len(rows) for name, rows in zip(present, self._rows, strict=True)}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"the datasets of {path} differ in length: {lengths}")
        self.columns = ("image", "labels", "bboxes")[: len(present)]

    def __len__(self) -> int:
        return len(self._rows[0])

    def row(self, index: int) -> tuple[npt.NDArray[Any], ...]:
        image, *rest = (np.asarray(rows[index]) for rows in self._rows)
        return (normalized(image, self._mean, self._std), *rest)


class _Pictures(_Rows):
    """Pictures that a CSV lists."""

    def __init__(
        self,
        path: Path,
        folder: Path,
        class_names: Sequence[str],
        size: tuple[int, int] | None,
        channels: int,
        mean: Statistics | None,
        std: Statistics | None,
    ) -> None:
        if channels not in MODES:
            raise ValueError(f"channels must be one of {tuple(MODES)}, got {channels}")
        self._size, self._channels, self._mean, self._std = size, channels, mean, std
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            given = tuple(reader.fieldnames or ())
            self._boxed = _has_boxes(path, given)
            self.columns = (
                ("image", "labels", "bboxes") if self._boxed else ("image", "labels")[: 1 + ("label" in given)]
            )
            indices = {name: index for index, name in enumerate(class_names)}
            self._truth: dict[Path, list[tuple[int, tuple[float, ...]]]] = {}
            for number, row in enumerate(reader, start=2):
                truth = self._truth.setdefault(folder / (row["image"] or ""), [])
                if row.get("label"):
                    where = f"{path} line {number}"
                    truth.append((_label(row["label"], indices, where), _box(row, where) if self._boxed else ()))
        self._pictures = list(self._truth)
        missing = [str(picture) for picture in self._pictures if not picture.is_file()]
        if missing:
            raise ValueError(f"{len(missing)} of {len(self._pictures)} pictures are missing, the first is {missing[0]}")

    def __len__(self) -> int:
        return len(self._pictures)

    def row(self, index: int) -> tuple[npt.NDArray[Any], ...]:
        path = self._pictures[index]
        with open_picture(path) as opened:
            picture = opened.convert(MODES[self._channels])
        scale_x = scale_y = 1.0
        if self._size is not None:
            height, width = self._size
            scale_x, scale_y = width / picture.width, height / picture.height
            picture = picture.resize((width, height), Image.Resampling.BILINEAR)
        pixels = np.asarray(picture)
        pixels = pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
        truth = self._truth[path]
        labels = np.array([label for label, _ in truth] or [PADDING], np.int32)
        scales = np.array([scale_x, scale_y, scale_x, scale_y], np.float32)
        boxes = np.array([box for _, box in truth] or [(0,) * 4], np.float32) * scales if self._boxed else None
        row = (normalized(np.ascontiguousarray(pixels), self._mean, self._std), labels, boxes)
        return tuple(value for value in row[: len(self.columns)] if value is not None)


def _numeric_dataset(file: h5py.File, path: Path, name: str) -> h5py.Dataset:
    """A dataset of numbers that the file itself holds: what lies in other files would be read and shown unasked."""
    try:
        dataset = plain_dataset(file, name)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    if dataset.dtype.kind not in "biuf" or not dataset.shape:
        raise ValueError(f"{path}: {name} must hold rows of numbers, it is {dataset.dtype} {dataset.shape}")
    return dataset


def _has_boxes(path: Path, given: Sequence[str]) -> bool:
    """Whether a CSV with these columns has boxes."""
    known = ("image", "label", *BOX_COLUMNS)
    problems = [f"unknown column {name!r}; {nearest(name, known)}" for name in given if name not in known]
    boxes = [name for name in BOX_COLUMNS if name in given]
    if "image" not in given:
        problems.append("no column 'image'")
    if boxes and (len(boxes) < len(BOX_COLUMNS) or "label" not in given):
        problems.append(f"boxes need the columns label, {', '.join(BOX_COLUMNS)}")
    if problems:
        raise ValueError(f"{path}: {'; '.join(problems)}")
    return bool(boxes)


def _label(text: str, indices: Mapping[str, int], where: str) -> int:
    if text in indices:
        return indices[text]
    if text.isdigit() and int(text) < len(indices):
        return int(text)
    raise ValueError(
        f"{where}: label {text!r} is neither a class name nor an index below {len(indices)}; {nearest(text, indices)}"
    )


def _box(row: Mapping[str, str], where: str) -> tuple[float, ...]:
    try:
        return tuple(float(row[name]) for name in BOX_COLUMNS)
    except (TypeError, ValueError):
        raise ValueError(f"{where}: a box needs four numbers, got {[row[name] for name in BOX_COLUMNS]}") from None
