"""Noisy copies of images, and sums over them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from ..core.view import View
from ..network.tensors import FloatArray, IntArray

Sums = npt.NDArray[np.float64]


def noisy_copies(view: View, row: int, purpose: str, samples: int, deviation: float) -> FloatArray:
    """(samples, C, H, W) copies of an image with Gaussian noise, from the image's own generator."""
    image = view.images[row]
    noise = view.generator(row, purpose).standard_normal((samples, *image.shape), np.float32)
    copies: FloatArray = image + np.float32(deviation) * noise
    return copies


def passes_of_copies(view: View, purpose: str, samples: int, deviation: float) -> Iterator[tuple[IntArray, FloatArray]]:
    """All noisy copies for all questions, a full pass at a time.

    Yields:
        The question of each copy (M,), and the copies (M, C, H, W). A question's copies come one after the other, so
        that sums over them do not depend on the other questions.
    """
    size = view.network.pass_size
    questions = np.repeat(np.arange(len(view.rows)), samples)
    row, copies = -1, np.empty(0, np.float32)
    waiting: list[FloatArray] = []
    for place, question in enumerate(questions.tolist()):
        if view.rows[question] != row:
            row = int(view.rows[question])
            copies = noisy_copies(view, row, purpose, samples, deviation)
        waiting.append(copies[place % samples])
        if len(waiting) == size or place == len(questions) - 1:
            yield questions[place + 1 - len(waiting) : place + 1], np.stack(waiting)
            waiting = []


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
            sums = self._sums.setdefault(power, np.zeros((self._questions, *values.shape[1:])))
            np.add.at(sums, asked, values.astype(np.float64) ** power)

    def mean(self, power: int) -> Sums:
        """(Q, ...) the mean of that power."""
        return self._sums[power] / self._samples
