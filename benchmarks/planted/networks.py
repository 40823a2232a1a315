"""Small networks of literal weights, and images of which it is known what each pixel adds to each logit."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import numpy as np
from mindspore import Tensor, nn, ops
from numpy.lib.stride_tricks import sliding_window_view

from ...explainers.network.tensors import FloatArray, IntArray
from ..core.explanation import Masks

SIZE = (12, 18)  # of images (1, H, W)
CLASSES = 3
BIAS = -2.0  # of each logit: what an image without anything has
# For each class two parts, each as rows and columns (first, last excluded); none in the middle, no two overlap.
PARTS = (
    (((1, 4), (11, 16)), ((8, 11), (2, 5))),
    (((6, 11), (14, 17)), ((0, 2), (4, 9))),
    (((4, 10), (7, 9)), ((8, 10), (9, 12))),  # which touch, and are shaped as an L
)
_BARS = ((1, 5), (5, 1), (3, 3))  # of the detector, for each class (height, width)
_FIRES = 0.8  # share of a bar's sum above which its detector answers; in another place it gives less


class PlantedNetwork(nn.Cell):
    """Maps images (N, 1, 12, 18) to 3 logits, of each of which it is known what every pixel adds to it.

    Take ``nn.Sigmoid()`` for probabilities: each class then depends on its own pixels alone.

    Attributes:
        layer: dotted name of the layer that gets the image.
    """

    layer: str

    def contributions(self, images: FloatArray, labels: IntArray, logits: FloatArray) -> FloatArray:
        """What each pixel adds to a logit, (Q, H, W); the sum is the logit less that of a black image.

        Args:
            images: (Q, 1, H, W).
            labels: (Q,) the label of each.
            logits: (Q,) what the network gives for it.
        """
        shares = self.shares(images, labels)
        sums = shares.sum(axis=(1, 2))
        factors = np.divide(logits - BIAS, sums, out=np.zeros_like(sums), where=sums != 0)
        found: FloatArray = (shares * factors[:, None, None]).astype(np.float32)
        return found

    @abstractmethod
    def shares(self, images: FloatArray, labels: IntArray) -> FloatArray:
        """What each pixel adds to a logit (Q, H, W), up to a factor for each question."""

    @abstractmethod
    def images(self, count: int, seed: int = 0) -> FloatArray:
        """Images (N, 1, H, W) that hold something of every class, on a dark ground."""

    @abstractmethod
    def masks(self, images: FloatArray, labels: IntArray) -> Masks:
        """Which pixels (Q, H, W) a logit of an image depends on."""


class _PartsNetwork(PlantedNetwork):
    """Looks at two parts of the image for each class, whose pixels weigh 1, 2 and 3 in turn, and 1 in sum."""

    layer = "parts"

    def __init__(self) -> None:
        super().__init__()
        self.parts = nn.Dense(SIZE[0] * SIZE[1], 2 * CLASSES, has_bias=False)
        self.parts.weight.set_data(Tensor(part_weights().reshape(2 * CLASSES, -1)))

    def construct(self, x: Tensor) -> Tensor:
        sums = self.parts(x.reshape(x.shape[0], -1))
        return self.joined(sums.reshape(-1, CLASSES, 2)) + BIAS

    @abstractmethod
    def joined(self, sums: Tensor) -> Tensor:
        """What the sums of the parts (N, classes, 2) add to the logits (N, classes)."""

    def shares(self, images: FloatArray, labels: IntArray) -> FloatArray:
        weights = self.parts.weight.asnumpy().reshape(CLASSES, 2, *SIZE)
        found: FloatArray = (images[:, :1] * weights[labels]).sum(axis=1)
        return found

    def images(self, count: int, seed: int = 0) -> FloatArray:
        rng = np.random.default_rng(seed)
        bright, dark = rng.uniform(0.7, 1.0, (count, 1, *SIZE)), rng.uniform(0.0, 0.2, (count, 1, *SIZE))
        return np.where((part_weights() > 0).any(axis=(0, 1)), bright, dark).astype(np.float32)

    def masks(self, images: FloatArray, labels: IntArray) -> Masks:
        found: Masks = (part_weights() > 0).any(axis=1)[labels]
        return found


class Additive(_PartsNetwork):
    """A logit is the sum over its pixels: what a pixel adds does not depend on others."""

    def joined(self, sums: Tensor) -> Tensor:
        return 3.0 * sums.sum(axis=2)


class Conjunction(_PartsNetwork):
    """A logit rises where both of its parts are there; one alone adds nothing."""

    def joined(self, sums: Tensor) -> Tensor:
        return 8.0 * ops.relu(sums.sum(axis=2) - 1.0)


class Saturating(_PartsNetwork):
    """A logit rises with each of its parts until half of the part is there, so that gradients are 0 in whole images."""

    def joined(self, sums: Tensor) -> Tensor:
        return 6.0 * (0.4 - ops.relu(0.4 - sums)).sum(axis=2)


class Detector(PlantedNetwork):
    """A convolution that answers to a bar or a block of each class's shape, wherever in the image it is."""

    layer = "filters"

    def __init__(self) -> None:
        super().__init__()
        self.filters = nn.Conv2d(1, CLASSES, 7, pad_mode="same", has_bias=True)
        self.filters.weight.set_data(Tensor(_filters()))
        self.filters.bias.set_data(Tensor(np.array([-_threshold(bar) for bar in _BARS], np.float32)))

    def construct(self, x: Tensor) -> Tensor:
        return 6.0 * ops.relu(self.filters(x)).sum(axis=(2, 3)) + BIAS

    def shares(self, images: FloatArray, labels: IntArray) -> FloatArray:
        padded = np.pad(images[:, 0], ((0, 0), (3, 3), (3, 3)))
        filters, biases = self.filters.weight.asnumpy()[labels, 0], self.filters.bias.asnumpy()[labels]
        answers = np.einsum("qhwij,qij->qhw", sliding_window_view(padded, (1, 7, 7))[:, :, :, 0], filters)
        answers = np.maximum(answers + biases[:, None, None], 0.0)
        found = np.zeros_like(padded)
        for question, row, column in np.argwhere(answers > 0):
            window = (question, slice(row, row + 7), slice(column, column + 7))
            found[window] += padded[window] * filters[question] * answers[question, row, column]
        return found[:, 3:-3, 3:-3]

    def images(self, count: int, seed: int = 0) -> FloatArray:
        rng = np.random.default_rng(seed)
        found = rng.uniform(0.0, 0.02, (count, 1, *SIZE))
        for image in found:
            for place, (height, width) in zip(rng.permutation(CLASSES), _BARS, strict=True):
                top, left = rng.integers(1, 12 - height), 6 * place + rng.integers(1, 7 - width)
                image[0, top : top + height, left : left + width] = 0.9
        return found.astype(np.float32)

    def masks(self, images: FloatArray, labels: IntArray) -> Masks:
        shares = self.shares(images, labels)
        found: Masks = shares > 0.1 * shares.max(axis=(1, 2), keepdims=True)
        return found


