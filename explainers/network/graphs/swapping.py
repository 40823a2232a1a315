"""Other cells in the place of a network's layers, while a graph is made of it.

They take one input, since graphs lose count of any number of them in cells that hold parameters; a layer that takes
several does not compile so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import mindspore as ms
import numpy as np
from mindspore import Parameter, Tensor, nn, ops

from ..tensors.layers import find_layer


class TappedLayer(nn.Cell):
    """A layer whose output is kept, and can be differentiated by: zeros are added, whose gradient is the output's.

    Args:
        layer: the user's.
        name: its own.
        shape: of its output.
        kind: its type.
    """

    def __init__(self, layer: nn.Cell, name: str, shape: Sequence[int], kind: Any) -> None:
        super().__init__(auto_prefix=False)
        self._cells["layer"] = layer  # as an attribute it would be marked as this cell's
        self.zeros = _variable(shape, kind, f"{name}.added")
        self.kept = _variable(shape, kind, f"{name}.kept")

    def construct(self, inputs: Tensor) -> Tensor:
        output = self.layer(inputs) + self.zeros
        ops.assign(self.kept, output)
        return output


class GivingLayer(nn.Cell):
    """Gives what it was handed, whatever comes in, so that a graph needs nothing of what comes before it.

    Args:
        shape: of its output.
        kind: its type.
    """

    def __init__(self, shape: Sequence[int], kind: Any) -> None:
        super().__init__(auto_prefix=False)
        self.given = _variable(shape, kind, "given")

    def construct(self, inputs: Tensor) -> Tensor:
        return self.given + 0


class RectifiedLinear6(nn.Cell):
    """ReLU6 of ReLUs, which MindSpore differentiates twice."""

    def construct(self, x: Tensor) -> Tensor:
        return ops.relu(x) - ops.relu(x - 6)


class HardSigmoid(nn.Cell):
    """ReLU6 of x + 3, over 6."""

    def construct(self, x: Tensor) -> Tensor:
        return (ops.relu(x + 3) - ops.relu(x - 3)) / 6


class HardSwish(nn.Cell):
    """x times its hard sigmoid."""

    def construct(self, x: Tensor) -> Tensor:
        return x * (ops.relu(x + 3) - ops.relu(x - 3)) / 6


@contextmanager
def swapped(network: nn.Cell, instead: Mapping[str, nn.Cell]) -> Iterator[None]:
    """Within, other cells stand in the place of layers, wherever a cell holds these; afterwards all is as it was.

    Args:
        network: whose layers.
        instead: by dotted name of a layer the other cell.
    """
    taking = {id(find_layer(network, name)): cell for name, cell in instead.items()}
    children, holders = [], []
    for _, parent in network.cells_and_names():
        children += [(parent._cells, name, one) for name, one in parent._cells.items() if id(one) in taking]
        holders += [(vars(parent), name, held) for name, held in vars(parent).items() if _holds(held, taking)]
    try:
        for cells, name, layer in children:
            cells[name] = taking[id(layer)]
        for attributes, name, held in holders:
            attributes[name] = type(held)(taking.get(id(one), one) for one in held)
        yield
    finally:
        for cells, name, layer in children:
            cells[name] = layer
        for attributes, name, held in holders:
            attributes[name] = held


def hand_over(variable: Parameter, values: Tensor) -> None:
    """Have a graph read other values from now on; in place, since it holds the memory and not the parameter."""
    ops.assign(variable, values.astype(variable.dtype))


def _holds(held: Any, taking: Mapping[int, nn.Cell]) -> bool:
    """Whether something is a list or a tuple of cells, one of which is taken away."""
    return type(held) in (list, tuple) and any(id(one) in taking for one in held)


def _variable(shape: Sequence[int], kind: Any, name: str) -> Parameter:
    values = Tensor(np.zeros(tuple(shape), np.float32)).astype(kind or ms.float32)
    return Parameter(values, name=f"explainrun.{name}", requires_grad=not name.endswith(".kept"))
