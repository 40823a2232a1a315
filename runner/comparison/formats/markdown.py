"""A comparison for the comment on a pull request, in GitHub's flavour of Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from ....summary_format.plural import plural
from . import wording
from .findings import Change, Findings, Slice
from .wording import printable

_PASSED, _FAILED = "&#9989;", "&#10060;"  # a white check mark, a cross; as entities no encoding loses them
_LONG = 12  # rows of a table that is folded
_MOST_ROWS, _MOST_SLICES = 200, 50  # a comment takes 65,536 characters


def as_markdown(comparison: Findings) -> str:
    """The verdict, the rows that fail, then everything else, folded where it is long."""
    symbol = _PASSED if comparison.passed else _FAILED
    verdict, *others = wording.headlines(comparison)
    about = "; ".join([wording.compared(comparison), *others])
    blocks = [
        f"### {symbol} Explanations {escaped(verdict)}",
        f"Baseline {code(comparison.baseline)}, candidate {code(comparison.candidate)}: {escaped(about)}.",
        *_failures(comparison),
        *_changes(comparison),
        *_slices(comparison),
        *_floors(comparison),
        *_rest(comparison),
    ]
    return "\n\n".join(blocks) + "\n"


def refused_as_markdown(baseline: str, candidate: str, problems: Sequence[str]) -> str:
    """Why two runs were not compared."""
    blocks = [
        f"### {_FAILED} Explanations {wording.REFUSED}",
        f"Baseline {code(baseline)}, candidate {code(candidate)}:",
        "\n".join(f"- {escaped(problem)}" for problem in problems),
    ]
    return "\n\n".join(blocks) + "\n"


def escaped(text: str) -> str:
    """Text that shows as it is, in a cell of a table too.

    A pipe is an entity, since tables are split before backslashes are read; a zero-width space keeps @ from calling
    anybody.
    """
    entities = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "|": "&#124;", "@": "@&#8203;"}
    return re.sub(r"[&<>|@]|[\\`*_\[\]~$]", lambda found: entities.get(found[0], f"\\{found[0]}"), printable(text))


def code(text: str) -> str:
    """A code span, in backticks that the text has not; not for cells of a table, which pipes would end."""
    shown = printable(text)
    fence = "`" * (1 + max(map(len, re.findall("`+", shown)), default=0))
    space = " " if shown[:1] in ("`", "") or shown[-1:] == "`" else ""
    return f"{fence}{space}{shown}{space}{fence}"


def _failures(comparison: Findings) -> Iterator[str]:
    if comparison.failures:
        yield _changes_table(wording.failures(comparison), comparison, bold=False)


def _changes(comparison: Findings) -> Iterator[str]:
    rows = [change for group in wording.by_metric(comparison.changes).values() for change in group]
    if not rows or len(rows) == len(comparison.failures):
        return
    table = _changes_table(rows, comparison, bold=True)
    folded = len(rows) > _LONG or not comparison.passed
    yield _folded(f"All {plural(len(rows), 'row')}", table) if folded else table


def _slices(comparison: Findings) -> Iterator[str]:
    """Those that fail, all the others folded: they are many."""
    slices, failing = comparison.slices, comparison.failing_slices
    if failing:
        yield f"By {comparison.by}, of {plural(len(slices), 'slice')}:"
        yield _slices_table(failing, comparison)
    others = [one for one in slices if not comparison.closes(one.change.verdict)]
    if others:
        which = "The other" if failing else f"By {comparison.by}, the worst first:"
        yield _folded(f"{which} {plural(len(others), 'slice')}", _slices_table(others, comparison))


def _slices_table(slices: Sequence[Slice], comparison: Findings) -> str:
    shown = slices[:_MOST_SLICES]
    *rest, verdict = wording.slice_columns(shown, comparison)
    return _counted_table(shown, [verdict, *rest], [], len(slices) - len(shown), "slice")


def _floors(comparison: Findings) -> Iterator[str]:
    if comparison.floors:
        *rest, verdict = wording.floor_columns()
        strong = [comparison.closes(check.verdict) for check in comparison.floors]
        yield "Floors of the candidate:"
        yield _counted_table(comparison.floors, [verdict, *rest], strong, 0, "floor")


def _rest(comparison: Findings) -> Iterator[str]:
    similarities, flips = comparison.similarities, comparison.flips
    if similarities:
        headers = ["explainer", "rank correlation", "top 10 % shared", "pairs", "not comparable"]
        rows = [
            [one.explainer, *map(wording.number, (one.spearman, one.top_intersection)), *map(str, counts)]
            for one in similarities
            for counts in [(one.compared, one.not_compared)]
        ]
        yield _folded("Maps of both runs", _table(headers, rows, [False, True, True, True, True]))
    if flips:
        shown = [f"- {escaped(wording.flip(comparison, one))}" for one in flips[: wording.SHOWN_FLIPS]]
        shown += [f"- and {len(flips) - wording.SHOWN_FLIPS} more"] * (len(flips) > wording.SHOWN_FLIPS)
        samples = plural(comparison.samples, "sample")
        yield _folded(f"Predictions changed of {len(flips)} of {samples}", "\n".join(shown))
    if comparison.worst:
        yield _folded("Questions whose scores got worse", "\n".join(_worst(comparison)))
    notes = [*comparison.notes, *(f"{name}: only the candidate has it, not compared" for name in comparison.new)]
    notes += [f"not judged: {what}" for what in comparison.left_out]
    notes += filter(None, [wording.not_compared(comparison)])
    if notes:
        yield _folded("What else differs", "\n".join(f"- {escaped(note)}" for note in notes))


def _worst(comparison: Findings) -> Iterator[str]:
    for question in comparison.worst:
        yield f"- {escaped(wording.worst(comparison, question))}"
        for whose, path in wording.pictures(question):
            yield f"  - {whose} {code(path)}"


def _changes_table(changes: Sequence[Change], comparison: Findings, *, bold: bool) -> str:
    *rest, verdict = wording.columns(changes)
    rows = changes[:_MOST_ROWS]
    strong = [bold and comparison.closes(change.verdict) for change in rows]
    return _counted_table(rows, [verdict, *rest], strong, len(changes) - len(rows), "row")


def _counted_table(
    rows: Sequence[Any], shown: Sequence[wording.Column], strong: Sequence[bool], more: int, what: str
) -> str:
    """A table, and how many rows are left out; comments are narrow, so what counts should stand first."""
    cells = [[column.cell(row) for column in shown] for row in rows]
    table = _table([column.header for column in shown], cells, [column.right for column in shown], strong)
    return f"{table}\n\nand {plural(more, what)} more" if more else table


def _table(
    headers: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[bool], strong: Sequence[bool] = ()
) -> str:
    lines = [_line(map(escaped, headers)), _line("---:" if numbers else ":---" for numbers in right)]
    for row, bold in zip(rows, strong or [False] * len(rows), strict=True):
        cells = [escaped(cell.strip()) for cell in row]
        cells = [cell.replace(" ", "&nbsp;") if numbers else cell for cell, numbers in zip(cells, right, strict=True)]
        lines.append(_line(f"**{cell}**" if cell and bold else cell for cell in cells))
    return "\n".join(lines)


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _folded(title: str, block: str) -> str:
    """A block that a click unfolds; blank lines around it keep it Markdown within HTML."""
    return f"<details>\n<summary>{title}</summary>\n\n{block}\n\n</details>"
