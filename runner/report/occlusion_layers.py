"""What hierarchical occlusion found, for the page."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from ...summary_format import Results
from .encoded_arrays import Array


def occlusion_layers(results: Results, questions: Array) -> list[dict[str, Any]] | None:
    """For each question shown its outcome, and where one was found sigma of the blur and the layers; None without it.

    Args:
        results: of the run.
        questions: (Q,) which of the run's questions are shown.
    """
    outcomes = results.outcomes
    if outcomes is None:
        return None
    asked = results.questions
    found = results.all_revealed()
    entries = []
    for question in np.asarray(questions).tolist():
        sample, label = (int(part) for part in asked[question])
        revealed = found.get((sample, label))
        entry: dict[str, Any] = {"outcome": outcomes[question]}
        if revealed is not None:
            layers = [asdict(layer) for layer in revealed.layers]
            entry |= {"sigma": revealed.sigma, "layers": layers}
        entries.append(entry)
    return entries
