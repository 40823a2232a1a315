"""How many channels the images have that a network takes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import mindspore as ms
import numpy as np
from mindspore import Tensor, mint, nn

from .probing import REFUSALS
from .service import Network
from .tensors import checked_network, input_type

_CONVOLUTIONS = (nn.Conv2d, mint.nn.Conv2d)


def input_channels(cell: nn.Cell, known: Sequence[int], size: tuple[int, int] | None = None) -> int | None:
    """The channels of the images that a network takes, by the convolution that runs first, wherever it is defined.

    Black images of each of the known numbers of channels are tried, up to that convolution: the first whose channels it
    takes has as many, also where the network makes others of them before it.

    Args:
        cell: the network.
        known: numbers of channels that images may have, the likeliest first.
        size: (height, width) of the images; 224 by default.

    Returns:
        A number that may not be known; None where no convolution runs. Where no image is taken that far, the channels
        that the convolution takes that is defined first.
    """
    checked_network(cell)
    defined = [one.in_channels for _, one in cell.cells_and_names() if isinstance(one, _CONVOLUTIONS)]
    if not defined:  # nothing to try
        return None
    if ms.get_context("mode") == ms.GRAPH_MODE:  # which has no hooks
        return int(defined[0])
    taken: list[int] = []
    for channels in known:
        seen: list[tuple[int, int]] = []
        with suppress(*REFUSALS):
            with _ending(cell, seen), Network(cell).running("infer", 1):
                cell(Tensor(np.zeros((1, channels, *(size or (224, 224))), np.float32)).astype(input_type(cell)))
            if not seen:
                return None
        for given, wanted in seen[:1]:
            if given == wanted:
                return channels
            taken += [wanted] if given == channels else []
    return int((taken or defined)[0])


@contextmanager
def _ending(cell: nn.Cell, seen: list[tuple[int, int]]) -> Iterator[None]:
    """Within, passes end by an error before their first convolution, of which is noted what it is given and takes."""

    def end(convolution: nn.Cell, inputs: Any) -> None:
        seen.append((int(inputs[0].shape[1]), int(convolution.in_channels)))
        raise RuntimeError("the first convolution is seen")

    with ExitStack() as stack:
        for _, one in cell.cells_and_names():
            if isinstance(one, _CONVOLUTIONS):
                stack.callback(one.register_forward_pre_hook(end).remove)
        yield
