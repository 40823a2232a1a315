"""The scores of two runs, question by question."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from ..results.mean_bounds import span_of
from .scored_run import FloatArray, IntArray, ScoredRun


@dataclass(frozen=True)
class Pairs:
    """The scores of two runs, side by side.

    Attributes:
        baseline: the one.
        candidate: the other, which has all explainers and metrics of the baseline.
    """

    baseline: ScoredRun
    candidate: ScoredRun

    def by_label(self) -> tuple[LabelPairs, ...]:
        """The scores of each true label's questions."""
        labels = np.unique(self.questions[:, 1]).tolist()
        return tuple(LabelPairs(self.baseline, self.candidate, self, label) for label in labels)

    @cached_property
    def rows(self) -> tuple[tuple[str, str], ...]:
        """Explainer and metric of each row of the table."""
        return tuple((explainer, metric) for explainer in self.baseline.explainers for metric in self.baseline.metrics)

    @cached_property
    def questions(self) -> IntArray:
        """(P, 2) sample and label of each question about a true label."""
        return self.baseline.true_questions

    @cached_property
    def before(self) -> FloatArray:
        """(P, rows) scores of the baseline; NaN where there is none."""
        return self.baseline.values_of(self.rows, self.questions)

    @cached_property
    def now(self) -> FloatArray:
        """(P, rows) scores of the candidate."""
        return self.candidate.values_of(self.rows, self.questions)

    @cached_property
    def higher(self) -> npt.NDArray[np.bool_]:
        """(rows,) whether higher is better."""
        return np.array([self.baseline.higher_is_better[metric] for _, metric in self.rows], bool)

    @cached_property
    def changes(self) -> FloatArray:
        """(P, rows) candidate minus baseline; NaN where one has no score."""
        return self.now - self.before

    @cached_property
    def falls(self) -> FloatArray:
        """(P, rows) how much worse the candidate is."""
        return np.where(self.higher, -self.changes, self.changes)

    @cached_property
    def spans(self) -> FloatArray:
        """(rows,) by how much a score could change at once, as far as all explainers' scores in both runs show it.

        0 where network and explainer are the same in both runs: what no sample shows then does not happen.
        """
        runs, explainers = (self.baseline, self.candidate), self.baseline.explainers
        reach = {
            metric: span_of([run.scores[explainer, metric] for run in runs for explainer in explainers])
            for metric in self.baseline.metrics
        }
        spans = [0.0 if self._made_alike(explainer) else reach[metric] for explainer, metric in self.rows]
        return np.array(spans, np.float64)

    def _made_alike(self, explainer: str) -> bool:
        networks = [run.described.get("network") for run in (self.baseline, self.candidate)]
        known = isinstance(networks[0], Mapping) and networks[0] == networks[1]
        return known and self.baseline.explainers[explainer] == self.candidate.explainers[explainer]

    @property
    def asked_before(self) -> npt.NDArray[np.bool_]:
        """(P,) which questions the baseline asked."""
        return self.baseline.places(self.questions) >= 0

    @property
    def asked_now(self) -> npt.NDArray[np.bool_]:
        """(P,) which questions the candidate asked."""
        return self.candidate.places(self.questions) >= 0


@dataclass(frozen=True)
class LabelPairs(Pairs):
    """The questions about one true label, with all else as it is of the whole.

    Attributes:
        whole: the scores of all questions.
        label: the only one whose questions count.
    """

    whole: Pairs
    label: int

    @cached_property
    def rows(self) -> tuple[tuple[str, str], ...]:
        """Those of the whole."""
        return self.whole.rows

    @cached_property
    def questions(self) -> IntArray:
        """(P, 2) sample and label of each question about the label."""
        return self.whole.questions[self._own]

    @cached_property
    def before(self) -> FloatArray:
        """(P, rows) scores of the baseline."""
        return self.whole.before[self._own]

    @cached_property
    def now(self) -> FloatArray:
        """(P, rows) scores of the candidate."""
        return self.whole.now[self._own]

    @cached_property
    def higher(self) -> npt.NDArray[np.bool_]:
        """Those of the whole."""
        return self.whole.higher

    @cached_property
    def spans(self) -> FloatArray:
        """Those of the whole: what a score can do does not depend on the label."""
        return self.whole.spans

    @cached_property
    def _own(self) -> npt.NDArray[np.bool_]:
        own: npt.NDArray[np.bool_] = self.whole.questions[:, 1] == self.label
        return own
