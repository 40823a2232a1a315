"""The scores of a run: one for each (question, explainer, metric), and what they come to. Loads no MindSpore."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from ...summary_format.archive.results import Results
from ...summary_format.errors import nearest
from ...summary_format.lifecycle.viewer_records import mean_score
from .aggregate import Aggregate
from .ranking import Ranking
from .resampling import bootstrap_intervals, by_sample
from .score_tables import label_table, ranking_table, table


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
        higher_is_better: by metric; True where nothing is said.
        controls: names of the explainers that know nothing of the network and are there to be beaten.
        uncontrolled: metrics in which beating them says nothing.
        chosen_layers: by explainer for which nobody named a layer, the one that was chosen.
    """

    class_names: tuple[str, ...]
    explainers: tuple[str, ...]
    metrics: tuple[str, ...]
    sample_ids: list[int] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    values: dict[tuple[str, str], list[float]] = field(default_factory=dict)
    higher_is_better: Mapping[str, bool] = field(default_factory=dict)
    controls: tuple[str, ...] = ()
    uncontrolled: tuple[str, ...] = ()
    chosen_layers: Mapping[str, str] = field(default_factory=dict)

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
            results.plan.get("higher_is_better", {}),
            tuple(results.plan.get("controls", ())),
            tuple(results.plan.get("uncontrolled", ())),
            results.plan.get("chosen_layers", {}),
        )

    def aggregate(self, explainer: str, metric: str, label: int | str | None = None) -> Aggregate:
        """Mean with its interval, count and unscored of one explainer in one metric.

        Args:
            explainer: its name in the run.
            metric: its name in the run.
            label: an index or a class name, for the questions on one label; None for all.

        Raises:
            ValueError: if the run has no such explainer, metric or label; the nearest are offered.
        """
        self._check("explainer", explainer, self.explainers)
        self._check("metric", metric, self.metrics)
        index = None if label is None else self._index(label)
        if index not in self._aggregates:
            self._aggregates[index] = self._aggregated(index)
        return self._aggregates[index][explainer, metric]

    def column(self, metric: str) -> npt.NDArray[np.float64]:
        """(Q, explainers) all scores in a metric, NaN where there is none.

        Raises:
            ValueError: if the run has no such metric; the nearest are offered.
        """
        self._check("metric", metric, self.metrics)
        nothing = [float("nan")] * len(self.labels)
        columns = [self.values.get((explainer, metric), nothing) for explainer in self.explainers]
        return np.asarray(columns, np.float64).reshape(len(columns), len(self.labels)).T

    def ranking(self, metric: str) -> Ranking:
        """Which explainers are better than which in a metric beyond noise, and hence their order.

        Raises:
            ValueError: if the run has no such metric; the nearest are offered.
        """
        if metric not in self._rankings:
            better_up = self.higher_is_better.get(metric, True)
            samples = np.asarray(self.sample_ids, np.int64)
            controls = () if metric in self.uncontrolled else self.controls
            self._rankings[metric] = Ranking.of(
                metric, self.explainers, controls, samples, self.column(metric), higher_is_better=better_up
            )
        return self._rankings[metric]

    def table(self, style: str = "simple") -> str:
        """Explainers by metrics: means with 95 % intervals, marked where a method does not beat its controls."""
        return table(self, style)

    def label_table(self, metric: str, style: str = "simple") -> str:
        """Labels by explainers in one metric: means with 95 % intervals, and how many questions each label has.

        Raises:
            ValueError: if the metric is none of the run's.
        """
        self._check("metric", metric, self.metrics)
        return label_table(self, metric, style)

    def ranking_table(self, style: str = "simple") -> str:
        """The explainers' places in each metric, with a letter for each group that noise alone may part."""
        return ranking_table(self, style)

    @cached_property
    def _aggregates(self) -> dict[int | None, dict[tuple[str, str], Aggregate]]:
        return {}

    @cached_property
    def _rankings(self) -> dict[str, Ranking]:
        return {}

    def _aggregated(self, label: int | None) -> dict[tuple[str, str], Aggregate]:
        """Of all explainers and metrics at once, since their intervals share what is drawn."""
        asked = np.ones(len(self.labels), bool) if label is None else np.asarray(self.labels) == label
        pairs = [(explainer, metric) for metric in self.metrics for explainer in self.explainers]
        values = np.concatenate([self.column(metric)[asked] for metric in self.metrics], axis=1)
        low, high = bootstrap_intervals(*by_sample(np.asarray(self.sample_ids, np.int64)[asked], values)).tolist()
        counts = np.isfinite(values).sum(axis=0).tolist()
        return {
            pair: Aggregate(mean_score(values[:, i]), counts[i], len(values) - counts[i], low[i], high[i])
            for i, pair in enumerate(pairs)
        }

    def _check(self, kind: str, name: str, known: tuple[str, ...]) -> None:
        if name not in known:
            raise ValueError(f"the run has no {kind} {name!r}; {nearest(name, known)}")

    def _index(self, label: int | str) -> int:
        if isinstance(label, str) and label in self.class_names:
            return self.class_names.index(label)
        if isinstance(label, int) and 0 <= label < len(self.class_names):
            return label
        raise ValueError(f"no label {label!r}; give an index below {len(self.class_names)} or a class name")
