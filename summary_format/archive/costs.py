"""What the parts of a run took, added up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

# Each by kind of pass or part of the run; "refused" by kind of graph and why there is none, in how many starts.
COSTS = ("made", "compiled", "images", "pass_seconds", "needed", "seconds", "refused")
_NEEDED_IMAGES = "needed_images"  # beside them in segments: of which it takes all to know the passes that they need
Costs = Mapping[str, Mapping[str, float]]


def added_up(costs: Iterable[Costs]) -> dict[str, dict[str, float]]:
    """Costs of several parts as those of one, each of ``COSTS`` among them."""
    total: dict[str, Counter[str]] = {what: Counter() for what in COSTS}
    for of_part in costs:
        for what, by_kind in of_part.items():
            total.setdefault(what, Counter()).update(by_kind)
    return {what: dict(by_kind) for what, by_kind in total.items()}


def settled(costs: Costs, pass_size: int) -> dict[str, dict[str, float]]:
    """Costs of a whole run, with the fewest passes that its images fill among those needed.

    Args:
        costs: of all its segments, added up.
        pass_size: images per pass.
    """
    found = {what: dict(by_kind) for what, by_kind in costs.items() if what != _NEEDED_IMAGES}
    if images := costs.get(_NEEDED_IMAGES):
        needed = Counter(found.get("needed", {}))
        needed.update({kind: -(-count // pass_size) for kind, count in images.items()})
        found["needed"] = dict(needed)
    return found
