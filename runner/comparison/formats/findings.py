"""What a comparison finds, in data."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

from ....summary_format.exit_codes import EXIT_REGRESSION

SHOWN = "shown"  # what may be required of every verdict


class Verdict(str, Enum):
    """What became of an explainer's scores in a metric, or of a floor under them."""

    REGRESSION = "regression"  # worse by more than the tolerance, and beyond noise
    SCORES_LOST = "scores lost"  # questions that the baseline scored have no score now
    NOT_TESTED = "too few samples"  # no fall of so few could be distinguished from noise
    BETTER = "better"  # better by more than the tolerance, and beyond noise
    NON_INFERIOR = "non-inferior"  # shown not to be worse by more than the tolerance
    INCONCLUSIVE = "inconclusive"  # neither of these is shown
    FLOOR_MISSED = "floor missed"  # the mean is worse than the floor, beyond noise
    FLOOR_MET = "floor met"  # shown not to be worse than the floor

    @property
    def failing(self) -> bool:
        """Whether the gate closes, whatever is required."""
        return self in (Verdict.REGRESSION, Verdict.SCORES_LOST, Verdict.FLOOR_MISSED)

    @property
    def shown(self) -> bool:
        """Whether the samples show that all is well."""
        return self in (Verdict.BETTER, Verdict.NON_INFERIOR, Verdict.FLOOR_MET)


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
            table, or over all slices; NaN where there is nothing to test.
        fall_at_most: the largest true fall that the samples do not rule out, with a chance of error of half of what is
            allowed of false alarms; NaN if unknown.
        detectable_fall: the smallest true fall that so many samples find with a power of 80 %; NaN if none.
        samples_needed: how many samples find a fall of the tolerance with a power of 80 %; None if no number does, or
            none is known.
        samples: how many samples both scored.
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
    fall_at_most: float = math.nan
    detectable_fall: float = math.nan
    samples_needed: int | None = None
    samples: int = 0
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


@dataclass(frozen=True)
class Slice:
    """What became of an explainer's scores in a metric on the questions about one label.

    Attributes:
        label: the true label.
        change: the row, over the samples that have the label.
    """

    label: int
    change: Change


@dataclass(frozen=True, kw_only=True)
class FloorCheck:
    """How a candidate's mean score stands to the floor that was set for it.

    Attributes:
        explainer: its name.
        metric: its name.
        higher_is_better: which way the metric's scores go; where lower is better, the mean must not exceed the floor.
        floor: the worst mean that is allowed.
        candidate: mean score over the true labels' questions; NaN where none is scored.
        low: lower end of its 95 % bootstrap interval; NaN if unknown.
        high: upper end.
        samples: how many have scores.
        questions: how many are scored.
        verdict: what follows.
    """

    explainer: str
    metric: str
    higher_is_better: bool
    floor: float
    candidate: float
    low: float
    high: float
    samples: int
    questions: int
    verdict: Verdict


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
        left_out: what both could be compared in and are not, and why: controls, maps that a baseline file has not,
            floors of what was not chosen.
        slices: the same rows for each true label, the worst first; empty where they were not asked for.
        floors: floors that were set, in the order of explainers and metrics.
        by: what slices are made by: "label"; None without slices.
        require: "shown" where everything that is judged must be shown to be well; None otherwise.
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
    slices: tuple[Slice, ...] = ()
    floors: tuple[FloorCheck, ...] = ()
    by: str | None = None
    require: str | None = None

    def closes(self, verdict: Verdict) -> bool:
        """Whether the gate closes for a verdict."""
        return verdict.failing or (self.require == SHOWN and not verdict.shown)

    @property
    def failures(self) -> tuple[Change, ...]:
        """The rows for which the gate closes."""
        return tuple(change for change in self.changes if self.closes(change.verdict))

    @property
    def failing_slices(self) -> tuple[Slice, ...]:
        """The slices for which the gate closes."""
        return tuple(one for one in self.slices if self.closes(one.change.verdict))

    @property
    def failing_floors(self) -> tuple[FloorCheck, ...]:
        """The floors for which the gate closes."""
        return tuple(check for check in self.floors if self.closes(check.verdict))

    @property
    def passed(self) -> bool:
        """Whether no row, slice or floor fails."""
        return not (self.failures or self.failing_slices or self.failing_floors)

    @property
    def exit_code(self) -> int:
        """0, or 1 where a row, slice or floor fails."""
        return 0 if self.passed else EXIT_REGRESSION
