"""What MindSpore records of a pass to differentiate it: each operation, views among them, with what it is made of."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from mindspore import Tensor

_FAR = 60  # operations that are looked back at


@dataclass(frozen=True)
class Node:
    """An operation that was recorded.

    Attributes:
        key: by which others name it.
        name: of the operator.
        order: later ones have larger numbers.
        shape: of what it gives, or of the first of several.
        inputs: keys of the operations that gave its arguments, or of weights and images; None of constants.
        of_images: whether it depends on the images.
        recorded: MindSpore's own object.
    """

    key: int
    name: str
    order: int
    shape: tuple[int, ...]
    inputs: tuple[int | None, ...]
    of_images: bool
    recorded: Any

    @property
    def size(self) -> int:
        """How many values it gives."""
        return int(np.prod(self.shape))


class Graph:
    """The operations that a tensor depends on.

    Args:
        output: the tensor, within the pass that is differentiated.
        images: that the pass was given.

    Attributes:
        nodes: of operations, in the order in which they ran.
    """

    def __init__(self, output: Tensor, images: Tensor) -> None:
        found = _recorded(output)
        of_images = {key_of(images)}
        leaves = {key for key, one in found.items() if one.is_leaf()}
        self._by_key: dict[int, Node] = {}
        for key, one in sorted(found.items(), key=lambda item: item[1]._sequence_nr()):
            if key not in leaves:
                inputs = tuple(None if before is None else before._unique_id() for before, _ in one.next_functions)
                of_images |= {key} if of_images.intersection(inputs) else set()
                self._by_key[key] = _node(one, inputs, of_images=key in of_images)
        self.nodes = list(self._by_key.values())
        self._leaves = leaves

    def before(self, node: Node) -> Iterator[Node]:
        """The operations that one is made of, as far as they depend on the images."""
        for key in node.inputs:
            if key in self._by_key and self._by_key[key].of_images:
                yield self._by_key[key]

    def node(self, key: int | None) -> Node | None:
        """The operation of that key; None if that is none, but weights, images or a constant."""
        return None if key is None else self._by_key.get(key)

    def nearest(
        self,
        node: Node,
        wanted: Callable[[Node], bool],
        *,
        stop: Callable[[Node], bool] = lambda _node: False,
        same_size: bool = False,
    ) -> Node | None:
        """The nearest operation of a kind that another one, itself among these, is made of.

        Args:
            node: where to begin.
            wanted: whether one is of the kind.
            stop: whether not to look behind one.
            same_size: whether to look only along those that give as many values.
        """
        waiting, seen = deque([node]), set[int]()
        while waiting and len(seen) < _FAR:
            one = waiting.popleft()
            if one.key in seen:
                continue
            seen.add(one.key)
            if wanted(one):
                return one
            if not stop(one):
                waiting += [earlier for earlier in self.before(one) if not same_size or earlier.size == node.size]
        return None

    def is_computed(self, key: int | None) -> bool:
        """Whether what has that key is more than a constant or weights, perhaps in another shape."""
        node = self.node(key)
        if node is None or node.of_images:
            return node is not None
        known = [before for before in node.inputs if before is not None]
        return len(known) > 1 or any(self.is_computed(before) for before in known)

    def path(self, end: Node, begin: Node) -> tuple[int, ...] | None:
        """Which input to take of each operation to come from one to another that it is made of; the shortest way."""
        waiting, seen = deque[tuple[Node, tuple[int, ...]]]([(end, ())]), set[int]()
        while waiting:
            one, way = waiting.popleft()
            if one.key == begin.key:
                return way
            if one.key not in seen:
                seen.add(one.key)
                known = ((number, self.node(key)) for number, key in enumerate(one.inputs))
                waiting += [(node, (*way, number)) for number, node in known if node is not None]
        return None


def key_of(tensor: Tensor) -> int | None:
    """The key of the operation that gave a tensor, or of weights or images; None of what is not recorded."""
    recorded = tensor._grad_node
    return None if recorded is None else int(recorded._unique_id())


def _recorded(output: Tensor) -> dict[int, Any]:
    """What MindSpore has recorded that a tensor depends on, by key."""
    found: dict[int, Any] = {}
    waiting = [output._grad_node]
    while waiting:
        one = waiting.pop()
        if one is not None and one._unique_id() not in found:
            found[one._unique_id()] = one
            waiting += [before for before, _ in one.next_functions]
    return found


def _node(recorded: Any, inputs: tuple[int | None, ...], *, of_images: bool) -> Node:
    given = recorded._input_metadata
    shape = tuple(given[0].shape) if given else ()
    return Node(recorded._unique_id(), recorded.name(), recorded._sequence_nr(), shape, inputs, of_images, recorded)
