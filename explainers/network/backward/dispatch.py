"""Every operator that a network runs, as MindSpore shows it (``MsDispatchMode``, from 2.10 on)."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import mindspore as ms
from mindspore import Parameter, Tensor, nn

from .recorder import records_gradients

Dispatch: Any = getattr(ms, "MsDispatchMode", object)  # which shows nothing, in earlier versions


def plain_name(operator: str) -> str:
    """An operator's name without what says how it is called: "InplaceSiLUExt" is "silu"."""
    return operator.removeprefix("Inplace").removesuffix("Ext").lower()


def leaves(arguments: Any) -> Iterator[Any]:
    """What tuples, lists and the values of dictionaries hold, inside one another."""
    for argument in arguments:
        if isinstance(argument, (tuple, list)):
            yield from leaves(argument)
        elif isinstance(argument, Mapping):
            yield from leaves(argument.values())
        else:
            yield argument


def carries(argument: Any) -> bool:
    """Whether something is made from the images, as far as MindSpore says so where it records nothing."""
    return _may_carry(argument) and (getattr(argument, "_requires_grad", True) or not records_gradients())


def _may_carry(argument: Any) -> bool:
    """Whether something is a tensor of floats, and no parameter."""
    return isinstance(argument, Tensor) and not isinstance(argument, Parameter) and argument.is_floating_point()


class Origins:
    """Which tensors are made from a batch, as MindSpore's record of gradients shows; parameters are not.

    Args:
        batch: which is differentiated by.
    """

    def __init__(self, batch: Tensor) -> None:
        self._known = {batch._grad_node._unique_id(): (batch._grad_node, True)}  # nodes are held, so ids stay theirs

    def reach(self, argument: Any) -> bool:
        """Whether something is made from the batch; where nothing is recorded, whether it may be."""
        if not _may_carry(argument):
            return False
        node = argument._grad_node
        return not records_gradients() if node is None else self._reaches(node)

    def _reaches(self, node: Any) -> bool:
        waiting, known = [node], self._known
        while waiting:
            one = waiting[-1]
            before = [following for following, *_ in one.next_functions if following is not None]
            unknown = [other for other in before if other._unique_id() not in known]
            if unknown and one._unique_id() not in known:
                waiting += unknown
                continue
            made = any(known[other._unique_id()][1] for other in before)
            known.setdefault(one._unique_id(), (one, made))
            waiting.pop()
        return known[node._unique_id()][1]


def calling_cells() -> Iterator[nn.Cell]:
    """The cells in whose code an operator was called, from the innermost; asked by what is shown the operator."""
    frame = sys._getframe(2)
    while frame is not None:
        names = frame.f_code.co_varnames[: min(1, frame.f_code.co_argcount)]
        cell = frame.f_locals.get(names[0]) if names else None
        if isinstance(cell, nn.Cell):
            yield cell
        frame = frame.f_back  # type: ignore[assignment]


def named(network: nn.Cell, callers: Iterable[nn.Cell]) -> str:
    """Where an operator was called: the layer, and its class, or the network's class."""
    names = {id(cell): name for name, cell in network.cells_and_names()}
    known = next((cell for cell in callers if id(cell) in names), network)
    name = names[id(known)]
    return f"layer {name!r} ({type(known).__name__})" if name else type(known).__name__
