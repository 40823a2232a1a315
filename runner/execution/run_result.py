"""What ``run()`` returns."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from ...explainers import Explainer
from ...summary_format import Results, RunFolder, find_runs
from ...summary_format.deprecated_names import Renamed, renamed_arguments
from ...summary_format.plural import plural
from ..results.profile_table import profile_table
from ..results.score_tables import layer_notes, ranking_notes, table_notes
from ..results.scores import Scores


@renamed_arguments(beyond="labels_out_of_range")
@dataclass(frozen=True, repr=False, kw_only=True)
class RunResult:
    """What ``run()`` returns; prints itself in a terminal and in a notebook.

    Attributes:
        summary_dir: where the records are, for the viewer; absolute.
        scores: of every explainer in every metric.
        samples: how many samples were read.
        questions: how many (image, label) pairs were explained.
        unrecorded: ids of samples that have neither a true label nor a probability above 0.5, hence no question and
            no place in the viewer.
        labels_out_of_range: how many labels of the dataset were ignored: neither a class nor padding (negative).
        skipped: why samples were left out as broken, by id; the others keep their ids. They count as read.
        outcomes: how often hierarchical occlusion came to what; empty without it.
        errors: by explainer that knows, how far off its maps may be; the mean size over them, in the explainer's unit.
        not_computed: what gave NaN or infinity and was left out of the records, with how often.
        costs: passes "made", "needed", "compiled" (as graphs) and "images" by kind, "pass_seconds", "seconds" by part
            of the run, and what was "refused" as a graph and why.
        plan: the resolved plan, in plain values.
        seconds: wall time of this start, and what the committed work of earlier ones took; of a run that was finished
            before, what all its work took.
        finished_before: whether the folder held the run already, so that nothing was done.
    """

    summary_dir: Path
    scores: Scores
    samples: int
    questions: int
    unrecorded: tuple[int, ...]
    labels_out_of_range: int
    outcomes: dict[str, int]
    errors: dict[str, float]
    not_computed: dict[str, int]
    costs: dict[str, dict[str, float]]
    plan: dict[str, Any]
    seconds: float
    finished_before: bool = False
    skipped: dict[int, str] = field(default_factory=dict)
    beyond = Renamed("labels_out_of_range")

    @classmethod
    def of(
        cls, results: Results, summary_dir: Path, seconds: float | None = None, *, finished_before: bool = False
    ) -> RunResult:
        """What a finished run's archive says."""
        recorded = np.isin(results.samples, results.recorded)
        left_out = {
            int(sample_id): results.plan_record.skipped[str(sample_id)] for sample_id in results.plan_record.skipped_ids
        }
        lacking = ~results.computed & ~np.isin(results.samples, list(left_out))
        not_computed = {"network output": int(lacking.sum())}
        not_computed |= {f"{name} map": int((~results.computed_maps(name)).sum()) for name in results.explainers}
        return cls(
            summary_dir=summary_dir.absolute(),
            scores=Scores.of(results),
            samples=len(results.samples),
            questions=len(results.questions),
            unrecorded=tuple(results.samples[results.computed & ~recorded].tolist()),
            labels_out_of_range=int(results.labels_out_of_range.sum()),
            outcomes=dict(Counter(results.outcomes or ())),
            errors=_mean_errors(results),
            not_computed={what: times for what, times in not_computed.items() if times},
            costs=results.costs,
            plan=results.plan,
            seconds=sum(results.costs["seconds"].values()) if seconds is None else seconds,
            finished_before=finished_before,
            skipped=left_out,
        )

    def profile(self, style: str = "simple") -> str:
        """Passes made and needed by kind, and where the time went, as tables."""
        return profile_table(self.costs, style)

    def report(self, path: str | Path, **choice: Any) -> Path:
        """Write the run as a page: a folder with an ``index.html``, or one file where the path ends with ``.html``.

        Args:
            path: where; an earlier report there is replaced, anything else is refused.
            choice: ``limit``, ``explainers`` and ``failures``, see ``explainrun.runner.report.write.Choice``.

        Returns:
            The page's path, to open in a browser.

        Raises:
            ReportError: if something else than a report is there, or an explainer is unknown.
            OSError: if something cannot be read or written.
        """
        from ..report.write import Choice, write_page  # noqa: PLC0415 - Jinja2, which few runs need

        return write_page(self.summary_dir, path, Choice(**choice))

    def show(self, sample: int, label: int | str | None = None) -> Any:
        """All maps of a sample side by side with their scores, as a matplotlib figure that a notebook shows.

        Args:
            sample: its id.
            label: an index or a class name, for that label alone; None for all that were asked about.

        Raises:
            ReportError: if the run did not ask about that sample, or that label of it.
            ValueError: if there is no such class, or its name stands for several.
        """
        from ..report.notebook import sample_figure  # noqa: PLC0415 - matplotlib is slow

        results, run = self._archive()
        return sample_figure(results, run, sample, label)

    def _archive(self) -> tuple[Results, RunFolder]:
        run = find_runs(self.summary_dir)[-1]
        return Results(run.data), run

    def summary_line(self) -> str:
        """The run in one line."""
        read, asked = plural(self.samples, "sample"), plural(self.questions, "question")
        parts = [f"{read}, {asked} in {self.seconds:.1f} s"]
        if self.skipped:
            first = next(iter(self.skipped.values()))
            parts.append(f"{plural(len(self.skipped), 'broken sample')} left out ({first})")
        if self.unrecorded:
            parts.append(f"{plural(len(self.unrecorded), 'sample')} without any label to explain")
        if self.labels_out_of_range:
            parts.append(f"{plural(self.labels_out_of_range, 'label')} out of range ignored")
        if self.outcomes:
            came_to = ", ".join(f"{times} x {outcome}" for outcome, times in self.outcomes.items())
            parts.append(f"hierarchical occlusion: {came_to}")
        formats = self.plan.get("errors", {})
        parts += [
            formats.get(name, Explainer.error_format).format(name=name, error=error)
            for name, error in self.errors.items()
        ]
        parts += [f"{times} x {what} not computed" for what, times in self.not_computed.items()]
        passes = ", ".join(
            f"{times} {kind} ({self.costs['images'][kind]} images)" for kind, times in self.costs["made"].items()
        )
        return "; ".join([*parts, f"passes: {passes or 'none'}"])

    def __str__(self) -> str:
        table = [f"{self.scores.table()}\n\n{self.scores.ranking_table()}\n"] if self.scores.metrics else []
        table = table or layer_notes(self.scores)
        before = ["finished before, nothing was done; overwrite to run again"] if self.finished_before else []
        return "\n".join([*table, self.summary_line(), *before, f"summary: {self.summary_dir}"])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        table = f"{self.scores.table('html')}{self.scores.ranking_table('html')}" if self.scores.metrics else ""
        notes = table_notes(self.scores) or layer_notes(self.scores)
        said = "<br>".join(map(escape, [*notes, *ranking_notes(self.scores), self.summary_line()]))
        place = f"<p>{said}<br>summary: <code>{escape(str(self.summary_dir))}</code></p>"
        return f"{table}{place}{self._first_samples()}"

    def _first_samples(self) -> str:
        from ..report.notebook import first_samples  # noqa: PLC0415 - matplotlib is slow

        try:
            return first_samples(*self._archive())
        except (OSError, ValueError, IndexError) as error:  # the folder may be gone, which the table need not mind
            return f"<p>no samples shown: {escape(str(error))}</p>"


def _mean_errors(results: Results) -> dict[str, float]:
    """By explainer, the mean size of the errors that it knows."""
    errors = {name: np.abs(results.errors(name)) for name in results.explainers}
    return {name: float(np.nanmean(of)) for name, of in errors.items() if np.isfinite(of).any()}
