"""What a run says of the one that it grew out of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Protocol

from pydantic import AfterValidator, BaseModel, ConfigDict, StrictBool, ValidationError

from ..plan_record import NEAREST_SAMPLES, Count, Names, first_wrong
from ..plural import noun, plural
from ..storage.run_folder import GROWS
from ..untrusted.array_schema import checked_costs
from .costs import Costs


class GrowthRecord(BaseModel):
    """The run that another one grew out of; ``of`` finds it in the state of that one.

    Attributes:
        began: seconds since the epoch at which the earlier run began; names its files.
        finished: whether it came to its end.
        samples: how many it had, or had come to.
        explainers: its explainers.
        metrics: its metrics.
        uncertainty: whether it had uncertainty.
        hierarchical_occlusion: whether it had that.
        nearest_samples: whether it had those.
        ends: after how many samples batches end early, since an earlier archive ends there; ascending.
        costs: what it took, with what it grew out of itself.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    began: Count
    finished: StrictBool
    samples: Count
    explainers: Names
    metrics: Names
    uncertainty: StrictBool
    hierarchical_occlusion: StrictBool
    nearest_samples: StrictBool = False
    ends: tuple[Count, ...]
    costs: Annotated[dict[str, Any], AfterValidator(checked_costs)]

    @classmethod
    def of(cls, state: Mapping[str, Any] | None) -> GrowthRecord | None:
        """What the state of a run says of that; None where it began with nothing.

        Raises:
            ValueError: if it is something else.
        """
        said = (state or {}).get(GROWS)
        if said is None:
            return None
        try:
            return cls.model_validate(said)
        except ValidationError as error:
            lacking, where, what = first_wrong(error)
            wrong = f"does not say {', '.join(lacking)}" if lacking else f"says {where}, which {what}"
            raise ValueError(f"what the run grew out of {wrong}") from None

    @property
    def parts(self) -> list[str]:
        """What it had, a few words each."""
        return [plural(self.samples, "sample"), *parts_in_words(self)]

    def in_state(self) -> dict[str, Any]:
        """As the state of a run says it."""
        return {GROWS: self.model_dump(mode="json")}


class Parts(Protocol):
    """What a run has, or lacks."""

    @property
    def explainers(self) -> tuple[str, ...]: ...

    @property
    def metrics(self) -> tuple[str, ...]: ...

    @property
    def uncertainty(self) -> bool: ...

    @property
    def hierarchical_occlusion(self) -> bool: ...

    @property
    def nearest_samples(self) -> bool: ...


def parts_in_words(parts: Parts) -> list[str]:
    """What a run has, a few words each: "explainers Gradient, GradCAM"."""
    named = {"explainer": parts.explainers, "metric": parts.metrics}
    found = [f"{noun(len(names), kind)} {', '.join(names)}" for kind, names in named.items() if names]
    beside = {
        "uncertainty": parts.uncertainty,
        "hierarchical occlusion": parts.hierarchical_occlusion,
        NEAREST_SAMPLES: parts.nearest_samples,
    }
    return [*found, *(what for what, has in beside.items() if has)]


def costs_before(state: Mapping[str, Any] | None) -> Costs:
    """What the runs took that one grew out of; nothing where it began with nothing.

    Raises:
        ValueError: if that cannot be read.
    """
    grown = GrowthRecord.of(state)
    return {} if grown is None else grown.costs
