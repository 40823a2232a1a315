"""What classes are checked on: a tiny network, images and questions of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from mindspore import Tensor, nn

from ..network.tensors import FloatArray, IntArray

CLASSES, LAYER = 4, "features"
_SHAPE, _IMAGES, _GOLDEN = (3, 12, 16), 5, 0.6180339887498949


class NetworkError(RuntimeError):
    """What the bundled network raises when it shall fail."""


class TinyClassifier(nn.Cell):
    """Four classes from images (N, 3, H, W): two convolutions, mean pooling, one dense layer.

    Its layers are ``first``, ``norm``, ``relu``, ``second``, ``features``, ``dropout`` and ``head``. It has what an
    ``OoDNet`` asks of the network under it.

    Args:
        start: other numbers give other weights.

    Attributes:
        calls: how often it was called.
        fails_at: the number of the call that fails at once; 0 for none.
        fails_behind: the number of the call that fails behind ``features``; 0 for none.
    """

    num_features = 6

    def __init__(self, start: float = 0.0) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 5, 3, has_bias=True), nn.Conv2d(5, 6, 3, stride=2, has_bias=True)
        self.norm = nn.BatchNorm2d(5)
        self.relu, self.features, self.dropout = nn.ReLU(), _Features(self._check_behind), nn.Dropout(p=0.2)
        self.head = nn.Dense(6, CLASSES)
        for place, parameter in enumerate(self.trainable_params()):
            weights = 0.7 * spread_out(parameter.size, start + np.sqrt(2) * place).reshape(parameter.shape)
            parameter.set_data(Tensor(weights))
        self.output_features, self.fails_at, self.fails_behind = False, 0, 0
        self._counter = _Counter()

    @property
    def calls(self) -> int:
        return self._counter.count

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        # Here and not in construct, which would not compile.
        self._counter.count += 1
        if self.calls == self.fails_at:
            raise NetworkError("this call of the network fails")
        return super().__call__(*inputs, **options)

    def construct(self, x: Tensor) -> Tensor:
        x = self.features(self.second(self.relu(self.norm(self.first(x)))))
        x = x.mean((2, 3))
        return x if self.output_features else self.head(self.dropout(x))

    def _check_behind(self) -> None:
        if self.calls == self.fails_behind:
            raise NetworkError("this call of the network fails behind its layer features")


class _Counter:
    """Counts; without attributes that graphs would take for a part of the network, which changes with them."""

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0


class _Features(nn.ReLU):
    """A ReLU that has something checked after each of its calls."""

    def __init__(self, check: Callable[[], None]) -> None:
        super().__init__()
        self._check = check

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        output = super().__call__(*inputs, **options)
        self._check()
        return output


def spread_out(count: int, start: float = 0.0) -> FloatArray:
    """Numbers in -1..1 without a pattern that a filter would see: what is left of a parabola modulo 1."""
    steps = np.arange(count, dtype=np.float64)
    spread: FloatArray = (2 * ((start + _GOLDEN * steps + np.sqrt(3) * steps**2) % 1.0) - 1).astype(np.float32)
    return spread


def tiny_images() -> FloatArray:
    """Five images (3, 12, 16), later ones of larger values."""
    values = spread_out(_IMAGES * int(np.prod(_SHAPE))).reshape(_IMAGES, *_SHAPE)
    growing = np.linspace(0.8, 1.6, _IMAGES, dtype=np.float32)[:, None, None, None]
    found: FloatArray = 0.5 + 1.5 * growing * values
    return found


def questions_of(images: int, classes: int) -> tuple[IntArray, IntArray]:
    """Which image each question is about and which label: one per image, of every third image another one."""
    pairs = {(row, (3 * row + 1) % classes) for row in range(images)}
    pairs |= {(row, (row + 2) % classes) for row in range(0, images, 3)}
    rows, labels = np.array(sorted(pairs)).T
    return rows, labels
