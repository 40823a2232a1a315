"""Noisy copies of images, and sums over them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from ..core.view import View
from ..network import Block, in_passes
from ..network.tensors import FloatArray, IntArray

Sums = npt.NDArray[np.float64]


def noisy_copies(view: View, row: int, purpose: str, samples: int, deviation: float) -> Block:
    """(samples, C, H, W) copies of an image with Gaussian noise, from the image's own generator."""
    image, generator = view.images[row], view.generator(row, purpose)

    def write(_: slice, out: FloatArray) -> None:
        generator.standard_normal(out=out, dtype=np.float32)
        out *= np.float32(deviation)
        out += image

    return Block((samples, *image.shape), write)


def passes_of_copies(view: View, purpose: str, samples: int, deviation: float) -> Iterator[tuple[IntArray, FloatArray]]:
    """All noisy copies for all questions, a full pass at a time.

    Yields:
        The question of each copy (M,), and the copies (M, C, H, W), in memory that the next pass takes again. A
        question's copies come one after the other, so that sums over them do not depend on the other questions.
    """
    questions = np.repeat(np.arange(len(view.rows)), samples)
    copies = (noisy_copies(view, int(row), purpose, samples, deviation) for row in view.rows)
    first = 0
    for images in in_passes(copies, view.network.pass_size):
        yield questions[first : first + len(images)], images
        first += len(images)


class Moments:
    """Means over the copies of each question, of powers of what they give.

    Args:
        questions: Q.
        samples: copies a question.
    """

    def __init__(self, questions: int, samples: int) -> None:
        self._questions, self._samples = questions, samples
        self._sums: dict[int, Sums] = {}

    def add(self, asked: IntArray, values: FloatArray, powers: tuple[int, ...]) -> None:
        """Add what some copies (M,) of the questions asked gave, (M, ...), to the sums of these powers."""
        for power in powers:
            if power not in self._sums:
                self._sums[power] = np.zeros((self._questions, *values.shape[1:]))
        for question, of_copy in zip(asked, values.astype(np.float64), strict=True):  # in order: see passes_of_copies
            for power in powers:
                self._sums[power][question] += of_copy if power == 1 else of_copy**power

    def mean(self, power: int) -> Sums:
        """(Q, ...) the mean of that power."""
        return self._sums[power] / self._samples
