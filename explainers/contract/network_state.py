"""All of a network that must be as it was before."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mindspore import nn

State = dict[str, Any]


def network_state(network: nn.Cell) -> State:
    """Values of parameters, and flags and hooks of cells, by what they are of."""
    values = {
        f"parameter {one.name}": {"requires_grad": one.requires_grad, "value": one.asnumpy().tobytes()}
        for one in network.get_parameters()
    }
    return values | {f"cell {name or '(the network)'}": _of_cell(cell) for name, cell in network.cells_and_names()}


def changes(before: State, after: State) -> Iterator[str]:
    """What differs between two states, such as "training of cell norm"."""
    for part in sorted(before.keys() | after.keys()):
        old, new = before.get(part, {}), after.get(part, {})
        yield from (f"{what} of {part}" for what in sorted(old.keys() | new.keys()) if old.get(what) != new.get(what))


def _of_cell(cell: nn.Cell) -> State:
    flags = {"training": cell.training, "requires_grad": cell.requires_grad, "phase": cell.phase}
    return {**flags, "flags": dict(cell.get_flags()), "hooks": _hooks(cell)}


def _hooks(cell: nn.Cell) -> dict[str, int]:
    """Registered hooks by kind; MindSpore itself makes the empty dicts at a cell's first call."""
    return {
        name: len(value) for name, value in vars(cell).items() if "hook" in name and isinstance(value, dict) and value
    }
