"""What a run cost, as tables; without MindSpore, so that it answers at once."""

from __future__ import annotations

from tabulate import tabulate

from ...summary_format.archive.costs import Costs


def profile_table(costs: Costs, style: str = "simple") -> str:
    """Two tables: passes made and needed by kind, and where the time went."""
    made, needed = costs.get("made", {}), costs.get("needed", {})
    images, took = costs.get("images", {}), costs.get("pass_seconds", {})
    passes = [
        (kind, made.get(kind, 0), needed.get(kind, 0), images.get(kind, 0), took.get(kind, 0.0))
        for kind in dict.fromkeys([*made, *needed])
    ]
    seconds = costs.get("seconds", {})
    whole = sum(seconds.values()) or 1.0
    parts = [(part, took, f"{took / whole:.0%}") for part, took in sorted(seconds.items(), key=lambda item: -item[1])]
    first = tabulate(passes, ["passes", "made", "needed", "images", "seconds"], tablefmt=style, floatfmt=".2f")
    second = tabulate(parts, ["part of the run", "seconds", "share"], tablefmt=style, floatfmt=".2f")
    return f"{first}\n\n{second}"
