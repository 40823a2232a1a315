"""What a run found: one score for each (question, explainer, metric), and the tables made of them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tabulate import tabulate

from ..explainers import Explainer
from ..summary_format import Results
from ..summary_format.problems import nearest
from ..summary_format.sample_records import mean_score
from .profile_table import profile_table


@dataclass(frozen=True)
class Aggregate:
    """Scores summed up.

    Attributes:
        mean: over the scored questions; NaN if there are none.
        count: how many questions were scored.
        unscored: how many could not be.
    """

    mean: float
    count: int
    unscored: int

    @classmethod
    def of(cls, values: npt.NDArray[np.float64]) -> Aggregate:
        """Sum up scores, NaN meaning unscored."""
        count = int(np.isfinite(values).sum())
        return cls(mean_score(values), count, values.size - count)


@dataclass
class Scores:
    """The scores of a run.

    Attributes:
        class_names: name of each label.
        explainers: names, in the order in which they were registered.
        metrics: names, likewise.
        sample_ids: the sample of each question.
        labels: the label of each question.
        values: for each (explainer, metric) one score a question, NaN where it could not be computed.
    """

    class_names: tuple[str, ...]
    explainers: tuple[str, ...]
    metrics: tuple[str, ...]
    sample_ids: list[int] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    values: dict[tuple[str, str], list[float]] = field(default_factory=dict)

    @classmethod
    def of(cls, results: Results) -> Scores:
        """The scores that a run's results hold."""
        questions = results.questions
        pairs = [(explainer, metric) for explainer in results.explainers for metric in results.metrics]
        return cls(
            results.class_names,
            results.explainers,
            results.metrics,
            questions[:, 0].tolist(),
            questions[:, 1].tolist(),
            {pair: results.scores(*pair).tolist() for pair in pairs},
        )

    def aggregate(self, explainer: str, metric: str, label: int | str | None = None) -> Aggregate:
        """Mean, count and unscored of one explainer in one metric, over all questions or those on one label.

        Args:
            explainer: its name in the run.
            metric: its name in the run.
            label: an index or a class name.

        Raises:
            ValueError: if the run has no such explainer, metric or label; the nearest are offered.
        """
        for kind, name, known in (("explainer", explainer, self.explainers), ("metric", metric, self.metrics)):
            if name not in known:
                raise ValueError(f"the run has no {kind} {name!r}; {nearest(name, known)}")
        values = np.asarray(self.values.get((explainer, metric), []), np.float64)
        if label is None:
            return Aggregate.of(values)
        return Aggregate.of(values[np.asarray(self.labels, np.int64) == self._index(label)])

    def _index(self, label: int | str) -> int:
        if isinstance(label, str) and label in self.class_names:
            return self.class_names.index(label)
        if isinstance(label, int) and 0 <= label < len(self.class_names):
            return label
        raise ValueError(f"no label {label!r}; give an index below {len(self.class_names)} or a class name")

    def table(self, style: str = "simple") -> str:
        """Explainers by metrics: means, and in brackets how many questions could not be scored, where any."""
        rows = [
            [explainer, *(self._cell(explainer, metric) for metric in self.metrics)] for explainer in self.explainers
        ]
        return str(tabulate(rows, ["explainer", *self.metrics], tablefmt=style, disable_numparse=True))

    def label_table(self, metric: str, style: str = "simple") -> str:
        """Labels by explainers in one metric, with how many questions each label has.

        Raises:
            ValueError: if the metric is none of the run's.
        """
        if metric not in self.metrics:
            raise ValueError(f"no metric {metric!r}; {nearest(metric, self.metrics)}")
        times = Counter(self.labels)
        rows = [
            [name, times[label], *(self._cell(explainer, metric, label) for explainer in self.explainers)]
            for label, name in enumerate(self.class_names)
        ]
        headers = [f"{metric} by label", "questions", *self.explainers]
        return str(tabulate(rows, headers, tablefmt=style, disable_numparse=True))

    def _cell(self, explainer: str, metric: str, label: int | None = None) -> str:
        found = self.aggregate(explainer, metric, label)
        if not found.count:
            return f"- ({found.unscored} unscored)" if found.unscored else "-"
        return f"{found.mean:.4f}" + (f" ({found.unscored} unscored)" if found.unscored else "")


