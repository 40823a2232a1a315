"""Runs whose files ``fuzz_readers.py`` damages: of every kind of record, table and segment, finished and not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from explainrun.summary_format import (
    ExplanationBatch,
    Heatmap,
    InferenceBatch,
    Metadata,
    Prediction,
    Revealed,
    RevealedLayer,
    RunFolder,
    SampleRecord,
    Score,
    ScoresRecord,
    SearchBatch,
    Segments,
)
from explainrun.summary_format.archive.neighbours import Neighbours
from explainrun.summary_format.archive.results_file import write_archive
from explainrun.summary_format.event_file.frames import framed
from explainrun.summary_format.event_file.records import encode
from explainrun.summary_format.plan_record import PlanRecord
from explainrun.summary_format.storage.durable import make_folder

PLAN: dict[str, Any] = {
    "class_names": ["a/b", "ü <i>", "c"],
    "explainers": {"First": {"layer": "conv"}, "Ünd so": {}},
    "metrics": {"InsertionAUC": {"steps": 8}, "IoSR": {}},
    "curves": {"InsertionAUC": ["insertion"]},
    "dropout_samples": 3,
    "hierarchical_occlusion": {"threshold": 0.5},
    "nearest_samples": {"count": 2},
    "seed": 5,
}


def write_runs(folder: Path) -> None:
    """A finished and an unfinished run with all that runs have, but for networks."""
    for name in ("finished", "unfinished"):
        run = RunFolder(folder / name, 7, folder / name / "events.summary.7.CPU.here_explain")
        make_folder(run.data)
        run.write_state({"plan": PLAN, "replaces": False})
        segments = Segments.of(run, PlanRecord.of(PLAN))
        for batch in range(2):
            _write_batch(segments, batch, np.random.default_rng(batch))
        run.write_file(run.event_file, b"".join(framed(encode(record, 1.5)) for record in _records(run)))
        if name == "finished":
            write_archive(segments, PlanRecord.of(PLAN))
            run.write_manifest(saliency_map=True, benchmark=True, uncertainty=True, hierarchical_occlusion=True)
            run.sweep()
        else:
            (run.root / ".explainrun.lock").write_text(json.dumps({"host": "here", "pid": 7, "token": "ab"}))


def _write_batch(segments: Segments, batch: int, rng: np.random.Generator) -> None:
    ids = np.arange(3) + 3 * batch
    questions = np.array([[ids[0], 0], [ids[0], 2], [ids[2], 1]])
    costs: dict[str, dict[str, float]] = {"made": {"infer": 1}, "seconds": {"inference": 0.5}}
    truth, rows = np.array([[0, 2], [-1, -1], [1, -1]]), rng.random((3, 3)).astype(np.float32)
    sums, near = ids.astype(np.uint32), np.stack([truth, truth], 1)
    samples = InferenceBatch(
        ids=ids,
        digests=sums,
        truth=truth,
        logits=rows,
        probabilities=rows,
        spread=rng.random((3, 3, 3)),
        questions=questions,
        labels_out_of_range=ids,
        costs=costs,
        pictures=sums,
        neighbours=Neighbours(ids=ids[:, None] - [1, 0], distances=rng.random((3, 2)), predicted=truth, truth=near),
    )
    segments.write_samples(batch, samples)
    for name in segments.explainers:
        maps = rng.normal(size=(3, 9, 14)).astype(np.float32)
        explained = ExplanationBatch(
            scores=rng.random((2, 3)),
            computed=np.ones(3, bool),
            errors=rng.random(3),
            costs=costs,
            pictures=sums,
            curves={"InsertionAUC": rng.random((3, 1, 2, 4 + batch))},
        )
        segments.write_explained(batch, name, explained, maps)
    layers = np.array([[ids[0], 0, 0], [ids[0], 0, 1]])
    boxes = np.array([[ids[0], 0, 0, 1, 2, 5, 6, -1], [ids[0], 0, 1, 1, 3, 2, 2, 0]])
    outcomes = np.array([0, 1, 3], np.uint8)
    segments.write_searched(
        batch,
        SearchBatch(
            outcomes=outcomes,
            blurred=rng.random(3),
            sigmas=np.array([4, 4, 4]),
            layers=layers,
            probabilities=rng.random(2),
            boxes=boxes,
            costs=costs,
        ),
    )


def _records(run: RunFolder) -> Iterator[Any]:
    yield Metadata(tuple(PLAN["class_names"]), tuple(PLAN["explainers"]), tuple(PLAN["metrics"]))
    found = Revealed(0, 4, (RevealedLayer(0.75, ((1, 2, 5, 6), (3, 4, 2, 2))),))
    for sample in range(6):
        truth = (Prediction(0, 0.25, (0.125, 0.25, 0.75)),)
        maps = tuple(Heatmap(name, 0, run.heatmap_path(name, sample, 0)) for name in PLAN["explainers"])
        yield SampleRecord(sample, run.image_path(sample), truth, truth, maps, (found,))
    yield ScoresRecord(tuple(Score(one, "IoSR", 0.5, (0.25, 0.5, float("nan"))) for one in PLAN["explainers"]))
