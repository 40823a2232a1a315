"""What a comparison finds, in data."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from ....summary_format.exit_codes import EXIT_REGRESSION


class Verdict(str, Enum):
    """What became of an explainer's scores in a metric."""

    REGRESSION = "regression"  # worse by more than the tolerance, and beyond noise
    SCORES_LOST = "scores lost"  # questions that the baseline scored have no score now
    NOT_TESTED = "too few samples"  # no fall of so few could be distinguished from noise
    BETTER = "better"  # better by more than the tolerance, and beyond noise
    SAME = "no regression"  # everything else

    @property
    def failing(self) -> bool:
        """Whether the gate closes."""
        return self in (Verdict.REGRESSION, Verdict.SCORES_LOST)


def fall_between(before: float, now: float, higher_is_better: bool) -> float:
    """How much worse a mean is than it was; negative where it is better."""
    return 0.0 - (now - before) if higher_is_better else now - before


@dataclass(frozen=True, kw_only=True)
class Change:
    """An explainer's scores in a metric, in two runs, over the true labels' questions that both scored.

    Attributes:
        explainer: its name in both runs.
        metric: its name in both runs.
        higher_is_better: which way the metric's scores go.
        baseline: mean score; NaN where no question was scored by both.
        candidate: mean score of the same questions.
        low: lower end of the 95 % bootstrap interval of the change (candidate minus baseline); NaN if unknown.
        high: upper end.
        tolerance: how much worse the mean may get, in the metric's unit.
        p_value: of the fall being chance: one-sided sign flip test over samples, Holm-corrected over the whole
            table; NaN where there is nothing to test.
        questions: how many both scored.
        lost: how many only the baseline scored.
        gained: how many only the candidate scored.
        unscored: how many neither scored.
        verdict: what follows.
    """

    explainer: str
    metric: str
    higher_is_better: bool
    baseline: float
    candidate: float
    low: float
    high: float
    tolerance: float
    p_value: float
    questions: int
    lost: int
    gained: int
    unscored: int
    verdict: Verdict

    @property
    def change(self) -> float:
        """Candidate minus baseline, whichever way is better."""
        return self.candidate - self.baseline

    @property
    def fall(self) -> float:
        """How much worse the candidate is; negative where it is better."""
        return fall_between(self.baseline, self.candidate, self.higher_is_better)


@dataclass(frozen=True, kw_only=True)
class Similarity:
    """How alike an explainer's maps of two runs are, over the questions of true labels that both have maps of.

    Attributes:
        explainer: whose maps.
        spearman: mean rank correlation over pixels, -1 to 1; NaN where no pair could be compared.
        top_intersection: mean share of the most salient 10 % of the pixels that both runs share, 0 to 1; NaN as above.
        compared: pairs of maps.
        not_compared: pairs of which one is constant, not finite, missing or of another size.
    """

    explainer: str
    spearman: float
    top_intersection: float
    compared: int
    not_compared: int


@dataclass(frozen=True)
class Flip:
    """A sample whose predicted labels changed: those whose probability exceeds 0.5, or else the most probable one."""

    sample: int
    baseline: tuple[int, ...]
    candidate: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class WorstQuestion:
    """A question whose score fell far, with the pictures of its maps.

    Attributes:
        sample: its id.
        label: a true label of it.
        explainer: in whose score it fell most.
        metric: in which.
        baseline: the score.
        candidate: the score; NaN if it was lost.
        baseline_picture: path of the map's picture; None where there is none, as beside a baseline file.
        candidate_picture: the same of the candidate.
    """

    sample: int
    label: int
    explainer: str
    metric: str
    baseline: float
    candidate: float
    baseline_picture: str | None
    candidate_picture: str | None


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What comparing a candidate with a baseline found, in data.

    Attributes:
        baseline: what was named as such.
        candidate: what was named as such.
        alpha: chance of a false alarm anywhere in the table, at most.
        class_names: name of each label.
        changes: a row for each explainer and metric that was compared, in the baseline's order.
        similarities: of the maps, by explainer; empty where one of the two is a file without maps, or they were not
            asked for.
        flips: samples whose predictions changed.
        worst: up to ten questions, the worst first.
        samples: how many both have.
        questions: how many true labels' questions both asked.
        only_baseline: other questions, about labels predicted and not true, that the baseline alone asked.
        only_candidate: the same of the candidate.
        notes: how the two differ in what does not hinder comparing them: weights, seeds, versions, options of
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
