"""``explainrun inspect``: what summary folders hold."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ...summary_format.exit_codes import EXIT_BAD_INPUT, EXIT_RESUMABLE
from .process.errors import reported_read_errors
from .process.standard_streams import echo_or_exit

if TYPE_CHECKING:
    from ...summary_format import Inspection
    from .inspection_report.shard_status import Shards

# NumPy and HDF5 take a while to import, so the command imports what needs them: --help answers at once.


@click.command(short_help="Show how far runs are, and what is broken.")
@click.argument("folders", nargs=-1, required=True, metavar="FOLDER...", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--quick", is_flag=True, help="Read no maps, records and pictures of an unfinished run for checksums.")
def inspect(folders: tuple[Path, ...], *, as_json: bool, quick: bool) -> None:
    """Report what summary folders hold: status, progress, sizes, passes, what was not computed, what is broken.

    FOLDER is a summary folder, of which the newest run is shown; the data folder (_explain_...) of any run in one; or
    a folder with summary folders in it, such as the shards of a run. Every checksum is verified. Nothing is written,
    and a run that is at work is not disturbed.

    Exit codes: 0 finished and sound; 3 unfinished and sound (run again to resume), or a shard is missing beside others;
    2 damaged, unfinished by another version, or no run. Of several the worst: 2, then 3, then 0. Also 2 where standard
    output cannot be written, and 3 where the command was stopped.

    \b
    --json prints one object. Its keys:
      state                     "finished", "unfinished", "damaged", "no run"; of
                                several runs the worst
      finished, running         whether all came to their ends; whether a process
                                writes now
      runs                      every run, each with these keys, which the object
                                has too if there is one run alone:
      folder, run, other_runs   names
      shard                     [which, of how many], null for a whole run
      began, ended, seconds     seconds since the epoch; seconds of work
      writer                    host, pid, silent (seconds), alive; null where no
                                process holds the folder
      samples, questions        done
      progress                  of an unfinished run: share (0 to 1); samples,
                                batches, parts_committed, each with its _total;
                                seconds_to_go, known_seconds_to_go without the
                                untried parts; parts
      records                   of the event file: records, samples, scores, torn
                                (cut short at its end)
      pictures                  looked_at (how many), verified (false where an
                                earlier version wrote them, without checksums)
      unsupported               why this version cannot look into or resume an
                                unfinished run, null if it can
      sizes                     bytes by kind of file, free, to_go
      curve_bytes               of a finished run, what kept curves of metrics
                                take in the archive
      not_computed              broken, outputs, unlabelled, beyond, maps and
                                scores by explainer
      grown_from                the run that it grew out of: began, finished,
                                samples, explainers, metrics, uncertainty,
                                hierarchical_occlusion, nearest_samples; null
                                where there is none
      hidden                    by archive beside a finished run, what it has and
                                the run lacks: archive, bytes, explainers,
                                metrics, curves, uncertainty,
                                hierarchical_occlusion, nearest_samples, samples
      faults                    file, what, remedy of everything that is broken
      costs, plan               passes and seconds by kind; what the run does
      (what is not known is null)
      shards                    by run that they belong to: of, folders, missing,
                                unfinished (or damaged), doubled
    """  # noqa: D301 - \b keeps click from wrapping
    with reported_read_errors():
        from ...summary_format import inspect_run  # noqa: PLC0415
        from .inspection_report.shard_status import shards_among  # noqa: PLC0415

        named = list(_summary_folders(folders))
        found = [inspect_run(folder, through=not quick) for folder in named]
        single = named == list(folders[:1])  # then of a shard no others are missed
        shards = [] if single else shards_among(found)
        text = _json(found, shards) if as_json else _inspection_text(found, shards)
        code = exit_code(found, shards)
    echo_or_exit(text)
    sys.exit(code)


def exit_code(found: Iterable[Inspection], shards: Iterable[Shards]) -> int:
    """0 where all are finished and sound, 2 where any is damaged, of another version or none, else 3."""
    from ...summary_format.inspection.inspection import DAMAGED, FINISHED, NO_RUN  # noqa: PLC0415

    found = list(found)
    states = {one.state for one in found}
    if states & {DAMAGED, NO_RUN} or any(one.unsupported is not None for one in found):
        return EXIT_BAD_INPUT
    return 0 if states == {FINISHED} and not any(one.missing for one in shards) else EXIT_RESUMABLE


def _json(found: Sequence[Inspection], shards: Sequence[Shards]) -> str:
    from ...summary_format.inspection.inspection import DAMAGED, FINISHED, NO_RUN, UNFINISHED  # noqa: PLC0415
    from .inspection_report.json import inspection_as_json, shards_as_json  # noqa: PLC0415

    runs = list(map(inspection_as_json, found))
    content: dict[str, Any] = {
        **(runs[0] if len(runs) == 1 else {}),
        "state": min((one.state for one in found), key=(DAMAGED, NO_RUN, UNFINISHED, FINISHED).index),
        "finished": all(one.finished for one in found),
        "running": any(one.running for one in found),
        "runs": runs,
        "shards": list(map(shards_as_json, shards)),
    }
    return json.dumps(content, indent=1, allow_nan=False)


def _inspection_text(found: Sequence[Inspection], shards: Sequence[Shards]) -> str:
    from .inspection_report.text import run_text, runs_text  # noqa: PLC0415

    return runs_text(found, shards) if shards or len(found) > 1 else run_text(found[0])


def _summary_folders(folders: Iterable[Path]) -> Iterator[Path]:
    """The summary folders that are meant: those named, or those within them."""
    from ...summary_format.inspection.inspection import holds_run, runs_below  # noqa: PLC0415

    for folder in folders:
        yield from [folder] if holds_run(folder) else runs_below(folder) or [folder]
