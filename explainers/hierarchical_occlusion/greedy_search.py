"""The search of hierarchical occlusion for one question: which composites to ask about, given the answers so far."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..batched_search import Request, Search
from ..core.windows import with_windows
from ..network import Block
from ..network.tensors import FloatArray
from .counterfactual import NO_PARENT, Box, Counterfactual, Layer, Outcome, composite


class SharedFirstLayer:
    """What all labels of an image have in common: the blurred image, and with each window of layer 1 revealed.

    Args:
        image: (C, H, W).
        blurred: what covers it, (C, H, W).
        threshold: probability to reach.
        layer: side and stride in pixels of layer 1's windows.
    """

    def __init__(self, image: FloatArray, blurred: FloatArray, threshold: float, layer: tuple[int, int]) -> None:
        self.image, self.blurred, self.threshold = image, blurred, threshold
        self.windows = _windows(Box(0, 0, image.shape[2], image.shape[1]), *layer, NO_PARENT)

    def search(self) -> Search[FloatArray]:
        """Probabilities (1 + windows, labels): blurred, then with each window; of the blurred image alone, (1, labels),
        where that suffices for all labels.
        """
        blurred = yield self.composites(())
        if all(self.reached(float(probability)) for probability in blurred[0]):
            return blurred
        alone = yield self.composites((), self.windows)
        return np.concatenate([blurred, alone])

    def composites(self, shown: Sequence[Box], windows: Sequence[Box] | None = None) -> Request:
        """Images to ask about: the blurred one with these boxes revealed; or with each window in turn as well."""
        return _Composites(self.image, self.blurred, shown, windows)

    def reached(self, probability: float) -> bool:
        """Whether a probability suffices."""
        return self.threshold <= probability < math.inf


class GreedyRevealSearch:
    """Reveals windows of a blurred image until a label's probability reaches a threshold, layer by layer.

    Args:
        first_layer: of the image.
        found: what its search says of the label, (1 + windows,) or (1,).
        layers: side and stride in pixels of each layer's windows, the largest first.
    """

    def __init__(self, first_layer: SharedFirstLayer, found: FloatArray, layers: Sequence[tuple[int, int]]) -> None:
        self.first_layer, self.layers = first_layer, layers
        self._blurred_probability, self._alone = float(found[0]), found[1:]

    def answer(self, question: Counterfactual) -> Search[Counterfactual]:
        """The question with its answer filled in, after as many requests as it takes."""
        layers: tuple[Layer, ...] = ()
        outcome: Outcome = "blur suffices"
        if not self.first_layer.reached(self._blurred_probability):
            layers = yield from self._found_layers()
            outcome = "found" if layers else "not reached"
        return replace(question, outcome=outcome, blurred_probability=self._blurred_probability, layers=layers)

    def _found_layers(self) -> Search[tuple[Layer, ...]]:
        """Layers down to the first that misses the threshold."""
        layer = yield from self._first()
        found: list[Layer] = []
        for side, stride in (*self.layers[1:], (0, 0)):
            if not self.first_layer.reached(layer.probability):
                break
            found.append(layer)
            if side:
                layer = yield from self._refined(layer.boxes, side, stride)
        return tuple(found)

    def _first(self) -> Search[Layer]:
        """Layer 1, whose first window is known."""
        hidden, best = list(self.first_layer.windows), _best(self._alone)
        children = [hidden.pop(best)]
        probability = yield from self._reveal(hidden, children, (), float(self._alone[best]))
        return Layer(probability, tuple(children))

    def _refined(self, parents: Sequence[Box], side: int, stride: int) -> Search[Layer]:
        """A layer of windows inside those above it.

        Of a parent that misses the threshold all windows are revealed; those after it may still make up for it.
        """
        children: list[Box] = []
        probability = math.nan
        for place, parent in enumerate(parents):
            whole = parents[place + 1 :]
            probability = yield from self._probability([*children, *whole])
            hidden = _windows(parent, side, stride, place)
            probability = yield from self._reveal(hidden, children, whole, probability)
        return Layer(probability, tuple(children))

    def _reveal(
        self, hidden: list[Box], children: list[Box], whole: Sequence[Box], probability: float
    ) -> Search[float]:
        """Move windows from the hidden ones to the children until they suffice; the probability that is reached."""
        while hidden and not self.first_layer.reached(probability):
            found = yield self.first_layer.composites((*children, *whole), tuple(hidden))
            best = _best(found)
            probability = float(found[best])
            children.append(hidden.pop(best))
        return probability

    def _probability(self, shown: Sequence[Box]) -> Search[float]:
        """Of the label with these boxes shown."""
        if not shown:
            return self._blurred_probability
        (answer,) = yield self.first_layer.composites(shown)
        return float(answer)


def _best(found: FloatArray) -> int:
    """Which is largest, the first of equals; never one that is not finite."""
    return int(np.where(np.isfinite(found), found, -np.inf).argmax())


class _Composites:
    """The image with some boxes shown, and with each of the windows in turn; built when it is looked at."""

    def __init__(
        self, image: FloatArray, blurred: FloatArray, shown: Sequence[Box], windows: Sequence[Box] | None
    ) -> None:
        self.image, self.blurred, self.shown, self.windows = image, blurred, shown, windows

    def __len__(self) -> int:
        return 1 if self.windows is None else len(self.windows)

    def __getitem__(self, places: slice, /) -> list[FloatArray | Block]:
        shown = composite(self.image, self.blurred, self.shown)
        if self.windows is None:
            return [shown]
        windows = self.windows[places]
        starts = np.array([(0, box.y, box.x) for box in windows])
        extents = np.array([(len(shown), box.height, box.width) for box in windows])
        return [with_windows(shown, self.image, starts, extents)]


def _windows(parent: Box, side: int, stride: int, number: int) -> list[Box]:
    """Windows inside a box, row by row from the top left, under the number of their parent."""
    return [
        Box(parent.x + left, parent.y + top, side, side, number)
        for top in _starts(parent.height, side, stride)
        for left in _starts(parent.width, side, stride)
    ]


def windows_within(height: int, width: int, side: int, stride: int) -> int:
    """How many windows of a layer lie inside a box."""
    return len(_starts(height, side, stride)) * len(_starts(width, side, stride))


def _starts(extent: int, side: int, stride: int) -> list[int]:
    flush = extent - side
    return [*range(0, flush, stride), flush]
