"""Data that is read where it is asked for, and not in threads of MindSpore's: DataLoaders and MindRecord files."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import mindspore as ms
import mindspore.dataset as ds
import numpy as np
from mindspore import Tensor

from ...summary_format.problem import Problem
from .pictures import Pixels, decoded
from .pixels import normalized
from .rows import COLUMNS, PLACES, Row

_USUAL_NAMES = (("image", "images", "data"), ("label", "labels"), ("boxes", *PLACES))


class DirectData(ABC):
    """Rows in order, or the samples of a batch as one row; with the names of methods that MindSpore's datasets have."""

    @abstractmethod
    def get_col_names(self) -> list[str]:
        """The names of its columns."""

    @abstractmethod
    def sample_count(self) -> int | None:
        """How many samples there are; None where only reading them all would show it."""

    @abstractmethod
    def rows(self) -> Iterator[Row | Exception]:
        """All rows, from the first one each time; what is wrong with one in its place."""

    def where(self, place: int) -> str:
        """What messages call a sample's place; empty where that says nothing."""
        return ""


class LoaderData(DirectData):
    """What a ``mindspore.dataset.dataloader.DataLoader`` gives.

    Args:
        loader: gives images, (images, labels), (images, labels, places) or a mapping with these values in this order.

    Raises:
        ValueError: if it shuffles, so that no sample would be known again.
    """

    def __init__(self, loader: Any) -> None:
        random = sys.modules["mindspore.dataset.dataloader"].RandomSampler
        batches = getattr(loader.batch_sampler, "sampler", None)
        if isinstance(loader.sampler, random) or isinstance(batches, random):
            words = (
                "the DataLoader shuffles, so that a resumed run could not know its samples again; give shuffle=False"
            )
            raise ValueError(Problem.of("loader-shuffles", words))
        self._loader = loader
        self._names: list[str] | None = None

    def get_col_names(self) -> list[str]:
        """Those of a mapping, else by their number; the first batch is read to see it."""
        if self._names is None:
            first = next(iter(self._loader), ())
            self._names = list(map(str, first)) if isinstance(first, Mapping) else _numbered(len(_parts(first)))
        return self._names

    def sample_count(self) -> int | None:
        iterable = isinstance(self._loader.dataset, sys.modules["mindspore.dataset.dataloader"].IterableDataset)
        own_batches = self._loader.batch_size is None and self._loader.batch_sampler is not None
        if iterable or own_batches or not hasattr(self._loader.sampler, "__len__"):
            return None
        count = len(self._loader.sampler)
        return count - count % self._loader.batch_size if self._loader.drop_last else count

    def rows(self) -> Iterator[Row | Exception]:
        for batch in self._loader:
            yield tuple(map(plain_array, _parts(batch)))


class MindRecordData(DirectData):
    """What MindRecord files hold: pictures as they were encoded, or arrays (C, H, W).

    Args:
        path: one of the files, the others of its kind beside it are found.
        columns: the names of images, labels and places in it, in this order; None for the usual ones.
        pixels: what pictures become; of arrays, mean and std are taken.

    Raises:
        OSError: if there is no such file.
        ValueError: if it has no such columns, or its columns have no usual names.
    """

    def __init__(self, path: Path, columns: Sequence[str] | None, pixels: Pixels) -> None:
        if not path.is_file():
            raise FileNotFoundError(f"there is no file {path}")
        self._path, self._pixels = path, pixels
        self._columns = list(columns or _usual(path, ds.MindDataset(str(path), shuffle=False).get_col_names()))
        self._dataset = ds.MindDataset(str(path), self._columns, shuffle=False, num_parallel_workers=1)

    def get_col_names(self) -> list[str]:
        return self._columns

    def sample_count(self) -> int | None:
        return int(self._dataset.get_dataset_size())

    def rows(self) -> Iterator[Row | Exception]:
        for image, *rest in self._dataset.create_tuple_iterator(num_epochs=1, output_numpy=True):
            try:
                yield (self._image(image), *rest)
            except ValueError as error:
                yield error

    def where(self, place: int) -> str:
        return f"{self._path} row {place}"

    def _image(self, stored: Any) -> Any:
        if stored.ndim == 1 and (
            stored.dtype == np.uint8 or stored.dtype.kind == "S"
        ):  # as versions of MindSpore differ
            return self._pixels.of(decoded(stored.tobytes(), "the picture"))
        if stored.ndim != 3:
            words = "its image is an array {shape}, neither an encoded picture nor (C, H, W)"
            raise ValueError(Problem.of("mindrecord-image", words, shape=tuple(stored.shape)))
        return normalized(stored, self._pixels.mean, self._pixels.std)


Data = ds.Dataset | DirectData


def is_loader(data: Any) -> bool:
    """Whether something is MindSpore's DataLoader, which it has from 2.8 on."""
    loader = getattr(sys.modules.get("mindspore.dataset.dataloader"), "DataLoader", None)
    return loader is not None and isinstance(data, loader)


def plain_array(values: Any) -> Any:
    """An array of what is one, a Tensor or numbers."""
    if isinstance(values, Tensor):
        return (values.astype(ms.float32) if values.dtype == ms.bfloat16 else values).asnumpy()
    try:
        return np.asarray(values)
    except ValueError:  # of rows of different lengths, which are refused where it is known whose they are
        rows = np.empty(len(values), object)
        rows[:] = [np.asarray(one, object) for one in values]
        return rows


def _parts(batch: Any) -> list[Any]:
    if isinstance(batch, Mapping):
        return list(batch.values())
    return list(batch) if isinstance(batch, (list, tuple)) else [batch]


def _numbered(count: int) -> list[str]:
    return [*COLUMNS[:count], *(f"column {number}" for number in range(len(COLUMNS), count))]


def _usual(path: Path, names: Sequence[str]) -> list[str]:
    """The columns of usual names, in our order."""
    found = [next((name for name in usual if name in names), None) for usual in _USUAL_NAMES]
    given = [name for name in found if name is not None]
    if found[: len(given)] != given or not given:
        words = (
            "{path} has the columns {names:list}; say which are images, labels and boxes or masks: columns: [image, "
            "label]"
        )
        raise ValueError(Problem.of("mindrecord-columns", words, path=path, names=list(names)))
    return given
