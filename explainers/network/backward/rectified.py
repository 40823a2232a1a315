"""Other backward rules for ReLU and ReLU6, wherever in a network they are called.

The rules hang on the primitives that cells (``nn.ReLU``, ``nn.ReLU6``, ``mint.nn.ReLU``) and functions (``ops.relu``,
``ops.ReLU()``, ``ops.relu6``, ``mint.nn.functional.relu``) all end in, so it does not matter how a network calls them,
nor how often it runs one cell in a pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

from mindspore import Tensor, nn, ops

from ....summary_format.problem import Problem
from .recorder import records_gradients
from .rectifications import Treated, watched

Rule = Literal["plain", "guided", "deconvolution", "loss", "blocks"]
UNRECTIFIED = ("plain", "loss", "blocks")  # rules that leave gradients as they are

_CEILINGS: dict[type[Any], float | None] = {ops.ReLU: None, ops.ReLU6: 6.0}


class _Rectifier(Treated):
    """A rectifier with the backward rule of guided backpropagation or deconvolution."""

    def __init__(self, rule: Rule, primitive: type[Any]) -> None:
        super().__init__()
        self._guided = rule == "guided"
        self._forward: Callable[[Any, Tensor], Tensor] = primitive.__call__
        self._primitive, self._ceiling = primitive(), _CEILINGS[primitive]
        self.runs = 0

    def construct(self, x: Tensor) -> Tensor:
        return self._forward(self._primitive, x)

    def bprop(self, x: Tensor, out: Tensor, dout: Tensor) -> tuple[Tensor]:
        self.runs += 1  # here: one that does not stand between the images and the logits changes no gradient
        gradient = ops.maximum(dout, ops.zeros_like(dout))
        if self._guided:
            passing = out > 0
            if self._ceiling is not None:
                passing = passing.logical_and(out < self._ceiling)
            gradient = gradient * passing.astype(gradient.dtype)
        return (gradient,)


@contextmanager
def backward_rule(rule: Rule) -> Iterator[None]:
    """Within, every ReLU and ReLU6 that runs gets the rule; those that are ``UNRECTIFIED`` change nothing.

    Raises:
        ValueError: if the gradient went back through no rectifier, since it would be the plain one under another name.
    """
    if rule in UNRECTIFIED:
        yield
        return
    found = {primitive: primitive.__dict__["__call__"] for primitive in _CEILINGS}
    rectifiers = {primitive: _Rectifier(rule, primitive) for primitive in _CEILINGS}
    try:
        for primitive, rectifier in rectifiers.items():
            primitive.__call__ = _calling(rectifier, found[primitive])
        yield
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


def _calling(rectifier: _Rectifier, forward: Callable[[Any, Tensor], Tensor]) -> Callable[[Any, Tensor], Tensor]:
    def call(primitive: Any, x: Tensor) -> Tensor:
        if not records_gradients():  # a cell's own bprop decides there, not the rule
            return forward(primitive, x)
        result: Tensor = rectifier(x)
        return result

    return call
