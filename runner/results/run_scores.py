"""The scores of a run: one for each (question, explainer, metric), and what they come to. Loads no MindSpore."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from ...summary_format.archive.results import Results
from ...summary_format.deprecated_names import Renamed, renamed_arguments
from ...summary_format.errors import nearest
from ...summary_format.lifecycle.viewer_records import mean_score
from .metric_agreement import MetricAgreement
from .ranking import Ranking
from .resampling import bootstrap_intervals, by_sample

AnyScores = TypeVar("AnyScores", bound="RunScores")


@dataclass(frozen=True, kw_only=True)
class Aggregate:
    """Scores summed up.

    Attributes:
        mean: over the scored questions; NaN if there are none.
        count: how many questions were scored.
        unscored: how many could not be.
        low: lower end of the 95 % bootstrap interval of the mean, over samples; NaN where fewer than two samples have
            scores.
        high: upper end.
    """

    mean: float
    count: int
    unscored: int
    low: float = float("nan")
    high: float = float("nan")


@renamed_arguments(uncontrolled="control_insensitive")
@dataclass(kw_only=True)
class RunScores:
    """The scores of a run, their means and their ranking.

    Attributes:
        class_names: name of each label.
        explainers: names, in the order in which they were registered.
        metrics: names, in the order in which they were registered.
        sample_ids: the sample of each question.
        labels: the label of each question.
        values: for each (explainer, metric) one score per question, NaN where it could not be computed.
        higher_is_better: by metric; True where nothing is said.
        controls: names of the explainers that know nothing of the network and are there to be beaten.
        control_insensitive: metrics in which beating them says nothing.
        chosen_layers: by explainer for which no layer was named, the one that was chosen.
        chosen_reshapes: by explainer the grid of its tokens, or of what it gives channels last.
    """

    class_names: tuple[str, ...]
    explainers: tuple[str, ...]
    metrics: tuple[str, ...]
    sample_ids: list[int] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    values: dict[tuple[str, str], list[float]] = field(default_factory=dict)
    higher_is_better: Mapping[str, bool] = field(default_factory=dict)
    controls: tuple[str, ...] = ()
    control_insensitive: tuple[str, ...] = ()
    chosen_layers: Mapping[str, str] = field(default_factory=dict)
    chosen_reshapes: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    uncontrolled = Renamed("control_insensitive")

    @classmethod
    def of(cls: type[AnyScores], results: Results) -> AnyScores:
        """The scores that a run's results hold."""
        questions, plan = results.questions, results.plan_record
        pairs = [(explainer, metric) for explainer in results.explainers for metric in results.metrics]
        return cls(
            class_names=results.class_names,
            explainers=results.explainers,
            metrics=results.metrics,
            sample_ids=questions[:, 0].tolist(),
            labels=questions[:, 1].tolist(),
            values={pair: results.scores(*pair).tolist() for pair in pairs},
            higher_is_better=plan.higher_is_better,
            controls=plan.controls,
            control_insensitive=plan.control_insensitive,
            chosen_layers=plan.chosen_layers,
            chosen_reshapes=plan.chosen_reshapes,
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
        self.check_name("explainer", explainer, self.explainers)
        self.check_name("metric", metric, self.metrics)
        index = None if label is None else self._index(label)
        if index not in self._aggregates:
            self._aggregates[index] = self._aggregated(index)
        return self._aggregates[index][explainer, metric]

    def column(self, metric: str) -> npt.NDArray[np.float64]:
        """(Q, explainers) all scores in a metric, NaN where there is none.

        Raises:
            ValueError: if the run has no such metric; the nearest are offered.
        """
        self.check_name("metric", metric, self.metrics)
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
            controls = () if metric in self.control_insensitive else self.controls
            self._rankings[metric] = Ranking.of(
                metric, self.explainers, controls, samples, self.column(metric), higher_is_better=better_up
            )
        return self._rankings[metric]

    @cached_property
    def agreement(self) -> MetricAgreement:
        """How far every two metrics agree on the order of the explainers that are not controls."""
        ranked = [place for place, name in enumerate(self.explainers) if name not in self.controls]
        columns = [self.column(metric)[:, ranked] for metric in self.metrics]
        values = np.stack(columns, axis=1) if columns else np.zeros((len(self.labels), 0, len(ranked)))
        return MetricAgreement.of(
            self.metrics,
            [self.explainers[place] for place in ranked],
            np.asarray(self.sample_ids, np.int64),
            values,
            [self.higher_is_better.get(metric, True) for metric in self.metrics],
        )

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
            pair: Aggregate(
                mean=mean_score(values[:, i]),
                count=counts[i],
                unscored=len(values) - counts[i],
                low=low[i],
                high=high[i],
            )
            for i, pair in enumerate(pairs)
        }

    def check_name(self, kind: str, name: str, known: tuple[str, ...]) -> None:
        """Refuse a name that is not among the known ones of its kind.

        Raises:
            ValueError: if it is not; the nearest are offered.
        """
        if name not in known:
            raise ValueError(f"the run has no {kind} {name!r}; {nearest(name, known)}")

    def _index(self, label: int | str) -> int:
        if isinstance(label, str) and label in self.class_names:
            return self.class_names.index(label)
        if isinstance(label, int) and 0 <= label < len(self.class_names):
            return label
        raise ValueError(f"no label {label!r}; give an index below {len(self.class_names)} or a class name")
