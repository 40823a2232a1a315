"""Reading a MindSpore dataset once, row by row or in its own batches, as single samples."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import count, islice
from typing import Any

import mindspore.dataset as ds
import numpy as np
import numpy.typing as npt

from ..explainers.network import FloatArray

CHANNELS = (1, 3, 4)
COLUMNS = ("image", "labels", "bboxes")  # by position; the dataset may name them as it likes


class SampleError(ValueError):
    """A sample that is not what the runner takes; says which and why."""


@dataclass(frozen=True)
class Sample:
    """One row of the dataset.

    Attributes:
        id: position in the dataset, from 0.
        image: (C, H, W) as the dataset gave it.
        truth: its true labels, ascending, each once.
        boxes: for each true label its boxes (K, 4) as x, y, width, height in pixels from the top left; None for a
            dataset without that column.
    """

    id: int
    image: npt.NDArray[Any]
    truth: tuple[int, ...]
    boxes: dict[int, FloatArray] | None

    @property
    def pixels(self) -> FloatArray:
        """The image as the network takes it, float32."""
        return self.image.astype(np.float32, copy=False)

    def mask(self, label: int) -> npt.NDArray[np.bool_]:
        """Where the label is, (H, W): the pixels whose centres lie in one of its boxes. All False without a box."""
        height, width = self.image.shape[1:]
        covered = np.zeros((height, width), bool)
        rows, columns = np.arange(height)[:, None] + 0.5, np.arange(width) + 0.5
        for x, y, box_width, box_height in (self.boxes or {}).get(label, ()):
            covered |= (rows > y) & (rows < y + box_height) & (columns > x) & (columns < x + box_width)
        return covered


def read_samples(dataset: ds.Dataset, num_classes: int, limit: int | None = None) -> Iterator[Sample]:
    """The samples of a dataset in order, reading its source once and no further than the limit asks.

    Args:
        dataset: columns [image], [image, labels] or [image, labels, bboxes], batched or not.
        num_classes: labels outside 0..num_classes-1 are padding.
        limit: stop after so many samples.

    Raises:
        SampleError: at the first row whose shapes do not fit.
    """
    rows = dataset.create_tuple_iterator(num_epochs=1, output_numpy=True)
    ids = count()
    samples = (_sample(next(ids), *single, num_classes) for row in rows for single in _singles(row))
    return islice(samples, limit)


def sample_count(dataset: ds.Dataset, limit: int | None) -> int | None:
    """How many samples there will be, or None where only reading them all would tell."""
    source = dataset
    while source.children:
        source = source.children[0]
    if isinstance(source, ds.GeneratorDataset) and getattr(source, "source_len", -1) < 0:
        return limit
    total: int = dataset.get_dataset_size() * max(dataset.get_batch_size(), 1)
    return total if limit is None else min(total, limit)


def _singles(row: list[npt.NDArray[Any]]) -> Iterator[tuple[Any, Any, Any]]:
    """The samples of one row, as image, labels and boxes, missing columns as None."""
    shape = row[0].shape
    if len(shape) not in (3, 4):
        raise SampleError(f"images must be (C, H, W), or (N, C, H, W) in batches; the dataset gives {shape}")
    singles: Iterable[tuple[Any, ...]] = [tuple(row)] if len(shape) == 3 else zip(*row, strict=True)
    for single in singles:
        image, labels, boxes = (*single, None, None)[:3]
        yield image, labels, boxes


def _sample(
    sample_id: int,
    image: npt.NDArray[Any],
    labels: npt.NDArray[Any] | None,
    boxes: npt.NDArray[Any] | None,
    num_classes: int,
) -> Sample:
    if image.shape[0] not in CHANNELS:
        raise SampleError(f"sample {sample_id}: images must have 1, 3 or 4 channels first, got shape {image.shape}")
    if not np.isfinite(image).all():
        raise SampleError(f"sample {sample_id}: the image holds NaN or infinity")
    given = np.zeros(0, np.int64) if labels is None else np.atleast_1d(labels)
    if given.ndim != 1 or not np.issubdtype(given.dtype, np.integer):
        raise SampleError(f"sample {sample_id}: labels must be one integer or a row of them, got {given!r}")
    kept = (given >= 0) & (given < num_classes)
    truth = tuple(int(label) for label in np.unique(given[kept]))
    if boxes is None:
        return Sample(sample_id, image, truth, None)
    rows = np.atleast_2d(np.asarray(boxes, np.float32))
    if rows.shape != (len(given), 4):
        raise SampleError(f"sample {sample_id}: {len(given)} labels need boxes ({len(given)}, 4), got {boxes.shape}")
    return Sample(sample_id, image, truth, {label: rows[given == label] for label in truth})
