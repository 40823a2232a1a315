"""The passes that can be graphs: gradients with taps, layers' outputs, and what comes after a layer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import mindspore as ms
import numpy as np
from mindspore import Parameter, Tensor, nn, ops

from ..tensors import FloatArray, IntArray, Targets, as_array, both_classes, logit_weights, one_hot
from ..tensors.layers import LayerRun, find_layer
from .compiling import Graph, GraphRefusedError
from .swapping import (
    GivingLayer,
    HardSigmoid,
    HardSwish,
    RectifiedLinear6,
    TappedLayer,
    hand_over,
    swapped,
)

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


class Method:
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


class _Gradient(Method):
    """The gradient of chosen logits, by the images or by what taps add, or by both."""

    def __init__(self, reading: Reading, variables: Sequence[Any], *, image: bool, loss: bool) -> None:
        super().__init__(reading)
        self.variables, self.loss = list(variables) or None, loss
        self.position = 0 if image else None

    def chosen(self, images: Tensor, asked: Tensor) -> tuple[Tensor, Tensor]:
        logits = self.logits(images)
        value = (logits * asked).sum()
        if self.loss:
            value = ops.logsumexp(logits, 1).sum() - value
        return value, logits

    def run(self, images: Tensor, asked: Tensor) -> Any:
        differentiate = ms.value_and_grad(self.chosen, self.position, self.variables, has_aux=True)
        (_, logits), gradients = differentiate(images, asked)
        if not self.variables:
            return numbers_of([logits, gradients]), logits, gradients, ()
        if self.position is None:
            return numbers_of([logits, *gradients]), logits, None, gradients
        return numbers_of([logits, gradients[0], *gradients[1]]), logits, gradients[0], gradients[1]


def numbers_of(values: Sequence[Tensor]) -> Tensor:
    """A number of each, for a graph to return: to read these before anything else is to wait for the whole graph.

    What begins sooner, even reading another output, runs beside the graph, which then takes two or three times as long.
    """
    return ops.stack([one.reshape(-1)[0].astype(ms.float32) for one in values])


class OutputsMethod(Method):
    """What layers give, kept by taps; the graph ends there, since nothing else is asked of it."""

    def __init__(self, reading: Reading, kept: Iterable[Parameter]) -> None:
        super().__init__(reading)
        self.kept = list(kept)

    def run(self, images: Tensor) -> Tensor:
        self.logits(images)
        return numbers_of(self.kept)


class LogitsMethod(Method):
    """The logits of images."""

    def run(self, images: Tensor) -> Tensor:
        return self.logits(images)


class _SecondOrder(Method):
    """The gradient of a number for each image with respect to a variable, or the images, and its product with theirs.

    The gradient of the gradient's product with fixed values is the Hessian's.
    """

    def __init__(self, reading: Reading, variables: Sequence[Any], *, rest: bool) -> None:
        super().__init__(reading)
        self.variables, self.rest = list(variables) or None, rest
        self.position = None if variables else 0

    def number(self, images: Tensor, asked: Tensor) -> Tensor:
        logits = self.logits(images)
        value = (logits * asked).sum()
        return 2 * value - ops.logsumexp(logits, 1).sum() if self.rest else value

    def along(self, images: Tensor, asked: Tensor, direction: Tensor) -> tuple[Tensor, Tensor]:
        gradient = ms.grad(self.number, self.position, self.variables)(images, asked)
        if self.variables:
            gradient = gradient[0]
        return (gradient.astype(ms.float32) * direction).sum(), gradient

    def run(self, images: Tensor, asked: Tensor, direction: Tensor) -> Any:
        differentiate = ms.value_and_grad(self.along, self.position, self.variables, has_aux=True)
        (_, gradient), product = differentiate(images, asked, direction)
        if self.variables:
            product = product[0]
        return numbers_of([gradient, product]), gradient, product


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
        self.graph = graph_of(reading.cell, taps, method, Tensor(other_images(images)), Tensor(asked))

    def __call__(self, images: FloatArray, targets: Targets) -> tuple[FloatArray, FloatArray | None, Arrays, Arrays]:
        """Logits, the image's gradient, and for each layer output and gradient."""
        asked = Tensor(logit_weights(targets, self._classes))
        done, logits, by_image, by_layer = self.graph(Tensor(images), asked)
        as_array(done)
        activations = {name: copied(kept) for name, kept in self._kept.items()}
        slopes = dict(zip(self._names, map(copied, by_layer), strict=True))
        return copied(logits), copied(by_image) if self._image else None, activations, slopes


