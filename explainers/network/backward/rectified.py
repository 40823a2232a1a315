"""Other backward rules for ReLU and ReLU6, wherever in a network they are called.

The rules hang on the primitives that cells (``nn.ReLU``, ``nn.ReLU6``, ``mint.nn.ReLU``) and functions (``ops.relu``,
``ops.ReLU()``, ``ops.relu6``, ``mint.nn.functional.relu``) all end in, so it does not matter how a network calls them,
nor how often it runs one cell in a pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

from mindspore import Tensor, mint, nn, ops

from ....summary_format.problem import Problem
from ..graphs.compiling import GraphRefusedError
from .dispatch import calling_cells
from .recorder import records_gradients
from .rectifications import Treated, watched

Rule = Literal["plain", "guided", "deconvolution", "loss", "blocks"]
UNRECTIFIED = ("plain", "loss", "blocks")  # rules that leave gradients as they are

_CEILINGS: dict[type[Any], float | None] = {ops.ReLU: None, ops.ReLU6: 6.0}
_CEILINGS_OF_CELLS: dict[type[nn.Cell], float | None] = {nn.ReLU: None, mint.nn.ReLU: None, nn.ReLU6: 6.0}


class _Ruled(Treated):
    """A rectifier with the backward rule of guided backpropagation or deconvolution; as such it stands in graphs."""

    def __init__(self, rule: Rule, ceiling: float | None) -> None:
        super().__init__(auto_prefix=False)
        self.guided, self.ceiling = rule == "guided", ceiling

    def construct(self, x: Tensor) -> Tensor:
        return ops.relu(x) if self.ceiling is None else ops.relu6(x)

    def bprop(self, x: Tensor, out: Tensor, dout: Tensor) -> tuple[Tensor]:
        gradient = ops.maximum(dout, ops.zeros_like(dout))
        if self.guided:
            passing = out > 0
            if self.ceiling is not None:
                passing = ops.logical_and(passing, out < self.ceiling)
            gradient = gradient * passing.astype(gradient.dtype)
        return (gradient,)


class _Rectifier(_Ruled):
    """The same for a primitive, wherever it is called."""

    def __init__(self, rule: Rule, primitive: type[Any]) -> None:
        super().__init__(rule, _CEILINGS[primitive])
        self._forward: Callable[[Any, Tensor], Tensor] = primitive.__call__
        self._primitive = primitive()
        self.runs = 0

    def construct(self, x: Tensor) -> Tensor:
        return self._forward(self._primitive, x)

    def bprop(self, x: Tensor, out: Tensor, dout: Tensor) -> tuple[Tensor]:
        self.runs += 1  # here: one that does not stand between the images and the logits changes no gradient
        return super().bprop(x, out, dout)


class Rectifiers:
    """What rectified in a pass with a backward rule.

    Args:
        rule: which.
    """

    def __init__(self, rule: Rule) -> None:
        self._rule, self._elsewhere = rule, False

    def ran(self, caller: nn.Cell | None) -> None:
        """Note a rectifier that ran in the code of a cell."""
        self._elsewhere |= type(caller) not in _CEILINGS_OF_CELLS

    def in_graphs(self, network: nn.Cell) -> dict[str, nn.Cell]:
        """By name, cells with the rule that stand for the network's in a graph; none for ``UNRECTIFIED`` rules.

        Raises:
            GraphRefusedError: if a rectifier ran in other code, where no cell can stand for it.
        """
        if self._rule in UNRECTIFIED:
            return {}
        if self._elsewhere:
            raise GraphRefusedError(f"it rectifies by functions, which the {self._rule} rule does not reach in a graph")
        ceilings = _CEILINGS_OF_CELLS
        cells = [(name, type(one)) for name, one in network.cells_and_names() if name and type(one) in ceilings]
        return {name: _Ruled(self._rule, ceilings[kind]) for name, kind in cells}


@contextmanager
def backward_rule(rule: Rule) -> Iterator[Rectifiers]:
    """Within, every ReLU and ReLU6 that runs gets the rule; those that are ``UNRECTIFIED`` change nothing.

    Raises:
        ValueError: if the gradient went back through no rectifier, since it would be the plain one under another name.
    """
    ran = Rectifiers(rule)
    if rule in UNRECTIFIED:
        yield ran
        return
    found = {primitive: primitive.__dict__["__call__"] for primitive in _CEILINGS}
    rectifiers = {primitive: _Rectifier(rule, primitive) for primitive in _CEILINGS}
    try:
        for primitive, rectifier in rectifiers.items():
            primitive.__call__ = _calling(rectifier, found[primitive], ran)
        yield ran
    finally:
        for primitive, call in found.items():
            primitive.__call__ = call
    if not any(rectifier.runs for rectifier in rectifiers.values()):
        words = (
            "no ReLU or ReLU6 ran between the images and the logits, so the {rule} rule would give the plain gradient; "
            "use Gradient"
        )
        raise ValueError(Problem.of("rectifier-missing", words, rule=rule))


def rectified_output(cell: nn.Cell, batch: Tensor, rule: Rule) -> Any:
    """What a network gives for a batch, in a pass that has a backward rule.

    Raises:
        ValueError: if the rule does not hold for all that rectifies in it; says what does.
    """
    return cell(batch) if rule in UNRECTIFIED else watched(cell, batch, rule)


def _calling(
    rectifier: _Rectifier, forward: Callable[[Any, Tensor], Tensor], ran: Rectifiers
) -> Callable[[Any, Tensor], Tensor]:
    def call(primitive: Any, x: Tensor) -> Tensor:
        if not records_gradients():  # a cell's own bprop decides there, not the rule
            return forward(primitive, x)
        ran.ran(next(calling_cells(), None))
        result: Tensor = rectifier(x)
        return result

    return call
