"""Writing the page of a run: a folder of static files, or one file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...summary_format import Inspection, Results, RunFolder, inspect_run
from ...summary_format.errors import BrokenRecordError, ExplainrunError, nearest
from ...summary_format.event_file.records import PREDICTED_ABOVE
from ...summary_format.inspection.inspection import FINISHED, runs_below
from ...summary_format.problem import Problem
from ...summary_format.storage.whole_file import written_whole
from ...summary_format.storage.whole_folder import written_folder
from .encoded_arrays import Array
from .files import DataFiles, FolderFiles, SingleFile
from .page_html import GENERATOR, LICENCES, SCRIPTS, STYLES, asset, folder_page, single_page
from .run_files import RunFiles
from .run_summary import state_of

LARGE_FILE = 50_000_000  # bytes of a single file from which on there is a warning
_DATA_HERE = "<!-- data -->"
_CONTENT = {"index.html", "assets", "data"}


class ReportError(ExplainrunError, ValueError):
    """A report cannot be made of what was named, or not where it should go."""


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What of a run a report shows.

    Attributes:
        limit: so many samples at most, the first; None for all.
        explainers: those whose maps are shown; None for all. Scores are shown of all.
        failures: only samples of which a true label was not predicted, or a predicted one is not true.
    """

    limit: int | None = None
    explainers: Sequence[str] | None = None
    failures: bool = False

    def rows(self, results: Results) -> Array:
        """(N,) places of the samples shown among all of the run."""
        rows = np.arange(len(results.samples))
        if self.failures:
            rows = rows[_failed(results)]
        return rows[: self.limit]

    def pictured(self, results: Results) -> tuple[str, ...]:
        """The explainers whose maps are shown.

        Raises:
            ReportError: if the run has not all of them.
        """
        if self.explainers is None:
            return results.explainers
        for name in self.explainers:
            if name not in results.explainers:
                hint = nearest(name, results.explainers)
                words = "the run has no explainer {name!r}; {hint}"
                raise ReportError(Problem.of("report-explainer-unknown", words, name=name, hint=hint))
        return tuple(name for name in results.explainers if name in self.explainers)


def write_page(folder: str | Path, output: str | Path, choice: Choice | None = None) -> Path:
    """Write the page of a run: one file where the output's name ends with ``.html``, else a folder.

    Returns:
        The page's path. Arguments and errors are those of ``write_report`` and ``write_single_file``.
    """
    if Path(output).suffix.lower() != ".html":
        return write_report(folder, output, choice)
    write_single_file(folder, output, choice)
    return Path(output)


def write_report(folder: str | Path, output: str | Path, choice: Choice | None = None) -> Path:
    """Write the page of a run as a folder with an ``index.html``.

    Args:
        folder: a summary folder, of which the newest run is shown, or a run's data folder. An unfinished run is shown
            as far as it is complete, a damaged one as far as it is sound; the page says so.
        output: the folder to write. An earlier report there is replaced once the new one is complete.
        choice: what of the run to show; None for all.

    Returns:
        The page's path.

    Raises:
        ReportError: if there is no run, its shards are not merged, or ``output`` holds something else than a report.
        OSError: if something cannot be read or written.
    """
    check_output(Path(output))
    found = inspected(folder)
    with folder_written(Path(output), title_of(found)) as files:
        write_run("run", found, files, choice or Choice())
    return Path(output) / "index.html"


def write_single_file(folder: str | Path, output: str | Path, choice: Choice | None = None) -> int:
    """Write the page of a run as one HTML file.

    Args:
        folder: see ``write_report``.
        output: the file to write; an earlier report there is replaced once the new one is complete.
        choice: see ``write_report``.

    Returns:
        The file's size in bytes.

    Raises:
        ReportError: if there is no run, its shards are not merged, or ``output`` is something else than a report.
        OSError: if something cannot be read or written.
    """
    check_single_file(Path(output))
    found = inspected(folder)
    with single_file_written(Path(output), title_of(found)) as files:
        write_run("run", found, files, choice or Choice())
    return Path(output).stat().st_size


@contextmanager
def folder_written(output: Path, title: str) -> Iterator[DataFiles]:
    """Where the data of a page go that is a folder, which takes its place once they are there.

    Args:
        output: a folder that ``check_output`` lets pass.
        title: of the page.
    """
    with written_folder(output, _CONTENT) as made:
        for name in (*SCRIPTS, *STYLES, *LICENCES):
            path = made / "assets" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(asset(name), "utf-8")
        yield FolderFiles(made / "data")
        (made / "index.html").write_text(folder_page(title), "utf-8")


@contextmanager
def single_file_written(output: Path, title: str) -> Iterator[DataFiles]:
    """Where the data of a page go that is one file, which takes its place once they are there.

    Args:
        output: a file that ``check_single_file`` lets pass.
        title: of the page.
    """
    before, after = single_page(title, _DATA_HERE).split(_DATA_HERE)
    output.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(output) as write:
        write(before.encode())
        yield SingleFile(write)
        write(after.encode())


