"""The nearest samples of each, for the page: those of the pool once, with their pictures, and who is near to whom."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...summary_format import Results
from ...summary_format.archive.neighbours import Neighbours
from ...summary_format.plan_record import NEAREST_SAMPLES, PlanRecord
from .encoded_arrays import Array, packed
from .sample_pictures import SamplePictures


def nearest_samples(results: Results, rows: Array, pictures: SamplePictures) -> dict[str, Any] | None:
    """What was found for the samples shown; None where the run has no nearest samples.

    Args:
        results: of the run.
        rows: (N,) the places of the samples shown among all of the run.
        pictures: of the run's samples.

    Returns:
        ``samples``, those that are near to any, ascending: ``id``, ``predicted`` label (-1 where unknown), true labels
        (``truth``), and ``picture``, base64 of a small one, None where the run has none; ``count``, how many there are
        of each; ``place`` (N, count) of each among them, -1 where there are fewer, and ``distance`` (N, count).
    """
    found = results.nearest_samples
    if found is None:
        return None
    shown = found.rows(rows)
    ids = np.unique(shown.ids[shown.ids >= 0])
    return {
        "samples": [_sample(shown, int(one), pictures) for one in ids],
        "count": shown.ids.shape[1],
        "place": packed(np.where(shown.ids >= 0, np.searchsorted(ids, shown.ids), -1).astype(np.int32)),
        "distance": packed(shown.distances.astype(np.float32)),
    }


def nearest_layer(plan: PlanRecord) -> str | None:
    """The layer whose features are compared."""
    return plan.chosen_layers.get(NEAREST_SAMPLES) or (plan.nearest_samples or {}).get("layer")


def _sample(shown: Neighbours, sample_id: int, pictures: SamplePictures) -> dict[str, Any]:
    """A sample of the pool."""
    row, place = (int(at[0]) for at in np.nonzero(shown.ids == sample_id))
    picture = pictures.of(sample_id)
    return {
        "id": sample_id,
        "predicted": int(shown.predicted[row, place]),
        "truth": [label for label in shown.truth[row, place].tolist() if label >= 0],
        "picture": picture and picture.small,
    }
