"""How a direct call asks a network."""

from __future__ import annotations

from dataclasses import dataclass

import mindspore as ms
from mindspore import nn

from ..network import DEFAULT_PASS_SIZE, Jit, Network, Output
from ..network.graphs.library import checked_jit
from ..network.tensors import FloatArray
from .measured_size import AUTO, PassSize, checked_pass_size, remembered_size


@dataclass(frozen=True)
class CallOptions:
    """What every direct call takes.

    Attributes:
        output: which part of what the network returns is its logits.
        jit: whether passes run compiled: "auto" where that pays, "on" where it can be, or "off".
        pass_size: images per pass; "auto" for what a measurement finds best.

    Raises:
        ValueError: if one is out of its range.
    """

    output: Output = None
    jit: Jit = "auto"
    pass_size: PassSize = DEFAULT_PASS_SIZE

    def __post_init__(self) -> None:
        checked_jit(self.jit)
        checked_pass_size(self.pass_size)

    def network(self, cell: nn.Cell, images: FloatArray) -> Network:
        """The network as the call asks it about images (N, C, H, W)."""
        fill = ms.get_context("mode") == ms.GRAPH_MODE  # which compiles for every shape of a pass
        size = self.pass_size
        if size == AUTO:
            size = remembered_size(cell, images, self.output, self.jit)
        return Network(cell, size, fill=fill, output=self.output, jit=self.jit)
