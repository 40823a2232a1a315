"""Other cells in the place of a network's layers, while a graph is made of it.

They take one input, since graphs lose count of any number of them in cells that hold parameters; a layer that takes
several does not compile so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
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


@dataclass(frozen=True, kw_only=True)
class MaskedPlace:
    """Where a dropout mask comes in, and what it multiplies.

    Attributes:
        name: of the layer.
        before: whether that is what the layer gets, not what it gives.
        shape: of it in a pass.
        masked: its shape once it is multiplied, which has a row for each image.
        type: of both.
    """

    name: str
    before: bool
    shape: tuple[int, ...]
    masked: tuple[int, ...]
    type: Any


class KeepingLayer(nn.Cell):
    """A layer that keeps what a mask is going to multiply.

    Args:
        layer: the user's.
        place: where masks come in.
    """

    def __init__(self, layer: nn.Cell, place: MaskedPlace) -> None:
        super().__init__(auto_prefix=False)
        self._cells["layer"], self.before = layer, place.before
        self.kept = _variable(place.shape, place.type, f"{place.name}.kept")

    def construct(self, inputs: Tensor) -> Tensor:
        if self.before:
            ops.assign(self.kept, inputs)
            return self.layer(inputs)
        output = self.layer(inputs)
        ops.assign(self.kept, output)
        return output


class MaskedLayer(nn.Cell):
    """A layer that a mask acts on.

    Args:
        layer: the user's.
        place: where the mask comes in.
        mask: the shape of the mask, which is of all samples.
        samples: how many; what the mask multiplies is repeated as often, unless it has all their rows.
        give: whether the mask multiplies what was handed over, whatever comes in.
    """

    def __init__(self, layer: nn.Cell, place: MaskedPlace, mask: Sequence[int], samples: int, *, give: bool) -> None:
        super().__init__(auto_prefix=False)
        self._cells["layer"], self.before, self.give, self.samples = layer, place.before, give, samples
        self.mask = _variable(mask, place.type, f"{place.name}.mask")
        self.given = _variable(place.shape, place.type, f"{place.name}.given") if give else self.mask

    def construct(self, inputs: Tensor) -> Tensor:
        if self.give:
            values = self.given
        elif self.before:
            values = inputs
        else:
            values = self.layer(inputs)
        if values.shape[0] * self.samples == self.mask.shape[0]:
            values = ops.tile(values, (self.samples,) + (1,) * (values.ndim - 1))
        masked = values * self.mask
        return self.layer(masked) if self.before else masked


class PiecewiseLayer(nn.Cell):
    """A layer that runs on the rows of one sample after the other, where its input has those of all.

    Args:
        layer: the user's.
        images: of a pass.
        samples: how many.
    """

    def __init__(self, layer: nn.Cell, images: int, samples: int) -> None:
        super().__init__(auto_prefix=False)
        self._cells["layer"], self.images, self.samples = layer, images, samples

    def construct(self, inputs: Tensor) -> Tensor:
        rows = inputs.shape[0]
        if rows % (self.images * self.samples):
            return self.layer(inputs)
        return ops.cat([self.layer(piece) for piece in ops.split(inputs, rows // self.samples)])


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
