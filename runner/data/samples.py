"""Reading a MindSpore dataset once, row by row or in its own batches, as single samples."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from typing import Any

import google_crc32c
import mindspore.dataset as ds
import numpy as np
import numpy.typing as npt

from ...explainers.network.tensors import FloatArray
from ...summary_format.archive.sample_labels import BROKEN_DIGEST
from ...summary_format.problem import Problem
from ..problems import SampleError, error_line
from .direct import Data, DirectData
from .label_places import Boxes, LabelMasks, Mask, Segmentation, places_of
from .rows import Failures, Row, of_files

CHANNELS = (1, 3, 4)
Single = tuple[Any, Any, Any]  # image, labels and places of a sample, None for those that there are not
_SHOWN = 8  # labels that an error shows
_LARGEST = float(np.finfo(np.float32).max)
EMPTY_DATASET = Problem.of("dataset-empty", "the dataset is empty")


@dataclass(frozen=True)
class Sample:
    """One row of the dataset.

    Attributes:
        id: position in the dataset, from 0.
        image: (C, H, W) as the dataset gave it.
        truth: its true labels, ascending, each once.
        places: where labels are; None for a dataset without that column.
        labels_out_of_range: labels out of range: neither a class nor padding (negative); they are ignored and counted.
        looks_multi_hot: whether its labels are one 0 or 1 for each of three classes or more, without padding or boxes.
        where: the file, and the place in it, that it comes from, if that is known.
        broken: why it is left out, its image then being that of another sample; None for one that is not.
    """

    id: int
    image: npt.NDArray[Any]
    truth: tuple[int, ...]
    places: Boxes | LabelMasks | Segmentation | None
    labels_out_of_range: tuple[int, ...] = ()
    looks_multi_hot: bool = False
    where: str = ""
    broken: str | None = None

    @cached_property
    def digest(self) -> int:
        """A checksum of what the dataset gave, by which a resumed run recognises its samples; one for all broken."""
        if self.broken is not None:
            return BROKEN_DIGEST
        boxes = {label: boxes.tolist() for label, boxes in (self.boxes or {}).items()}
        said = repr((self.image.shape, str(self.image.dtype), self.truth, self.labels_out_of_range, boxes)).encode()
        if isinstance(self.places, (LabelMasks, Segmentation)):
            said += self.places.content
        return int(google_crc32c.extend(int(google_crc32c.value(said)), self.image.tobytes()))

    @property
    def boxes(self) -> dict[int, FloatArray] | None:
        """For each true label its boxes (K, 4) as x, y, width, height in pixels from the top left; None without any."""
        return self.places.by_label if isinstance(self.places, Boxes) else None

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) of the image."""
        height, width = self.image.shape[1:]
        return height, width

    @property
    def pixels(self) -> FloatArray:
        """The image as the network takes it, float32."""
        return self.image.astype(np.float32, copy=False)

    def mask(self, label: int) -> Mask:
        """Where a label is, (H, W), as its boxes, its mask or the segmentation map say. All False where unknown."""
        if isinstance(self.places, Boxes):
            return self.places.mask(label, self.size)
        return np.zeros(self.size, bool) if self.places is None else self.places.mask(label)


