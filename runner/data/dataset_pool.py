"""The first samples of a dataset, for what sets them beside other images."""

from __future__ import annotations

from contextlib import closing
from itertools import islice

import numpy as np

from ...explainers.core.sample_pool import PooledSamples
from ...explainers.network import keeping_random_state
from ..problems import SampleError
from .direct import Data
from .samples import EMPTY_DATASET, Sample, read_samples
from .sound_samples import of_one_size, padded_labels, stood_in_for


class DatasetPool:
    """Reads as many of a dataset's first samples as are asked for, once, and keeps them.

    What a run's shard or limit is does not count, so all shards and runs of any length get the same ones.

    Args:
        dataset: see ``read_samples``.
        classes: how many there are.
        tolerant: leave samples that are broken out, instead of refusing them.
    """

    def __init__(self, dataset: Data, classes: int, *, tolerant: bool) -> None:
        self._dataset, self._classes, self._tolerant = dataset, classes, tolerant
        self._read = 0  # samples that were asked for when it was last read
        self._samples: PooledSamples | None = None

    def __call__(self, size: int) -> PooledSamples:
        """The first so many samples that are not broken, or all where there are fewer.

        Raises:
            SampleError: if one of them does not fit, or there is none.
        """
        if self._samples is None or self._read < size:
            self._samples, self._read = self._first(size), size
        return self._samples.first(size)

    @keeping_random_state()
    def _first(self, size: int) -> PooledSamples:
        wanted = None if self._tolerant else (lambda place: place < size)
        reading = read_samples(self._dataset, self._classes, wanted=wanted, tolerant=self._tolerant)
        with closing(reading):
            alike = of_one_size(stood_in_for(reading))
            samples = list(islice((sample for sample in alike if sample.broken is None), size))
        if not samples:
            raise SampleError(EMPTY_DATASET)
        return _pooled(samples)


def _pooled(samples: list[Sample]) -> PooledSamples:
    return PooledSamples(
        ids=np.array([sample.id for sample in samples]),
        images=np.stack([sample.pixels for sample in samples]),
        truth=padded_labels([sample.truth for sample in samples]),
        digests=np.array([sample.digest for sample in samples], np.uint32),
    )
