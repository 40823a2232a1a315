"""A comparison for a terminal or a log, of which people read the end first: there stands what failed and why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from tabulate import SEPARATING_LINE, tabulate

from ....summary_format.plural import plural
from . import wording
from .findings import Findings
from .wording import printable

_KEY_WIDTH = 14
_MARK = "FAIL"  # of each failing row, at its start, so that grep finds it too


def as_table(comparison: Findings) -> str:
    """Everything that was found; rows grouped by metric, failing ones marked, the verdict last."""
    blocks = (_about, _changes, _slices, _floors, _similarities, _flips, _worst, _end)
    return "\n\n".join(text for text in ("\n".join(block(comparison)) for block in blocks) if text)


def _about(comparison: Findings) -> Iterator[str]:
    rows = [
        ("baseline", comparison.baseline),
        ("candidate", comparison.candidate),
        ("compared", wording.compared(comparison)),
        ("not compared", wording.not_compared(comparison)),
        *(("new", f"{name}: only the candidate has it, not compared") for name in comparison.new),
        *(("not judged", what) for what in comparison.left_out),
        *(("differs", note) for note in comparison.notes),
    ]
    return (key.ljust(_KEY_WIDTH) + printable(text) for key, text in rows if text)


def _changes(comparison: Findings) -> Iterator[str]:
    if comparison.changes:
        groups = list(wording.by_metric(comparison.changes).values())
        closing = [[comparison.closes(change.verdict) for change in group] for group in groups]
        yield _marked_table(groups, wording.columns(comparison.changes), closing)


def _slices(comparison: Findings) -> Iterator[str]:
    if not comparison.slices:
        return
    first = comparison.slices[: wording.SHOWN_SLICES]
    yield f"by {comparison.by}, the worst of {plural(len(comparison.slices), 'slice')} first:"
    closing = [comparison.closes(one.change.verdict) for one in first]
    yield _marked_table([first], wording.slice_columns(first, comparison), [closing])
    more = len(comparison.slices) - len(first)
    if more:
        yield f"and {plural(more, 'slice')} more; --format json names all"


def _floors(comparison: Findings) -> Iterator[str]:
    if comparison.floors:
        yield "floors of the candidate:"
        closing = [comparison.closes(check.verdict) for check in comparison.floors]
        yield _marked_table([comparison.floors], wording.floor_columns(), [closing])


def _marked_table(
    groups: Sequence[Sequence[Any]], shown: Sequence[wording.Column], closing: Sequence[Sequence[bool]]
) -> str:
    """Groups of rows in columns, a line between two, with a mark before those that fail, if any does."""
    marked = any(map(any, closing))
    rows: list[list[str] | str] = []
    for group, failing in zip(groups, closing, strict=True):
        rows += [SEPARATING_LINE] if rows else []
        for one, fails in zip(group, failing, strict=True):
            mark = [_MARK if fails else ""] * marked
            rows.append([*mark, *(printable(column.cell(one)) for column in shown)])
    headers = [""] * marked + [column.header for column in shown]
    align = ["left"] * marked + ["right" if column.right else "left" for column in shown]
    return str(tabulate(rows, headers, disable_numparse=True, colalign=align))


def _similarities(comparison: Findings) -> Iterator[str]:
    found = comparison.similarities
    if not found:
        return
    lacking = any(one.not_compared for one in found)
    rows = [
        [printable(one.explainer), *map(wording.number, (one.spearman, one.top_intersection)), str(one.compared)]
        + [str(one.not_compared or "")] * lacking
        for one in found
    ]
    headers = ["maps of both runs", "rank correlation", "top 10 % shared", "pairs"] + ["not comparable"] * lacking
    yield tabulate(rows, headers, disable_numparse=True, colalign=["left", *["right"] * (len(headers) - 1)])


def _flips(comparison: Findings) -> Iterator[str]:
    flips = comparison.flips
    if not flips:
        return
    yield f"predictions changed of {len(flips)} of {plural(comparison.samples, 'sample')}:"
    for flipped in flips[: wording.SHOWN_FLIPS]:
        yield f"  {printable(wording.flip(comparison, flipped))}"
    if len(flips) > wording.SHOWN_FLIPS:
        yield f"  and {len(flips) - wording.SHOWN_FLIPS} more; --format json names all"


def _worst(comparison: Findings) -> Iterator[str]:
    if comparison.worst:
        yield "questions whose scores got worse, the worst first:"
    for question in comparison.worst:
        yield f"  {printable(wording.worst(comparison, question))}"
        for whose, path in wording.pictures(question):
            yield f"      {whose.ljust(11)}{printable(path)}"


def _end(comparison: Findings) -> Iterator[str]:
    for change in wording.failures(comparison):
        yield printable(f"{wording.verdict(change)}: {change.explainer}, {change.metric}: {wording.reason(change)}")
    for one in comparison.failing_slices[: wording.SHOWN_SLICES]:
        where = f"{one.change.explainer}, {one.change.metric}, label {wording.class_name(comparison, one.label)}"
        yield printable(f"{wording.verdict(one.change)}: {where}: {wording.reason(one.change)}")
    for check in comparison.failing_floors:
        said = check.verdict.value.upper() if check.verdict.failing else check.verdict.value
        yield printable(f"{said}: {check.explainer}, {check.metric}: {wording.floor_reason(check)}")
    yield wording.headline(comparison)


def refused_as_table(baseline: str, candidate: str, problems: Sequence[str]) -> str:
    """Why two runs were not compared."""
    rows = [("baseline", baseline), ("candidate", candidate), *(("problem", problem) for problem in problems)]
    return "\n".join([*(key.ljust(_KEY_WIDTH) + printable(text) for key, text in rows), "", wording.REFUSED])
