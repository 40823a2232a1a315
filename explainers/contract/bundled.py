"""What classes are checked on: a tiny network, images and questions of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from mindspore import Parameter, Tensor, nn, ops

from ..network.tensors import FloatArray, IntArray

CLASSES, LAYER = 4, "features"
_WIDTH, _HEADS = 6, 2  # of the transformer
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
        spread_weights(self, start)
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


class _Attention(nn.Cell):
    """Attention of two heads between tokens (N, T, 6)."""

    def __init__(self) -> None:
        super().__init__()
        self.project, self.join = nn.Dense(_WIDTH, 3 * _WIDTH), nn.Dense(_WIDTH, _WIDTH)

    def construct(self, x: Tensor) -> Tensor:
        images, tokens, _ = x.shape
        parts = self.project(x).reshape(images, tokens, 3, _HEADS, -1).transpose(2, 0, 3, 1, 4)
        attention = ops.softmax(ops.matmul(parts[0], parts[1].swapaxes(2, 3)), -1)
        return self.join(ops.matmul(attention, parts[2]).transpose(0, 2, 1, 3).reshape(images, tokens, _WIDTH))


class TinyTransformer(nn.Cell):
    """Four classes from images (N, 3, H, W): patches of 4 x 4, a class token, two blocks, one dense layer.

    Its layers are ``patches``, ``blocks`` with ``attention`` and ``mlp`` in each, and ``head``.

    Args:
        start: other numbers give other weights.

    Attributes:
        calls: how often it was called.
        fails_at: the number of the call that fails at once; 0 for none.
        fails_behind: the number of the call that fails behind its first block; 0 for none.
    """

    def __init__(self, start: float = 0.0) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, _WIDTH, 4, stride=4, pad_mode="valid", has_bias=True)
        self.token = Parameter(ops.zeros((1, 1, _WIDTH)))
        self.blocks = nn.CellList([_Block(), _Block()])
        self.head = nn.Dense(_WIDTH, CLASSES)
        spread_weights(self, start)
        self.calls, self.fails_at, self.fails_behind = 0, 0, 0

    def construct(self, x: Tensor) -> Tensor:
        self.calls += 1
        if self.calls == self.fails_at:
            raise NetworkError("this call of the network fails")
        x = self.patches(x)
        x = x.reshape(x.shape[0], _WIDTH, -1).swapaxes(1, 2)
        x = ops.cat((ops.tile(self.token, (x.shape[0], 1, 1)), x), 1)
        for number, block in enumerate(self.blocks):
            x = block(x)
            if self.calls == self.fails_behind and not number:
                raise NetworkError("this call of the network fails behind its first block")
        return self.head(x[:, 0])


class _Block(nn.Cell):
    """Attention and a perceptron, each with a residual around it."""

    def __init__(self) -> None:
        super().__init__()
        self.attention, self.mlp = _Attention(), nn.SequentialCell(nn.Dense(_WIDTH, 8), nn.Tanh(), nn.Dense(8, _WIDTH))

    def construct(self, x: Tensor) -> Tensor:
        x = x + self.attention(x)
        return x + self.mlp(x)


def spread_weights(network: nn.Cell, start: float) -> None:
    """Give a network weights without a pattern."""
    for place, parameter in enumerate(network.trainable_params()):
        weights = 0.7 * spread_out(parameter.size, start + np.sqrt(2) * place).reshape(parameter.shape)
        parameter.set_data(Tensor(weights))


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
