"""Writing the page of two runs, or of why they cannot be compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from ...summary_format import Inspection, Results, RunFolder, inspect_run
from ..comparison.compare_runs import compare
from ..comparison.formats.findings import Findings
from ..comparison.formats.json_report import comparison_as_json, refused_as_json
from ..comparison.load import scored_run
from ..comparison.scored_run import ScoredRun
from .files import DataFiles
from .run_files import RunFiles
from .run_summary import VERSION
from .write import Choice, check_merged, check_output, check_single_file, folder_written, single_file_written

MAILED_BYTES = 20_000_000  # of the maps that a page of one file shows, where no limit is given
MAILED_SAMPLES = (10, 200)  # at least, at most


def write_comparison(
    baseline: str | Path | ScoredRun,
    candidate: str | Path | ScoredRun,
    output: str | Path,
    choice: Choice | None = None,
    *,
    comparison: Findings | None = None,
) -> Path:
    """Write the page of two runs as a folder with an ``index.html``.

    Of a run that is a folder the page shows samples and maps; of a baseline file, or a ``results.h5`` that lies alone,
    what scores and predictions say.

    Args:
        baseline: what ``compare`` takes as such.
        candidate: another such.
        output: the folder to write. An earlier report there is replaced once the new one is complete.
        choice: what of the runs to show; None for all. A limit takes the samples that changed before others.
        comparison: of the two; None to compare them here, with the usual tolerances.

    Returns:
        The page's path.

    Raises:
        NotComparableError: if the two cannot be compared.
        ReportError: if one is a shard, or ``output`` holds something else than a report.
        ValueError: if one of the two cannot be read: see ``compare``.
        OSError: if something cannot be read or written.
    """
    output = Path(output)
    check_output(output)
    pair = _Pair.of(baseline, candidate, comparison)
    with folder_written(output, pair.title) as files:
        pair.write(files, choice or Choice())
    return output / "index.html"


def write_comparison_file(
    baseline: str | Path | ScoredRun,
    candidate: str | Path | ScoredRun,
    output: str | Path,
    choice: Choice | None = None,
    *,
    comparison: Findings | None = None,
) -> int:
    """Write the page of two runs as one HTML file.

    Args:
        baseline: see ``write_comparison``.
        candidate: see ``write_comparison``.
        output: the file to write; an earlier report there is replaced once the new one is complete.
        choice: see ``write_comparison``.
        comparison: see ``write_comparison``.

    Returns:
        The file's size in bytes.

    Raises:
        NotComparableError: if the two cannot be compared.
        ReportError: if one is a shard, or ``output`` is something else than a report.
        ValueError: if one of the two cannot be read: see ``compare``.
        OSError: if something cannot be read or written.
    """
    output = Path(output)
    check_single_file(output)
    pair = _Pair.of(baseline, candidate, comparison)
    with single_file_written(output, pair.title) as files:
        pair.write(files, choice or Choice())
    return output.stat().st_size


def write_refusal_file(baseline: str, candidate: str, problems: Sequence[str], output: str | Path) -> int:
    """Write a page of one file that says why two runs were not compared.

    Args:
        baseline: as it was named.
        candidate: as it was named.
        problems: a sentence each.
        output: see ``write_comparison_file``.

    Returns:
        The file's size in bytes.

    Raises:
        ReportError: if ``output`` is something else than a report.
        OSError: if it cannot be written.
    """
    output = Path(output)
    check_single_file(output)
    with single_file_written(output, _title(baseline, candidate, "and")) as files:
        files.put("contents", {"runs": [], "comparison": True})
        refused = refused_as_json(baseline, candidate, list(map(str, problems)))
        files.put("comparison", {**refused, "report_version": VERSION, "without_maps": []})
    return output.stat().st_size


def mailed(baseline: ScoredRun, candidate: ScoredRun, comparison: Findings, *, maps: bool = True) -> Choice:
    """What a page to be mailed shows: the explainers compared, and so many samples that it stays small.

    Args:
        baseline: the one.
        candidate: the other.
        comparison: of both.
        maps: False for a page without maps.
    """
    if not maps:
        return Choice(explainers=())
    explainers = tuple(dict.fromkeys(change.explainer for change in comparison.changes))
    size = sum(_bytes_of_maps(run.results, explainers) for run in (baseline, candidate) if run.folder and run.results)
    least, most = MAILED_SAMPLES
    fitting = MAILED_BYTES * comparison.samples // size if size else most
    return Choice(explainers=explainers, limit=min(max(fitting, least), most))


@dataclass(frozen=True, kw_only=True)
class _Run:
    """A run that has a folder."""

    name: str
    found: Inspection
    folder: RunFolder
    results: Results


@dataclass(frozen=True, kw_only=True)
class _Pair:
    """Two runs and what comparing them found; of the runs those that have a folder, the candidate first."""

    title: str
    comparison: Findings
    runs: tuple[_Run, ...]

    @classmethod
    def of(
        cls, baseline: str | Path | ScoredRun, candidate: str | Path | ScoredRun, comparison: Findings | None
    ) -> _Pair:
        before, now = (run if isinstance(run, ScoredRun) else scored_run(run) for run in (baseline, candidate))
        runs = [_in_folder(name, run) for name, run in (("candidate", now), ("baseline", before))]
        return cls(
            title=_title(before.name, now.name),
            comparison=compare(before, now) if comparison is None else comparison,
            runs=tuple(run for run in runs if run is not None),
        )

    def write(self, files: DataFiles, choice: Choice) -> None:
        """Write the data of the page."""
        names = [run.name for run in self.runs]
        files.put("contents", {"runs": names, "comparison": True})
        without = [name for name in ("baseline", "candidate") if name not in names]
        files.put("comparison", {**_found(self.comparison), "report_version": VERSION, "without_maps": without})
        ids = self._samples(choice)
        pictured = set(choice.pictured(self.runs[0].results)) if self.runs else set()
        for run in self.runs:
            RunFiles(
                name=run.name,
                found=run.found,
                run=run.folder,
                results=run.results,
                rows=np.flatnonzero(np.isin(run.results.samples, ids)),
                files=files,
                pictured=tuple(
                    name for name in run.results.explainers if choice.explainers is None or name in pictured
                ),
            ).write()

    def _samples(self, choice: Choice) -> list[int]:
        """Ids of the samples shown of both runs; of a limited number those first that changed."""
        every = replace(choice, limit=None)
        chosen = {int(sample) for run in self.runs for sample in run.results.samples[every.rows(run.results)]}
        first = [*(one.sample for one in self.comparison.worst), *(one.sample for one in self.comparison.flips)]
        ordered = dict.fromkeys([*(sample for sample in first if sample in chosen), *sorted(chosen)])
        return list(islice(ordered, choice.limit))


def _in_folder(name: str, run: ScoredRun) -> _Run | None:
    """A run with what is in its folder; None if it has none.

    Raises:
        ReportError: if it is a shard.
    """
    if run.folder is None or run.results is None:
        return None
    found = inspect_run(run.folder.data, through=False)
    check_merged(found, run.name)
    named = Path(run.name) if Path(run.name).is_dir() else run.folder.root
    return _Run(name=name, found=replace(found, folder=named), folder=run.folder, results=run.results)


def _found(comparison: Findings) -> dict[str, Any]:
    """The findings without the paths of pictures, which mean nothing where the page is read."""
    found = comparison_as_json(comparison)
    left_out = ("baseline_picture", "candidate_picture")
    worst = [{key: value for key, value in one.items() if key not in left_out} for one in found["worst"]]
    return {**found, "worst": worst}


def _title(baseline: str, candidate: str, words: str = "compared with") -> str:
    """What the page is called; a folder named as "." by its own name."""
    before, now = (Path(name).name or Path(name).resolve().name for name in (baseline, candidate))
    return f"{now} {words} {before} - Explainrun"


def _bytes_of_maps(results: Results, explainers: Sequence[str]) -> int:
    """What a run's maps take in a page, a little above a byte per pixel for base64."""
    shapes = [results.maps(name, 0, 1).shape[1:] for name in explainers if name in results.explainers]
    return sum(4 * height * width // 3 for height, width in shapes) * len(results.questions)
