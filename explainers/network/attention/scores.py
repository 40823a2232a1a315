"""What the rest of a network makes of the tokens that each block of attention gives: the block's own class scores."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import numpy as np
from mindspore import Parameter, Tensor, nn, ops

from ....summary_format.problem import Problem
from ..graphs.swapping import swapped
from ..tensors.layers import find_layer
from .blocks import AttentionBlock, ran_otherwise
from .operators import SeenOperators

Through = Callable[[Tensor], Tensor]


class BlockScores:
    """Asks, after a pass, what the rest of the network says of the tokens that each block gave.

    The rest is what runs behind the last block whose tokens are as many and as wide. It is asked about the mean of a
    block's tokens in the place of each, so that it does not matter which of them it reads: the answer is that of the
    head to the mean token. For that the network runs again, while other cells stand in the place of these blocks.

    Args:
        cell: the network.
        blocks: that are ``scored``.

    Attributes:
        zero: what each block's input is added; MindSpore goes back through a block only to what is asked for.
    """

    def __init__(self, cell: nn.Cell, blocks: Sequence[AttentionBlock]) -> None:
        self._cell, self._blocks = cell, blocks
        self.zero = Parameter(Tensor(np.zeros(1, np.float32)), name="explainrun.zero")
        self._gave: dict[str, Any] = {}

    @contextmanager
    def keeping(self) -> Iterator[None]:
        """A pass runs within; what blocks give is kept.

        Each gets its input without that input's past, so that what it gives depends on its own attention alone: one
        pass back then gives what one for each block would.
        """
        with ExitStack() as stack:
            for name in {name for block in self._blocks for name in block.alike}:
                hook = partial(self._keep, name)
                stack.callback(find_layer(self._cell, name).register_forward_hook(hook).remove)
            yield

    def scores(self, through: Through, images: Tensor) -> list[Tensor]:
        """The scores (N, classes) of each block.

        Args:
            through: runs the network on images.
            images: of the pass.

        Raises:
            ValueError: if a block did not run.
        """
        return [self._scores(block, through, images) for block in self._blocks]

    def _scores(self, block: AttentionBlock, through: Through, images: Tensor) -> Tensor:
        own = first_tensor(self._gave.get(block.cell or ""))
        if own is None:
            raise ran_otherwise(block.name)
        mean = ops.broadcast_to(own.mean(1, keep_dims=True), own.shape)
        return rest_of_network(self._cell, {name: self._gave[name] for name in block.alike}, through, images, mean)

    def _keep(self, name: str, _cell: nn.Cell, _inputs: Any, output: Any) -> Any:
        self._gave[name], tensor = output, first_tensor(output)
        if tensor is None:
            return output
        with SeenOperators.unseen():
            return _with_first(output, ops.stop_gradient(tensor) + self.zero.astype(tensor.dtype))


class _Giving(nn.Cell):
    """Gives what it was made with, whatever comes in."""

    def __init__(self, given: Any) -> None:
        super().__init__(auto_prefix=False)
        object.__setattr__(self, "given", given)  # a Cell would make a parameter of it

    def construct(self, *_inputs: Any, **_named: Any) -> Any:
        return self.given


def rest_of_network(
    cell: nn.Cell, blocks: Mapping[str, Any], through: Through, images: Tensor, tokens: Tensor
) -> Tensor:
    """The logits where blocks give other tokens, and do not run themselves.

    Args:
        cell: the network.
        blocks: the layers that are the blocks, with what they gave.
        through: runs the network on images.
        images: N.
        tokens: (N, T, width), instead.
    """
    with swapped(cell, {name: _Giving(_with_first(gave, tokens)) for name, gave in blocks.items()}):
        return through(images)


def scored_blocks(blocks: Sequence[AttentionBlock]) -> list[AttentionBlock]:
    """The blocks of whose tokens the rest of the network says something.

    Raises:
        ValueError: if there is none.
    """
    scored = [block for block in blocks if block.scored]
    if not scored:
        words = (
            "the rest of the network cannot be asked about the tokens that blocks give, {layer!r} the first of them: "
            "no layer is the whole block, they are not as wide as those that classes are made from, or the network "
            "needs more of the blocks than these"
        )
        raise ValueError(Problem.of("attention-not-scored", words, layer=blocks[0].name))
    return scored


def first_tensor(output: Any) -> Tensor | None:
    """A tensor, or the first of several that a layer gives."""
    if isinstance(output, (tuple, list)) and output:
        output = output[0]
    return output if isinstance(output, Tensor) else None


def _with_first(output: Any, tensor: Tensor) -> Any:
    """What a layer gives, with another tensor in the place of the first."""
    return type(output)([tensor, *output[1:]]) if isinstance(output, (tuple, list)) else tensor