def write_run(name: str, found: Inspection, files: DataFiles, choice: Choice) -> None:
    """Write a run's data, as far as they are sound.

    Args:
        name: of the run among those of the page.
        found: on looking at its folder.
        files: where they go.
        choice: what to show.
    """
    run = found.run
    results = None if run is None else _results(found, run)
    files.put("contents", {"runs": [name], "comparison": False})
    if run is None or isinstance(results, Exception) or results is None:
        files.put(f"{name}/summary", {**state_of(found), "unreadable": str(results)})
        return
    rows, pictured = choice.rows(results), choice.pictured(results)
    RunFiles(name=name, found=found, run=run, results=results, rows=rows, files=files, pictured=pictured).write()


def inspected(folder: str | Path) -> Inspection:
    """What is in a summary folder.

    Raises:
        ReportError: if there is no run, or shards that are not merged.
    """
    found = inspect_run(folder, through=False)
    if found.run is None:
        below = [inspect_run(path, through=False).plan for path in runs_below(Path(folder))]
        if any(plan is not None and plan.shard is not None for plan in below):
            raise ReportError(_of_shards(Path(folder), f"{folder} holds shards"))
        raise ReportError(_why_none(found))
    check_merged(found, folder)
    return found


def check_merged(found: Inspection, folder: str | Path) -> None:
    """Make sure that a run is not a shard of one.

    Args:
        found: on looking at its folder.
        folder: as the user named it.

    Raises:
        ReportError: if it is.
    """
    shard = None if found.plan is None else found.plan.shard
    if shard is not None:
        raise ReportError(_of_shards(Path(folder).resolve().parent, f"{folder} holds shard {shard[0]} of {shard[1]}"))


def page_place(summary_dir: Path, shard: object) -> Path:
    """Where the page of a run that is about to start goes: ``report`` in its summary folder.

    Args:
        summary_dir: of the run.
        shard: None, or which one it is.

    Raises:
        ReportError: if something else than a report is there, or the run is a shard.
    """
    if shard is not None:
        words = "the report of a shard was asked for; merge the shards, then make it: explainrun report FOLDER"
        raise ReportError(Problem.of("report-of-a-shard-asked", words))
    check_output(summary_dir / "report")
    return summary_dir / "report"


def title_of(found: Inspection) -> str:
    """What the page is called."""
    return f"{found.folder.resolve().name} - Explainrun"


def check_output(output: Path) -> None:
    """Make sure that a folder is new, empty, or a report.

    Raises:
        ReportError: if it is not.
    """
    if not output.exists() and not output.is_symlink():
        return
    inside = {path.name for path in output.iterdir()} if output.is_dir() else {output.name}
    if not output.is_dir() or (inside and not (inside <= _CONTENT and is_report(output / "index.html"))):
        words = "{output} holds something else than a report; name a new folder with -o"
        raise ReportError(Problem.of("report-output-taken", words, output=str(output)))


def check_single_file(output: Path) -> None:
    """Make sure that a file is new, empty, or a report.

    Raises:
        ReportError: if it is not.
    """
    is_empty = output.is_file() and not output.stat().st_size
    if output.exists() and not (is_empty or is_report(output)):
        words = "{output} is something else than a report; name another file"
        raise ReportError(Problem.of("report-file-taken", words, output=str(output)))


def is_report(page: Path) -> bool:
    """Whether a file is a page that this wrote."""
    if not page.is_file():
        return False
    with page.open("rb") as file:
        return f'<meta name="generator" content="{GENERATOR}">'.encode() in file.read(4096)


def _results(found: Inspection, run: RunFolder) -> Results | Exception:
    try:
        if found.state == FINISHED:
            return Results(run.archive, check=False)  # which was checked when the folder was looked at
        return Results(run.data)
    except (BrokenRecordError, ValueError) as error:  # a damaged run, which the page then says
        return error


def _failed(results: Results) -> Array:
    """(N,) whether a true label of a sample was not predicted, or a predicted one is not true."""
    predicted = results.probabilities > PREDICTED_ABOVE
    true = np.zeros_like(predicted)
    rows, places = np.nonzero(results.truth >= 0)
    true[rows, results.truth[rows, places]] = True
    failed: Array = (predicted != true).any(axis=1)
    return failed


def _of_shards(parent: Path, what: str) -> Problem:
    words = "{what}; merge them first: explainrun merge {parent}"
    return Problem.of("report-of-shards", words, what=what, parent=str(parent))


def _why_none(found: Inspection) -> Problem:
    faults = [str(fault) for fault in found.faults]
    words = "there is no run to report on: {why}"
    return Problem.of("report-without-run", words, why="; ".join(faults) or f"{found.folder}: a run begins there now")
