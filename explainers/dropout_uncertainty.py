"""What the samples of Monte Carlo dropout say of a prediction."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import beta

_TAIL = 0.025
_ROUNDING = 1e-6


@dataclass(frozen=True)
class Spread:
    """How predictions spread under dropout; each (N, classes).

    Attributes:
        sd: standard deviation of the probability.
        low: lower end of its central 95 % interval, in 0..1.
        high: upper end.
    """

    sd: npt.NDArray[np.float64]
    low: npt.NDArray[np.float64]
    high: npt.NDArray[np.float64]


def spread(probabilities: npt.NDArray[np.floating]) -> Spread:  # type: ignore[type-arg]
    """Standard deviation and central 95 % interval of probabilities (samples, N, classes) over the samples.

    The interval is that of the Beta distribution of the same mean and variance; where none fits (the variance is 0 or
    at least m (1 - m)), the empirical quantiles.
    """
    values = probabilities.astype(np.float64)
    mean, variance = values.mean(axis=0), values.var(axis=0)
    fits = (variance > 0) & (variance < (1.0 - _ROUNDING) * mean * (1.0 - mean))
    low, high = np.quantile(values, (_TAIL, 1.0 - _TAIL), axis=0)
    concentration = np.divide(mean * (1.0 - mean), variance, out=np.ones_like(mean), where=fits) - 1.0
    first, second = mean[fits] * concentration[fits], (1.0 - mean[fits]) * concentration[fits]
    low[fits], high[fits] = beta.ppf(_TAIL, first, second), beta.ppf(1.0 - _TAIL, first, second)
    return Spread(np.sqrt(variance), low.clip(0.0, 1.0), high.clip(0.0, 1.0))
