"""Attention in a pass: probabilities by which values are averaged, made of products of queries and keys."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mindspore import Tensor

from ..tensors import FLOATING, FloatArray, as_array
from .blocks import AttentionBlock, Grid, Probabilities
from .graph import Graph, Node
from .operators import Site, tensors_in
from .over_tokens import Comparison

PRODUCT = re.compile(r"matmul|mm$|mm[A-Z]|dot|einsum", re.IGNORECASE)
SUM, ADDITION = re.compile(r"sum", re.IGNORECASE), re.compile(r"add", re.IGNORECASE)
_PROJECTION = re.compile(r"matmul|mm$|mm[A-Z]|conv|dense|linear|einsum", re.IGNORECASE)
_SUMS = 1e-3  # how far the sums of attention's rows may be from 1, in half precision


@dataclass(frozen=True, kw_only=True)
class Ran:
    """An operator that ran.

    Attributes:
        place: which one it was in the pass.
        site: where.
        given: keys of what gave its arguments in the graph, None of constants.
        shape: of what it gave, or of the first of several.
        probable: whether that is not negative and adds up to 1 along its last axis.
        result: what it gave, where that may be asked for again.
    """

    place: int
    site: Site
    given: tuple[int | None, ...]
    shape: tuple[int, ...]
    probable: bool
    result: Any


@dataclass(frozen=True, kw_only=True)
class CellRun:
    """A run of a layer in a pass.

    Attributes:
        name: of the layer.
        first: the place of the first operator that may be its own.
        last: the place behind its last one.
        gives: the shape of the tensor that it gave, or of the first of several; None where it gave none.
        key: of what gave that tensor in the graph.
    """

    name: str
    first: int
    last: int
    gives: tuple[int, ...] | None
    key: int | None


@dataclass(frozen=True)
class Attends:
    """Values averaged by probabilities that come from scores.

    Attributes:
        average: the operation that averages.
        operand: the probabilities as it is given them.
        probabilities: the operation that makes them.
        scores: the product of queries and keys.
    """

    average: Node
    operand: Node
    probabilities: Node
    scores: Node


class SearchedPass:
    """What a pass showed.

    Args:
        graph: of it.
        rows: images in it.
        ran: operators, in the order in which they ran.
        cells: layers, in the order in which their runs ended.
    """

    def __init__(self, graph: Graph, rows: int, ran: Sequence[Ran], cells: Sequence[CellRun]) -> None:
        self._graph, self._rows, self._ran, self._cells = graph, rows, ran, cells
        self._of_node = dict(_matched(graph, ran))

    def attending(self) -> list[Attends]:
        """Wherever probabilities average values, both computed from the images, and come from queries and keys.

        So neither the logits' softmax nor gates of channels are among them, nor softmax of what weights alone make of
        tokens.
        """
        found: dict[int, Attends] = {}
        for node in self._graph.nodes:
            for operand in self._graph.before(node) if self._compares(node) else ():
                one = self._averaged(node, operand)
                if one is not None:
                    found.setdefault(one.probabilities.key, one)
        return list(found.values())

    def comparison(self, one: Attends, among: Sequence[Attends]) -> Comparison:
        """How to see whether scores compare tokens.

        Args:
            one: of which.
            among: all that were found.
        """
        operands = list(self._graph.before(one.scores))
        if len(operands) == 1:  # the sum of products one by one
            operands = list(self._graph.before(operands[0]))
        projections = [self._projection(operand) for operand in reversed(operands)]
        kept = [node for node in (one.average, self.own_tokens(one, among)) if node is not None]
        scores = self._of_node[one.scores.key]
        return Comparison(
            scores=scores.site,
            projections=[known for known in dict.fromkeys(projections) if known is not None],
            kept={self._of_node[node.key].site: self._of_node[node.key].result for node in kept},
            before=scores.result,
        )

    def block(self, one: Attends, name: str, among: Sequence[Attends]) -> AttentionBlock:
        """What belongs to attention that is taken.

        Args:
            one: which.
            name: its own.
            among: all that were found, taken or not.
        """
        tokens = self.own_tokens(one, among)
        cell = self._whole_block(one, among, tokens)
        gives = cell.gives if cell is not None else None if tokens is None else tokens.shape
        width = None if gives is None else (gives[1], gives[2])
        queries, keys = one.operand.shape[-2:]
        return AttentionBlock(
            name=name,
            layer=self.layer(one),
            probabilities=self._where(one),
            shape=(one.operand.size // (self._rows * queries * keys), queries, keys),
            windows=self._windows(one, width),
            cell=None if cell is None else cell.name,
            width=width,
            grids=tuple(self._grids(one)),
        )

    def mean_of_heads(self, one: Attends) -> FloatArray:
        """The mean (N, queries, keys) of the probabilities of all heads."""
        probabilities = as_array(next(tensors_in(self._of_node[one.probabilities.key].result)))
        mean: FloatArray = probabilities.reshape(self._rows, -1, *one.operand.shape[-2:]).mean(axis=1)
        return mean

    def layer(self, one: Attends) -> str:
        """The innermost layer in which values are averaged; "" is the network."""
        place = self._of_node[one.average.key].place
        around = [run for run in self._cells if run.first <= place < run.last]
        return min(around, key=lambda run: run.last - run.first).name if around else ""

    def own_tokens(self, one: Attends, among: Sequence[Attends]) -> Node | None:
        """The last sum (N, T, width) of two tensors of that shape that depends on attention, before the next of all."""
        ends = [other.scores.order for other in among if other.scores.order > one.probabilities.order]
        depending, found = {one.probabilities.key}, None
        for node in self._graph.nodes:
            if ends and node.order >= min(ends):
                break
            if depending.intersection(node.inputs):
                depending.add(node.key)
                found = node if self._adds_tokens(node) else found
        return found

    def _averaged(self, average: Node, operand: Node) -> Attends | None:
        """The probabilities that an operand is, or is made of by mixing heads, with their scores."""
        if len(operand.shape) < 3 or operand.shape[-1] < 2 or operand.shape[0] % self._rows:
            return None

        def are_they(node: Node) -> bool:
            ran = self._of_node.get(node.key)
            return ran is not None and ran.probable and ran.shape[-1] == operand.shape[-1]

        probabilities = self._graph.nearest(operand, are_they, stop=self._compares, same_size=True)
        if probabilities is None:
            return None
        scores = self._graph.nearest(probabilities, self._gives_scores, same_size=True)
        return None if scores is None else Attends(average, operand, probabilities, scores)

    def _compares(self, node: Node) -> bool:
        """Whether an operation is a matrix product of two tensors that are both computed, one from the images."""
        return self._is_known(node) and PRODUCT.search(node.name) is not None and self._multiplies(node)

    def _gives_scores(self, node: Node) -> bool:
        """Whether an operation is a product of queries and keys: a matrix product, or sums of products one by one."""
        if not self._is_known(node) or not SUM.search(node.name):
            return self._compares(node)
        before = next(self._graph.before(node), None)
        return before is not None and before.name.startswith("Mul") and self._multiplies(before)

    def _multiplies(self, node: Node) -> bool:
        computed = [key for key in node.inputs if self._graph.is_computed(key)]
        return node.of_images and len(computed) == 2

    def _is_known(self, node: Node) -> bool:
        return node.key in self._of_node

    def _projection(self, operand: Node) -> tuple[Site, int] | None:
        """Where the nearest product with weights is that a tensor is made of, and which axis has its channels."""
        found = self._graph.nearest(operand, self._projects)
        if found is None:
            return None
        first = self._graph.node(found.inputs[0])
        channels = 1 if "conv" in found.name.lower() else -1 if first is not None and first.of_images else -2
        return self._of_node[found.key].site, channels

    def _projects(self, node: Node) -> bool:
        """Whether an operation multiplies what depends on the images by weights."""
        return self._is_known(node) and _PROJECTION.search(node.name) is not None and not self._multiplies(node)

    def _adds_tokens(self, node: Node) -> bool:
        """Whether an operation adds two computed tensors (N, T, width), as residual branches are; class tokens, too."""
        added = [before.shape for key in node.inputs if (before := self._graph.node(key)) is not None]
        known = self._is_known(node) and ADDITION.search(node.name) is not None
        return known and len(node.shape) == 3 and node.shape[0] == self._rows and added == [node.shape] * 2

    def _where(self, one: Attends) -> Probabilities:
        """Where probabilities are made, and where their gradient can be read: by the first that is made of them."""
        made = self._of_node[one.probabilities.key]
        for ran in self._ran[made.place + 1 :]:
            for argument, key in enumerate(ran.given):
                path = self._path(key, one.probabilities)
                if path is not None:
                    return Probabilities(site=made.site, reader=ran.site, argument=argument, path=path)
        raise AssertionError("nothing is made of what averages values")

    def _path(self, key: int | None, begin: Node) -> tuple[int, ...] | None:
        """What leads from an argument back to what it is a view of; None if it is not."""
        node = self._graph.node(key)
        if node is None or self._graph.nearest(node, lambda other: other.key == begin.key, same_size=True) is None:
            return None
        return self._graph.path(node, begin)

    def _whole_block(self, one: Attends, among: Sequence[Attends], tokens: Node | None) -> CellRun | None:
        """The run of the layer that is a whole block: it holds this attention alone, and gives tokens (N, T, width).

        The innermost one that gives the last sum, as blocks do that normalise first; or the outermost.
        """
        if tokens is None:
            return None
        runs, places = Counter(run.name for run in self._cells), {id(other): self._place(other) for other in among}
        alone = [
            run
            for run in self._cells
            if run.gives is not None
            and (len(run.gives), run.gives[0]) == (3, self._rows)
            and runs[run.name] == 1
            and [other for other in among if run.first <= places[id(other)] < run.last] == [one]
            and run.last > self._of_node[tokens.key].place
        ]
        giving = [run for run in alone if run.key == tokens.key]
        return next(iter(giving), alone[-1] if alone else None)

    def _place(self, one: Attends) -> int:
        return self._of_node[one.average.key].place

    def _windows(self, one: Attends, width: tuple[int, int] | None) -> int:
        """How many windows of an image attend by themselves."""
        shape = one.operand.shape
        if len(shape) > 3 and shape[0] > self._rows:
            return shape[0] // self._rows
        if width is not None and shape[-1] == shape[-2] < width[0] and width[0] % shape[-1] == 0:
            return width[0] // shape[-1]
        return 1

    def _grids(self, one: Attends) -> Iterator[Grid]:
        """The grids of the feature maps that convolutions gave before attention."""
        for node in self._graph.nodes:
            maps = "conv" in node.name.lower() and len(node.shape) == 4 and node.shape[0] == self._rows
            if maps and node.order < one.probabilities.order:
                yield node.shape[2], node.shape[3]


def sums_to_one(values: Tensor) -> bool:
    """Whether a tensor of at least three axes is not negative and adds up to 1 along the last one."""
    if values.ndim < 3 or values.shape[-1] < 2 or values.dtype not in FLOATING:
        return False
    array = as_array(values)
    return bool(array.min() >= 0 and (abs(array.sum(axis=-1) - 1) <= _SUMS).all())


def numbered(layers: Sequence[str]) -> list[str]:
    """The names of blocks; of several in a layer, and of those in the network itself, with a number."""
    several, seen, names = Counter(layers), Counter[str](), []
    for layer in layers:
        seen[layer] += 1
        names.append(f"{layer}#{seen[layer]}" if several[layer] > 1 or not layer else layer)
    return names


def _matched(graph: Graph, ran: Sequence[Ran]) -> Iterator[tuple[int, Ran]]:
    """Which operator made what the graph has: one of that name, of the same arguments, in the same order."""
    waiting: Mapping[tuple[Any, ...], list[Ran]] = {}
    for one in ran:
        waiting.setdefault(_made_of(one.site.operator, one.given), []).append(one)  # type: ignore[attr-defined]
    for node in graph.nodes:
        alike = waiting.get(_made_of(node.name, node.inputs))
        if alike:
            yield node.key, alike.pop(0)


def _made_of(name: str, keys: Sequence[int | None]) -> tuple[Any, ...]:
    return name, *sorted(key for key in keys if key is not None)