class OutputProgram:
    """What layers give, without what comes after the last of them.

    Attributes:
        layers: what they do in a pass.
    """

    def __init__(self, reading: Reading, layers: Mapping[str, LayerRun], images: FloatArray) -> None:
        taps = _taps(reading.cell, layers)
        self._kept, self.layers = {name: tap.kept for name, tap in taps.items()}, dict(layers)
        self.graph = graph_of(
            reading.cell, taps, OutputsMethod(reading, self._kept.values()), Tensor(other_images(images))
        )

    def __call__(self, images: FloatArray) -> Arrays:
        as_array(self.graph(Tensor(images)))
        return {name: copied(kept) for name, kept in self._kept.items()}


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
        self.graph = graph_of(reading.cell, {layer: giving}, LogitsMethod(reading), Tensor(other_images(images)))

    def __call__(self, images: FloatArray, outputs: FloatArray) -> FloatArray:
        """Logits (N, classes).

        Raises:
            ValueError: if outputs are not of the layer's shape.
        """
        if outputs.shape != self._shape:
            words = f"layer {self._layer!r} gives shape {self._shape}, it cannot give shape {outputs.shape} instead"
            raise ValueError(words)
        hand_over(self._given, Tensor(outputs))
        return copied(self.graph(Tensor(images)))


class SecondOrderProgram:
    """First and second derivatives of what comes after a layer, with respect to what the layer gives.

    Args:
        reading: how the network is asked.
        layer: its name; "" is the image itself.
        given: what it gives; None for the image.
        rest: whether the label's logit plus the logarithm of its softmax is differentiated, not its logit alone.
        images: (N, C, H, W), of the shape of all passes.
        classes: how many there are.

    Raises:
        GraphRefusedError: if it does not compile.
    """

    def __init__(
        self, reading: Reading, layer: str, given: LayerRun | None, *, rest: bool, images: FloatArray, classes: int
    ) -> None:
        giving = None if given is None else GivingLayer(given.shape, given.type)
        self._given, self._classes = None if giving is None else giving.given, classes
        instead: dict[str, nn.Cell] = _twice_differentiable(reading.cell)
        if giving is not None:
            instead = {name: cell for name, cell in instead.items() if not _within(name, layer)} | {layer: giving}
        method = _SecondOrder(reading, [] if giving is None else [giving.given], rest=rest)
        asked = one_hot(np.zeros(len(images), np.int64), classes)
        direction = np.ones(images.shape if given is None else given.shape, np.float32)
        tensors = (Tensor(other_images(images)), Tensor(asked), Tensor(direction))
        self.graph = graph_of(reading.cell, instead, method, *tensors)

    def __call__(self, images: FloatArray, labels: IntArray, outputs: FloatArray) -> tuple[FloatArray, FloatArray]:
        """The gradient (N, ...), and the product of the Hessian with what the layer gives."""
        if self._given is not None:
            hand_over(self._given, Tensor(outputs))
        asked = Tensor(one_hot(labels, self._classes))
        done, gradient, product = self.graph(Tensor(images), asked, Tensor(outputs))
        as_array(done)
        return copied(gradient), copied(product)


def _within(name: str, layer: str) -> bool:
    return name == layer or name.startswith(f"{layer}.")


def _twice_differentiable(cell: nn.Cell) -> dict[str, nn.Cell]:
    """By name, other cells for those whose operators MindSpore does not differentiate twice; the same functions."""
    kinds = {nn.ReLU6: RectifiedLinear6, nn.HSwish: HardSwish, nn.HSigmoid: HardSigmoid}
    return {name: kinds[type(one)]() for name, one in cell.cells_and_names() if name and type(one) in kinds}


def _taps(cell: nn.Cell, layers: Mapping[str, LayerRun]) -> dict[str, TappedLayer]:
    return {name: TappedLayer(find_layer(cell, name), name, of.shape, of.type) for name, of in layers.items()}


def graph_of(cell: nn.Cell, instead: Mapping[str, nn.Cell], method: Any, *arguments: Tensor) -> Graph:
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


def copied(values: Any) -> FloatArray:
    """Values in memory of their own, since the next pass of a graph may write where they lie."""
    return np.array(as_array(values))
