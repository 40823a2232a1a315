"""Datasets that a config names by file: arrays of HDF5 and npz, pictures of a CSV and of folders, and MindRecord.

Pictures and integers are brought to 0..1 and normalised with the config's mean and std (where one exceeds 10, they are
taken on pixels of 0..255); images of floating point are taken as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import mindspore.dataset as ds

from ...summary_format.images import Statistics
from .array_files import hdf5_rows, npz_rows
from .direct import Data, MindRecordData
from .listed_pictures import csv_rows, folder_rows
from .pictures import Pixels


def hdf5_dataset(path: str | Path, mean: Statistics | None = None, std: Statistics | None = None) -> ds.Dataset:
    """Images of an HDF5 file, and labels and their places where it has them.

    Args:
        path: holds ``images`` (N, C, H, W), integers or floating point; optionally ``labels`` (N,) or (N, K); then
            optionally one of ``bboxes`` (N, K, 4) as x, y, width, height in pixels, ``masks`` (N, K, H, W), True or
            above 0 where the label is (of one label each (N, H, W)), and ``segmentation`` (N, H, W), class indices,
            with 255 or a number below 0 for none.
        mean: see the module.
        std: see the module.

    Raises:
        OSError: if the file cannot be read.
        ValueError: if it lacks images, has places without labels or of two kinds, lengths differ, or one of the arrays
            is not numbers in the file itself.
    """
    return hdf5_rows(Path(path), mean, std).dataset()


def csv_dataset(
    path: str | Path,
    class_names: Sequence[str],
    folder: str | Path | None = None,
    size: tuple[int, int] | None = None,
    channels: int = 3,
    mean: Statistics | None = None,
    std: Statistics | None = None,
) -> ds.Dataset:
    """Pictures in a folder, with labels and their places from a CSV file.

    Args:
        path: has the columns image (a path in the folder) and optionally label (a class name or index, may be empty)
            and x, y, width, height (pixels of the upright picture). A picture with several labels has several rows.
            Instead of boxes there may be mask, a path in the folder to a picture that is above 0 where the row's label
            is, or segmentation, one to a picture of class indices (grey, or places in a palette), with 255 for none;
            both are of their picture's size, and empty cells are allowed. UTF-8, or UTF-16 with its mark.
        class_names: what labels may say.
        folder: where the pictures are; the CSV's own folder by default.
        size: (height, width) that pictures and boxes are brought to, bilinearly, and masks by the nearest pixel; by
            default they are left alone, and must all be of one size.
        channels: 1 (grey), 3 (RGB) or 4 (RGBA).
        mean: see the module.
        std: see the module.

    Raises:
        OSError: if the file cannot be read.
        ValueError: if columns are missing, unknown or there twice, a line has too many cells, a label is unknown, a box
            is not numbers, pictures or masks are missing, or size, channels, mean and std do not fit.
    """
    path = Path(path)
    pixels = Pixels(size, channels, mean, std)
    return csv_rows(path, class_names, Path(folder) if folder else path.parent, pixels).dataset()


def npz_dataset(path: str | Path, mean: Statistics | None = None, std: Statistics | None = None) -> ds.Dataset:
    """Images of an ``npz`` file, and labels and their places where it has them, as in ``hdf5_dataset``.

    Args:
        path: the file; memory holds all of it.
        mean: see the module.
        std: see the module.

    Raises:
        OSError: if the file cannot be read.
        ValueError: if it is not an ``npz`` file, lacks images, has places without labels or of two kinds, lengths
            differ, or one of the arrays is not numbers.
    """
    return npz_rows(Path(path), mean, std).dataset()


def folder_dataset(
    path: str | Path,
    class_names: Sequence[str],
    size: tuple[int, int] | None = None,
    channels: int = 3,
    mean: Statistics | None = None,
    std: Statistics | None = None,
) -> ds.Dataset:
    """Pictures that lie in a folder for each class, in the classes' order and by name.

    Args:
        path: holds folders that are called as the classes are, or as their indices, with pictures at any depth.
        class_names: the classes.
        size: as in ``csv_dataset``, and so are channels.
        channels: 1 (grey), 3 (RGB) or 4 (RGBA).
        mean: see the module.
        std: see the module.

    Raises:
        ValueError: if there is no such folder, one in it is not called as a class, there are no pictures, or size,
            channels, mean and std do not fit.
    """
    return folder_rows(Path(path), class_names, Pixels(size, channels, mean, std)).dataset()


def mindrecord_dataset(
    path: str | Path,
    columns: Sequence[str] | None = None,
    size: tuple[int, int] | None = None,
    channels: int = 3,
    mean: Statistics | None = None,
    std: Statistics | None = None,
) -> Data:
    """Images of MindRecord files, and labels and boxes or masks where they have them.

    Args:
        path: one of the files; images are encoded pictures, or arrays (C, H, W) as in ``hdf5_dataset``.
        columns: names of the columns of images, labels and places, in this order; by default those of usual names.
        size: of encoded pictures, as in ``csv_dataset``, and so are channels.
        channels: 1 (grey), 3 (RGB) or 4 (RGBA).
        mean: see the module.
        std: see the module.

    Raises:
        OSError: if there is no such file.
        ValueError: if no columns are named and none have usual names, or size, channels, mean and std do not fit.
    """
    return MindRecordData(Path(path), columns, Pixels(size, channels, mean, std))
