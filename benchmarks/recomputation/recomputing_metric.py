"""What the metrics share that have maps made again."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np

from ..core.explanation import Explanation
from ..core.metric import Metric, Scores


class RecomputingMetric(Metric):
    """Scores maps by others of the same explainer, made of changed images or a changed network.

    NaN for an explainer that has no such maps (``recomputable`` is False), of which nothing is asked.
    """

    def score(self, explanation: Explanation) -> Scores:
        if not explanation.explainer.recomputable:
            return np.full(len(explanation.maps), np.nan)
        return self.score_recomputable(explanation)

    @abstractmethod
    def score_recomputable(self, explanation: Explanation) -> Scores:
        """Scores (Q,) of an explainer whose maps can be made again."""
