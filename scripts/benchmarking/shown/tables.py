"""Results as tables in plain words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tabulate import tabulate

from ..results import bare_ratio, beside_bare, figure_of, middle, outright, overhead_of, ratio
from ..rows import BESIDE, OVERHEAD, WHOLE

RUN_TITLES = ["what", "passes made (needed), by kind", "run, s", "bare, s", "run / bare", "compiled in, s", "MiB",
              "repeats"]  # fmt: skip
CALL_TITLES = ["what", "images", "ours, s", "theirs, s", "ours / theirs", "bare: ours / theirs", "per bare",
               "batch: ours, theirs", "repeats"]  # fmt: skip


def number(value: float | None, digits: int = 2) -> str:
    """A number for a cell; a dash for none."""
    return "-" if value is None else f"{value:.{digits}f}"


def run_cells(row: Mapping[str, Any]) -> list[str]:
    """The line of a run."""
    return [
        name_of(row),
        passes(row),
        number(middle(row["wall"])),
        number(middle(row["bare"])),
        number(overhead_of(row)),
        number(middle(row["compiling"]), 1),
        number(row["peak_mib"], 0),
        str(len(row["wall"])),
    ]


def call_cells(row: Mapping[str, Any]) -> list[str]:
    """The line of a direct call beside another library's."""
    return [
        name_of(row),
        str(row["explained"]),
        number(middle(row["wall"])),
        number(middle(row["their_wall"])),
        number(outright(row)),
        number(bare_ratio(row)),
        number(beside_bare(row)),
        f"{row['batch']}, {row['their_batch']}",
        str(len(row["wall"])),
    ]


def name_of(row: Mapping[str, Any]) -> str:
    """The method, and the library beside which it stands."""
    return f"{row['method']}, {row['library']}" if row["library"] else str(row["method"])


def passes(row: Mapping[str, Any]) -> str:
    """Passes made by kind and, where more were made than needed, how many those are."""
    made, needed = row["made"], row["needed"]
    words = []
    for kind, times in sorted(made.items(), key=lambda item: -item[1]):
        least = needed.get(kind, 0)
        words.append(f"{times} {kind}" + (f" ({least})" if least != times else ""))
    return ", ".join(words)


def tables(result: Mapping[str, Any], style: str = "simple") -> Iterable[tuple[str, str, str, str]]:
    """(network, section, device, table) of all rows that there are."""
    groups: dict[tuple[str, str, str], list[Mapping[str, Any]]] = {}
    for row in result["rows"]:
        groups.setdefault((row["network"], row["section"], row["device"]), []).append(row)
    order = {WHOLE: 0, OVERHEAD: 1, BESIDE: 2}
    for (network, section, device), rows in sorted(groups.items(), key=lambda item: (order[item[0][1]], item[0])):
        cells, titles = (call_cells, CALL_TITLES) if section == BESIDE else (run_cells, RUN_TITLES)
        lines = [[*cells(row), row["at"][5:16]] for row in rows]
        yield network, section, device, tabulate(lines, [*titles, "measured"], tablefmt=style, disable_numparse=True)


def compared(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Wall times and figures of two results side by side, of the rows that both have on the same device."""
    known = {(row["key"], row["device"]): row for row in before["rows"]}
    lines = []
    for row in now["rows"]:
        if (other := known.get((row["key"], row["device"]))) is not None:
            was, is_ = (middle(one["wall"]) for one in (other, row))
            figures = [number(figure_of(one)) for one in (other, row)]
            lines.append([row["key"], number(was), number(is_), number(ratio(is_, was)), *figures])
    titles = ["row", "before, s", "now, s", "now / before", "ratio before", "ratio now"]
    words = f"{before['machine']['commit']} ({before['machine']['at']}) and {now['machine']['commit']} (now)"
    return f"{words}\n{tabulate(lines, titles, disable_numparse=True) if lines else 'no row is in both'}"
