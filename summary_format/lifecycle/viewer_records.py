"""The records that the viewer reads, made of what is known of a batch or of a run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from ..archive.results import Results
from ..archive.sample_labels import recorded, shown, true_labels
from ..archive.segments import Array, BatchResults, InferenceBatch
from ..event_file.records import Heatmap, Prediction, Revealed, SampleRecord, Score, ScoresRecord
from ..storage.run_folder import RunFolder


def sample_records(results: BatchResults, run: RunFolder) -> Iterator[SampleRecord]:
    """The records of a batch of which everything is known, in sample order."""
    inference = results.samples
    heatmaps: dict[int, list[Heatmap]] = {int(sample_id): [] for sample_id in inference.ids}
    revealed: dict[int, list[Revealed]] = {int(sample_id): [] for sample_id in inference.ids}
    for sample_id, found in results.searched.revealed(inference.questions) if results.searched is not None else ():
        revealed[sample_id].append(found)
    for name, of_explainer in results.explained.items():
        for sample_id, label in inference.questions[of_explainer.computed].tolist():
            path = run.heatmap_path(name, sample_id, label)
            heatmaps[sample_id].append(Heatmap(name, label, path))
    for row in recorded(inference):
        sample_id = int(inference.ids[row])
        truth, above = (
            _predictions(inference, row, labels) for labels in (true_labels(inference, row), shown(inference, row))
        )
        maps, found_regions = tuple(heatmaps[sample_id]), tuple(revealed[sample_id])
        yield SampleRecord(sample_id, run.image_path(sample_id), truth, above, maps, found_regions)


def scores_record(results: Results) -> ScoresRecord:
    """The means of all scores, in all and by label."""
    labels = results.questions[:, 1]

    def score(explainer: str, metric: str) -> Score:
        values = results.scores(explainer, metric)
        by_label = tuple(mean_score(values[labels == label]) for label in range(len(results.class_names)))
        return Score(explainer, metric, mean_score(values), by_label)

    return ScoresRecord(
        tuple(score(explainer, metric) for explainer in results.explainers for metric in results.metrics)
    )


def mean_score(values: Array) -> float:
    """Mean of the scores that are numbers; NaN where none is."""
    scored = values[np.isfinite(values)]
    return float(scored.mean()) if scored.size else float("nan")


def _predictions(inference: InferenceBatch, row: int, labels: Iterable[int]) -> tuple[Prediction, ...]:
    """What is recorded of a sample's labels."""

    def spread_of(label: int) -> tuple[float, float, float] | None:
        if not len(inference.spread):
            return None
        sd, low, high = inference.spread[:, row, label].tolist()
        return sd, low, high

    return tuple(Prediction(label, float(inference.probabilities[row, label]), spread_of(label)) for label in labels)
