"""The curves that metrics make their scores of, as tables of one shape for all questions of a batch.

A table is (Q, curves, 2, points) of float64: where the points of each curve lie, then how high they are. Where a point
lies is a number; curves with fewer points than the longest are padded with NaN, and where there are none all is NaN.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Points = tuple[Array, Array]  # where they lie, and how high they are


def curve_table(found: Sequence[Sequence[Points] | None], curves: int) -> Array:
    """The table of what was found for each question; None where there are no curves.

    Args:
        found: by question the points of each curve.
        curves: how many those are.
    """
    longest = max((len(across) for one in found if one is not None for across, _ in one), default=0)
    table = np.full((len(found), curves, 2, longest), np.nan)
    for of_question, one in zip(table, found, strict=True):
        for of_curve, points in zip(of_question, one or (), strict=False):
            of_curve[:, : len(points[0])] = points
    return table


def unpadded(table: Array) -> Array:
    """A table no wider than its longest curve, as that of its questions alone."""
    used = np.isfinite(table[:, :, 0]).any(axis=(0, 1))
    return table[..., : int(used.sum())]


def check_curves(tables: Mapping[str, Array], names: Mapping[str, Sequence[str]]) -> None:
    """Make sure that tables by metric are of those curves that a plan names, by metric too.

    Raises:
        ValueError: if they are not.
    """
    found, wanted = ({name: number(one) for name, one in some.items()} for some, number in (
        (tables, lambda table: table.shape[1]), (names, len)
    ))  # fmt: skip
    if found != wanted:
        raise ValueError(f"it holds the curves {found}, where {wanted} belong")


def joined_curves(parts: Iterable[Mapping[str, Array]]) -> dict[str, Array]:
    """By metric, the tables of several parts of a batch below one another."""
    parts = list(parts)
    return {metric: below_one_another([part[metric] for part in parts]) for metric in (parts[0] if parts else ())}


def below_one_another(tables: Sequence[Array]) -> Array:
    """Tables as one, those that are narrower than the widest one padded."""
    width = max(table.shape[-1] for table in tables)
    return np.concatenate([padded(table, width) for table in tables])


def padded(table: Array, width: int) -> Array:
    """A table of several axes with its last one made so long, by NaN or, of whole numbers, by -1."""
    lacking = [(0, 0)] * (table.ndim - 1) + [(0, width - table.shape[-1])]
    return np.pad(table, lacking, constant_values=np.nan if table.dtype.kind == "f" else -1)
