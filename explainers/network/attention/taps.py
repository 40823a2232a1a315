"""Reads attention that was found, in later passes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from mindspore import Tensor

from ....summary_format.problem import Problem
from ..tensors import FloatArray
from .blocks import AttentionBlock, ran_otherwise
from .operators import SeenOperators, Site, tensors_in


class AttentionTap:
    """Keeps the probabilities of a block in a pass, and the gradient that reaches them.

    Args:
        block: which one.
    """

    def __init__(self, block: AttentionBlock) -> None:
        self.block = block
        self.probabilities: Tensor | None = None
        self.gradient: Tensor | None = None

    def keep(self, given: tuple[Any, ...]) -> None:
        """Keep a gradient as MindSpore hands it to a hook of an operation."""
        self.gradient = next(tensors_in(given), None)

    def arrays(self, rows: int) -> tuple[FloatArray, FloatArray]:
        """Probabilities and gradient (rows, heads, queries, keys) of the first so many images.

        Raises:
            ValueError: if nothing flowed back to it.
        """
        if self.probabilities is None or self.gradient is None:
            words = "the logits do not depend on the attention of {layer!r}, so it has no gradient"
            raise ValueError(Problem.of("attention-no-gradient", words, layer=self.block.name))
        return self.block.by_heads(self.probabilities)[:rows], self.block.by_heads(self.gradient)[:rows]

    def release(self) -> None:
        """Forget the tensors."""
        self.probabilities = self.gradient = None


class TappedOperators(SeenOperators):
    """Has taps read the attention of a pass that runs within.

    Args:
        taps: of blocks.
        differentiated: whether the pass is, so that gradients are to be kept.
    """

    def __init__(self, taps: Sequence[AttentionTap], *, differentiated: bool) -> None:
        super().__init__()
        self._made_at = {tap.block.probabilities.site: tap for tap in taps}
        self._read_at = {tap.block.probabilities.reader: tap for tap in taps if differentiated}

    def before(self, site: Site, given: list[Tensor]) -> None:
        tap = self._read_at.pop(site, None)
        if tap is not None:
            _hook(tap, given)

    def after(self, site: Site, given: list[Tensor], result: Any) -> Any:
        tap = self._made_at.pop(site, None)
        if tap is not None:
            tap.probabilities = next(tensors_in(result))
        return result

    def check(self) -> None:
        """Make sure that all were read.

        Raises:
            ValueError: if one was not.
        """
        for tap in (*self._made_at.values(), *self._read_at.values()):
            raise ran_otherwise(tap.block.name)


def _hook(tap: AttentionTap, given: list[Tensor]) -> None:
    """Have the gradient of probabilities kept that an operator is made of.

    Raises:
        ValueError: if it is made otherwise than when they were found.
    """
    found = tap.block.probabilities
    recorded = given[found.argument]._grad_node if found.argument < len(given) else None
    for number in found.path:
        known = () if recorded is None else recorded.next_functions
        recorded = known[number][0] if number < len(known) else None
    if recorded is None:
        raise ran_otherwise(tap.block.name)
    recorded.register_prehook(partial(_keeping, tap))


def _keeping(tap: AttentionTap, *given: Any) -> None:
    tap.keep(given)
