"""Rules by which values follow their gradient down, each row of them by its own number of steps."""

from __future__ import annotations

import numpy as np

from ..network.tensors import FloatArray, IntArray


class Momentum:
    """Stochastic gradient descent with momentum and dampening: the velocity is a moving average of gradients.

    Args:
        values: (N, ...) of all rows, which are changed in place and kept in 0..1.
        rate: how far a step goes along the velocity.
        momentum: share of the old velocity in the new one; a row's first velocity is its gradient.
    """

    def __init__(self, values: FloatArray, rate: float, momentum: float) -> None:
        self._values, self._rate, self._momentum = values, np.float32(rate), np.float32(momentum)
        self._velocities = np.zeros_like(values)
        self.taken = np.zeros(len(values), np.int64)

    def follow(self, rows: IntArray, gradients: FloatArray) -> None:
        """Take a step with some rows, down their gradients (R, ...)."""
        kept = np.where(self.taken[rows] > 0, self._momentum, np.float32(0)).reshape(-1, *(1,) * (gradients.ndim - 1))
        self._velocities[rows] = kept * self._velocities[rows] + (1 - kept) * gradients
        self._values[rows] = (self._values[rows] - self._rate * self._velocities[rows]).clip(0, 1)
        self.taken[rows] += 1


class Adam:
    """Kingma, Ba: Adam (2015), algorithm 1, with decay 0.9 and 0.999 and epsilon 1e-8.

    Args:
        values: (N, ...) of all rows, which are changed in place and kept in 0..1.
        rate: about how far a step goes.
    """

    def __init__(self, values: FloatArray, rate: float) -> None:
        self._values, self._rate = values, np.float32(rate)
        self._means, self._squares = np.zeros_like(values), np.zeros_like(values)
        self.taken = np.zeros(len(values), np.int64)

    def follow(self, rows: IntArray, gradients: FloatArray) -> None:
        """Take a step with some rows, down their gradients (R, ...)."""
        self.taken[rows] += 1
        self._means[rows] = np.float32(0.9) * self._means[rows] + np.float32(0.1) * gradients
        self._squares[rows] = np.float32(0.999) * self._squares[rows] + np.float32(0.001) * gradients**2
        mean = self._means[rows] / self._unbiased(0.9, rows, gradients.ndim)
        size = np.sqrt(self._squares[rows] / self._unbiased(0.999, rows, gradients.ndim)) + np.float32(1e-8)
        self._values[rows] = (self._values[rows] - self._rate * mean / size).clip(0, 1)

    def _unbiased(self, decay: float, rows: IntArray, axes: int) -> FloatArray:
        """What an average that began with zeros is divided by."""
        left: FloatArray = (1 - decay ** self.taken[rows]).astype(np.float32).reshape(-1, *(1,) * (axes - 1))
        return left
