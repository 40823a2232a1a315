"""Samples as the network takes them: of one size, and where some are broken, with what stands in for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from ...explainers.network.tensors import IntArray
from ...summary_format.problem import Problem
from ..problems import SampleError
from .samples import Sample


def stood_in_for(samples: Iterator[Sample]) -> Iterator[Sample]:
    """The same samples, those that are broken with the image of the first one that is not.

    The network then runs on what it takes, and what it says of them is dropped.

    Raises:
        SampleError: if all are broken.
    """
    broken, image = list[Sample](), None
    for sample in samples:
        if sample.broken is not None and image is None:
            broken.append(sample)
            continue
        image = sample.image if image is None else image
        yield from (replace(one, image=image) for one in broken)
        broken.clear()
        yield sample if sample.broken is None else replace(sample, image=image)
    if broken:
        words = "all {samples:plural sample} are broken; the first: {said}"
        raise SampleError(Problem.of("samples-all-broken", words, samples=len(broken), said=broken[0].broken))


def of_one_size(samples: Iterator[Sample], check: Callable[[], None] = lambda: None) -> Iterator[Sample]:
    """The same samples, refused where the shape of an image is another than the first one's.

    Args:
        samples: any.
        check: called after each one; raises to end the wait.

    Raises:
        SampleError: at the first of another shape.
    """
    shape: tuple[int, ...] | None = None
    for sample in samples:
        shape = shape or sample.image.shape
        if sample.image.shape != shape:
            words = (
                "sample {sample}: the image is {shape}, those before are {before}; bring all images to one size in the "
                "dataset"
            )
            problem = Problem.of(
                "sample-of-other-size", words, sample=sample.id, shape=sample.image.shape, before=shape
            )
            raise SampleError(problem.at(sample.where) if sample.where else problem)
        yield sample
        check()


def padded_labels(rows: Sequence[tuple[int, ...]]) -> IntArray:
    """Labels (N, K) of N samples, padded with -1 to the longest."""
    longest = max(map(len, rows))
    return np.array([[*row, *(-1,) * (longest - len(row))] for row in rows], np.int64).reshape(len(rows), longest)
