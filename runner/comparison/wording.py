"""Words and numbers that the formats of a comparison share; each format escapes what it is given."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from .comparison import Change, Comparison, Flip, Verdict, WorstQuestion

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
    """The columns that tell something about these rows: counts of scores that are lacking only where there are any."""
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
        Column("baseline", lambda row: number(row.baseline)),
        Column("candidate", lambda row: number(row.candidate)),
        Column("change", lambda row: signed(row.change)),
        Column("95 % interval", interval),
        Column("tolerance", tolerance),
        Column("p", lambda row: probability(row.p_value)),
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


def number(value: float) -> str:
    """A score in four decimals, in powers of ten where those tell nothing; "-" where there is none."""
    if math.isnan(value):
        return "-"
    return f"{value:.4f}" if value == 0 or 5e-5 <= abs(value) < 1e5 else f"{value:.3g}"


def signed(value: float) -> str:
    """A change, with its sign."""
    return f"+{number(value)}" if value > 0 else number(value)


def interval(change: Change) -> str:
    """Where the change lies with a confidence of 95 %."""
    return "-" if math.isnan(change.low) else f"{signed(change.low)} to {signed(change.high)}"


def tolerance(change: Change) -> str:
    """How much worse the mean may get; "-" for per cent of a mean that is not known."""
    return "-" if math.isnan(change.tolerance) else f"{change.tolerance:.4g}"


def probability(value: float) -> str:
    """A p value; p values smaller than four decimals tell are all alike."""
    return "<0.0001" if value < 1e-4 else number(value)


def verdict(change: Change) -> str:
    """The verdict, in capitals where the gate closes."""
    return change.verdict.value.upper() if change.verdict.failing else change.verdict.value


def headline(comparison: Comparison) -> str:
    """Whether the gate is open, and why, in a line."""
    total = len(comparison.changes)
    counted = {kind: sum(change.verdict is kind for change in comparison.changes) for kind in Verdict}
    regressions, lost = counted[Verdict.REGRESSION], counted[Verdict.SCORES_LOST]
    told = [plural(regressions, "regression")] * bool(regressions)
    told += [f"scores lost in {plural(lost, 'row')}"] * bool(lost)
    rows = plural(total, "row")
    said = f"FAILED: {', '.join(told)}, of {rows}" if told else f"passed: no regression in {rows}"
    others = [f"{counted[Verdict.BETTER]} better"] * bool(counted[Verdict.BETTER])
    untested = counted[Verdict.NOT_TESTED]
    others += [f"{untested} of too few samples to tell a fall from noise"] * bool(untested)
    return "; ".join([said, *others])


def reason(change: Change) -> str:
    """Why the gate closes for a row, or does not."""
    went = f"{number(change.baseline)} -> {number(change.candidate)}"
    measured = f"change {signed(change.change)}, 95 % interval {interval(change)}, p {probability(change.p_value)}"
    scored = plural(change.questions + change.lost, "question")
    lost = f"{change.lost} of {scored} with a score in the baseline have none now"
    told = f"{went} ({measured}; tolerance {tolerance(change)})"
    if change.verdict is Verdict.SCORES_LOST:
        return f"{lost}; the others went {went}" if change.questions else lost
    if change.verdict is Verdict.NOT_TESTED:
        return f"{plural(change.questions, 'question')}: no fall of so few samples could be told from noise"
    return f"{told}; {lost}" if change.lost else told


def compared(comparison: Comparison) -> str:
    """How much was compared."""
    samples, questions = plural(comparison.samples, "sample"), plural(comparison.questions, "question")
    return f"{samples}, {questions} about true labels, alpha {comparison.alpha:g}"


def not_compared(comparison: Comparison) -> str:
    """What was left aside of the questions; empty if nothing was."""
    alone = ((comparison.only_baseline, "baseline"), (comparison.only_candidate, "candidate"))
    told = [f"{count} that only the {which} asked" for count, which in alone if count]
    return f"questions about predicted labels that are not true: {', '.join(told)}" if told else ""


def flip(comparison: Comparison, flipped: Flip) -> str:
    """How a sample's predictions changed."""
    before, after = (
        ", ".join(class_name(comparison, label) for label in labels) or "none"
        for labels in (flipped.baseline, flipped.candidate)
    )
    return f"sample {flipped.sample}: {before} -> {after}"


def worst(comparison: Comparison, question: WorstQuestion) -> str:
    """Which question it is, and how its score changed."""
    asked = f"sample {question.sample}, label {class_name(comparison, question.label)}"
    after = "lost" if math.isnan(question.candidate) else number(question.candidate)
    return f"{asked}, {question.explainer}, {question.metric}: {number(question.baseline)} -> {after}"


def pictures(question: WorstQuestion) -> list[tuple[str, str]]:
    """The pictures of a question that there are, with whose they are."""
    both = (("baseline", question.baseline_picture), ("candidate", question.candidate_picture))
    return [(whose, path) for whose, path in both if path is not None]


def class_name(comparison: Comparison, label: int) -> str:
    """A label with its name, if that says more."""
    names = comparison.class_names
    name = names[label] if 0 <= label < len(names) else str(label)
    return name if name == str(label) else f"{label} ({name})"


def plural(count: int, what: str) -> str:
    """A count with its noun."""
    return f"{count} {what}{'s' * (count != 1)}"


def plain(text: str) -> str:
    r"""The same in one line that no terminal obeys: line breaks and control characters as \n, \x1b and the like."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)
