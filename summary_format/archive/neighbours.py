"""The samples of a pool that a network sees as the most alike to each sample."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
_FIELDS = {  # by the names that files have for them
    "nearest_id": "ids",
    "nearest_distance": "distances",
    "nearest_predicted": "predicted",
    "nearest_truth": "truth",
}


@dataclass(frozen=True, kw_only=True)
class Neighbours:
    """For each of N samples the P nearest ones of a pool, the nearest first.

    Where fewer can be compared, as those of a sample whose features are not finite, places at the end hold -1 and NaN.

    Attributes:
        ids: (N, P) positions in the dataset.
        distances: (N, P) of their features from those of the sample.
        predicted: (N, P) the label to which the network gives the highest probability.
        truth: (N, P, K) true labels, ascending, padded with -1.
    """

    ids: Array
    distances: Array
    predicted: Array
    truth: Array

    @classmethod
    def nothing(cls, count: int) -> Neighbours:
        """Those of no sample, so many of each."""
        none = np.zeros((0, count), np.int64)
        return cls(ids=none, distances=np.zeros((0, count)), predicted=none, truth=np.zeros((0, count, 0), np.int64))

    @classmethod
    def among(cls, tables: Mapping[str, Array], above: str = "") -> Neighbours | None:
        """Those that tables of a file hold; None where they hold none.

        Args:
            tables: by name.
            above: what stands before the names there.
        """
        found = {field: tables[above + name] for name, field in _FIELDS.items() if above + name in tables}
        return cls(**found) if found else None

    @property
    def tables(self) -> dict[str, Array]:
        """By the names that files have for them."""
        return {name: getattr(self, field) for name, field in _FIELDS.items()}

    def rows(self, rows: slice | Array) -> Neighbours:
        """Those of some of the samples."""
        return Neighbours(**{field: getattr(self, field)[rows] for field in _FIELDS.values()})

    def check(self, classes: int) -> None:
        """Make sure that what is read of a file can be looked up.

        Raises:
            ValueError: if a label is neither one of so many classes nor -1.
        """
        if any(((labels < -1) | (labels >= classes)).any() for labels in (self.predicted, self.truth)):
            raise ValueError("a label of a nearest sample is out of range")
