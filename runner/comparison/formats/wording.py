"""Words and numbers that the formats of a comparison share; each format escapes what it is given."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

from ....summary_format.plural import plural
from .findings import Change, Findings, Flip, FloorCheck, Slice, Verdict, WorstQuestion

SHOWN_FLIPS = SHOWN_SLICES = 10
REFUSED = "NOT COMPARED"
UNDECIDED = (Verdict.INCONCLUSIVE, Verdict.NOT_TESTED)


@dataclass(frozen=True)
class Column:
    """A column of the table of changes, or of floors.

    Attributes:
        header: its title.
        cell: its text for a row, not escaped.
        right: whether numbers are aligned at their ends.
    """

    header: str
    cell: Callable[[Any], str]
    right: bool = True


def columns(changes: Iterable[Change]) -> list[Column]:
    """The columns that say something about these rows: counts of scores that are lacking only where there are any, and
    what samples can show only where they did not show enough.
    """
    changes = list(changes)
    directed = [Column("better is", lambda row: "higher" if row.higher_is_better else "lower", right=False)]
    counts = [
        Column("lost", lambda row: str(row.lost or "")),
        Column("gained", lambda row: str(row.gained or "")),
        Column("unscored", lambda row: str(row.unscored or "")),
    ]
    power = [
        Column("fall at most", fall_at_most),
        Column("detects falls of", detectable_fall),
        Column("samples needed", samples_needed),
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
        *(column for column in power if any(column.cell(row) for row in changes)),
        Column("questions", lambda row: str(row.questions)),
        *(column for column in counts if any(column.cell(row) for row in changes)),
        Column("verdict", verdict, right=False),
    ]


def slice_columns(slices: Iterable[Slice], comparison: Findings) -> list[Column]:
    """The columns of slices: the label, and those of the rows."""
    rest = [
        Column(one.header, partial(_of_change, one.cell), one.right) for one in columns(one.change for one in slices)
    ]
    return [Column("label", lambda one: class_name(comparison, one.label), right=False), *rest]


def _of_change(cell: Callable[[Any], str], one: Slice) -> str:
    return cell(one.change)


def floor_columns() -> list[Column]:
    """The columns of floors."""
    return [
        Column("metric", lambda row: row.metric, right=False),
        Column("explainer", lambda row: row.explainer, right=False),
        Column("floor", lambda row: f"at {'least' if row.higher_is_better else 'most'} {row.floor:.4g}", right=False),
        Column("candidate", lambda row: number(row.candidate, _floor_scale(row))),
        Column("95 % interval", floor_interval),
        Column("questions", lambda row: str(row.questions)),
        Column("verdict", lambda row: row.verdict.value.upper() if row.verdict.failing else row.verdict.value,
               right=False),
    ]  # fmt: skip


def floor_interval(check: FloorCheck) -> str:
    """Where the candidate's mean lies with a confidence of 95 %."""
    ends = (number(end, _floor_scale(check)) for end in (check.low, check.high))
    return "-" if math.isnan(check.low) else " to ".join(ends)


def floor_reason(check: FloorCheck) -> str:
    """How a mean stands to its floor."""
    cells = {column.header: column.cell(check) for column in floor_columns()}
    samples = plural(check.samples, "sample")
    return f"{cells['candidate']} where {cells['floor']} is set (95 % interval {cells['95 % interval']}, {samples})"


def _floor_scale(check: FloorCheck) -> float:
    return abs(check.candidate) if math.isfinite(check.candidate) and check.candidate else 1.0


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


def fall_at_most(change: Change) -> str:
    """The largest true fall that the samples do not rule out; empty where the verdict does not go by it."""
    asked = change.verdict in (Verdict.NON_INFERIOR, Verdict.INCONCLUSIVE) and not math.isnan(change.fall_at_most)
    return number(change.fall_at_most, _scale(change)) if asked else ""


def detectable_fall(change: Change) -> str:
    """The smallest fall that so many samples find 4 times of 5; empty where they showed enough."""
    if change.verdict not in UNDECIDED or math.isnan(change.detectable_fall):
        return ""
    return number(change.detectable_fall, _scale(change))


def samples_needed(change: Change) -> str:
    """How many samples find a fall of the tolerance 4 times of 5; empty where it does not matter, or is not known."""
    if change.verdict not in UNDECIDED or change.samples_needed is None:
        return ""
    return f"{change.samples_needed:,} (has {change.samples:,})"


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
    verdicts = [change.verdict for change in comparison.changes]
    perhaps = sum(map(_perhaps, comparison.changes))
    failing = _failing(comparison)
    said = f"FAILED: {failing}" if failing else f"passed: no regression in {plural(len(verdicts), 'row')}"
    others = [f"{perhaps} worse than tolerated, but within noise"] * bool(perhaps)
    counted = (
        (Verdict.NON_INFERIOR, "shown not worse than tolerated"),
        (Verdict.BETTER, "better"),
        (Verdict.INCONCLUSIVE, "inconclusive"),
        (Verdict.NOT_TESTED, "of too few samples to distinguish a fall from noise"),
    )
    others += [f"{verdicts.count(kind)} {words}" for kind, words in counted if kind in verdicts]
    return [said, *others, *_besides(comparison)]


