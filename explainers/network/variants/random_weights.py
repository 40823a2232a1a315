"""A network whose weights are random for a while, layer by layer; afterwards they are as they were, bit for bit."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from mindspore import Parameter, Tensor, nn

from ....summary_format.problem import Problem
from ..passes import WEIGHT_ORDER, OutOfMemoryError
from ..probing import REFUSALS, fixed_images
from ..service import Network
from ..tensors import FLOATING, FloatArray, exact_array, require_pynative
from ..tensors.layers import find_layer

_STATISTICS = ("moving_", "running_")  # of batch norm: measured, not learned


@dataclass(frozen=True)
class WeightLayer:
    """A layer with weights, and what follows it without, such as its normalisation.

    Attributes:
        name: dotted name of the first of its cells that holds parameters; "" is the network itself.
        cells: dotted names of all of them.
    """

    name: str
    cells: tuple[str, ...]


def count_weight_layers(cell: nn.Cell) -> int:
    """How many layers with weights a network has, were all of them to run."""
    return max(1, sum(map(_has_weights, _owners(cell).values())))


def check_weights(cell: nn.Cell) -> None:
    """Make sure that a network can be given random weights.

    Raises:
        ValueError: in graph mode, which ignores hooks, or if it has no parameters that are learned.
    """
    require_pynative("random weights")
    if not _owners(cell):
        words = "{network} has no learned parameters of floats that could be drawn at random"
        raise ValueError(Problem.of("no-weights", words, network=type(cell).__name__))


def weight_layers(network: Network, image: FloatArray) -> tuple[WeightLayer, ...]:
    """The layers with weights, in the order in which they first begin to run; takes a pass for each shape of images.

    A layer begins at a cell with a parameter of two or more axes, and holds the cells that run after it and have
    smaller ones alone. The pass is of fixed images, so that the order is the same in every shard; of the image itself
    where the network does not take those.

    Args:
        network: where the pass runs, which is counted as "weight order".
        image: (C, H, W).

    Raises:
        ValueError: in graph mode, which ignores hooks, or if no layer that runs has parameters.
    """
    require_pynative("random weights")
    known = _orders.setdefault(network, {})
    if image.shape not in known:
        known[image.shape] = _grouped(network.cell, _order(network, image))
    return known[image.shape]


_orders: weakref.WeakKeyDictionary[Network, dict[tuple[int, ...], tuple[WeightLayer, ...]]] = (
    weakref.WeakKeyDictionary()
)


class RandomWeights:
    """Layers of a network that have random weights for the time being; see ``random_weights``."""

    def __init__(self, network: Network, generator: Callable[[str], np.random.Generator]) -> None:
        self._network, self._generator, self._owners = network, generator, _owners(network.cell)
        self._kept: dict[WeightLayer, list[tuple[Parameter, npt.NDArray[Any]]]] = {}

    def of(self, layers: Sequence[WeightLayer]) -> Network:
        """The network with random weights in these layers alone: those that have them keep them, others are put back.

        Args:
            layers: of ``weight_layers``.
        """
        self.put_back(but=layers)
        for layer in layers:
            if layer not in self._kept:
                self._draw(layer)
        return self._network.with_other_weights()

    def put_back(self, but: Sequence[WeightLayer] = ()) -> None:
        """Give all layers but these the weights that they had."""
        for layer in [one for one in self._kept if one not in but]:
            kept = self._kept[layer]
            while kept:
                _write(*kept[-1])
                kept.pop()
            del self._kept[layer]

    def _draw(self, layer: WeightLayer) -> None:
        numbers, kept = self._generator(layer.name), self._kept.setdefault(layer, [])
        for parameter in (one for name in layer.cells for one in self._owners[name]):
            values = exact_array(parameter)
            kept.append((parameter, values))
            _write(parameter, _drawn(values, numbers))


@contextmanager
def random_weights(network: Network, generator: Callable[[str], np.random.Generator]) -> Iterator[RandomWeights]:
    """Within, what is given makes layers of a network random, and passes of what it gives then run with them.

    Weights (parameters of two or more axes) are drawn from a normal distribution around 0 whose deviation is their root
    mean square, others, such as biases, from one of their own mean and deviation; what batch norm has measured stays.
    So layers give values of about the size that they gave before.

    Args:
        network: stays as it is.
        generator: the random numbers of each layer, by its name.
    """
    weights = RandomWeights(network, generator)
    try:
        yield weights
    finally:
        try:
            weights.put_back()
        finally:  # a signal's handler may have raised between two parameters
            weights.put_back()


def _write(parameter: Parameter, values: npt.NDArray[Any]) -> None:
    parameter.set_data(Tensor(values.copy(), parameter.dtype))


def _drawn(values: npt.NDArray[Any], numbers: np.random.Generator) -> npt.NDArray[Any]:
    """Random values like those of a parameter."""
    exact = values.astype(np.float64)
    mean, width = (0.0, np.sqrt(np.mean(exact**2))) if values.ndim > 1 else (exact.mean(), exact.std())
    return numbers.normal(mean, width, values.shape).astype(values.dtype)


def _owners(network: nn.Cell) -> dict[str, list[Parameter]]:
    """The parameters that each cell itself holds, of floats and learned; one that several hold is the first one's."""
    found, seen = dict[str, list[Parameter]](), set[int]()
    for name, cell in network.cells_and_names():
        for label, parameter in vars(cell).get("_params", {}).items():
            learned = parameter is not None and not label.startswith(_STATISTICS) and parameter.size
            if learned and parameter.dtype in FLOATING and id(parameter) not in seen:
                seen.add(id(parameter))
                found.setdefault(name, []).append(parameter)
    return found


def _has_weights(parameters: Sequence[Parameter]) -> bool:
    return any(parameter.ndim > 1 for parameter in parameters)


def _order(network: Network, image: FloatArray) -> list[str]:
    """The cells that hold parameters, in the order in which they first begin to run."""
    try:
        return _ran(network, fixed_images(image.shape)[:1])
    except OutOfMemoryError:
        raise
    except REFUSALS:
        return _ran(network, image[None])


def _ran(network: Network, images: FloatArray) -> list[str]:
    ran: dict[str, None] = {}
    with network.running(WEIGHT_ORDER, len(images)), ExitStack() as stack:
        for name in _owners(network.cell):
            cell = find_layer(network.cell, name) if name else network.cell
            hook = cell.register_forward_pre_hook(lambda _cell, _inputs, name=name: ran.update({name: None}))
            stack.callback(hook.remove)
        network.cell(network.input(Tensor(images)))
    return list(ran)


def _grouped(cell: nn.Cell, order: Sequence[str]) -> tuple[WeightLayer, ...]:
    owners, groups = _owners(cell), list[list[str]]()
    for name in order:
        if _has_weights(owners[name]) or not groups:
            groups.append([])
        groups[-1].append(name)
    if not groups:
        words = "no layer of {network} that runs has learned parameters that could be drawn at random"
        raise ValueError(Problem.of("no-weights-run", words, network=type(cell).__name__))
    return tuple(WeightLayer(names[0], tuple(names)) for names in groups)
