"""What was found, as JSON, and the numbers of a table that follow from it."""

from __future__ import annotations

import json
import os
import statistics
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

FORMAT = 1


def middle(values: Iterable[float] | None) -> float | None:
    """The median; None of nothing."""
    found = list(values or ())
    return statistics.median(found) if found else None


def ratio(above: float | None, below: float | None) -> float | None:
    """One number over another; None where there are not both, or the lower one is 0."""
    return None if above is None or not below else above / below


def overhead_of(row: Mapping[str, Any]) -> float | None:
    """Wall time of a run over that of its bare passes; the median of the repeats' own ratios, which stand in time."""
    pairs = zip(row.get("wall", ()), row.get("bare", ()), strict=False)
    return middle(found for found in (ratio(wall, bare) for wall, bare in pairs) if found is not None)


def bare_ratio(row: Mapping[str, Any]) -> float | None:
    """Our bare pass over theirs, per image, each at its best batch size."""
    return ratio(middle(row.get("bare_image")), middle(row.get("their_bare_image")))


def outright(row: Mapping[str, Any]) -> float | None:
    """Our time over theirs."""
    return ratio(middle(row.get("wall")), middle(row.get("their_wall")))


def beside_bare(row: Mapping[str, Any]) -> float | None:
    """Our time over theirs as it would be at our bare passes; 1 or less is what is aimed at."""
    return ratio(outright(row), bare_ratio(row))


def figure_of(row: Mapping[str, Any]) -> float | None:
    """The one number of a row that another result is compared with."""
    return overhead_of(row) if "bare" in row else beside_bare(row)


def read(path: Path) -> dict[str, Any]:
    """A result.

    Raises:
        ValueError: if it is not one.
        OSError: if it cannot be read.
    """
    found = json.loads(path.read_text("utf-8"))
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise ValueError(f"{path} is not a result of scripts/benchmark")
    return found


def merged(before: Mapping[str, Any] | None, now: dict[str, Any]) -> dict[str, Any]:
    """A result with the rows of an earlier one that were not measured again, on this device."""
    measured = {(row["key"], row["device"]) for row in now["rows"]}
    kept = [row for row in (before or {}).get("rows", []) if (row["key"], row["device"]) not in measured]
    left = {**(before or {}).get("not_measured", {}), **now["not_measured"]}
    known = {row["key"] for row in [*kept, *now["rows"]]}
    return {**now, "rows": [*kept, *now["rows"]], "not_measured": {k: why for k, why in left.items() if k not in known}}


def write(path: Path, result: Mapping[str, Any]) -> None:
    """Write a result, whole or not at all."""
    aside = path.with_name(f"{path.name}.new")
    aside.write_text(json.dumps(result, indent=1, sort_keys=True) + "\n", "utf-8")
    os.replace(aside, path)
