"""The passes that can be graphs: gradients with taps, layers' outputs, and what comes after a layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn, ops

from ..tensors import FloatArray, Targets, as_array, both_classes, logit_weights
from ..tensors.layers import LayerRun, find_layer
from .compiling import Graph, GraphRefusedError
from .swapping import GivingLayer, TappedLayer, hand_over, swapped

Arrays = dict[str, FloatArray]
Place = tuple[int | str, ...]  # where in tuples, lists and dictionaries the logits lie


@dataclass(frozen=True)
class Reading:
    """How a network is asked: in which type it takes images, and where in what it returns its logits lie.

    Attributes:
        cell: the network.
        type: of its images.
        place: of its logits; () where it returns them alone.
        doubled: whether they are the one logit of two classes.
    """

    cell: nn.Cell
    type: Any
    place: Place
    doubled: bool


class _Method:
    """A method that calls the network; forgets it once the graph is made."""

    def __init__(self, reading: Reading) -> None:
        self.cell: nn.Cell | None = reading.cell
        self.type, self.place, self.doubled = reading.type, reading.place, reading.doubled

    def logits(self, images: Tensor) -> Tensor:
        returned = self.cell(images.astype(self.type))  # type: ignore[misc]  # only read while the graph is made
        for part in self.place:
            returned = returned[part]
        logits = returned.astype(ms.float32)
        return both_classes(logits) if self.doubled else logits

    def detach(self) -> None:
        self.cell = None


class _Gradient(_Method):
    """The gradient of chosen logits, by the images or by what taps add, or by both."""

    def __init__(self, reading: Reading, variables: Sequence[Any], *, image: bool, loss: bool) -> None:
        super().__init__(reading)
        self.variables, self.loss = list(variables), loss
        self.position = 0 if image else None

    def chosen(self, images: Tensor, asked: Tensor) -> tuple[Tensor, Tensor]:
        logits = self.logits(images)
        value = (logits * asked).sum()
        if self.loss:
            value = ops.logsumexp(logits, 1).sum() - value
        return value, logits

    def run(self, images: Tensor, asked: Tensor) -> Any:
        if self.variables:
            differentiate = ms.value_and_grad(self.chosen, self.position, self.variables, has_aux=True)
        else:
            differentiate = ms.value_and_grad(self.chosen, self.position, None, has_aux=True)
        return differentiate(images, asked)


class _Outputs(_Method):
    """What layers give, kept by taps; the graph ends there, since nothing else is asked of it."""

    def run(self, images: Tensor) -> Tensor:
        self.logits(images)
        return images[0, 0, 0, 0]


class _Logits(_Method):
    def run(self, images: Tensor) -> Tensor:
        return self.logits(images)


class GradientProgram:
    """One logit of each image differentiated, with the outputs and gradients of layers.

    Args:
        reading: how the network is asked.
        layers: what each tapped layer gives.
        image: whether the image's gradient is wanted; else the pass back ends at the lowest of the layers.
        loss: whether it is the cross entropy that is differentiated.
        images: (N, C, H, W), of the shape of all passes.
        targets: labels (N,), or weights (N, classes), for the first call; others than the next one's.
        classes: how many there are.

    Raises:
        GraphRefusedError: if it does not compile.
    """

    def __init__(
        self,
        reading: Reading,
        layers: Mapping[str, LayerRun],
        *,
        image: bool,
        loss: bool,
        images: FloatArray,
        targets: Targets,
        classes: int,
    ) -> None:
        taps = _taps(reading.cell, layers)
        self._kept = {name: tap.kept for name, tap in taps.items()}
        self._names, self._image, self._classes = list(taps), image, classes
        method = _Gradient(reading, [tap.zeros for tap in taps.values()], image=image, loss=loss)
        asked = logit_weights(targets, classes)
        self.graph = _made(reading.cell, taps, method, Tensor(other_images(images)), Tensor(asked))

    def __call__(self, images: FloatArray, targets: Targets) -> tuple[FloatArray, FloatArray | None, Arrays, Arrays]:
        """Logits, the image's gradient, and for each layer output and gradient."""
        (_, logits), gradients = self.graph(Tensor(images), Tensor(logit_weights(targets, self._classes)))
        by_image, by_layer = gradients if self._image and self._names else (gradients, gradients)
        activations = {name: _copy(kept) for name, kept in self._kept.items()}
        slopes = dict(zip(self._names, map(_copy, by_layer), strict=True)) if self._names else {}
        return _copy(logits), _copy(by_image) if self._image else None, activations, slopes


