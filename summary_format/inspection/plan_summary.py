"""What a plan in plain values says, whatever version wrote it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_MOST_SAMPLES, _MOST_SHARDS = 1 << 40, 1 << 20  # greater numbers are none


@dataclass(frozen=True, kw_only=True)
class Described:
    """The plan of a run, as far as looking at the run needs it.

    Attributes:
        plan: all that it says.
        explainers: their names, in order.
        metrics: their names.
        classes: how many.
        searching: whether there is hierarchical occlusion.
        samples: how many samples the run has: the dataset's length or the limit, whichever is less, and of that a
            shard's own; None where neither is known. Where the limit alone is, there may be fewer.
        shard: which of how many, from 1; None for a whole run.
    """

    plan: Mapping[str, Any]
    explainers: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    classes: int = 0
    searching: bool = False
    samples: int | None = None
    shard: tuple[int, int] | None = None

    @classmethod
    def of(cls, plan: Any) -> Described:
        """Read a plan.

        Raises:
            ValueError: if it does not say its explainers, metrics and class names; the message says what it lacks.
        """
        if not isinstance(plan, Mapping):
            raise ValueError("it holds no plan")
        kinds = {"class_names": list, "explainers": dict, "metrics": dict}
        lacking = [key for key, kind in kinds.items() if not isinstance(plan.get(key), kind)]
        if lacking:
            raise ValueError(f"its plan does not say {', '.join(lacking)}")
        shard = said_shard(plan.get("shard"))
        return cls(
            plan=plan,
            explainers=tuple(plan["explainers"]),
            metrics=tuple(plan["metrics"]),
            classes=len(plan["class_names"]),
            searching=bool(plan.get("hierarchical_occlusion")),
            samples=_samples(plan, shard),
            shard=shard,
        )


def said_shard(said: Any) -> tuple[int, int] | None:
    """Which of how many shards a plan says that it is, from 1; None for a whole run."""
    if isinstance(said, (list, tuple)) and len(said) == 2 and all(isinstance(part, int) for part in said):
        place, of = said
        return (place, of) if 1 <= place <= of <= _MOST_SHARDS else None
    return None


def _samples(plan: Mapping[str, Any], shard: tuple[int, int] | None) -> int | None:
    given = (plan.get("samples"), plan.get("limit"))
    known = [count for count in given if isinstance(count, int) and 0 <= count <= _MOST_SAMPLES]
    if not known:
        return None
    return min(known) if shard is None else len(range(shard[0] - 1, min(known), shard[1]))
