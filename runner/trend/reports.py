"""A trend as a table and as plain values for JSON."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from tabulate import SEPARATING_LINE, tabulate

from ..comparison.formats import wording
from ..comparison.formats.findings import Change
from ..comparison.formats.wording import number, printable
from ..json_values import finite
from .history import History, Line, Point

FORMAT, VERSION = "explainrun trend", 1
_HEADERS = ("metric", "explainer", "run", "mean", "95 % interval", "questions", "change", "95 % interval of the change",
            "tolerance", "p of fall", "verdict")  # fmt: skip
_OVERALL = "first to last"


def trend_as_table(history: History) -> str:
    """Runs below each other for every explainer in every metric, then what could not be compared, and a summary."""
    parts = ["\n".join(_runs(history)), "\n".join(_lines(history)), *_refusals(history), _summary(history)]
    return "\n\n".join(parts)


def trend_as_json(history: History) -> dict[str, Any]:
    """All of it under the keys that the command's help names; what is not known is None."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "runs": list(history.runs),
        "alpha": history.alpha,
        "refused": list(history.refused),
        "overall_refused": history.overall_refused,
        "lines": [_line_as_json(line) for line in history.lines],
    }


def _line_as_json(line: Line) -> dict[str, Any]:
    return {
        "explainer": line.explainer,
        "metric": line.metric,
        "higher_is_better": line.higher_is_better,
        "points": [None if point is None else finite(asdict(point)) for point in line.points],
        "steps": [_change_as_json(change) for change in line.steps],
        "overall": _change_as_json(line.overall),
    }


def _change_as_json(change: Change | None) -> Any:
    if change is None:
        return None
    derived = {"change": change.change, "fall": change.fall, "shown": change.verdict.shown}
    return finite({**asdict(change), **derived, "failing": change.verdict.failing, "verdict": change.verdict.value})


def _runs(history: History) -> Iterator[str]:
    yield from (f"{place:>3}  {printable(name)}" for place, name in enumerate(history.runs, start=1))


def _lines(history: History) -> Iterator[str]:
    rows: list[list[str] | str] = []
    for line in history.lines:
        rows += [SEPARATING_LINE] if rows else []
        rows += list(_rows(line))
    align = ["left", "left", "right", "right", "right", "right", "right", "right", "right", "right", "left"]
    yield str(tabulate(rows, _HEADERS, disable_numparse=True, colalign=align))


def _rows(line: Line) -> Iterator[list[str]]:
    arrow = "" if line.higher_is_better else " (lower is better)"
    named = [printable(line.metric) + arrow, printable(line.explainer)]
    for place, (point, step) in enumerate(zip(line.points, (None, *line.steps), strict=True)):
        yield [*(named if place == 0 else ["", ""]), str(place + 1), *_point(point), *_change(step)]
    if line.overall is not None:
        yield ["", "", _OVERALL, "", "", "", *_change(line.overall)]


def _point(point: Point | None) -> list[str]:
    if point is None:
        return ["-", "-", "-"]
    scale = abs(point.mean) or 1.0
    ends = " to ".join(number(end, scale) for end in (point.low, point.high))
    return [number(point.mean, scale), "-" if point.low != point.low else ends, str(point.questions)]


def _change(change: Change | None) -> list[str]:
    if change is None:
        return [""] * 5
    cells = {column.header: column.cell(change) for column in wording.columns([change])}
    return [cells[key] for key in ("change", "95 % interval", "tolerance", "p of fall", "verdict")]


def _refusals(history: History) -> Iterator[str]:
    said = [f"{place} was not compared with {place - 1}: {why}"
            for place, why in enumerate(history.refused, start=2) if why is not None]  # fmt: skip
    if history.overall_refused is not None:
        said.append(f"{len(history.runs)} was not compared with 1: {history.overall_refused}")
    if said:
        yield "\n".join(map(printable, said))


def _summary(history: History) -> str:
    """The falls that were found, in the order of the lines."""
    found = ((line, _where(line, history)) for line in history.lines)
    falls = [f"{printable(line.explainer)}, {printable(line.metric)}: {where}" for line, where in found if where]
    return "\n".join(falls) if falls else "no regression from any run to the next, nor from the first to the last"


def _where(line: Line, history: History) -> str:
    overall = f"from 1 to {len(history.runs)}"
    changes = [(f"in {place}", change) for place, change in enumerate(line.steps, start=2)] + [(overall, line.overall)]
    return ", ".join(
        f"{one.verdict.value} {where}" for where, one in changes if one is not None and one.verdict.failing
    )
