"""Is a map another one where another label is asked about?"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ...explainers.arguments import one_of
from ...explainers.core.view import View
from ..core.explanation import Explanation
from ..core.metric import Metric, Scores
from .similarity import SIMILARITIES, similarities


class RandomLogit(Metric):
    """Similarity of a label's map to that of another label, drawn at random; in -1..1, lower is better.

    Sixt, Granz, Landgraf: When Explanations Lie: Why Many Modified BP Attributions Fail (2020): a map that stays as it
    is where another logit is explained says nothing of its label. The similarity is the structural one (SSIM) of maps
    brought to 0..1, as in the paper, or Spearman's rank correlation of the pixels. The other label is drawn by the
    sample's own generator, for each label apart. Another label's map that is constant counts 0; NaN where the label's
    own is constant, one is not finite, or there is one class alone. Costs one map more for each question, made with
    those that are asked for. Compare ``ClassSensitivity``, which takes the most and the least likely label.

    It says that a map depends on its label. It does not say that it does so rightly, and a random other label may lie
    where the label does.

    Args:
        num_labels: how many classes the network has.
        similarity: "ssim" or "spearman".
        name: see ``Metric``.

    Raises:
        ValueError: if there is no such similarity, or num_labels is below 1.
    """

    higher_is_better = False

    def __init__(self, num_labels: int, similarity: str = "ssim", name: str | None = None) -> None:
        super().__init__(num_labels, name)
        self.similarity = one_of(similarity, SIMILARITIES, "similarity")

    def score(self, explanation: Explanation) -> Scores:
        if self.num_labels == 1:
            return np.full(len(explanation.maps), np.nan)
        others = [explanation.map_of(row, label) for row, label in self._others(explanation.view)]
        return similarities(SIMILARITIES[self.similarity], explanation.maps, np.stack(others))

    def extra_questions(self, view: View) -> Iterable[tuple[int, int]]:
        return () if self.num_labels == 1 else self._others(view)

    def _others(self, view: View) -> list[tuple[int, int]]:
        """The image of each question, and the other label."""
        assert self.num_labels is not None
        found = []
        for row, label in zip(view.rows.tolist(), view.labels.tolist(), strict=True):
            step = view.generator(row, f"RandomLogit {label}").integers(1, self.num_labels)
            found.append((row, int(label + step) % self.num_labels))
        return found