def _failing(comparison: Findings) -> str:
    """Why the gate closes, in counts; empty where it is open."""
    rows = [change.verdict for change in comparison.failures]
    slices = [one.change.verdict for one in comparison.failing_slices]
    floors = [check.verdict for check in comparison.failing_floors]
    lost = rows.count(Verdict.SCORES_LOST)
    groups = (
        (len(comparison.changes), "row", [
            *_counted(rows.count(Verdict.REGRESSION), "regression"),
            *([f"scores lost in {plural(lost, 'row')}"] if lost else []),
            *_counted(_not_shown(rows), "row", " not shown"),
        ]),
        (len(comparison.slices), "slice", [
            *_counted(len(slices) - _not_shown(slices), "slice", " failing"),
            *_counted(_not_shown(slices), "slice", " not shown"),
        ]),
        (len(comparison.floors), "floor", [
            *_counted(len(floors) - _not_shown(floors), "floor", " missed"),
            *_counted(_not_shown(floors), "floor", " not shown to be met"),
        ]),
    )  # fmt: skip
    return ", and ".join(f"{', '.join(counts)}, of {plural(total, what)}" for total, what, counts in groups if counts)


def _not_shown(closing: Iterable[Verdict]) -> int:
    """For how many of the verdicts the gate closes only because more is required."""
    return sum(not verdict.failing for verdict in closing)


def _counted(count: int, what: str, words: str = "") -> list[str]:
    return [plural(count, what) + words] if count else []


def _besides(comparison: Findings) -> list[str]:
    """What is to be known of slices and floors."""
    kinds = [(len(comparison.slices), "slice", [one.change.verdict for one in comparison.slices])]
    kinds += [(len(comparison.floors), "floor", [check.verdict for check in comparison.floors])]
    open_ones = [(total, what, sum(verdict in UNDECIDED for verdict in verdicts)) for total, what, verdicts in kinds]
    return [f"{undecided} of {plural(total, what)} inconclusive" for total, what, undecided in open_ones if undecided]


def reason(change: Change) -> str:
    """Why the gate closes for a row, or does not."""
    cells = {column.header: column.cell(change) for column in columns([change])}
    means = f"{cells['baseline']} -> {cells['candidate']}"
    scored = plural(change.questions + change.lost, "question")
    lost = f"{change.lost} of {scored} with a score in the baseline have none now"
    if change.verdict is Verdict.SCORES_LOST:
        return f"{lost}; the mean of the others: {means}" if change.questions else lost
    if change.verdict is Verdict.NOT_TESTED:
        counted = plural(change.questions, "question")
        return f"{counted}: no fall of so few samples could be distinguished from noise{power(change)}"
    measured = f"change {cells['change']}, 95 % interval {cells['95 % interval']}, p {cells['p of fall']}"
    changed = f"{means} ({measured}; tolerance {cells['tolerance']}{power(change)})"
    return f"{changed}; {lost}" if change.lost else changed


def power(change: Change) -> str:
    """What samples that show too little can show, after a semicolon; empty where they showed enough."""
    if change.verdict not in UNDECIDED:
        return ""
    falls, needed = detectable_fall(change), change.samples_needed
    finds = f"; {plural(change.samples, 'sample')} find falls of {falls} 4 times of 5" * bool(falls)
    return finds + (f"; {plural(needed, 'sample')} would find one of the tolerance" if needed is not None else "")


def compared(comparison: Findings) -> str:
    """How much was compared."""
    samples, questions = plural(comparison.samples, "sample"), plural(comparison.questions, "question")
    return f"{samples}, {questions} about true labels, alpha {comparison.alpha:g}"


def not_compared(comparison: Findings) -> str:
    """What was left aside of the questions; empty if nothing was."""
    alone = ((comparison.only_baseline, "baseline"), (comparison.only_candidate, "candidate"))
    asked = [f"{count} that only the {which} asked" for count, which in alone if count]
    return f"questions about predicted labels that are not true: {', '.join(asked)}" if asked else ""


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
    return change.verdict is Verdict.INCONCLUSIVE and change.fall > change.tolerance


def _scale(scored: Change | WorstQuestion) -> float:
    """What scores are about: the larger of both; 1 where there is none or all are 0."""
    both = (scored.baseline, scored.candidate)
    return max((abs(score) for score in both if math.isfinite(score)), default=1.0) or 1.0


def printable(text: str) -> str:
    r"""The same in one line that no terminal obeys: line breaks and control characters as \n, \x1b and the like."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)
