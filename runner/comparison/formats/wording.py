"""Words and numbers that the formats of a comparison share; each format escapes what it is given."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ....summary_format.plural import plural
from .findings import Change, Findings, Flip, Verdict, WorstQuestion

SHOWN_FLIPS = 10
REFUSED = "NOT COMPARED"


@dataclass(frozen=True)
class Column:
    """A column of the table of changes.

    Attributes:
        header: its title.
        cell: its text for a row, not escaped.
        right: whether numbers are aligned at their ends.
    """

    header: str
    cell: Callable[[Change], str]
    right: bool = True


def columns(changes: Iterable[Change]) -> list[Column]:
    """The columns that say something about these rows: counts of scores that are lacking only where there are any."""
    changes = list(changes)
    directed = [Column("better is", lambda row: "higher" if row.higher_is_better else "lower", right=False)]
    counts = [
        Column("lost", lambda row: str(row.lost or "")),
        Column("gained", lambda row: str(row.gained or "")),
        Column("unscored", lambda row: str(row.unscored or "")),
    ]
    return [
        Column("metric", lambda row: row.metric, right=False),
        *(directed if not all(row.higher_is_better for row in changes) else []),
        Column("explainer", lambda row: row.explainer, right=False),
        Column("baseline", lambda row: number(row.baseline, _scale(row))),
        Column("candidate", lambda row: number(row.candidate, _scale(row))),
        Column("change", lambda row: number(row.change, _scale(row), sign="+")),
        Column("95 % interval", interval),
        Column("tolerance", tolerance),
        Column("p of fall", lambda row: probability(row.p_value)),
        Column("questions", lambda row: str(row.questions)),
        *(column for column in counts if any(column.cell(row) for row in changes)),
        Column("verdict", verdict, right=False),
    ]


def by_metric(changes: Iterable[Change]) -> dict[str, list[Change]]:
    """Rows by metric, in the order in which metrics come first."""
    groups: dict[str, list[Change]] = {}
    for change in changes:
        groups.setdefault(change.metric, []).append(change)
    return groups


def failures(comparison: Findings) -> list[Change]:
    """The rows for which the gate closes, by metric."""
    return [change for group in by_metric(comparison.failures).values() for change in group]


def number(value: float, scale: float = 1.0, sign: str = "") -> str:
    """A score or a change of one; "-" where there is none.

    Args:
        value: to be shown.
        scale: what such scores are about; four decimals show them between 0.01 and 100,000, else three digits do.
        sign: "+" to show it of positive numbers too.
    """
    if math.isnan(value):
        return "-"
    sign = sign if value else ""
    return f"{value:{sign}.4f}" if 0.01 <= scale < 1e5 else f"{value:{sign}.3g}"


def interval(change: Change) -> str:
    """Where the change lies with a confidence of 95 %."""
    ends = (number(end, _scale(change), sign="+") for end in (change.low, change.high))
    return "-" if math.isnan(change.low) else " to ".join(ends)


def tolerance(change: Change) -> str:
    """How much worse the mean may get; "-" for per cent of a mean that is not known."""
    return "-" if math.isnan(change.tolerance) else f"{change.tolerance:.4g}"


def probability(value: float) -> str:
    """A p value, in four decimals."""
    return "<0.0001" if value < 1e-4 else number(value)


def verdict(change: Change) -> str:
    """The verdict: in capitals where the gate closes; a fall that may be noise is not hidden."""
    if change.verdict.failing:
        return change.verdict.value.upper()
    return "worse, within noise" if _perhaps(change) else change.verdict.value


def headline(comparison: Findings) -> str:
    """Whether the gate is open, and why, in a line."""
    return "; ".join(headlines(comparison))


def headlines(comparison: Findings) -> list[str]:
    """Whether the gate is open, and why; then what else people should know of the rows."""
    total = len(comparison.changes)
    counted = {kind: sum(change.verdict is kind for change in comparison.changes) for kind in Verdict}
    perhaps = sum(map(_perhaps, comparison.changes))
    regressions, lost = counted[Verdict.REGRESSION], counted[Verdict.SCORES_LOST]
    told = [plural(regressions, "regression")] * bool(regressions)
    told += [f"scores lost in {plural(lost, 'row')}"] * bool(lost)
    rows = plural(total, "row")
    said = f"FAILED: {', '.join(told)}, of {rows}" if told else f"passed: no regression in {rows}"
    others = [f"{perhaps} worse than tolerated, but within noise"] * bool(perhaps)
    others += [f"{counted[Verdict.BETTER]} better"] * bool(counted[Verdict.BETTER])
    untested = counted[Verdict.NOT_TESTED]
    others += [f"{untested} of too few samples to distinguish a fall from noise"] * bool(untested)
    return [said, *others]


def reason(change: Change) -> str:
    """Why the gate closes for a row, or does not."""
    told = {column.header: column.cell(change) for column in columns([change])}
    went = f"{told['baseline']} -> {told['candidate']}"
    scored = plural(change.questions + change.lost, "question")
    lost = f"{change.lost} of {scored} with a score in the baseline have none now"
    if change.verdict is Verdict.SCORES_LOST:
        return f"{lost}; the others went {went}" if change.questions else lost
    if change.verdict is Verdict.NOT_TESTED:
        return f"{plural(change.questions, 'question')}: no fall of so few samples could be distinguished from noise"
    measured = f"change {told['change']}, 95 % interval {told['95 % interval']}, p {told['p of fall']}"
    went = f"{went} ({measured}; tolerance {told['tolerance']})"
    return f"{went}; {lost}" if change.lost else went


def compared(comparison: Findings) -> str:
    """How much was compared."""
    samples, questions = plural(comparison.samples, "sample"), plural(comparison.questions, "question")
    return f"{samples}, {questions} about true labels, alpha {comparison.alpha:g}"


def not_compared(comparison: Findings) -> str:
    """What was left aside of the questions; empty if nothing was."""
    alone = ((comparison.only_baseline, "baseline"), (comparison.only_candidate, "candidate"))
    told = [f"{count} that only the {which} asked" for count, which in alone if count]
    return f"questions about predicted labels that are not true: {', '.join(told)}" if told else ""


def flip(comparison: Findings, flipped: Flip) -> str:
    """How a sample's predictions changed."""
    before, after = (
        ", ".join(class_name(comparison, label) for label in labels) or "none"
        for labels in (flipped.baseline, flipped.candidate)
    )
    return f"sample {flipped.sample}: {before} -> {after}"


