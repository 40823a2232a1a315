"""What comparing two runs found."""

from __future__ import annotations

from dataclasses import dataclass

from .formats.findings import EXIT_REGRESSION, Change, Flip, Similarity, WorstQuestion


@dataclass(frozen=True)
class Comparison:
    """What comparing a candidate with a baseline found.

    Attributes:
        baseline: what was named as such.
        candidate: likewise.
        alpha: chance of a false alarm anywhere in the table, at most.
        class_names: name of each label.
        changes: a row for each explainer and metric that was compared, in the baseline's order.
        similarities: of the maps, by explainer; empty where one of the two is a file without maps, or nobody wanted
            them.
        flips: samples whose predictions changed.
        worst: up to ten questions, the worst first.
        samples: how many both have.
        questions: how many true labels' questions both asked.
        only_baseline: other questions, about labels predicted and not true, that the baseline alone asked.
        only_candidate: likewise.
        notes: what tells the two apart and does not hinder comparing them: weights, seeds, versions, options of
            explainers.
        new: explainers and metrics that only the candidate has, which are not compared.
        left_out: what both could be compared in and are not, and why: controls, maps that a baseline file has not.
    """

    baseline: str
    candidate: str
    alpha: float
    class_names: tuple[str, ...]
    changes: tuple[Change, ...]
    similarities: tuple[Similarity, ...] = ()
    flips: tuple[Flip, ...] = ()
    worst: tuple[WorstQuestion, ...] = ()
    samples: int = 0
    questions: int = 0
    only_baseline: int = 0
    only_candidate: int = 0
    notes: tuple[str, ...] = ()
    new: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()

    def __str__(self) -> str:
        """The table that `explainrun compare` prints."""
        from .formats.table import as_table  # noqa: PLC0415 - which is made of comparisons

        return as_table(self)

    @property
    def failures(self) -> tuple[Change, ...]:
        """The rows for which the gate closes."""
        return tuple(change for change in self.changes if change.verdict.failing)

    @property
    def passed(self) -> bool:
        """Whether no row fails."""
        return not self.failures

    @property
    def exit_code(self) -> int:
        """0, or 1 where a row fails."""
        return 0 if self.passed else EXIT_REGRESSION
