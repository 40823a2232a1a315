"""``explainrun check``: what is wrong with a config, and what its run will take."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from tabulate import tabulate

from ....summary_format.plural import plural
from ..process.errors import interrupted_by_sigterm, reported_errors, setting
from ..process.standard_streams import echo_or_exit

if TYPE_CHECKING:
    from ...execution.resume import ResumeDecision
    from ...forecast.forecast import Forecast


@click.command(short_help="Say what is wrong and what a run will take.")
@click.argument("config", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Of a run of the first N samples only.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Replace a value: data.options.count=20.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def check(config: Path, limit: int | None, settings: tuple[str, ...], *, as_json: bool) -> None:
    """Say what is wrong with CONFIG and, if nothing is, what its run will take: passes, time and disk.

    The plan and its first batch are examined as a run does, a few samples are run in a temporary folder, and the passes
    of the first 16 batches are counted, which takes their inference. Where the config's folder holds a run already, the
    figures are of all its work, also of what is done. Nothing is written to that folder.

    Passes are exact unless marked "about": where there are more samples, metrics make maps again or run passes of their
    own, or hierarchical occlusion searches. They are fewer where a map turns out to be the same everywhere, since no
    pixels are covered by such. Time is that of this machine now.

    Exit codes: 0 nothing is wrong; 2 bad input, all of it named; 3 it failed or was stopped.

    \b
    --json prints one object. Its keys:
      samples, questions          how many; questions are estimated where not all
                                  samples were looked at
      passes, pass_seconds        by kind; seconds of one pass
      pass_size                   images per pass
      estimated                   kinds of passes that are not exact
      seconds                     of the run, the start of the command included
      written, most_written, free
                                  bytes: of the finished run, while its end is
                                  written, and left on the disk
      folder                      what the folder holds of this run
    """  # noqa: D301 - \b keeps click from wrapping
    began = time.monotonic()
    overrides = dict(map(setting, settings)) | ({} if limit is None else {"limit": limit})
    with reported_errors(committed=False), interrupted_by_sigterm():
        from ...config.build import build_runner  # noqa: PLC0415
        from ...config.schema import load_config  # noqa: PLC0415
        from ...execution.resume import resume_decision  # noqa: PLC0415
        from ...forecast.forecast import forecast  # noqa: PLC0415
        from ...problems import PlanError  # noqa: PLC0415

        loaded, problems = load_config(config, overrides)
        plan = build_runner(loaded, problems, config.parent).plan(loaded.limit)
        decision = resume_decision(plan, overwrite=False, resume=True)
        if decision.problems:
            raise PlanError(decision.problems)
        start = time.monotonic() - began
        found, folder = forecast(plan), _folder(decision)
    if as_json:
        values: dict[str, Any] = {**asdict(found), "seconds": found.seconds + start, "folder": folder}
        echo_or_exit(json.dumps(values, indent=1))
    else:
        echo_or_exit("\n".join([f"nothing is wrong with {config}", "", *_lines(found, start, folder)]))


def _folder(decision: ResumeDecision) -> str:
    """What the folder of a plan holds of it."""
    if decision.run is not None:
        return "finished" if decision.run.finished else "unfinished"
    return "a run that grows" if decision.grows is not None else "nothing"


_OF_FOLDER = {
    "finished": "the folder holds this run, finished: nothing would be done; these are figures of all its work",
    "unfinished": "the folder holds this run, unfinished, which would be resumed; these are figures of all its work",
    "a run that grows": "the folder holds a run that would grow; these are figures of a run made at once",
}


def _lines(found: Forecast, start: float, folder: str) -> list[str]:
    """A forecast in words."""
    from ..inspection_report.text import duration, size  # noqa: PLC0415 - NumPy

    rows = [
        (kind, f"{'about ' if kind in found.estimated else ''}{count:,}", found.pass_seconds.get(kind, 0.0))
        for kind, count in sorted(found.passes.items(), key=lambda item: -item[1])
    ]
    table = tabulate(rows, ["passes", "number", "seconds each"], floatfmt=".3f", colalign=("left", "right", "right"))
    about = "about " if found.estimated else ""
    total = plural(sum(found.passes.values()), "pass")
    asked = f"{plural(found.samples, 'sample')}, {plural(found.questions, 'question')}"
    free = "" if found.free is None else f", of {size(found.free)} that are left"
    return [
        table,
        "",
        f"{asked}: {about}{total} of {plural(found.pass_size, 'image')}",
        f"time: about {duration(found.seconds + start)} on this machine as it is now",
        f"disk: about {size(found.written)}, {size(found.most_written)} while the end is written{free}",
        *([_OF_FOLDER[folder]] if folder in _OF_FOLDER else []),
    ]