def read_samples(
    dataset: Data,
    num_classes: int,
    limit: int | None = None,
    ahead: int | None = None,
    wanted: Callable[[int], bool] | None = None,
    *,
    tolerant: bool = False,
) -> Generator[Sample, None, None]:
    """The samples of a dataset in order, reading its source once.

    MindSpore reads ahead in threads of its own, so of a source somewhat more than the limit is read. (``Dataset.take``
    would cure that, and make the user's dataset useless for a second run.) A thread of ours that reads would not do:
    MindSpore then crashes when the user's code raises.

    Args:
        dataset: columns [image], [image, labels] or [image, labels, places], batched or not; see ``places_of``.
        num_classes: labels outside 0..num_classes-1 are padding.
        limit: stop after so many samples.
        ahead: how many samples MindSpore shall read ahead of a dataset that is not batched, if more than it does.
        wanted: which ids to give. A dataset cannot be asked for some of its rows, so the others are read and dropped,
            but for those of ``hdf5_dataset`` and ``csv_dataset``, which are not read.
        tolerant: give a sample that does not fit as one that is broken, with an image of no pixels. What a dataset of
            the user's raises itself ends it.

    Raises:
        SampleError: at the first row that cannot be read or does not fit: its shapes, labels, boxes or masks, or NaN
            in its image.
    """
    rows, where = _rows_of(dataset, ahead, wanted)
    singles = islice((single for row in rows for single in _singles(row)), limit)
    for place, single in enumerate(singles):
        if wanted is not None and not wanted(place):
            continue
        try:
            yield _sound(place, single, num_classes, where(place))
        except SampleError as error:
            if not tolerant:
                raise SampleError(_advised(Problem.from_error(error))) from error
            yield Sample(place, np.zeros((0, 0, 0), np.float32), (), None, broken=str(error))


def _rows_of(
    dataset: Data, ahead: int | None, wanted: Callable[[int], bool] | None
) -> tuple[Iterator[Row | Exception], Callable[[int], str]]:
    """The rows of data, or in their places what is wrong with them; and what says where one is from."""
    if isinstance(dataset, DirectData):
        return dataset.rows(), dataset.where
    given, source = of_files(dataset, wanted)
    with _prefetching(ahead if given.get_batch_size() <= 1 else None):
        rows = _reported(given.create_tuple_iterator(num_epochs=1, output_numpy=True), dataset)
    if source is None:
        return rows, lambda _: ""
    return (source.failures.get(place, row) for place, row in enumerate(rows)), source.where


def _advised(problem: Problem) -> Problem:
    """The same with what to do, where that depends on no more."""
    repair = "; repair it or take it out, or set skip_broken to leave out what is broken"
    return Problem(f"{problem}{repair}", problem.code, problem.values) if problem.code == "sample-broken" else problem


def _reported(rows: Iterable[Any], dataset: ds.Dataset) -> Iterator[Any]:
    """The rows, with what ended them said as it was where that is known.

    Raises:
        SampleError: if it was a row of a file.
    """
    failures = Failures(dataset)
    try:
        yield from rows
    except RuntimeError as error:
        if failures.first is None:
            raise
        where, why = failures.first
        words = "{said}; repair it or take it out"
        raise SampleError(Problem.of("row-broken", words, said=error_line(why)).at(where)) from error


def _sound(place: int, single: Single | Exception, num_classes: int, where: str) -> Sample:
    """A sample that fits.

    Raises:
        SampleError: if it does not, or could not be read; with where it is, if that is known.
    """
    try:
        if isinstance(single, Exception):
            words, said = "sample {sample}: {said}", error_line(single)
            raise SampleError(Problem.of("sample-broken", words, sample=place, said=said))
        return replace(_sample(place, *single, num_classes), where=where)
    except SampleError as error:
        problem = Problem.from_error(error)
        raise SampleError(problem.at(where) if where else problem) from error


@contextmanager
def _prefetching(rows: int | None) -> Iterator[None]:
    """Pipelines that are built within read so many rows ahead, if more than by MindSpore's setting."""
    before = ds.config.get_prefetch_size()
    ds.config.set_prefetch_size(max(before, rows or 0))
    try:
        yield
    finally:
        ds.config.set_prefetch_size(before)


def sample_count(dataset: Data, limit: int | None) -> int | None:
    """How many samples there will be, or None where only reading them all would show it."""
    if isinstance(dataset, DirectData):
        known = dataset.sample_count()
        return known if known is None or limit is None else min(known, limit)
    parts = [dataset]
    for part in parts:
        parts.extend(part.children)
    if any(_length_unknown(part) for part in parts):
        return None
    total: int = dataset.get_dataset_size()
    if dataset.get_batch_size() > 1:
        if not isinstance(dataset, ds.BatchDataset):
            return None
        last, size = dataset.children[0].get_dataset_size(), dataset.get_batch_size()
        total = total * size if dataset.drop_remainder else last
    return total if limit is None else min(total, limit)


