"""Which of a dataset's first samples a network sees as the most alike."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from copy import copy
from dataclasses import dataclass
from typing import ClassVar
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt
from mindspore import nn

from ..summary_format.archive.neighbours import Neighbours
from ..summary_format.plan_record import NEAREST_SAMPLES
from ..summary_format.problem import Problem
from .arguments import one_of, plain_text, whole_number
from .core.automatic_layer import ChosenLayer
from .core.construction import Configured
from .core.layout import Grid, has_channels_last, on_grid
from .core.sample_pool import PooledSamples, SamplePool
from .network import Network, layer_outputs
from .network.running_order import channel_axis
from .network.tensors import Activation, FloatArray, IntArray, checked_network
from .network.tensors.layers import find_layer

OF_SAMPLES, OF_POOL = "nearest", "nearest pool"  # kinds of passes
DISTANCES = ("cosine", "euclidean")
Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ComparedPool:
    """The samples that others are compared with.

    Attributes:
        samples: what the dataset gives.
        features: (M, F) of them, as they are compared.
        predicted: (M,) the label of the highest probability, -1 where that is unknown.
    """

    samples: PooledSamples
    features: Doubles
    predicted: IntArray


class NearestSamples(Configured):
    """The samples of a pool whose features, what a layer gives averaged over space, are nearest to those of a sample.

    Caruana et al. 1999, Case-Based Explanation of Non-Case-Based Learning Methods, explain by such examples, and
    Papernot, McDaniel 2018, Deep k-Nearest Neighbors, judge a prediction by their labels. A sample is not among its own
    nearest ones. Of samples at equal distances the one that comes first in the dataset is the nearer.

    With features u and v, the Euclidean distance is the root of the sum of (u - v)^2, from 0; the cosine distance is
    1 - u.v / (|u| |v|), in 0..2, and not known where one of them is zero throughout.

    Args:
        network: takes images (N, C, H, W) and returns logits (N, classes). It is left as it is found.
        layer: dotted name of the layer to read, which gives (N, channels, h, w), (N, h, w, channels), tokens
            (N, T, channels), of which the mean is taken, or (N, channels). By default the one that ``GradCAM`` reads:
            the last to run whose features have more than one place, of tokens those that lie on its grid.
        count: how many nearest samples of each, from 1 to pool - 1.
        pool: how many of the dataset's first samples are compared with; see ``SamplePool``.
        distance: "cosine" or "euclidean".

    Raises:
        TypeError: if the network is not a ``mindspore.nn.Cell``, or layer not a text.
        ValueError: if there is no such layer or distance (the nearest names are offered), or a number is out of range.
    """

    name: ClassVar[str] = NEAREST_SAMPLES
    wanted_reshape: ClassVar[None] = None

    def __init__(
        self, network: nn.Cell, layer: str | None = None, count: int = 5, pool: int = 20, distance: str = "cosine"
    ) -> None:
        self.network = checked_network(network)
        self.layer = None if layer is None else plain_text(layer, "layer")
        if self.layer is not None:
            find_layer(network, self.layer)
        self.pool, self.count = SamplePool(pool), whole_number(count, "count")
        if self.count >= self.pool.size:
            words = "count must be below pool, since a sample is not its own nearest one: at most {most}, got {given}"
            raise ValueError(Problem.of("nearest-count", words, most=self.pool.size - 1, given=self.count))
        self.distance = one_of(distance, DISTANCES, "distance")
        self._grid: Grid | None = None
        self._pools: WeakKeyDictionary[Network, ComparedPool] = WeakKeyDictionary()

    @property
    def lacks_layer(self) -> bool:
        """Whether it reads a layer that was not named."""
        return self.layer is None

    def reading(self, chosen: ChosenLayer) -> NearestSamples:
        """The same, reading a layer that was chosen for it; it stays as it is itself."""
        reading = copy(self)
        reading.layer, reading._grid, reading._pools = chosen.name, chosen.reshape, WeakKeyDictionary()
        return reading

    def features(self, network: Network, images: FloatArray, kind: str = OF_SAMPLES) -> Doubles:
        """What the layer gives for images (N, C, H, W), averaged over space, (N, channels); takes a pass of each.

        Args:
            network: where passes run.
            images: as it takes them.
            kind: what the passes count as.

        Raises:
            ValueError: if the layer does not run or gives something else, or in graph mode.
        """
        assert self.layer is not None
        values = layer_outputs(network, images, [self.layer], kind)[self.layer]
        placed = self._channels_before_places(values, self.layer, (images.shape[2], images.shape[3]))
        means: Doubles = placed.reshape(*placed.shape[:2], -1).mean(axis=2, dtype=np.float64)
        return means

    def _channels_before_places(self, values: FloatArray, layer: str, size: Grid) -> FloatArray:
        """(N, channels, ...) what the layer gives for images of a size."""
        axis = channel_axis(find_layer(self.network, layer))
        placed: FloatArray | None = values
        if self._grid is not None:
            placed = on_grid(values, self._grid)
        elif values.ndim == 3 or (values.ndim == 4 and has_channels_last(values.shape, axis, size)):
            placed = np.ascontiguousarray(np.moveaxis(values, -1, 1))
        if placed is None or placed.ndim not in (2, 3, 4):
            words = (
                "layer {layer!r} gives {shape}; nearest samples need features (N, channels), (N, channels, h, w) or "
                "(N, tokens, channels): name another layer"
            )
            raise ValueError(Problem.of("nearest-layer-shape", words, layer=layer, shape=values.shape))
        return placed

    def prepare(
        self, network: Network, samples: Callable[[int], PooledSamples], activation_fn: Activation
    ) -> ComparedPool:
        """What is compared with; asked once of a network, which takes two passes of each sample of the pool.

        Args:
            network: where passes run.
            samples: gives the first so many samples of the dataset.
            activation_fn: from logits to probabilities.

        Raises:
            ValueError: as ``features``.
        """
        if network not in self._pools:
            first = samples(self.pool.size)
            features = self.features(network, first.images, OF_POOL)
            probabilities = network.activated(network.logits(first.images, OF_POOL), activation_fn)
            predicted = np.where(np.isfinite(probabilities).all(axis=1), probabilities.argmax(axis=1), -1)
            self._pools[network] = ComparedPool(first, self._compared(features), predicted)
        return self._pools[network]

    def among(self, pool: ComparedPool, ids: Iterable[int], features: Doubles) -> Neighbours:
        """The nearest samples of a pool.

        Args:
            pool: from ``prepare``.
            ids: (N,) of the samples, which are not among their own.
            features: (N, F) of the same; NaN where they are not known.
        """
        compared = self._compared(features)
        found = [self._nearest(pool, own, of) for own, of in zip(ids, compared, strict=True)]
        rows, distances = (np.array(part).reshape(-1, self.count) for part in zip(*found, strict=True))
        known = rows >= 0
        return Neighbours(
            ids=np.where(known, pool.samples.ids[rows], -1),
            distances=distances,
            predicted=np.where(known, pool.predicted[rows], -1),
            truth=np.where(known[..., None], pool.samples.truth[rows], -1),
        )

    def _nearest(self, pool: ComparedPool, own: int, features: Doubles) -> tuple[IntArray, Doubles]:
        """The rows of a pool that are nearest to a sample, -1 where there are fewer, and their distances."""
        with np.errstate(invalid="ignore", over="ignore"):
            squares = _squares(pool.features - features)
        # Of unit vectors |u - v|^2 is 2 - 2 u.v, and exactly 0 where they are the same.
        distances = np.sqrt(squares) if self.distance == "euclidean" else squares / 2
        distances[pool.samples.ids == own] = np.nan
        order = np.argsort(np.where(np.isfinite(distances), distances, np.inf), kind="stable")[: self.count]
        known = np.isfinite(distances[order])
        return np.where(known, order, -1), np.where(known, distances[order], np.nan)

    def _compared(self, features: Doubles) -> Doubles:
        """Features (N, F) as they are compared: for cosines of length 1, NaN where they are zero throughout."""
        if self.distance == "euclidean":
            return features
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            unit: Doubles = features / np.sqrt(_squares(features))[:, None]
        return unit


def _squares(vectors: Doubles) -> Doubles:
    """(N,) the sum of squares of each vector (N, F); its bits depend on that vector alone, unlike a product's."""
    summed: Doubles = (vectors * vectors).sum(axis=1)
    return summed
