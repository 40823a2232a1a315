"""Opening what a user names for comparison: a summary folder, a run's data folder, an archive or a baseline file."""

from __future__ import annotations

from pathlib import Path

from ...summary_format import Inspection, Results, RunFolder, inspect_run
from ...summary_format.errors import ExplainrunError
from ...summary_format.problem import Problem
from ...summary_format.storage.run_folder import find_runs, runs_of, shown_run
from ...summary_format.untrusted.regular_files import open_regular
from .baseline_file import read_baseline
from .scored_run import ScoredRun

_ARCHIVE_BEGINS = b"explainrun results"
_NAME = "name a summary folder, a run's data folder, a results.h5 or a baseline file"


class NoRunError(ExplainrunError, ValueError):
    """There is no run where one was named."""


class UnfinishedRunError(ExplainrunError, ValueError):
    """The run that was named has not come to its end."""


def scored_run(path: str | Path) -> ScoredRun:
    """The scores of a finished run.

    Args:
        path: a summary folder, of which the newest run is read, a run's data folder, a ``results.h5``, or a baseline
            file.

    Raises:
        NoRunError: if there is nothing, or no run in it.
        UnfinishedRunError: if the run is not finished.
        BrokenRecordError: if its archive is damaged.
        BaselineError: if a file is neither an archive nor a baseline, or one that is wrong.
        ValueError: if its archive is of a newer version.
        OSError: if it cannot be read.
    """
    place, name = Path(path), str(path)
    if place.is_dir():
        return _of_run(_newest(place), name)
    if not place.is_file():
        if place.exists():
            raise NoRunError(Problem.of("not-a-file", "{name} is not a file; {instead}", name=name, instead=_NAME))
        raise NoRunError(Problem.of("not-there", "there is no {name}; {instead}", name=name, instead=_NAME))
    if not _is_archive(place):
        return read_baseline(place)
    whole = place.absolute()
    runs = [run for run in find_runs(place.parent.parent) if run.archive.absolute() == whole]
    return _of_run(runs[-1], name) if runs else ScoredRun.of(name, Results(place))


def _newest(folder: Path) -> RunFolder:
    runs = runs_of(folder) or runs_of(folder.resolve())
    if not runs:
        words = "there is no run in {folder}; {instead}"
        raise NoRunError(Problem.of("no-run", words, folder=folder, instead=_NAME))
    return shown_run(runs)


def _of_run(run: RunFolder, name: str) -> ScoredRun:
    if not run.finished:
        raise UnfinishedRunError(_how_far(inspect_run(run.data, through=False), name))
    return ScoredRun.of(name, Results(run.archive), run)


def _how_far(found: Inspection, name: str) -> Problem:
    """Why an unfinished run is not compared, in a sentence."""
    if found.unsupported is not None:
        return Problem.of("run-of-other-version", "{name} is not finished: {why}", name=name, why=found.unsupported)
    samples = "" if found.samples is None else f": {found.samples}{_of_total(found)} samples are through"
    remedy = "wait until it is, it is running now" if found.running else "run it again to finish, then compare"
    faults = "".join(f"; {fault.file}: {fault.what}" for fault in found.faults[:1])
    return Problem.of(
        "run-unfinished",
        "{name} is not finished{samples}{faults}; {remedy}",
        name=name,
        samples=samples,
        faults=faults,
        remedy=remedy,
    )


def _of_total(found: Inspection) -> str:
    total = found.progress and found.progress.samples_total
    return "" if total is None else f" of {total}"


def _is_archive(path: Path) -> bool:
    with open_regular(path) as file:
        return file.read(len(_ARCHIVE_BEGINS)) == _ARCHIVE_BEGINS or path.suffix.lower() in (".h5", ".hdf5")
