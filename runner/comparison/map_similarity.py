"""How alike the maps of two runs are."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from ...summary_format.rank_correlation import rank_correlations
from .formats.findings import Similarity
from .scored_run import FloatArray, IntArray, ScoredRun

_PIXELS_AT_ONCE = 1 << 21  # of each run in memory
Maps = npt.NDArray[np.float32]


def similarities(baseline: ScoredRun, candidate: ScoredRun) -> tuple[Similarity, ...]:
    """Of each of the baseline's explainers, over the questions about true labels; nothing if one run has no maps."""
    if baseline.results is None or candidate.results is None:
        return ()
    return tuple(_similarity(baseline, candidate, explainer) for explainer in baseline.explainers)


def top_intersections(first: Maps, second: Maps) -> FloatArray:
    """(N,) share of the most salient tenth of the pixels, rounded up, that is the same in maps (N, H, W).

    Of equal pixels the one that stands first, row by row, counts as more salient, in both maps alike.
    """
    count = -(-first[0].size // 10) if len(first) else 1
    top = [_top(maps.reshape(len(maps), -1), count) for maps in (first, second)]
    shares: FloatArray = (top[0] & top[1]).sum(axis=1) / count
    return shares


def _top(maps: Maps, count: int) -> npt.NDArray[np.bool_]:
    chosen = np.zeros(maps.shape, bool)
    np.put_along_axis(chosen, np.argsort(-maps, axis=1, kind="stable")[:, :count], values=True, axis=1)
    return chosen


def _similarity(baseline: ScoredRun, candidate: ScoredRun, explainer: str) -> Similarity:
    places = [run.places(baseline.true_questions) for run in (baseline, candidate)]
    total = int(((places[0] >= 0) | (places[1] >= 0)).sum())
    asked = np.flatnonzero((places[0] >= 0) & (places[1] >= 0))
    spearman, shared, compared = 0.0, 0.0, 0
    for first, second in _blocks(baseline, candidate, explainer, places[0][asked], places[1][asked]):
        usable = _usable(first) & _usable(second)
        spearman += float(rank_correlations(first[usable], second[usable]).sum())
        shared += float(top_intersections(first[usable], second[usable]).sum())
        compared += int(usable.sum())
    known = compared or np.nan
    return Similarity(
        explainer=explainer,
        spearman=float(spearman / known),
        top_intersection=float(shared / known),
        compared=compared,
        not_compared=total - compared,
    )


def _blocks(
    baseline: ScoredRun, candidate: ScoredRun, explainer: str, before: IntArray, now: IntArray
) -> Iterator[tuple[Maps, Maps]]:
    """Pairs of maps of one size, so many at a time as memory shall hold; none if the two have other sizes."""
    if baseline.results is None or candidate.results is None or not len(before):
        return
    sizes = [run.results.maps(explainer, 0, 1).shape[1:] for run in (baseline, candidate) if run.results is not None]
    if sizes[0] != sizes[1] or 0 in sizes[0]:
        return
    step = max(1, _PIXELS_AT_ONCE // (sizes[0][0] * sizes[0][1]))
    order = np.argsort(before, kind="stable")
    for rows in _near(before[order], now[order], step):
        first, second = before[order][rows], now[order][rows]
        yield (
            baseline.results.maps(explainer, first.min(), first.max() + 1)[first - first.min()],
            candidate.results.maps(explainer, second.min(), second.max() + 1)[second - second.min()],
        )


def _near(before: IntArray, now: IntArray, step: int) -> Iterator[slice]:
    """Runs of pairs that lie within so many questions of each other in both runs, other questions between included."""
    first = 0
    for place in range(1, len(before) + 1):
        inside = place < len(before) and all(abs(int(rows[place]) - int(rows[first])) < step for rows in (before, now))
        if not inside:
            yield slice(first, place)
            first = place


def _usable(maps: Maps) -> npt.NDArray[np.bool_]:
    """(N,) which maps are finite and not constant."""
    flat = maps.reshape(len(maps), -1)
    usable: npt.NDArray[np.bool_] = np.isfinite(flat).all(axis=1) & (flat.max(axis=1) > flat.min(axis=1))
    return usable
