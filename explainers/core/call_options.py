"""How a direct call asks a network."""

from __future__ import annotations

from dataclasses import dataclass

import mindspore as ms
from mindspore import nn

from ...summary_format.problem import Problem
from ..arguments import whole_number
from ..network import DEFAULT_PASS_SIZE, Jit, Network, Output
from ..network.graphs.library import checked_jit

LARGEST_PASS = 65_536


def checked_pass_size(value: object) -> int:
    """Images per pass.

    Raises:
        ValueError: if it is not a whole number from 1 to 65,536.
    """
    size = whole_number(value, "pass_size")
    if size > LARGEST_PASS:
        words = "pass_size must be at most {most}, got {given}"
        raise ValueError(Problem.of("pass-size-too-large", words, most=LARGEST_PASS, given=size))
    return size


@dataclass(frozen=True)
class CallOptions:
    """What every direct call takes.

    Attributes:
        output: which part of what the network returns is its logits.
        jit: whether passes run compiled: "auto" where that pays, "on" where it can be, or "off".
        pass_size: images per pass.

    Raises:
        ValueError: if one is out of its range.
    """

    output: Output = None
    jit: Jit = "auto"
    pass_size: int = DEFAULT_PASS_SIZE

    def __post_init__(self) -> None:
        checked_jit(self.jit)
        checked_pass_size(self.pass_size)

    def network(self, cell: nn.Cell) -> Network:
        """The network as the call asks it."""
        fill = ms.get_context("mode") == ms.GRAPH_MODE  # which compiles for every shape of a pass
        return Network(cell, self.pass_size, fill=fill, output=self.output, jit=self.jit)
