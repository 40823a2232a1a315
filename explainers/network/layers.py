"""Layers by name."""

from __future__ import annotations

from typing import Any

from mindspore import nn

from ...summary_format.errors import nearest


def find_layer(network: nn.Cell, name: str) -> nn.Cell:
    """The cell of that dotted name, such as "layer4.0.conv1".

    Raises:
        ValueError: if there is none; it offers the nearest names.
    """
    cell: Any = network
    for part in name.split("."):
        cell = getattr(cell, part, None)
        if not isinstance(cell, nn.Cell):
            known = [known for known, _ in network.cells_and_names() if known]
            raise ValueError(f"{type(network).__name__} has no layer {name!r}; {nearest(name, known)}")
    return cell
