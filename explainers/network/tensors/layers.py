"""Layers by name."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from mindspore import Tensor, mint, nn

from ....summary_format.errors import nearest
from ....summary_format.problem import Problem

INPUT_LAYER = ""  # the tap that stands for the images themselves
IN_GRAPHS = "; what mindspore.jit compiles by capture_mode 'bytecode' or 'trace' runs no hooks, use 'ast'"


@dataclass(frozen=True)
class LayerRun:
    """What a layer did in a pass.

    Attributes:
        shape: of what it gave.
        type: of that.
        runs: how often it ran.
    """

    shape: tuple[int, ...]
    type: Any
    runs: int

    @classmethod
    def of(cls, output: Tensor, runs: int) -> LayerRun:
        """A layer that ran so often, and gave this at last."""
        return cls(tuple(output.shape), output.dtype, runs)


def computes_as(cell: nn.Cell, names: Iterable[str]) -> bool:
    """Whether a layer is of one of MindSpore's classes of these names, or computes as one that it is derived from.

    Args:
        cell: the layer.
        names: of classes of ``mindspore.nn`` and ``mindspore.mint.nn``; those that there are not are passed over.
    """
    kinds = [kind for name in names for room in (nn, mint.nn) if (kind := getattr(room, name, None)) is not None]
    return any(isinstance(cell, kind) and type(cell).construct is kind.construct for kind in kinds)


def find_layer(network: nn.Cell, name: str) -> nn.Cell:
    """The cell of that dotted name, such as "layer4.0.conv1".

    Raises:
        ValueError: if there is none; it offers the nearest names.
    """
    cell: Any = network
    for part in name.split("."):
        cell = getattr(cell, part, None)
        if not isinstance(cell, nn.Cell):
            known = [known for known, _ in network.cells_and_names() if known]
            words = "{network} has no layer {layer!r}; {nearest}"
            values = {"network": type(network).__name__, "layer": name, "nearest": nearest(name, known)}
            raise ValueError(Problem.of("layer-unknown", words, **values))
    return cell
