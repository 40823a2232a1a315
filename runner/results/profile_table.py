"""What a run cost, as tables; without MindSpore, so that it answers at once."""

from __future__ import annotations

from collections.abc import Mapping

from tabulate import tabulate

from ...summary_format.archive.costs import Costs


def profile_table(costs: Costs, style: str = "simple") -> str:
    """Two tables: passes made and needed by kind, and where the time went; between them what could not be compiled."""
    made, needed, compiled = costs.get("made", {}), costs.get("needed", {}), costs.get("compiled")
    images, took = costs.get("images", {}), costs.get("pass_seconds", {})
    passes = [
        (kind, made.get(kind, 0), needed.get(kind, 0), _count(compiled, kind), images.get(kind, 0), took.get(kind, 0.0))
        for kind in dict.fromkeys([*made, *needed])
    ]
    seconds = costs.get("seconds", {})
    whole = sum(seconds.values()) or 1.0
    parts = [(part, took, f"{took / whole:.0%}") for part, took in sorted(seconds.items(), key=lambda item: -item[1])]
    columns = ["passes", "made", "needed", "compiled", "images", "seconds"]
    first = tabulate(passes, columns, tablefmt=style, floatfmt=".2f")
    second = tabulate(parts, ["part of the run", "seconds", "share"], tablefmt=style, floatfmt=".2f")
    refused = "\n".join(f"not compiled: {what}" for what in costs.get("refused", {}))
    return "\n\n".join(block for block in (first, refused, second) if block)


def _count(counts: Mapping[str, float] | None, kind: str) -> float | str:
    """How many of a kind there are; "-" where an earlier version did not count them."""
    return "-" if counts is None else counts.get(kind, 0)
