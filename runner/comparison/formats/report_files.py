"""Where a comparison is written, in which formats."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ....summary_format.storage.destinations import check_destination, is_standard_output
from .findings import Findings
from .json_report import comparison_as_json, refused_as_json
from .junit import as_junit, refused_as_junit
from .markdown import as_markdown, refused_as_markdown
from .table import as_table, refused_as_table

REPORT: Mapping[str, Callable[[Findings], str]] = {
    "table": as_table,
    "json": lambda comparison: json.dumps(comparison_as_json(comparison), indent=1, allow_nan=False),
    "markdown": as_markdown,
    "junit": as_junit,
}
REFUSAL: Mapping[str, Callable[[str, str, Sequence[str]], str]] = {
    "table": refused_as_table,
    "json": lambda *refused: json.dumps(refused_as_json(*refused), indent=1),
    "markdown": refused_as_markdown,
    "junit": refused_as_junit,
}
PAGE = "html"  # a page of maps too, not a text; runner/report writes it


@dataclass(frozen=True)
class Output:
    """A format and the file that it goes to.

    Attributes:
        format: "table", "json", "markdown", "junit" or "html".
        file: None for standard output.
    """

    format: str
    file: Path | None

    def report(self, comparison: Findings) -> str:
        """What was found; not for a page."""
        return REPORT[self.format](comparison)

    def refusal(self, baseline: str, candidate: str, problems: Sequence[str]) -> str:
        """Why two runs were not compared; dashboards would show nothing otherwise, or what they had before.

        Not for a page.
        """
        return REFUSAL[self.format](baseline, candidate, problems)

    def write(self, text: str) -> None:
        """Write to the file, with a line break at the end; its folder is made.

        Raises:
            ValueError: if it is a folder, or a pipe or device, which may never take it.
            OSError: if it cannot be written.
        """
        if self.file is not None:
            check_destination(self.file)
            self.file.parent.mkdir(parents=True, exist_ok=True)
            # A path may hold bytes that are not text; backslashes stand for them.
            self.file.write_text(f"{text.rstrip()}\n", encoding="utf-8", errors="backslashreplace", newline="\n")


def outputs_of(given: Sequence[str], inputs: Sequence[Path] = ()) -> list[Output]:
    """What FORMAT and FORMAT=FILE ask for; the table on standard output where nothing else goes there.

    Args:
        given: what is asked for.
        inputs: what is read, and must not be written.

    Raises:
        ValueError: if there is no such format, two go to the same place, a page goes to standard output, or one would
            replace what is read.
    """
    outputs: list[Output] = []
    for text in given:
        kind, equals, file = text.partition("=")
        if kind not in (*REPORT, PAGE) or (equals and not file):
            raise ValueError(f"{text!r} is not FORMAT or FORMAT=FILE with a format of {', '.join((*REPORT, PAGE))}")
        outputs.append(Output(kind, None if not file or is_standard_output(file) else Path(file)))
        if kind == PAGE and outputs[-1].file is None:
            raise ValueError(f"{PAGE} cannot go to standard output; name a file, as in html=report.html")
    places = [output.file for output in outputs]
    read = {path.resolve() for path in inputs}
    over = [path for path in places if path is not None and path.resolve() in read]
    if over:
        raise ValueError(f"{over[0]} is what is compared; name another file to write to")
    for place in places:
        if places.count(place) > 1:
            both = " and ".join(output.format for output in outputs if output.file == place)
            where = place or "standard output; name a file, as in junit=report.xml"
            raise ValueError(f"{both} cannot both go to {where}")
    return outputs if None in places else [Output("table", None), *outputs]
