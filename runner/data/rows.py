"""Rows of files as MindSpore datasets; what is wrong with a row is kept with where it is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Any

import mindspore.dataset as ds
import numpy as np
import numpy.typing as npt

Row = tuple[npt.NDArray[Any], ...]
COLUMNS = ("image", "labels", "bboxes")  # by position; a dataset may name them as it likes
PLACES = ("bboxes", "masks", "segmentation")  # what the third one may hold, in files under these names


class Rows(ABC):
    """Rows by index.

    Attributes:
        columns: their names.
        forms: of each column, how many axes it has and its type.
    """

    columns: tuple[str, ...]
    forms: tuple[tuple[int, npt.DTypeLike], ...]

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def row(self, index: int) -> Row:
        """What the columns hold; raises whatever is wrong with it."""

    @abstractmethod
    def where(self, index: int) -> str:
        """The file, and the place in it, that a row comes from."""

    def dataset(self) -> ds.Dataset:
        """All rows in their order."""
        return _generated(RowSource(self), self.columns)


class RowSource:
    """What MindSpore asks for rows. It gives errors back in words of its own, so they are kept here.

    Args:
        rows: to read.
        wanted: which of them; what is given for others has no meaning.
        tolerant: give a row of no meaning for one that cannot be read, instead of raising.

    Attributes:
        rows: as given.
        failures: what was wrong, by row.
    """

    def __init__(self, rows: Rows, wanted: Callable[[int], bool] | None = None, *, tolerant: bool = False) -> None:
        self.rows, self._wanted, self._tolerant = rows, wanted, tolerant
        self.failures: dict[int, Exception] = {}

    def __getitem__(self, index: int) -> Row:
        index = int(index)
        if self._wanted is not None and not self._wanted(index):
            return self._blank()
        try:
            return self.rows.row(index)
        except Exception as error:  # a damaged file may raise anything
            self.failures[index] = error
            if self._tolerant:
                return self._blank()
            raise

    def __len__(self) -> int:
        return len(self.rows)

    def where(self, index: int) -> str:
        """The file, and the place in it, that a row comes from."""
        return self.rows.where(index)

    def _blank(self) -> Row:
        return tuple(np.zeros((1,) * axes, kind) for axes, kind in self.rows.forms)


def of_files(dataset: ds.Dataset, wanted: Callable[[int], bool] | None) -> tuple[ds.Dataset, RowSource | None]:
    """A dataset that costs nothing for rows that are not wanted, and does not end at one that cannot be read.

    Of a dataset of rows of files that is another one, on the same file; any other is given back as it is. The one
    given stays as it was found, whatever becomes of the other.

    Args:
        dataset: any.
        wanted: which places in it are; None for all.

    Returns:
        The dataset, and where its failures are kept, if it is of files.
    """
    source = getattr(dataset, "source", None)
    if not isinstance(dataset, ds.GeneratorDataset) or not isinstance(source, RowSource) or not _whole(dataset.sampler):
        return dataset, None
    other = RowSource(source.rows, wanted, tolerant=True)
    return _generated(other, source.rows.columns), other


class Failures:
    """What goes wrong from now on with rows of files that a dataset is made of, in whatever steps."""

    def __init__(self, dataset: ds.Dataset) -> None:
        self._sources = list(_sources(dataset))
        for source in self._sources:
            source.failures.clear()

    @property
    def first(self) -> tuple[str, Exception] | None:
        """Where the first one is and what it is; None if there is none."""
        found = ((one.rows.where(index), error) for one in self._sources for index, error in one.failures.items())
        return next(found, None)


def _sources(dataset: ds.Dataset) -> Iterator[RowSource]:
    source = getattr(dataset, "source", None)
    if isinstance(source, RowSource):
        yield source
    for child in dataset.children:
        yield from _sources(child)


def _generated(source: RowSource, columns: tuple[str, ...]) -> ds.Dataset:
    return ds.GeneratorDataset(source, list(columns), shuffle=False, num_parallel_workers=1)


def _whole(sampler: ds.Sampler) -> bool:
    """Whether a dataset's places are those of its source still: users may have added a sampler of their own."""
    return type(sampler) is ds.SequentialSampler and not (
        sampler.start_index or sampler.num_samples or sampler.child_sampler
    )