@dataclass(frozen=True, repr=False)
class RunResult:
    """What ``run()`` returns; prints itself in a terminal and in a notebook.

    Attributes:
        summary_dir: where the records are, for the viewer; absolute.
        scores: of every explainer in every metric.
        samples: how many samples were read.
        questions: how many (image, label) pairs were explained.
        unrecorded: ids of samples that have neither a true label nor a probability above 0.5, hence no question and
            no place in the viewer.
        beyond: how many labels of the dataset were ignored since they are no class and no padding (not negative).
        outcomes: how often hierarchical occlusion came to what; empty without it.
        errors: by explainer that knows, how far off its maps may be; the mean size over them, in the explainer's unit.
        not_computed: what gave NaN or infinity and was left out of the records, with how often.
        costs: passes "made", "needed" and "images" by kind, "pass_seconds", and "seconds" by part of the run.
        plan: the resolved plan, in plain values.
        seconds: wall time, of all starts where there were several.
        finished_before: whether the folder held the run already, so that nothing was done.
    """

    summary_dir: Path
    scores: Scores
    samples: int
    questions: int
    unrecorded: tuple[int, ...]
    beyond: int
    outcomes: dict[str, int]
    errors: dict[str, float]
    not_computed: dict[str, int]
    costs: dict[str, dict[str, float]]
    plan: dict[str, Any]
    seconds: float
    finished_before: bool = False

    @classmethod
    def of(
        cls, results: Results, summary_dir: Path, seconds: float | None = None, *, finished_before: bool = False
    ) -> RunResult:
        """What a finished run's archive says."""
        recorded = np.isin(results.samples, results.recorded)
        not_computed = {"network output": int((~results.computed).sum())}
        not_computed |= {f"{name} map": int((~results.computed_maps(name)).sum()) for name in results.explainers}
        return cls(
            summary_dir.absolute(),
            Scores.of(results),
            len(results.samples),
            len(results.questions),
            tuple(results.samples[results.computed & ~recorded].tolist()),
            int(results.beyond.sum()),
            dict(Counter(results.outcomes or ())),
            _mean_errors(results),
            {what: times for what, times in not_computed.items() if times},
            results.costs,
            results.plan,
            sum(results.costs["seconds"].values()) if seconds is None else seconds,
            finished_before,
        )

    def profile(self, style: str = "simple") -> str:
        """Passes made and needed by kind, and where the time went, as tables."""
        return profile_table(self.costs, style)

    def summary_line(self) -> str:
        """The run in one line."""
        read, asked = _counted(self.samples, "sample"), _counted(self.questions, "question")
        parts = [f"{read}, {asked} in {self.seconds:.1f} s"]
        if self.unrecorded:
            parts.append(f"{_counted(len(self.unrecorded), 'sample')} without any label to explain")
        if self.beyond:
            parts.append(f"{_counted(self.beyond, 'label')} beyond the class names ignored")
        if self.outcomes:
            came_to = ", ".join(f"{times} x {outcome}" for outcome, times in self.outcomes.items())
            parts.append(f"hierarchical occlusion: {came_to}")
        told = self.plan.get("errors", {})
        parts += [
            told.get(name, Explainer.error_told).format(name=name, error=error) for name, error in self.errors.items()
        ]
        parts += [f"{times} x {what} not computed" for what, times in self.not_computed.items()]
        passes = ", ".join(
            f"{times} {kind} ({self.costs['images'][kind]} images)" for kind, times in self.costs["made"].items()
        )
        return "; ".join([*parts, f"passes: {passes or 'none'}"])

    def __str__(self) -> str:
        table = [self.scores.table()] if self.scores.metrics else []
        before = ["finished before, nothing was done; overwrite to run again"] if self.finished_before else []
        return "\n".join([*table, self.summary_line(), *before, f"summary: {self.summary_dir}"])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        table = self.scores.table("html") if self.scores.metrics else ""
        return f"{table}<p>{escape(self.summary_line())}<br>summary: <code>{escape(str(self.summary_dir))}</code></p>"


def _mean_errors(results: Results) -> dict[str, float]:
    """By explainer, the mean size of the errors that it knows."""
    errors = {name: np.abs(results.errors(name)) for name in results.explainers}
    return {name: float(np.nanmean(of)) for name, of in errors.items() if np.isfinite(of).any()}


def _counted(times: int, what: str) -> str:
    return f"{times} {what}{'s' * (times != 1)}"
