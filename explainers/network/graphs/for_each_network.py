"""What is kept of a network for as long as it lives."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from functools import partial
from typing import Generic, TypeVar

from mindspore import nn

Kept = TypeVar("Kept")


class ForEachNetwork(Generic[Kept]):
    """One object of a kind for each network, which goes with it.

    Args:
        make: makes a new one.
    """

    def __init__(self, make: Callable[[], Kept]) -> None:
        self._make = make
        # By id, since a cell may define equality; the reference says whose id it is.
        self._kept: dict[int, tuple[weakref.ref[nn.Cell], Kept]] = {}

    def __getitem__(self, cell: nn.Cell) -> Kept:
        number = id(cell)
        if number not in self._kept or self._kept[number][0]() is not cell:
            self._kept[number] = weakref.ref(cell, partial(self._forget, number)), self._make()
        return self._kept[number][1]

    def _forget(self, number: int, reference: weakref.ref[nn.Cell]) -> None:
        if number in self._kept and self._kept[number][0] is reference:
            del self._kept[number]
