"""Records a pass that is searched for attention."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from mindspore import Tensor, nn

from ....summary_format.problem import Problem
from ..tensors import FloatArray, as_array
from .finding import ADDITION, PRODUCT, SUM, Attends, CellRun, Ran, SearchedPass, sums_to_one
from .graph import Graph, Node, key_of
from .operators import SeenOperators, Site, tensors_in

Through = Callable[[Tensor], Tensor]
FUSED = "ATTENTION"  # in the names of operators that compute attention whole


class Recording(SeenOperators):
    """Records what operators and layers run within a pass that is differentiated.

    Args:
        cell: the network.

    Attributes:
        gave: what layers gave, by their names, at their last runs.
        logits: that the network gave.
        found: what attends there.
    """

    def __init__(self, cell: nn.Cell) -> None:
        super().__init__()
        self._cell = cell
        self._ran: list[Ran] = []
        self._begun: list[tuple[str, int]] = []  # layers that run, with the place of their first operator
        self._cells: list[CellRun] = []
        self._given: tuple[int | None, ...] = ()  # keys of what the operator that runs is given
        self._gradients: dict[int, Tensor] = {}
        self._tokens: dict[int, Node] = {}  # by the key of probabilities
        self.gave: dict[str, Any] = {}
        self.logits: FloatArray = np.zeros(0, np.float32)
        self.found: list[Attends] = []

    def through(self, through: Through, images: Tensor) -> Tensor:
        """Logits of the pass that is recorded."""
        with self._noting_layers(), self:
            logits = through(images)
        self.logits = as_array(logits)
        self.searched = SearchedPass(Graph(logits, images), images.shape[0], self._ran, self._cells)
        self.found = self.searched.attending()
        for one in self.found:
            tokens = self.searched.own_tokens(one, self.found)
            if tokens is not None:
                self._tokens[one.probabilities.key] = tokens
                tokens.recorded.register_prehook(partial(self._keep, tokens.key))
        return logits

    def used(self, one: Attends) -> npt.NDArray[np.bool_] | None:
        """(T,) the tokens of a block that the logits depend on, after the pass back; None where that was not seen."""
        tokens = self._tokens.get(one.probabilities.key)
        gradient = None if tokens is None else self._gradients.get(tokens.key)
        if gradient is None:
            return None
        used: npt.NDArray[np.bool_] = (as_array(gradient) != 0).any(axis=(0, 2))
        return used if used.any() else None

    def release(self) -> None:
        """Forget the tensors: operations hold hooks that hold this, a ring that no one would find unused."""
        for kept in (self._ran, self._gradients, self._tokens, self.gave, self.found):
            kept.clear()
        del self.searched

    def before(self, site: Site, given: list[Tensor]) -> None:
        if FUSED in site.operator.upper():
            words = (
                "layer {layer!r} computes attention in one fused operator, {operator}, which shows no probabilities; "
                "have it computed by softmax and matrix products, as most networks do by an option"
            )
            layer = self._begun[-1][0] if self._begun else ""
            raise ValueError(Problem.of("attention-fused", words, layer=layer, operator=site.operator))
        self._given = tuple(map(key_of, given))

    def after(self, site: Site, given: list[Tensor], result: Any) -> Any:
        first = next(tensors_in(result), None)
        probable = first is not None and sums_to_one(first)
        kept = probable or any(kind.search(site.operator) for kind in (PRODUCT, SUM, ADDITION))
        self._ran.append(
            Ran(
                place=len(self._ran),
                site=site,
                given=self._given,
                shape=() if first is None else tuple(first.shape),
                probable=probable,
                result=result if kept else None,
            )
        )
        return result

    def _keep(self, key: int, *given: Any) -> None:
        self._gradients[key] = next(tensors_in(given))

    @contextmanager
    def _noting_layers(self) -> Iterator[None]:
        with ExitStack() as stack:
            for name, cell in self._cell.cells_and_names():
                if name:
                    stack.callback(cell.register_forward_pre_hook(partial(self._begins, name)).remove)
                    stack.callback(cell.register_forward_hook(partial(self._ends, name)).remove)
            yield

    def _begins(self, name: str, _cell: nn.Cell, _inputs: Any) -> None:
        self._begun.append((name, len(self._ran)))

    def _ends(self, name: str, _cell: nn.Cell, _inputs: Any, output: Any) -> None:
        _, first = self._begun.pop()
        tensor = next(tensors_in(output), None)
        gives, key = (None, None) if tensor is None else (tuple(tensor.shape), key_of(tensor))
        self._cells.append(CellRun(name=name, first=first, last=len(self._ran), gives=gives, key=key))
        self.gave[name] = output
