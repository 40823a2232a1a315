"""How far explainers agree: rank correlation of their maps, question by question."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.stats import rankdata

from .encoded_arrays import Array, reduced

SIDE = 32  # maps are made so small before they are compared
MOST_SAMPLES = 1000  # that the matrix is a mean over


@dataclass
class Agreement:
    """Spearman's rank correlation of the maps of every two explainers.

    Attributes:
        explainers: how many.
        disagreement: for each question 1 - the mean correlation over all pairs; NaN where there are not two maps.
        samples: how many samples the matrix covers so far.
    """

    explainers: int
    disagreement: list[float] = field(default_factory=list)
    samples: int = 0

    def __post_init__(self) -> None:
        self._sums = np.zeros((self.explainers, self.explainers))
        self._counts = np.zeros((self.explainers, self.explainers), np.int64)

    def add(self, maps: list[Array], samples: int) -> None:
        """Count the maps of some whole samples.

        Args:
            maps: (Q, H, W) of each explainer.
            samples: how many they are of.
        """
        if not maps:
            return
        ranks = np.stack([_ranks(reduced(of, SIDE)) for of in maps], axis=1)  # (Q, explainers, pixels)
        correlations = ranks @ ranks.transpose(0, 2, 1)
        pairs = np.triu_indices(self.explainers, 1)
        for found in correlations[:, pairs[0], pairs[1]]:
            known = found[np.isfinite(found)]
            self.disagreement.append(float(1 - known.mean()) if len(known) else float("nan"))
        if self.samples < MOST_SAMPLES:
            self._sums += np.nansum(correlations, axis=0)
            self._counts += np.isfinite(correlations).sum(axis=0)
            self.samples += samples

    def matrix(self) -> list[list[float | None]]:
        """(explainers, explainers) means over questions; None where there is nothing to compare."""
        means = np.divide(self._sums, self._counts, out=np.full_like(self._sums, np.nan), where=self._counts > 0)
        return [[None if np.isnan(value) else round(float(value), 4) for value in row] for row in means]


def _ranks(maps: Array) -> Any:
    """(Q, pixels) ranks, centred and of length 1, so that products are correlations; NaN of flat or unknown maps."""
    flat = maps.reshape(len(maps), -1).astype(np.float64)
    ranks = rankdata(flat, axis=1) if flat.size else flat
    ranks = ranks - ranks.mean(axis=1, keepdims=True) if flat.size else ranks
    lengths = np.linalg.norm(ranks, axis=1, keepdims=True)
    known = (lengths > 0) & np.isfinite(flat).all(axis=1, keepdims=True)
    return np.divide(ranks, lengths, out=np.full_like(ranks, np.nan), where=known)
