"""Which layers Monte Carlo dropout acts on, and what its samples say."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from mindspore import mint, nn
from scipy.stats import beta

RATE_WITHOUT_LAYER = 0.5  # of the dropout put before the last dense layer of a network that has none
_BY_CHANNEL = (nn.Dropout2d, nn.Dropout3d)
_WHOLE = (nn.Dropout, mint.nn.Dropout)
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


def dropout_layers(network: nn.Cell) -> list[tuple[nn.Cell, float, bool]]:
    """Dropout layers with their rate and whether they drop whole channels.

    Raises:
        ValueError: if one is of a kind whose rule is not known.
    """
    layers = []
    for name, cell in network.cells_and_names():
        if isinstance(cell, _WHOLE):
            rate = getattr(cell, "p", None)
            layers.append((cell, float(1.0 - cell.keep_prob if rate is None else rate), False))
        elif isinstance(cell, _BY_CHANNEL):
            layers.append((cell, float(1.0 - cell.keep_prob), True))
        elif "dropout" in type(cell).__name__.lower():
            raise ValueError(f"uncertainty does not know how layer {name!r} ({type(cell).__name__}) drops")
    return layers


def last_dense(network: nn.Cell) -> nn.Cell:
    """The last dense layer, before which dropout is put where a network has none.

    Raises:
        ValueError: if there is no dense layer either.
    """
    dense = [cell for _, cell in network.cells_and_names() if isinstance(cell, (nn.Dense, mint.nn.Linear))]
    if not dense:
        raise ValueError("uncertainty needs a dropout layer, or a dense one to put dropout before")
    return dense[-1]


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
    return Spread(np.sqrt(variance), low, high)