def _length_unknown(part: ds.Dataset) -> bool:
    generated = isinstance(part, ds.GeneratorDataset) and getattr(part, "source_len", -1) < 0
    return generated or type(part).__name__ == "FilterDataset"


def _singles(row: Row | Exception) -> Iterator[Single | Exception]:
    """The samples of one row, as image, labels and places, missing columns as None; what is wrong with it as it is."""
    if isinstance(row, Exception):
        yield row
        return
    shape = row[0].shape
    if len(shape) not in (3, 4):
        words = "images must be (C, H, W), or (N, C, H, W) in batches; the dataset gives {shape}"
        raise SampleError(Problem.of("images-not-3d", words, shape=shape))
    lengths = [len(values) if values.ndim else 0 for values in row]
    if len(shape) == 4 and len(set(lengths)) > 1:
        words = "a batch of the dataset has columns of different lengths: {lengths:list}"
        raise SampleError(Problem.of("batch-lengths", words, lengths=lengths))
    singles: Iterable[tuple[Any, ...]] = [tuple(row)] if len(shape) == 3 else zip(*row, strict=True)
    for single in singles:
        image, labels, places = (*single, None, None)[:3]
        yield image, labels, places


def _sample(
    sample_id: int,
    image: npt.NDArray[Any],
    labels: npt.NDArray[Any] | None,
    places: npt.NDArray[Any] | None,
    num_classes: int,
) -> Sample:
    if image.shape[0] not in CHANNELS:
        words = "sample {sample}: images must have 1, 3 or 4 channels first, got shape {shape}"
        raise SampleError(Problem.of("sample-channels", words, sample=sample_id, shape=image.shape))
    if image.dtype.kind not in "biuf":
        words = "sample {sample}: pixels must be numbers, they are {kind}"
        raise SampleError(Problem.of("sample-not-numbers", words, sample=sample_id, kind=str(image.dtype)))
    if not np.isfinite(image).all() or (image.dtype == np.float64 and np.abs(image).max(initial=0) > _LARGEST):
        raise SampleError(
            Problem.of("sample-not-finite", "sample {sample}: the image holds NaN or infinity", sample=sample_id)
        )
    given = _indices(sample_id, labels, num_classes)
    kept = (given >= 0) & (given < num_classes)
    truth = tuple(int(label) for label in np.unique(given[kept]))
    labels_out_of_range = tuple(int(label) for label in given[given >= num_classes])
    if places is None:
        multi_hot = given.size == num_classes > 2 and bool(np.isin(given, (0, 1)).all())
        return Sample(sample_id, image, truth, None, labels_out_of_range, multi_hot)
    height, width = image.shape[1:]
    found = places_of(sample_id, places, given, (height, width), num_classes)
    return Sample(sample_id, image, truth, found, labels_out_of_range)


def _indices(sample_id: int, labels: npt.NDArray[Any] | None, num_classes: int) -> npt.NDArray[np.integer[Any]]:
    """Labels as class indices, which they are or which rows of 0 and 1 in floating point stand for."""
    given = np.zeros(0, np.int64) if labels is None else np.atleast_1d(labels)
    if given.shape == (num_classes,) and given.dtype.kind == "f" and np.isin(given, (0, 1)).all():
        return np.flatnonzero(given)
    if given.ndim != 1 or not np.issubdtype(given.dtype, np.integer):
        words = (
            "sample {sample}: labels must be class indices (an integer or a row of them), or a 0.0 or 1.0 for each of "
            "the {classes:plural class}; got {kind} {shape}: {given}"
        )
        shown = [value.item() if isinstance(value, np.generic) else str(value) for value in given.ravel()[:_SHOWN]]
        values = {"classes": num_classes, "kind": str(given.dtype), "shape": given.shape, "given": shown}
        raise SampleError(Problem.of("sample-labels", words, sample=sample_id, **values))
    return given
