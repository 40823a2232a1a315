"""The search of hierarchical occlusion for one question: which composites to ask about, given the answers so far."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from .counterfactual import NO_PARENT, Box, Counterfactual, Layer, Outcome, composite
from .lockstep import Search
from .tensors import FloatArray


class Revealing:
    """Reveals windows of a blurred image until a label's probability reaches a threshold, layer by layer.

    Args:
        image: (C, H, W).
        blurred: what covers it, (C, H, W).
        threshold: probability to reach.
        layers: side and stride in pixels of each layer's windows, the largest first.
    """

    def __init__(
        self, image: FloatArray, blurred: FloatArray, threshold: float, layers: Sequence[tuple[int, int]]
    ) -> None:
        self.image, self.blurred, self.threshold, self.layers = image, blurred, threshold, layers
        self._blurred_probability: float | None = None

    def answer(self, question: Counterfactual) -> Search[Counterfactual]:
        """The question with its answer filled in, after as many requests as it takes."""
        of_blurred = yield from self._probability([])
        layers: tuple[Layer, ...] = ()
        outcome: Outcome = "blur suffices"
        if not self._reached(of_blurred):
            layers = yield from self._found_layers()
            outcome = "found" if layers else "not reached"
        return replace(question, outcome=outcome, blurred_probability=of_blurred, layers=layers)

    def _found_layers(self) -> Search[tuple[Layer, ...]]:
        """Layers down to the first that misses the threshold."""
        found: list[Layer] = []
        parents: tuple[Box, ...] = (Box(0, 0, self.image.shape[2], self.image.shape[1]),)  # of layer 1 the image
        first = NO_PARENT
        for side, stride in self.layers:
            layer = yield from self._refined(parents, first, side, stride)
            if not self._reached(layer.probability):
                break
            found.append(layer)
            parents, first = layer.boxes, 0
        return tuple(found)

    def _refined(self, parents: Sequence[Box], first: int, side: int, stride: int) -> Search[Layer]:
        """A layer of windows inside its parents, which are numbered from ``first``.

        Of a parent that misses the threshold all windows are revealed; those after it may still make up for it.
        """
        children: list[Box] = []
        probability = math.nan
        for place, parent in enumerate(parents):
            whole = parents[place + 1 :]
            probability = yield from self._probability([*children, *whole])
            hidden = _windows(parent, side, stride, first + place)
            while hidden and not self._reached(probability):
                shown = [(*children, *whole, window) for window in hidden]
                found = yield _Composites(self.image, self.blurred, shown)
                best = int(np.where(np.isfinite(found), found, -np.inf).argmax())  # the first of equals
                probability = float(found[best])
                children.append(hidden.pop(best))
        return Layer(probability, tuple(children))

    def _probability(self, shown: Sequence[Box]) -> Search[float]:
        """Of the label with these boxes shown; with none it is asked once."""
        if not shown and self._blurred_probability is not None:
            return self._blurred_probability
        (answer,) = yield _Composites(self.image, self.blurred, [shown])
        if not shown:
            self._blurred_probability = float(answer)
        return float(answer)

    def _reached(self, probability: float) -> bool:
        return self.threshold <= probability < math.inf


class _Composites:
    """The image with these and those boxes shown, each built when it is looked at."""

    def __init__(self, image: FloatArray, blurred: FloatArray, shown: Sequence[Sequence[Box]]) -> None:
        self.image, self.blurred, self.shown = image, blurred, shown

    def __len__(self) -> int:
        return len(self.shown)

    def __getitem__(self, place: int, /) -> FloatArray:
        return composite(self.image, self.blurred, self.shown[place])


def _windows(parent: Box, side: int, stride: int, number: int) -> list[Box]:
    """Windows inside a box, row by row from the top left, under the number of their parent."""
    return [
        Box(parent.x + left, parent.y + top, side, side, number)
        for top in _starts(parent.height, side, stride)
        for left in _starts(parent.width, side, stride)
    ]


def _starts(extent: int, side: int, stride: int) -> list[int]:
    flush = extent - side
    return [*range(0, flush, stride), flush]
