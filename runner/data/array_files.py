"""Images of HDF5 and NumPy files, and labels, boxes and masks where they have them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from ...summary_format.images import Statistics
from ...summary_format.problem import Problem
from ...summary_format.untrusted.hdf5 import plain_dataset
from ...summary_format.untrusted.regular_files import open_regular
from .pixels import normalized
from .rows import COLUMNS, PLACES, Row, Rows

NAMES = ("images", "labels", *PLACES)


class ArrayRows(Rows):
    """Rows of arrays that have one entry a sample.

    Args:
        path: what messages call them.
        arrays: those of "images", "labels" and one of "bboxes", "masks" and "segmentation" that there are, each with a
            shape and a type. Masks (N, H, W) are those of one label each.
        mean: see ``normalized``.
        std: see ``normalized``.

    Raises:
        ValueError: if there are no images, boxes or masks without labels, more than one of them, lengths differ, or one
            is not rows of numbers.
    """

    def __init__(
        self, path: Path, arrays: Mapping[str, Any], mean: Statistics | None = None, std: Statistics | None = None
    ) -> None:
        self._path, self._mean, self._std = path, mean, std
        _check_places(path, [name for name in PLACES if name in arrays], labelled="labels" in arrays)
        for name, values in arrays.items():
            if values.dtype == object:
                words = (
                    "{path}: {name} must hold rows of numbers, all of one length: pad labels with -1, boxes and masks "
                    "with 0"
                )
                raise ValueError(Problem.of("array-ragged", words, path=path, name=name))
            if values.dtype.kind not in "biuf" or not values.shape:
                words = "{path}: {name} must hold rows of numbers, it is {kind} {shape}"
                kind = {"kind": str(values.dtype), "shape": tuple(values.shape)}
                raise ValueError(Problem.of("array-not-numbers", words, path=path, name=name, **kind))
        self._arrays = list(arrays.values())
        lengths = {name: len(values) for name, values in arrays.items()}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"the datasets of {path} differ in length: {lengths}")
        self.columns = (*COLUMNS[: min(len(arrays), 2)], *list(arrays)[2:])
        kinds = [np.dtype(np.float32), *(values.dtype.newbyteorder("=") for values in self._arrays[1:])]
        axes = [max(values.ndim - 1, 3 * (name == "masks")) for name, values in arrays.items()]
        self.forms = tuple(zip(axes, kinds, strict=True))

    def __len__(self) -> int:
        return len(self._arrays[0])

    def row(self, index: int) -> Row:
        image, *rest = (values[index] for values in self._arrays)
        said = (
            _formed(np.asarray(value, kind), axes) for value, (axes, kind) in zip(rest, self.forms[1:], strict=True)
        )
        return (normalized(np.asarray(image), self._mean, self._std), *said)

    def where(self, index: int) -> str:
        return f"{self._path} row {index}"


class GivenArrays(ArrayRows):
    """Rows of arrays that a script has, the images as the network takes them."""

    def row(self, index: int) -> Row:
        return tuple(
            _formed(np.asarray(values[index]), axes) for values, (axes, _) in zip(self._arrays, self.forms, strict=True)
        )

    def where(self, index: int) -> str:
        return ""


def _formed(value: npt.NDArray[Any], axes: int) -> npt.NDArray[Any]:
    """What a row holds, with so many axes: the mask of one label as the only one of several."""
    return value[None] if value.ndim < axes else value


def _check_places(path: Path, places: list[str], *, labelled: bool) -> None:
    """Refuse places of nothing, and places that are given twice."""
    if len(places) > 1:
        words = "{path} has {places:list}; give one of them"
        raise ValueError(Problem.of("places-twice", words, path=path, places=places))
    if places and not labelled:
        raise ValueError(f"{path} has {places[0]!r} without 'labels'")


def place_name(images: npt.NDArray[Any], labels: npt.NDArray[Any], places: npt.NDArray[Any]) -> str:
    """What an array of places holds, by its shape: "bboxes", "masks" or "segmentation".

    Args:
        images: (N, C, H, W).
        labels: (N,) or (N, K).
        places: boxes (N, K, 4), masks (N, K, H, W) or, of one label each and not of whole numbers, (N, H, W), or class
            indices (N, H, W).
    """
    if places.ndim == 4:
        return "masks"
    boxed = places.shape[1:] == (*labels.shape[1:], 4)
    if boxed or places.ndim != 3 or places.shape[1:] != images.shape[2:]:
        return "bboxes"
    return "segmentation" if places.dtype.kind in "iu" else "masks"


def npz_rows(path: Path, mean: Statistics | None, std: Statistics | None) -> ArrayRows:
    """Rows of the arrays in an ``npz`` file, all of which memory holds.

    Raises:
        OSError: if the file cannot be read.
        ValueError: as ``ArrayRows``, or if it is none, or holds objects.
    """
    try:
        with open_regular(path) as content:
            file = np.load(content, allow_pickle=False)
            if not isinstance(file, np.lib.npyio.NpzFile):
                raise ValueError("it is not an npz file, which holds arrays by name; see numpy.savez")
            names = list(file)
            arrays = {name: file[name] for name in NAMES if name in names}
    except FileNotFoundError:
        raise
    except Exception as error:  # of a broken zip Python's reader raises nearly anything
        words, said = "{path} cannot be read: {said}", " ".join(str(error).split()) or type(error).__name__
        raise ValueError(Problem.of("npz-unreadable", words, path=path, said=said)) from error
    if "images" not in arrays:
        words = "{path} has no array 'images'; it has {names:list}"
        raise ValueError(Problem.of("npz-no-images", words, path=path, names=names or ["none"]))
    return ArrayRows(path, arrays, mean, std)


def hdf5_rows(path: Path, mean: Statistics | None, std: Statistics | None) -> ArrayRows:
    """Rows of an HDF5 file.

    Raises:
        OSError: if the file cannot be read.
        ValueError: as ``ArrayRows``, or if an array lies elsewhere than in the file itself: what lies in other files
            would be read and shown unasked.
    """
    open_regular(path).close()
    file = h5py.File(path, "r")
    present = [name for name in NAMES if file.get(name, getlink=True) is not None]
    if "images" not in present:
        raise ValueError(f"{path} has no dataset 'images'; it has {', '.join(file) or 'none'}")
    try:
        arrays = {name: plain_dataset(file, name) for name in present}
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    return ArrayRows(path, arrays, mean, std)


def labelled_images(
    path: Path, mean: Statistics | None, std: Statistics | None
) -> tuple[npt.NDArray[np.float32], npt.NDArray[Any]]:
    """All images (N, C, H, W), as the network takes them, and labels (N,) or (N, K) of an HDF5 or ``npz`` file.

    Raises:
        OSError: if the file cannot be read.
        ValueError: as ``ArrayRows``, or if it has no labels.
    """
    rows = npz_rows(path, mean, std) if path.suffix == ".npz" else hdf5_rows(path, mean, std)
    if "labels" not in rows.columns:
        raise ValueError(Problem.of("images-without-labels", "{path} has no array 'labels'", path=path))
    images, labels = zip(*(rows.row(index)[:2] for index in range(len(rows))), strict=True)
    return np.stack(images), np.stack(labels)
