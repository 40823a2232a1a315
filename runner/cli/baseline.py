"""``explainrun baseline``: keep a run's scores in a small file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ...summary_format.exit_codes import EXIT_RESUMABLE
from ...summary_format.plural import plural
from ...summary_format.storage.destinations import check_destination, is_standard_output, is_written_directly
from ...summary_format.storage.whole_file import remove_leftovers
from .process.errors import ended_by_signals, exit_with, reported_read_errors
from .process.standard_streams import echo, echo_bytes, report

if TYPE_CHECKING:
    from ..comparison import ScoredRun


@click.command(short_help="Keep the scores of a run in a small file.")
@click.argument("run", metavar="RUN", type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", required=True, metavar="FILE", type=click.Path(dir_okay=False, path_type=Path),
    help="Write the scores to FILE, or to standard output: -.",
)  # fmt: skip
@click.option("--update", is_flag=True, help="Replace the baseline that FILE holds, and show what changes.")
def baseline(run: Path, output: Path, *, update: bool) -> None:
    """Keep the scores of RUN in FILE, a small JSON to commit, which `explainrun compare` takes in place of a run.

    RUN is a summary folder, of which the newest run is taken, a run's data folder or a results.h5. The same run gives
    the same bytes. Exit codes: 0 written, or nothing changed; 2 RUN is not finished, damaged or none, or FILE holds
    something else; 3 the disk or standard output failed, or it was stopped: run the same again once that is mended.
    """
    with ended_by_signals():
        from .. import comparison  # noqa: F401, PLC0415

    with reported_read_errors():
        to_stdout = is_standard_output(output)
        directly = to_stdout or is_written_directly(output)
        new, old = _new(run), None if directly else _old(output)
        changed = "" if old is None else _difference(old, new, output, update=update)
    if directly:
        _write_directly(new, None if to_stdout else output)
        return
    if old is not None and not changed:
        remove_leftovers(output)
        _say(f"nothing changed, {output} stays as it is", f"{output} stays as it is")
        return
    _write(new, output, changed)


def _write(new: ScoredRun, output: Path, changed: str) -> None:
    """Write a baseline file, and say so."""
    from ..comparison import write_baseline  # noqa: PLC0415

    try:
        write_baseline(new, output)
        size = output.stat().st_size
    except OSError as error:
        exit_with(f"the baseline is not written: {error}; run it again", EXIT_RESUMABLE)
    text = "\n\n".join([*[changed] * bool(changed), f"{output}: {_counts(new)}, {size:,} bytes"])
    _say(text, f"{output} is written")


def _write_directly(new: ScoredRun, output: Path | None) -> None:
    """Write a baseline to standard output, or to what is open already, where there is no other one to replace."""
    from ..comparison.baseline_file import baseline_text  # noqa: PLC0415

    data = baseline_text(new).encode()
    try:
        if output is None:
            echo_bytes(data)
        else:
            output.write_bytes(data)
    except OSError as error:
        exit_with(f"the baseline is not written: {error}; run it again", EXIT_RESUMABLE)
    report(f"{output or 'standard output'}: {_counts(new)}, {len(data):,} bytes")


def _counts(new: ScoredRun) -> str:
    counted = ((len(new.samples), "sample"), (len(new.questions), "question"), (len(new.scores), "row"))
    return f"{', '.join(plural(count, what) for count, what in counted)} of scores"


def _say(text: str, done: str) -> None:
    try:
        echo(text)
    except OSError as error:
        exit_with(f"{done}, but standard output takes nothing: {error}", EXIT_RESUMABLE)


def _new(run: Path) -> ScoredRun:
    """The run to be kept.

    Raises:
        ValueError: if it cannot be read, is not finished, is a baseline itself, or has no scores.
        OSError: if it cannot be read.
    """
    from ..comparison import scored_run  # noqa: PLC0415

    new = scored_run(run)
    if new.results is None:
        raise ValueError(f"{run} is a baseline already; name the run that the new one is to be made of")
    if not new.scores:
        raise ValueError(f"{run} has no scores to keep: it needs an explainer and a metric")
    return new


def _old(output: Path) -> ScoredRun | None:
    """The baseline that is there; None where there is none.

    Raises:
        ValueError: if there is something else, or no folder to write to.
        OSError: if it cannot be read.
    """
    from ..comparison import BaselineError, read_baseline  # noqa: PLC0415

    check_destination(output, replaced=True)
    if not output.exists():
        if not output.resolve().parent.is_dir():
            raise ValueError(f"there is no folder {output.resolve().parent} to write {output.name} to")
        return None
    try:
        return read_baseline(output)
    except BaselineError as error:
        raise ValueError(f"{error}; it is left as it is: name another file, or remove this one") from error


def _difference(old: ScoredRun, new: ScoredRun, output: Path, *, update: bool) -> str:
    """What replacing the baseline changes.

    Raises:
        ValueError: if it changes something, and is not asked for.
    """
    from ..comparison import baseline_difference  # noqa: PLC0415

    difference = baseline_difference(old, new)
    if difference and not update:
        raise ValueError(f"{output} holds another baseline; --update replaces it and shows what changes")
    return difference
