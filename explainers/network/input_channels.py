"""How many channels the images have that a network takes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import mindspore as ms
import numpy as np
from mindspore import Tensor, mint, nn

from .service import Network
from .tensors import checked_network

_CONVOLUTIONS = (nn.Conv2d, mint.nn.Conv2d)


class _FoundError(Exception):
    """Ends a pass at its first convolution."""

    def __init__(self, given: int, taken: int) -> None:
        super().__init__(given, taken)
        self.given, self.taken = given, taken


def input_channels(cell: nn.Cell, known: Sequence[int], size: tuple[int, int] | None = None) -> int | None:
    """The channels of the images that a network takes, by the convolution that runs first, wherever it is defined.

    Black images of each of the known numbers of channels are tried, up to that convolution: the first whose channels it
    takes has as many, also where the network makes others of them before it.

    Args:
        cell: the network.
        known: numbers of channels that images may have, the likeliest first.
        size: (height, width) of the images; 224 by default.

    Returns:
        A number that may not be known; None where no convolution runs.
    """
    checked_network(cell)
    defined = [one.in_channels for _, one in cell.cells_and_names() if isinstance(one, _CONVOLUTIONS)]
    if not defined:  # nothing to try
        return None
    if ms.get_context("mode") == ms.GRAPH_MODE:  # which has no hooks
        return int(defined[0])
    taken = None
    for channels in known:
        found = _first(cell, (1, channels, *(size or (224, 224))))
        if found is not None and found.given == found.taken:
            return channels
        taken = found.taken if taken is None and found is not None and found.given == channels else taken
    return taken


def _first(cell: nn.Cell, shape: tuple[int, ...]) -> _FoundError | None:
    """What the first convolution is given and takes, for a black image; None where none runs."""
    with suppress(ValueError, TypeError, RuntimeError, IndexError, AssertionError):
        try:
            with _ending(cell), Network(cell).running("infer", 1):
                cell(Tensor(np.zeros(shape, np.float32)))
        except _FoundError as found:
            return found
    return None


@contextmanager
def _ending(cell: nn.Cell) -> Iterator[None]:
    """Within, passes end before their first convolution."""

    def end(convolution: nn.Cell, inputs: Any) -> None:
        raise _FoundError(int(inputs[0].shape[1]), int(convolution.in_channels))

    with ExitStack() as stack:
        for _, one in cell.cells_and_names():
            if isinstance(one, _CONVOLUTIONS):
                stack.callback(one.register_forward_pre_hook(end).remove)
        yield
