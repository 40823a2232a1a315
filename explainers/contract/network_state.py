"""All of a network that must be as it was before."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mindspore import nn

State = dict[str, Any]


def network_state(network: nn.Cell) -> State:
    """Values and flags of its "parameters", flags and hooks of its "cells", by their names."""
    parameters = {
        one.name: {"requires_grad": one.requires_grad, "value": one.asnumpy().tobytes()}
        for one in network.get_parameters()
    }
    return {"parameters": parameters, "cells": {name: _of_cell(cell) for name, cell in network.cells_and_names()}}


def changes(before: State, after: State) -> Iterator[str]:
    """What differs between two states, such as "training of 'norm' (cells)"."""
    for kind in before:
        for name in sorted(before[kind].keys() | after[kind].keys()):
            old, new = before[kind].get(name, {}), after[kind].get(name, {})
            differing = [what for what in old.keys() | new.keys() if old.get(what) != new.get(what)]
            yield from (f"{what} of {name!r} ({kind})" for what in sorted(differing))


def _of_cell(cell: nn.Cell) -> State:
    flags = {"training": cell.training, "requires_grad": cell.requires_grad, "phase": cell.phase}
    return {**flags, "flags": dict(cell.get_flags()), "hooks": _hooks(cell)}


def _hooks(cell: nn.Cell) -> dict[str, int]:
    """Registered hooks by kind; MindSpore itself makes the empty dicts at a cell's first call."""
    return {
        name: len(value) for name, value in vars(cell).items() if "hook" in name and isinstance(value, dict) and value
    }
