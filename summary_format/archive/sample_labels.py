"""Which labels of a sample count: the true ones and the predicted ones."""

from __future__ import annotations

import numpy as np

from ..event_file.records import PREDICTED_ABOVE
from .segments import SampleBatch


def recorded(said: SampleBatch) -> list[int]:
    """Rows of the samples that have a place in the records: the network gave numbers, and there is a label to show."""
    return [int(row) for row in np.flatnonzero(said.computed) if true_labels(said, row) or predicted(said, row)]


def predicted(said: SampleBatch, row: int) -> list[int]:
    """Labels whose probability exceeds 0.5, ascending."""
    return [int(label) for label in np.flatnonzero(said.probabilities[row] > PREDICTED_ABOVE)]


def true_labels(said: SampleBatch, row: int) -> list[int]:
    """A sample's true labels, ascending."""
    return [int(label) for label in said.truth[row] if label >= 0]
