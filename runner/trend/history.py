"""How explainers' mean scores changed from run to run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path

from ...summary_format.errors import nearest
from ...summary_format.problem import Problem
from ..comparison.compare_runs import compare
from ..comparison.compatibility import NotComparableError
from ..comparison.formats.findings import Change
from ..comparison.load import scored_run
from ..comparison.rules.rules_file import ALPHA
from ..comparison.rules.tolerances import DEFAULTS, Tolerances
from ..comparison.scored_run import ScoredRun, mean_of
from ..results.resampling import RESAMPLES, bootstrap_intervals, by_sample

Place = tuple[str, str]  # explainer, metric


@dataclass(frozen=True, kw_only=True)
class Point:
    """An explainer's mean score in a metric in one run, over the questions about true labels.

    Attributes:
        mean: NaN where no question is scored.
        low: lower end of the 95 % bootstrap interval over samples; NaN if unknown.
        high: upper end.
        samples: how many have scores.
        questions: how many are scored.
    """

    mean: float
    low: float
    high: float
    samples: int
    questions: int


@dataclass(frozen=True, kw_only=True)
class Line:
    """An explainer in a metric, run by run.

    Attributes:
        explainer: its name.
        metric: its name.
        higher_is_better: which way the metric's scores go, as the last run that has it says.
        points: one for each run; None where a run has no such explainer or metric.
        steps: from each run to the next, as ``explainrun compare`` judges it; None where that was not compared.
        overall: from the first run to the last; None where that was not compared, or there are but two.
    """

    explainer: str
    metric: str
    higher_is_better: bool
    points: tuple[Point | None, ...]
    steps: tuple[Change | None, ...]
    overall: Change | None


@dataclass(frozen=True, kw_only=True)
class History:
    """What several runs scored, in the order in which they were named.

    Attributes:
        runs: as they were named.
        alpha: chance of a false alarm in one comparison, at most.
        lines: by explainer and metric, those of a metric together.
        refused: for each run but the first, why it was not compared with the one before; None where it was.
        overall_refused: why the last was not compared with the first; None where it was, or there are but two.
    """

    runs: tuple[str, ...]
    alpha: float
    lines: tuple[Line, ...]
    refused: tuple[str | None, ...]
    overall_refused: str | None


def history_of(
    runs: Sequence[str | Path | ScoredRun],
    tolerances: Tolerances | float | str | Mapping[str, float | str] = DEFAULTS,
    *,
    alpha: float = ALPHA,
    explainers: Sequence[str] = (),
    metrics: Sequence[str] = (),
    resamples: int = RESAMPLES,
) -> History:
    """Follow mean scores through runs.

    Each run is compared with the one before it, in the explainers and metrics that both have, and the last with the
    first, since falls that are tolerated one by one may add up. Two that cannot be compared, such as runs on other
    samples, are shown beside each other without a verdict, and the reason is kept.

    Args:
        runs: what ``compare`` takes, in order; two at least.
        tolerances: see ``compare``.
        alpha: chance of a false alarm in each comparison, at most.
        explainers: follow these alone; all but controls if empty.
        metrics: follow these alone; all if empty.
        resamples: draws of intervals and tests.

    Raises:
        NotComparableError: if there are fewer than two runs, or none has an explainer or metric that is named.
        RulesError: if a tolerance is for a metric that no run has.
        ValueError: if a run cannot be read: see ``scored_run``.
        OSError: if one cannot be read.
    """
    read = [run if isinstance(run, ScoredRun) else scored_run(run) for run in runs]
    if len(read) < 2:
        words = "{given:plural run} is not a trend; name two or more, the oldest first"
        raise NotComparableError([Problem.of("trend-too-short", words, given=len(read))])
    _check_names(read, explainers, metrics)
    tolerances = Tolerances.of_given(tolerances)
    tolerances.check(metric for run in read for metric in run.metrics)
    followed = _Followed(read, tuple(explainers), tuple(metrics))
    compared = [_compared(*pair, followed, tolerances, alpha, resamples) for pair in pairwise(read)]
    overall = _compared(read[0], read[-1], followed, tolerances, alpha, resamples) if len(read) > 2 else ({}, None)
    points = [_points(run, followed.places, resamples) for run in read]
    return History(
        runs=tuple(run.name for run in read),
        alpha=alpha,
        lines=tuple(
            Line(
                explainer=place[0],
                metric=place[1],
                higher_is_better=followed.higher_is_better(place[1]),
                points=tuple(of.get(place) for of in points),
                steps=tuple(changes.get(place) for changes, _ in compared),
                overall=overall[0].get(place),
            )
            for place in followed.places
        ),
        refused=tuple(why for _, why in compared),
        overall_refused=overall[1],
    )


@dataclass(frozen=True)
class _Followed:
    """What of the runs is followed.

    Attributes:
        runs: all of them.
        explainers: these alone; all but controls if empty.
        metrics: these alone; all if empty.
    """

    runs: Sequence[ScoredRun]
    explainers: tuple[str, ...]
    metrics: tuple[str, ...]

    @cached_property
    def places(self) -> list[Place]:
        """Explainers by metric, in the order in which runs first have them."""
        metrics = self.metrics or tuple(dict.fromkeys(name for run in self.runs for name in run.metrics))
        every = dict.fromkeys(name for run in self.runs for name in run.explainers)
        methods = tuple(name for name in every if any(self._is_method(run, name) for run in self.runs))
        return [(one, metric) for metric in metrics for one in self.explainers or methods or tuple(every)]

    def higher_is_better(self, metric: str) -> bool:
        """Which way scores of a metric go."""
        return next(run.higher_is_better[metric] for run in reversed(self.runs) if metric in run.metrics)

    def common(self, before: ScoredRun, now: ScoredRun) -> tuple[list[str], list[str]]:
        """The followed explainers and metrics that both runs have."""
        explainers, metrics = (dict.fromkeys(names) for names in zip(*self.places, strict=True))
        both = [name for name in explainers if name in before.explainers and name in now.explainers]
        return both, [name for name in metrics if name in before.metrics and name in now.metrics]

    @staticmethod
    def _is_method(run: ScoredRun, name: str) -> bool:
        return name in run.explainers and name not in run.controls


def _check_names(runs: Sequence[ScoredRun], explainers: Sequence[str], metrics: Sequence[str]) -> None:
    """Make sure that what is named is in one of the runs.

    Raises:
        NotComparableError: if not.
    """
    known = (("explainer", explainers, _every(run.explainers for run in runs)),
             ("metric", metrics, _every(run.metrics for run in runs)))  # fmt: skip
    words = "no run has the {kind} {name!r}; {nearest}"
    problems = [
        Problem.of("no-run-has-such", words, kind=kind, name=name, nearest=nearest(name, names))
        for kind, wanted, names in known
        for name in wanted
        if name not in names
    ]
    if not all(names for _, _, names in known):
        problems.append(Problem.of("trend-without-scores", "no run has scores: a trend needs explainers and metrics"))
    if problems:
        raise NotComparableError(problems)


def _every(names: Iterable[Iterable[str]]) -> list[str]:
    return list(dict.fromkeys(name for some in names for name in some))


def _compared(
    before: ScoredRun, now: ScoredRun, followed: _Followed, tolerances: Tolerances, alpha: float, resamples: int
) -> tuple[dict[Place, Change], str | None]:
    """The rows of two runs by explainer and metric, or why there are none."""
    explainers, metrics = followed.common(before, now)
    if not explainers or not metrics:
        return {}, "they have no explainer and metric in common"
    own = Tolerances(tolerances.everywhere, {key: one for key, one in tolerances.by_metric.items() if key in metrics})
    try:
        found = compare(
            before, now, own, alpha=alpha, explainers=explainers, metrics=metrics, maps=False, resamples=resamples
        )
    except NotComparableError as error:
        return {}, "; ".join(map(str, error.problems))
    return {(change.explainer, change.metric): change for change in found.changes}, None


def _points(run: ScoredRun, places: Sequence[Place], resamples: int) -> dict[Place, Point]:
    """The means of a run, of those places that it has."""
    own = [place for place in places if place in run.scores]
    if not own:
        return {}
    values = run.true_values(own)
    sums, counts = by_sample(run.true_questions[:, 0], values)
    low, high = bootstrap_intervals(sums, counts, resamples=resamples)
    return {
        place: Point(
            mean=mean_of(values[:, i]),
            low=float(low[i]),
            high=float(high[i]),
            samples=int((counts[:, i] > 0).sum()),
            questions=int(counts[:, i].sum()),
        )
        for i, place in enumerate(own)
    }
