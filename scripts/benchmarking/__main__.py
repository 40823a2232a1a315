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
import time
from collections.abc import Sequence
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
        print(*write_page(read(options.page)), sep="\n")
        return
    rows = chosen_rows(options.network, options.rows, quick=options.quick)
    if options.list:
        print(*(row.key for row in rows), sep="\n")
        return
    if not rows:
        parser.error(f"no row is named {options.rows}; --list --rows '*' names all")
    effort = Effort(1 if options.quick else options.repeats, options.row_seconds)
    session = Session(
        options.device, effort, time.perf_counter() + 60 * options.minutes, quick=options.quick, fresh=options.fresh
    )
    _say(session.measure(rows), options)


def _say(result: dict[str, Any], options: argparse.Namespace) -> None:
    for network, section, device, table in tables(result):
        print(f"\n{SUBJECTS[network].title}: {section}, on {device}\n{table}")
    if options.compare:
        print(f"\n{compared(read(options.compare), result)}")
    if options.json:
        before = read(options.json) if options.json.exists() else None
        write(options.json, merged(before, result))
    sys.exit(0 if result["rows"] else 1)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "scripts/benchmark", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--network", default="", choices=["", *SUBJECTS], help="rows of this network alone")
    add("--rows", default="", metavar="PATTERN", help="rows whose name matches, such as '*/overhead/RISE*' or GradCAM; "
        "by default those that answer most in 40 minutes")  # fmt: skip
    add("--list", action="store_true", help="name the rows, and measure nothing")
    add("--repeats", type=int, default=3, metavar="N", help="of each row, at most (3)")
    add("--row-seconds", type=float, default=40, metavar="S", help="after which a row is not repeated again (40)")
    add("--minutes", type=float, default=38, metavar="M", help="after which no further row begins (38)")
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
