"""How a candidate's mean scores stand to the floors that were set for them."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from ..results.mean_bounds import Events, mean_bounds, span_of
from ..results.resampling import bootstrap_means, by_sample, intervals_of
from .formats.findings import FloorCheck, Verdict
from .rules.floors import EVERY, Floors, Place
from .scored_run import FloatArray, ScoredRun, mean_of


def checked_floors(
    floors: Floors, run: ScoredRun, everywhere: Collection[str], *, alpha: float, error: float, resamples: int
) -> tuple[FloorCheck, ...]:
    """How a run's means over true labels stand to their floors.

    A mean misses its floor where all of its interval lies on the wrong side; the intervals hold together for all floors
    (Bonferroni), so that means at their floors fail by chance with ``alpha`` at most. A floor is met where the interval
    of ``error`` lies on the right side; else it is not known.

    Args:
        floors: by explainer and metric.
        run: the candidate, with what shall be judged of it.
        everywhere: explainers for which floors of all explainers hold; for the others those hold that name them.
        alpha: chance that any mean at its floor, or better, is called worse, at most.
        error: chance that a mean at its floor, or worse, is called better, at most.
        resamples: draws of the bootstrap.
    """
    judged = _judged(floors, run, everywhere)
    places = list(judged)
    if not places:
        return ()
    values = run.true_values(places)
    sums, counts = by_sample(run.true_questions[:, 0], values)
    having = {*everywhere, *(explainer for explainer, _ in places)}
    explainers = [one for one in run.explainers if one in having]
    events = Events(_most_frequent(values), _spans(run, explainers, places))
    drawn = bootstrap_means(sums, counts, resamples=resamples)
    bounds = [mean_bounds(sums, counts, events, drawn, error=chance) for chance in (alpha / len(places), error)]
    usual = intervals_of(drawn, counts)
    return tuple(
        _check(run, place, judged[place], values[:, i], counts[:, i], usual[:, i], [both[:, i] for both in bounds])
        for i, place in enumerate(places)
    )


def floors_left_out(floors: Floors, run: ScoredRun) -> tuple[str, ...]:
    """Floors that hold for nothing that shall be judged of a candidate, a few words each."""
    without = [
        f"{explainer}/{metric}" if explainer != EVERY else metric
        for explainer, metric in floors.by_place
        if metric not in run.metrics or (explainer != EVERY and explainer not in run.explainers)
    ]
    return tuple(f"the floor {name} (of what was not chosen)" for name in without)


def _judged(floors: Floors, run: ScoredRun, everywhere: Collection[str]) -> dict[Place, float]:
    """The floor of each explainer in each metric that has one."""
    places = [(one, metric) for one in run.explainers for metric in run.metrics]
    found = {place: floors.of(*place) if place[0] in everywhere else floors.by_place.get(place) for place in places}
    return {place: floor for place, floor in found.items() if floor is not None}


def _check(
    run: ScoredRun,
    place: Place,
    floor: float,
    values: FloatArray,
    counts: FloatArray,
    interval: FloatArray,
    bounds: Sequence[FloatArray],
) -> FloorCheck:
    higher = run.higher_is_better[place[1]]
    missed, met = (sorted(ends if higher else -ends) for ends in bounds)
    least = floor if higher else -floor
    verdict = Verdict.INCONCLUSIVE
    if not np.isfinite([*missed, *met]).any():
        verdict = Verdict.NOT_TESTED
    elif missed[1] < least:
        verdict = Verdict.FLOOR_MISSED
    elif met[0] >= least:
        verdict = Verdict.FLOOR_MET
    return FloorCheck(
        explainer=place[0],
        metric=place[1],
        higher_is_better=higher,
        floor=floor,
        candidate=mean_of(values),
        low=float(interval[0]),
        high=float(interval[1]),
        samples=int((counts > 0).sum()),
        questions=int(counts.sum()),
        verdict=verdict,
    )


def _most_frequent(values: FloatArray) -> FloatArray:
    """(cells,) the score that most questions have, of scores (P, cells); 0 where there is none."""
    found = np.zeros(values.shape[1])
    for cell, column in enumerate(values.T):
        scores, times = np.unique(column[np.isfinite(column)], return_counts=True)
        found[cell] = scores[times.argmax()] if len(scores) else 0.0
    return found


def _spans(run: ScoredRun, explainers: Sequence[str], places: Sequence[Place]) -> FloatArray:
    """(cells,) how far scores of a metric lie apart, and from 0, as far as all explainers show it."""
    metrics = dict.fromkeys(metric for _, metric in places)
    spans = {metric: span_of([run.scores[one, metric] for one in explainers]) for metric in metrics}
    return np.array([spans[metric] for _, metric in places])
