"""What hierarchical occlusion found for a batch of questions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from ..event_file.records import Revealed, RevealedLayer

Array = npt.NDArray[Any]
OUTCOMES = ("found", "blur suffices", "not reached", "below threshold")


@dataclass(frozen=True, kw_only=True)
class SearchBatch:
    """What hierarchical occlusion found for a batch's questions, Q of them with L layers and B boxes in all.

    Attributes:
        outcomes: (Q,) an index into ``OUTCOMES``.
        blurred: (Q,) the label's probability on the blurred image, NaN where nothing was searched.
        sigmas: (Q,) of the blur, in pixels.
        layers: (L, 3) sample id, label, number of the layer from 0.
        probabilities: (L,) of the label with the layer's boxes revealed.
        boxes: (B, 8) sample id, label, layer, x, y, width, height, and which box of the layer above it lies in (-1 in
            layer 0), in the order in which they were revealed.
        costs: passes and seconds that it took.
    """

    outcomes: Array
    blurred: Array
    sigmas: Array
    layers: Array
    probabilities: Array
    boxes: Array
    costs: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    @classmethod
    def joined(cls, parts: Sequence[SearchBatch]) -> SearchBatch:
        """Parts of a batch as one, without what they took."""
        tables = (field_.name for field_ in fields(cls) if field_.name != "costs")
        return cls(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in tables})

    @classmethod
    def nothing(cls) -> SearchBatch:
        """Of no questions."""
        none, rows = np.zeros(0, np.int64), (np.zeros((0, width), np.int64) for width in (3, 8))
        return cls(
            outcomes=none.astype(np.uint8),
            blurred=np.zeros(0),
            sigmas=none,
            layers=next(rows),
            probabilities=np.zeros(0),
            boxes=next(rows),
        )

    def revealed(self, questions: Array) -> Iterator[tuple[int, Revealed]]:
        """What was found for questions (Q, 2), with the sample's id."""
        layers, boxes = _rows_by_question(self.layers), _rows_by_question(self.boxes)
        for (sample_id, label), sigma in zip(questions.tolist(), self.sigmas.tolist(), strict=True):
            mine = layers.get((sample_id, label), [])
            inside = self.boxes[boxes.get((sample_id, label), [])]
            found = tuple(
                RevealedLayer(
                    float(self.probabilities[row]), tuple(map(tuple, inside[inside[:, 2] == number, 3:7].tolist()))
                )
                for row, number in zip(mine, self.layers[mine, 2], strict=True)
            )
            if found:
                yield sample_id, Revealed(label, sigma, found)


def _rows_by_question(table: Array) -> dict[tuple[int, int], list[int]]:
    """Where the rows of a table are that begin with a sample id and a label."""
    found: dict[tuple[int, int], list[int]] = {}
    for row, (sample_id, label) in enumerate(table[:, :2].tolist()):
        found.setdefault((sample_id, label), []).append(row)
    return found