NETWORKS = (Additive, Conjunction, Saturating, Detector)


@dataclass(frozen=True)
class PlantedCase:
    """A planted network with questions about it.

    Attributes:
        network: the network.
        images: (N, 1, H, W).
        labels: (N,) which class of each image is asked about.
        masks: (N, H, W) the pixels that the logit of the label depends on.
    """

    network: PlantedNetwork
    images: FloatArray
    labels: IntArray
    masks: Masks

    @classmethod
    def of(cls, kind: type[PlantedNetwork], count: int = 18, seed: int = 0) -> PlantedCase:
        """So many questions about a network of a kind, of all classes in turn."""
        network, labels = kind(), np.arange(count) % CLASSES
        images = network.images(count, seed)
        return cls(network, images, labels, network.masks(images, labels))


def part_weights() -> FloatArray:
    """Weights (classes, 2, H, W) of the parts that each class looks at."""
    found = np.zeros((CLASSES, 2, *SIZE), np.float32)
    for label, parts in enumerate(PARTS):
        for part, (rows, columns) in enumerate(parts):
            place = (label, part, slice(*rows), slice(*columns))
            turns = 1 + np.arange(found[place].size) % 3
            found[place] = (turns / turns.sum()).reshape(found[place].shape)
    return found


def _filters() -> FloatArray:
    """(classes, 1, 7, 7) 1 on a bar, -1 beside it along the axes in which it could be moved, 0 elsewhere."""
    found = np.zeros((CLASSES, 1, 7, 7), np.float32)
    for of_class, (height, width) in zip(found[:, 0], _BARS, strict=True):
        top, left = 3 - height // 2, 3 - width // 2
        of_class[top - 1 : top + height + 1, left - 1 : left + width + 1] = -1.0
        of_class[top : top + height, left : left + width] = 1.0
    return found


def _threshold(bar: tuple[int, int]) -> float:
    return _FIRES * 0.9 * bar[0] * bar[1]
