"""How far metrics agree on which explainer is better than which. Loads no MindSpore."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .resampling import CONFIDENCE, Array, bootstrap_means, by_sample

_CELLS_AT_ONCE = 1 << 22  # signs of pairs in memory


@dataclass(frozen=True, kw_only=True)
class MetricAgreement:
    """Kendall's tau of every two metrics' orders of the explainers by their mean scores.

    1 where two metrics put the explainers into the same order, -1 where into the opposite one, about 0 where one says
    nothing of the other. Tau-b (Kendall: The Treatment of Ties in Ranking Problems, 1945), which leaves out pairs of
    explainers that a metric does not order. Metrics in which lower is better are turned round first.

    Attributes:
        metrics: their names.
        explainers: those that are put in order: all that are not controls, which every metric would agree on.
        samples: how many have scores.
        tau: (metrics, metrics); NaN where a metric does not order two explainers.
        low: lower ends of the 95 % bootstrap intervals over samples; NaN where fewer than two samples have scores, or
            tau is.
        high: upper ends.
    """

    metrics: tuple[str, ...]
    explainers: tuple[str, ...]
    samples: int
    tau: tuple[tuple[float, ...], ...]
    low: tuple[tuple[float, ...], ...]
    high: tuple[tuple[float, ...], ...]

    @classmethod
    def of(
        cls,
        metrics: Sequence[str],
        explainers: Sequence[str],
        samples: npt.NDArray[np.int64],
        values: Array,
        higher_is_better: Sequence[bool],
    ) -> MetricAgreement:
        """Compare metrics.

        Args:
            metrics: their names.
            explainers: the names of those to be put in order.
            samples: (Q,) the sample of each question.
            values: (Q, metrics, explainers) scores, NaN where there is none.
            higher_is_better: (metrics,) which way they go.
        """
        directions = np.where(higher_is_better, 1.0, -1.0)[:, None]
        shape = (len(metrics), len(explainers))
        sums, counts = by_sample(samples, (values * directions).reshape(len(values), shape[0] * shape[1]))
        total = counts.sum(axis=0)
        means = np.divide(sums.sum(axis=0), total, out=np.full(len(total), np.nan), where=total > 0)
        tau = kendall(means.reshape(1, *shape))[0]
        low, high = _intervals(sums, counts, shape, np.isfinite(tau))
        return cls(
            metrics=tuple(metrics),
            explainers=tuple(explainers),
            samples=int((counts > 0).any(axis=1).sum()),
            tau=_rows(tau),
            low=_rows(low),
            high=_rows(high),
        )


def kendall(means: Array) -> Array:
    """Kendall's tau-b (R, metrics, metrics) of mean scores (R, metrics, explainers); NaN scores order nothing."""
    first, second = np.triu_indices(means.shape[2], 1)
    with np.errstate(invalid="ignore"):
        signs = np.nan_to_num(np.sign(means[:, :, first] - means[:, :, second]))
    agreeing = signs @ signs.transpose(0, 2, 1)
    ordered = np.abs(signs).sum(axis=2)
    scale = np.sqrt(ordered[:, :, None] * ordered[:, None, :])
    found: Array = np.divide(agreeing, scale, out=np.full(agreeing.shape, np.nan), where=scale > 0)
    return found


def _intervals(sums: Array, counts: Array, shape: tuple[int, int], known: npt.NDArray[np.bool_]) -> Array:
    """Lower and upper ends (2, metrics, metrics) of those taus that are known, over resamples of the samples.

    In a resample in which a metric orders no two explainers it says nothing of the other one, which counts as 0: left
    out, a metric that only a few samples make order anything would seem to be sure of it.
    """
    ends = np.full((2, shape[0], shape[0]), np.nan)
    scored = (counts > 0).any(axis=1)
    if scored.sum() < 2 or shape[1] < 2:
        return ends
    means = bootstrap_means(sums[scored], counts[scored])
    step = max(1, _CELLS_AT_ONCE // (shape[0] * shape[1] * shape[1]))
    parts = [kendall(means[at : at + step].reshape(-1, *shape)) for at in range(0, len(means), step)]
    taus, outside = np.nan_to_num(np.concatenate(parts)), (1.0 - CONFIDENCE) / 2.0
    ends[:, known] = np.quantile(taus[:, known], [outside, 1.0 - outside], axis=0)
    return ends


def _rows(matrix: Array) -> tuple[tuple[float, ...], ...]:
    return tuple(map(tuple, matrix.tolist()))
