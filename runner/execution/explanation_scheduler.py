"""What explainers give for a batch, as metrics see it, the passes that they share made once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ...benchmarks.core.explanation import Covering, Explanation
from ...explainers import Explainer
from ...explainers.core.together import Estimate, attribute_together
from ...explainers.network import Network
from ..plan.plan import Plan
from .batch import Batch
from .pass_counts import Profile

Errors = npt.NDArray[np.float64]


class ExplanationScheduler:
    """Makes the explanations of a batch, one after the other.

    Args:
        batch: the questions; maps that are there already are taken from it.
        plan: whose metrics are going to look at them.
        network: where passes run.
        profile: what they are counted in.
    """

    def __init__(self, batch: Batch, plan: Plan, network: Network, profile: Profile) -> None:
        self._batch, self._plan, self._profile = batch, plan, profile
        self._asked = len(batch.rows)
        self._all = batch.view(plan, network)
        self._view = self._all.subset(slice(0, self._asked))
        self._masks = batch.masks() if plan.needs_boxes and self._asked else None
        coverings = (metric.covering(self._view.size) for metric in plan.metrics)
        self.coverings: list[Covering] = [covering for covering in coverings if covering is not None]
        self._waiting: dict[str, tuple[Explanation, Errors]] = {}
        self._refused: dict[str, ValueError] = {}  # raised when the explainer's own turn comes
        self._memory: dict[Any, Any] = {}

    def explanation(self, explainer: Explainer, left: Sequence[Explainer]) -> tuple[Explanation, Errors]:
        """An explainer's maps as metrics see them, and how far off each is (Q,).

        Args:
            explainer: whose.
            left: it and those that come after it; those among them that share its passes are made with it.
        """
        if self._asked:
            done = [other for other in self._plan.explainers if other not in left]
            with self._profile.timed("maps"):  # an explainer may have to look at a layer to know
                self._profile.need_maps(explainer, self._all, done)
        if explainer.name not in self._waiting and explainer.name not in self._refused:
            self._make([other for other in left if other.needs.layers] if explainer.needs.layers else [explainer])
        if explainer.name in self._refused:
            raise self._refused[explainer.name]
        return self._waiting.pop(explainer.name)

    def _make(self, explainers: Sequence[Explainer]) -> None:
        """Make the maps of explainers that share their passes."""
        precomputed = self._batch.precomputed_maps
        found = {one.name: precomputed.pop(one.name) for one in explainers if one.name in precomputed}
        lacking = [one for one in explainers if one.name not in found]
        if lacking and self._asked:
            with self._profile.timed("maps"):
                made, refused = attribute_together(lacking, self._all)
            self._refused |= refused
            found |= made
        nothing = Estimate(np.zeros((0, *self._view.size), np.float32))
        able = [one for one in explainers if one.name not in self._refused]
        explanations = [self._explanation(one, found.get(one.name, nothing)) for one in able]
        for explanation, _ in explanations:
            explanation.peers = tuple(other for other, _ in explanations)
            explanation.memory = self._memory
        self._waiting |= {explanation.explainer.name: (explanation, errors) for explanation, errors in explanations}

    def _explanation(self, explainer: Explainer, estimate: Estimate) -> tuple[Explanation, Errors]:
        asked, everything = self._asked, self._all
        pairs = zip(everything.rows[asked:].tolist(), everything.labels[asked:].tolist(), strict=True)
        extra = dict(zip(pairs, estimate.maps[asked:], strict=True))
        maps, need = estimate.maps[:asked], self._profile.need
        explanation = Explanation(explainer, self._view, maps, self._masks, self.coverings, extra, need)
        unknown = np.full(asked, np.nan)
        return explanation, unknown if estimate.errors is None else estimate.errors[:asked].astype(np.float64)
