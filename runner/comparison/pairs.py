"""The scores of two runs, question by question."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

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
        return self._values(self.baseline)

    @cached_property
    def now(self) -> FloatArray:
        """(P, rows) scores of the candidate."""
        return self._values(self.candidate)

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

    @property
    def asked_before(self) -> npt.NDArray[np.bool_]:
        """(P,) which questions the baseline asked."""
        return self.baseline.places(self.questions) >= 0

    @property
    def asked_now(self) -> npt.NDArray[np.bool_]:
        """(P,) which questions the candidate asked."""
        return self.candidate.places(self.questions) >= 0

    def _values(self, run: ScoredRun) -> FloatArray:
        places = run.places(self.questions)
        return np.stack([run.values(*row, places) for row in self.rows], axis=1)