class OutputProgram:
    """What layers give, without what comes after the last of them.

    Attributes:
        layers: what they do in a pass.
    """

    def __init__(self, reading: Reading, layers: Mapping[str, LayerRun], images: FloatArray) -> None:
        taps = _taps(reading.cell, layers)
        self._kept, self.layers = {name: tap.kept for name, tap in taps.items()}, dict(layers)
        self.graph = _made(reading.cell, taps, _Outputs(reading), Tensor(other_images(images)))

    def __call__(self, images: FloatArray) -> Arrays:
        as_array(self.graph(Tensor(images)))
        return {name: _copy(kept) for name, kept in self._kept.items()}


class TailProgram:
    """Logits from what a layer gives; of what comes before it, only what reaches the logits in another way runs.

    Args:
        reading: how the network is asked.
        layer: its name.
        given: what it gives.
        images: (N, C, H, W), of the shape of all passes.

    Raises:
        GraphRefusedError: if it does not compile.
    """

    def __init__(self, reading: Reading, layer: str, given: LayerRun, images: FloatArray) -> None:
        giving = GivingLayer(given.shape, given.type)
        self._layer, self._shape, self._given = layer, given.shape, giving.given
        self.graph = _made(reading.cell, {layer: giving}, _Logits(reading), Tensor(other_images(images)))

    def __call__(self, images: FloatArray, outputs: FloatArray) -> FloatArray:
        """Logits (N, classes).

        Raises:
            ValueError: if outputs are not of the layer's shape.
        """
        if outputs.shape != self._shape:
            words = f"layer {self._layer!r} gives shape {self._shape}, it cannot give shape {outputs.shape} instead"
            raise ValueError(words)
        hand_over(self._given, Tensor(outputs))
        return _copy(self.graph(Tensor(images)))


def _taps(cell: nn.Cell, layers: Mapping[str, LayerRun]) -> dict[str, TappedLayer]:
    return {name: TappedLayer(find_layer(cell, name), name, of.shape, of.type) for name, of in layers.items()}


def _made(cell: nn.Cell, instead: Mapping[str, nn.Cell], method: Any, *arguments: Tensor) -> Graph:
    """The graph of a method while other cells stand in the place of layers."""
    with swapped(cell, instead) if instead else nullcontext():
        try:
            return Graph(method, *arguments)
        finally:
            for one in instead.values():
                one._cells.clear()


def check_single_runs(layers: Mapping[str, LayerRun]) -> None:
    """Refuse to compile a pass that reads layers which run several times, since a graph does not keep runs apart.

    Raises:
        GraphRefusedError: if there is one.
    """
    for name, layer in layers.items():
        if layer.runs != 1:
            raise GraphRefusedError(f"layer {name!r} runs {layer.runs} times in a pass")


def other_images(images: FloatArray) -> FloatArray:
    """Images of the same shape for a graph's first call, so that a trial shows what later calls take over from it.

    In MindSpore 2.10 the gradient of ``ops.pad`` is right in the first call alone.
    """
    return np.ascontiguousarray(np.float32(0.5) * images[::-1, :, ::-1])


def _copy(values: Any) -> FloatArray:
    """Values in memory of their own, since the next pass of a graph may write where they lie."""
    return np.array(as_array(values))
