"""Attention that was found in a network."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from mindspore import Tensor

from ....summary_format.problem import Problem
from ..tensors import FloatArray, as_array
from .operators import Site

Grid = tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class Probabilities:
    """Where the probabilities of attention are made, and where their gradient can be read.

    Attributes:
        site: of the operator that gives them.
        reader: of an operator that is made of them.
        argument: which of the tensors that this is given.
        path: what leads from that tensor back to them, as ``Graph.path`` says it; () if it is they.
    """

    site: Site
    reader: Site
    argument: int
    path: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class AttentionBlock:
    """Attention that was found, and what belongs to it.

    Attributes:
        name: of the layer in which values are averaged; of several in one layer "layer#1", "layer#2" and so on.
        layer: that layer; "" is the network itself.
        probabilities: where they are.
        shape: (heads, queries, keys) of one image; windows of an image count as heads.
        windows: how many windows of an image attend by themselves.
        cell: the layer that is the whole block, which gives the tokens that the next one gets; None where there is
            none.
        width: (T, width) of these tokens; where there is no such layer, of the last sum of two tensors of tokens behind
            the attention; None where there is none of these either.
        used: (T,) which of them the logits depend on, behind the last block that gives as many and as wide ones; None
            where that could not be seen.
        grids: (height, width) of the feature maps that ran before, in order.
        alike: the layers of all blocks that give tokens as many and as wide, where the rest of the network can be asked
            about those; see ``scores.py``. Empty where it cannot.
    """

    name: str
    layer: str
    probabilities: Probabilities
    shape: tuple[int, int, int]
    windows: int
    cell: str | None
    width: tuple[int, int] | None
    grids: tuple[Grid, ...]
    used: npt.NDArray[np.bool_] | None = field(default=None, compare=False)
    alike: tuple[str, ...] = ()

    @property
    def scored(self) -> bool:
        """Whether the rest of the network can be asked about the tokens that it gives."""
        return bool(self.alike)

    def lies_in(self, layer: str) -> bool:
        """Whether it is the attention of that name, or lies in the layer of that name, "" being the network."""
        return layer in ("", self.name, self.layer) or self.layer.startswith(f"{layer}.")

    def by_heads(self, values: Tensor) -> FloatArray:
        """Probabilities, or their gradients, as (N, heads, queries, keys).

        Raises:
            ValueError: if they are not of this block.
        """
        array = as_array(values)
        if array.size % int(np.prod(self.shape)):
            raise ran_otherwise(self.name)
        return array.reshape(-1, *self.shape)


@dataclass(frozen=True)
class Attention:
    """What a pass gave of a block of attention.

    Attributes:
        block: which one it is.
        probabilities: (Q, heads, queries, keys), a row for each question, how much each query attends to each key; or
            (N, queries, keys), the mean of the heads for each image, where no gradient was asked for.
        slopes: the gradients, where one was.
    """

    block: AttentionBlock
    probabilities: FloatArray
    slopes: FloatArray | None = None

    @property
    def gradients(self) -> FloatArray:
        """Those (Q, heads, queries, keys) of each question's logit with respect to the probabilities.

        Raises:
            ValueError: if none was asked for.
        """
        if self.slopes is None:
            raise ValueError(f"the attention of {self.block.name!r} was read without its gradient; name a rule")
        return self.slopes


@dataclass(frozen=True)
class FoundAttention:
    """The attention of a network, for images of a size.

    Attributes:
        blocks: in the order in which they run.
        left_out: what looks like it and is not taken, by layer, with the reason.
    """

    blocks: tuple[AttentionBlock, ...]
    left_out: tuple[tuple[str, str], ...] = ()


def ran_otherwise(name: str) -> ValueError:
    """The error that a pass ran otherwise than that in which the attention of this name was found."""
    words = (
        "the network did not compute the attention of {layer!r} as it did when attention was looked for; it must run "
        "the same operators in every pass"
    )
    return ValueError(Problem.of("attention-ran-otherwise", words, layer=name))
