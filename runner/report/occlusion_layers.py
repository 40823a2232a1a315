"""What hierarchical occlusion found, for the page: columns, since a large run has tens of thousands of layers."""

from __future__ import annotations

from itertools import accumulate
from typing import Any

import numpy as np

from ...summary_format import Results
from .encoded_arrays import Array, packed

_SHORT = np.iinfo(np.int16).max  # pixels


def occlusion_layers(results: Results, questions: Array) -> dict[str, Any] | None:
    """What was found for the questions shown; None where the run did not search.

    Args:
        results: of the run.
        questions: (Q,) which of the run's questions are shown.

    Returns:
        ``outcomes``, the names that ``outcome`` (Q,) counts by; ``sigma`` (Q,) of the blur, 0 where nothing was found;
        ``first_layer`` (Q + 1,), where a question's layers begin among all L; of each its ``probability`` (L,) and
        ``first_box`` (L + 1,), where its boxes begin among all B; ``boxes`` (B, 4) with x, y, width and height.
    """
    outcomes = results.outcomes
    if outcomes is None:
        return None
    asked, found = results.questions, results.all_revealed()
    revealed = [found.get((int(sample), int(label))) for sample, label in asked[questions]]
    layers = [one.layers if one else () for one in revealed]
    every = [layer for of in layers for layer in of]
    boxes = np.array([box for layer in every for box in layer.boxes], np.int32).reshape(-1, 4)
    names = sorted(set(outcomes))
    return {
        "outcomes": names,
        "outcome": packed(np.array([names.index(outcomes[question]) for question in questions], np.uint8)),
        "sigma": packed(np.array([one.sigma if one else 0 for one in revealed], np.int32)),
        "first_layer": packed(_first(map(len, layers))),
        "probability": packed(np.array([layer.probability for layer in every], np.float32)),
        "first_box": packed(_first(len(layer.boxes) for layer in every)),
        "boxes": packed(boxes if boxes.max(initial=0) > _SHORT else boxes.astype(np.int16)),
    }


def _first(counts: Any) -> Array:
    """(N + 1,) where each of N parts begins, and the last ends."""
    return np.array([0, *accumulate(counts)], np.int32)
