"""What the page knows of all samples at once: labels, probabilities, flags, uncertainty and scores, by columns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...summary_format import Results
from ...summary_format.event_file.records import PREDICTED_ABOVE
from .encoded_arrays import Array, packed

TRUE, PREDICTED = 1, 2  # bits of a label's flags: TP has both, FN the first, FP the second


@dataclass(frozen=True, kw_only=True)
class SampleIndex:
    """The rows that the page shows: for each sample its true, predicted, likeliest and explained labels.

    Attributes:
        samples: (N,) ids of the samples shown.
        rows: (N,) where each stands among all samples of the run.
        questions: (Q,) where each of their questions stands among all questions of the run.
        first_question: (N + 1,) where those of each sample begin among the questions shown.
        labels: (L, 3) sample (its place), label, and question (its place among those shown, -1 where it was not asked).
        flags: (L,) ``TRUE`` and ``PREDICTED``.
    """

    samples: Array
    rows: Array
    questions: Array
    first_question: Array
    labels: Array
    flags: Array

    @classmethod
    def of(cls, results: Results, rows: Array) -> SampleIndex:
        """The index of some of a run's samples.

        Args:
            results: of the run.
            rows: which samples, by their places among all; ascending.
        """
        ids, asked = results.samples[rows], results.questions
        starts = np.searchsorted(asked[:, 0], ids, "left")
        ends = np.searchsorted(asked[:, 0], ids, "right")
        spans = [np.arange(start, end) for start, end in zip(starts, ends, strict=True)]
        questions = np.concatenate([np.zeros(0, np.int64), *spans])
        first = np.concatenate([[0], np.cumsum(ends - starts)])
        found = list(_labels(results, rows, asked[questions], first))
        labels = np.array([entry[:3] for entry in found], np.int64).reshape(-1, 3)
        flags = np.array([entry[3] for entry in found], np.uint8)
        return cls(samples=ids, rows=rows, questions=questions, first_question=first, labels=labels, flags=flags)

    def columns(self, results: Results, disagreement: Array) -> dict[str, Any]:
        """All of it for the page.

        Args:
            results: of the run.
            disagreement: (Q,) 1 - the mean rank correlation of the explainers' maps, by question shown.
        """
        rows = self.rows[self.labels[:, 0]]
        probabilities = results.probabilities[rows, self.labels[:, 1]]
        table = {
            "sample_id": self.samples.astype(np.int32),
            "computed": results.computed[self.rows].astype(np.uint8),
            "first_question": self.first_question.astype(np.int32),
            "label_sample": self.labels[:, 0].astype(np.int32),
            "label": self.labels[:, 1].astype(np.int32),
            "label_question": self.labels[:, 2].astype(np.int32),
            "label_flags": self.flags,
            "label_probability": probabilities.astype(np.float32),
            "disagreement": disagreement.astype(np.float32),
        }
        spread = results.uncertainty
        if spread is not None:
            values = spread[:, rows, self.labels[:, 1]].astype(np.float32)
            table |= dict(zip(("label_sd", "label_low", "label_high"), values, strict=True))
        return {
            "columns": {name: packed(values) for name, values in table.items()},
            "scores": [
                [packed(results.scores(name, metric)[self.questions].astype(np.float32)) for metric in results.metrics]
                for name in results.explainers
            ],
            "errors": [_errors(results.errors(name)[self.questions]) for name in results.explainers],
        }


def _errors(values: Array) -> dict[str, Any] | None:
    return packed(values.astype(np.float32)) if np.isfinite(values).any() else None


def _labels(results: Results, rows: Array, asked: Array, first: Array) -> Iterator[tuple[int, int, int, int]]:
    """(sample, label, question, flags) of each label that the page lists, sample by sample, the likeliest first."""
    truth, probabilities = results.truth[rows], results.probabilities[rows]
    for place in range(len(rows)):
        chances = probabilities[place]
        true = {int(label) for label in truth[place] if label >= 0}
        predicted = {int(label) for label in np.flatnonzero(chances > PREDICTED_ABOVE)}
        span = range(first[place], first[place + 1])
        questions = {int(asked[question, 1]): question for question in span}
        likeliest = {int(chances.argmax())} if np.isfinite(chances).all() and len(chances) else set[int]()
        for label in sorted(true | predicted | likeliest | questions.keys(), key=lambda label: -chances[label]):
            flags = TRUE * (label in true) + PREDICTED * (label in predicted)
            yield place, label, questions.get(label, -1), flags
