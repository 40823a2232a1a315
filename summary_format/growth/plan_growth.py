"""What one plan has more than another, and what keeps a run from growing out of the other's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..archive.growth_record import parts_in_words
from ..plan_diff import CHOSEN, plan_differences
from ..plan_record import PlanRecord
from ..plural import plural

# What a run may have more or fewer of, and what follows from that.
_GROWING = ("samples", "limit", "errors", "higher_is_better", "uncontrolled", "controls", "curves", *CHOSEN)
_NAMING = ("explainers", "metrics")


@dataclass(frozen=True, kw_only=True)
class Surplus:
    """What a run has that another one lacks.

    Attributes:
        explainers: by name; one that is there under other options is lacking.
        metrics: the same of them.
        curves: metrics that it has too, of which it keeps no curves.
        uncertainty: whether it is lacking, or there with other options.
        hierarchical_occlusion: the same of it.
        nearest_samples: the same of them.
        samples: how many more.
    """

    explainers: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    curves: tuple[str, ...] = ()
    uncertainty: bool = False
    hierarchical_occlusion: bool = False
    nearest_samples: bool = False
    samples: int = 0

    @classmethod
    def of(cls, plan: PlanRecord, other: PlanRecord, samples: int = 0) -> Surplus:
        """What a plan has that another one lacks; samples are counted by whoever knows them."""
        metrics = tuple(_lacking(plan.metrics, other.metrics))
        return cls(
            explainers=tuple(_lacking(plan.explainers, other.explainers)),
            metrics=metrics,
            curves=tuple(name for name in _lacking(plan.curves, other.curves) if name not in metrics),
            uncertainty=plan.dropout_samples not in (0, other.dropout_samples),
            hierarchical_occlusion=plan.searching and plan.hierarchical_occlusion != other.hierarchical_occlusion,
            nearest_samples=bool(plan.neighbours) and plan.nearest_samples != other.nearest_samples,
            samples=max(samples, 0),
        )

    def __bool__(self) -> bool:
        return bool(self.parts)

    @property
    def parts(self) -> list[str]:
        """What it is, a few words each."""
        curves = [f"the curves of {', '.join(self.curves)}"] if self.curves else []
        return [*parts_in_words(self), *curves, *([plural(self.samples, "sample")] if self.samples else [])]

    def __str__(self) -> str:
        return "; ".join(self.parts)


def growth_differences(before: PlanRecord, now: PlanRecord) -> list[str]:
    """How two plans differ in more than what a run may have more or fewer of, a few words each; see ``plan_diff``.

    Explainers, metrics, uncertainty, hierarchical occlusion, nearest samples and samples may come and go; what both
    name must have the same options, and all else must be the same, the versions and the device that compute it among
    that.
    """
    return plan_differences(_shared(before, now), _shared(now, before), _GROWING)


def base_differences(before: PlanRecord, now: PlanRecord) -> list[str]:
    """The same, whatever options stand under names that both plans have."""
    left_out = (*_NAMING, "dropout_samples", "hierarchical_occlusion", "nearest_samples")
    return plan_differences(_without_names(before), _without_names(now), (*_GROWING, *left_out))


def _lacking(options: Mapping[str, Any], others: Mapping[str, Any]) -> Iterator[str]:
    return (name for name, of_one in options.items() if others.get(name) != of_one)


def _without_names(plan: PlanRecord) -> PlanRecord:
    return PlanRecord.of({**plan.raw, **{kind: {} for kind in _NAMING}})


def _shared(plan: PlanRecord, other: PlanRecord) -> PlanRecord:
    """Of a plan what another one has too, in an order that both have."""
    raw = dict(plan.raw)
    for kind in _NAMING:
        names = sorted(getattr(plan, kind).keys() & getattr(other, kind).keys())
        raw[kind] = {name: raw[kind][name] for name in names}
    if not (plan.dropout_samples and other.dropout_samples):
        raw["dropout_samples"] = 0
    if not (plan.searching and other.searching):
        raw["hierarchical_occlusion"] = None
    if not (plan.neighbours and other.neighbours):
        raw.pop("nearest_samples", None)
    return PlanRecord.of(raw)
