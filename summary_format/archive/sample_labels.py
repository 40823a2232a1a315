"""Which samples and which of their labels count: of labels the true ones and the predicted ones."""

from __future__ import annotations

import google_crc32c
import numpy as np

from ..event_file.records import PREDICTED_ABOVE
from .segments import InferenceBatch

BROKEN_DIGEST = int(google_crc32c.value(b"broken"))  # of every sample that was left out since it cannot be read


def recorded(inference: InferenceBatch) -> list[int]:
    """Rows of the samples that have a place in the records: the network gave numbers, and there is a label to show."""
    return [
        int(row) for row in np.flatnonzero(inference.computed) if true_labels(inference, row) or shown(inference, row)
    ]


def predicted(inference: InferenceBatch, row: int) -> list[int]:
    """Labels whose probability exceeds 0.5, ascending."""
    return [int(label) for label in np.flatnonzero(inference.probabilities[row] > PREDICTED_ABOVE)]


def shown(inference: InferenceBatch, row: int) -> list[int]:
    """Labels that the records call predicted, ascending: of a probability above 0.5, or asked about and not true.

    The viewer shows no map of a label that is neither true nor predicted.
    """
    asked = inference.questions[inference.questions[:, 0] == inference.ids[row], 1].tolist()
    return sorted({*predicted(inference, row)} | ({*asked} - {*true_labels(inference, row)}))


def true_labels(inference: InferenceBatch, row: int) -> list[int]:
    """A sample's true labels, ascending."""
    return [int(label) for label in inference.truth[row] if label >= 0]