def worst(comparison: Findings, question: WorstQuestion) -> str:
    """Which question it is, and how its score changed."""
    asked = f"sample {question.sample}, label {class_name(comparison, question.label)}"
    before, after = (number(score, _scale(question)) for score in (question.baseline, question.candidate))
    after = "lost" if math.isnan(question.candidate) else after
    return f"{asked}, {question.explainer}, {question.metric}: {before} -> {after}"


def pictures(question: WorstQuestion) -> list[tuple[str, str]]:
    """The pictures of a question that there are, with whose they are."""
    both = (("baseline", question.baseline_picture), ("candidate", question.candidate_picture))
    return [(whose, path) for whose, path in both if path is not None]


def class_name(comparison: Findings, label: int) -> str:
    """A label with its name, if that says more."""
    names = comparison.class_names
    name = names[label] if 0 <= label < len(names) else str(label)
    return name if name == str(label) else f"{label} ({name})"


def _perhaps(change: Change) -> bool:
    """Whether it is worse by more than the tolerance, and yet no regression."""
    return change.verdict is Verdict.SAME and change.fall > change.tolerance


def _scale(scored: Change | WorstQuestion) -> float:
    """What scores are about: the larger of both; 1 where there is none or all are 0."""
    both = (scored.baseline, scored.candidate)
    return max((abs(score) for score in both if math.isfinite(score)), default=1.0) or 1.0


def printable(text: str) -> str:
    r"""The same in one line that no terminal obeys: line breaks and control characters as \n, \x1b and the like."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)
