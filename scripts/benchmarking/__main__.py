"""What costs what; scripts/benchmark sets up and calls it.

Prints tables, and a line as soon as a row is measured. Rows:

overhead   a run of one explainer, metric, uncertainty or hierarchical occlusion: passes made (needed, where fewer),
           wall time, the same passes alone, their ratio, and the most memory held above what was held before
beside     direct calls of ours and of captum, grad-cam or torchcam, each at the best batch size of 1 to 32, and the
           same ratio of bare passes; "per bare" is the first ratio over the second
whole      configs/full.yaml and configs/photos.yaml on a few samples, and a job that the old package was measured with

A row's name is NETWORK/SECTION/METHOD, with the other library in parentheses. What alternates lives in processes of its
own through all repeats; compilation and a first pass of each kind are not counted.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from .command import Session
from .measuring import Effort
from .results import merged, read, write
from .rows import chosen_rows
from .shown.page import write_page
from .shown.tables import compared, tables
from .subjects import SUBJECTS


def main(arguments: Sequence[str] | None = None) -> None:
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.page:
        print(*write_page(_read(parser, options.page)), sep="\n")
        return
    rows = chosen_rows(options.network, options.rows, quick=options.quick)
    if options.list:
        print(*(row.key for row in rows), sep="\n")
        return
    if not rows:
        parser.error(f"no row is named {options.rows}; --list --rows '*' names all")
    before = _read(parser, options.json) if options.json and options.json.exists() else None
    if before and before["quick"] != options.quick:
        parser.error(f"{options.json} holds rows of --quick, or is to hold them beside others; name another file")
    then = _read(parser, options.compare) if options.compare else None

    def keep(found: dict[str, Any]) -> None:
        if options.json:
            write(options.json, merged(before, found))

    result = _session(options, keep).measure(rows)
    keep(result)
    _show(result, then)
    sys.exit(0 if result["rows"] else 1)


def _session(options: argparse.Namespace, keep: Callable[[dict[str, Any]], None]) -> Session:
    effort = Effort(1 if options.quick else options.repeats, options.row_seconds)
    ends = effort.clock() + 60 * options.minutes
    return Session(options.device, effort, ends, quick=options.quick, fresh=options.fresh, keep=keep)


def _read(parser: argparse.ArgumentParser, path: Path) -> dict[str, Any]:
    try:
        return read(path)
    except (OSError, ValueError) as error:
        parser.error(str(error))


def _show(result: dict[str, Any], then: dict[str, Any] | None) -> None:
    for network, section, device, table in tables(result):
        print(f"\n{SUBJECTS[network].title}: {section}, on {device}\n{table}")
    if then:
        print(f"\n{compared(then, result)}")


def _count(text: str) -> int:
    """A whole number from 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1, got {text}")
    return int(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "scripts/benchmark", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--network", default="", choices=["", *SUBJECTS], help="rows of this network alone")
    add("--rows", default="", metavar="PATTERN", help="rows whose name matches, such as '*/overhead/RISE*' or GradCAM; "
        "by default those that answer most in 40 minutes")  # fmt: skip
    add("--list", action="store_true", help="name the rows, and measure nothing")
    add("--repeats", type=_count, default=3, metavar="N", help="of each row, at most (3)")
    add("--row-seconds", type=float, default=20, metavar="S", help="after which a row is not repeated again (20)")
    add("--minutes", type=float, default=37, metavar="M", help="after which no further row begins (37)")
    add("--quick", action="store_true", help="six rows with hardly any work, to see that all of it works")
    add(
        "--fresh", action="store_true", help="a process for each row of a run, so that memory is that row's own; slower"
    )
    add("--device", default="CPU", choices=["CPU", "GPU"], help="MindSpore's device_target, and PyTorch's")
    add("--json", type=Path, metavar="FILE", help="write there; rows that it has and that were not measured again stay")
    add("--compare", type=Path, metavar="OLD.json", help="print how this result stands to that one")
    add("--page", type=Path, metavar="FILE.json", help="measure nothing; write docs/costs.md and its plot from FILE")
    return parser


if __name__ == "__main__":
    main()
