"""The curves of metrics as the page draws them: their means over questions."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...summary_format import Results
from .encoded_arrays import Array

PLACES = 51  # at which a mean is taken


def mean_curves(results: Results) -> dict[str, dict[str, Any]]:
    """By metric of which curves are kept, their means over the questions that have any.

    Each has "across" (places,), at which means are taken, and "curves": by their names, for each explainer the mean
    heights (places,), None where no question's curve reaches.
    """
    return {
        metric: _of_metric(results, metric) for metric in results.metrics if results.plan_record.kept_curves(metric)
    }


def _of_metric(results: Results, metric: str) -> dict[str, Any]:
    found = [results.curves(explainer, metric) for explainer in results.explainers]
    ends = [end(curves[:, 0]) for of in found for curves in of.values() if np.isfinite(curves[:, 0]).any()
            for end in (np.nanmin, np.nanmax)]  # fmt: skip
    across = np.linspace(min(ends, default=0.0), max(ends, default=1.0), PLACES)
    names = results.plan_record.kept_curves(metric)
    means = {name: [_plain(_mean(of[name], across)) for of in found] for name in names}
    return {"across": _plain(across), "curves": means}


def _mean(curves: Array, across: Array) -> Array:
    """Mean heights of curves (Q, 2, points), each drawn straight from point to point; NaN where none reaches."""
    sums, counts = np.zeros(len(across)), np.zeros(len(across))
    for one in curves:
        places, heights = one[:, np.isfinite(one).all(axis=0)]
        if not len(places):
            continue
        order = np.argsort(places, kind="stable")
        reached = (across >= places.min()) & (across <= places.max())
        sums[reached] += np.interp(across[reached], places[order], heights[order])
        counts += reached
    return np.divide(sums, counts, out=np.full(len(across), np.nan), where=counts > 0)


def _plain(values: Array) -> list[float | None]:
    return [None if np.isnan(value) else round(float(value), 5) for value in values]
