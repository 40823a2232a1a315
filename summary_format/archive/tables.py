"""What a batch says as the tables that ``results.h5`` holds, and back.

Every table has one row for each sample, question, layer of boxes or box; ``sample_column`` says which sample a row is
about.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..plan_record import PlanRecord
from ..untrusted.array_schema import SEARCHED
from .curves import below_one_another
from .neighbours import Neighbours
from .packing import curves_of, stored_curves
from .search_batch import SearchBatch
from .segments import Array, BatchResults, ExplanationBatch, InferenceBatch

SPREAD = ("sd", "low", "high")
_SEARCH = "hierarchical_occlusion"


def tables(batch: BatchResults, metrics: Sequence[str]) -> dict[str, Array]:
    """What a batch says, but for maps, by the names under which the archive holds it."""
    samples = batch.samples
    found = {
        "samples/id": samples.ids,
        "samples/digest": samples.digests,
        "samples/truth": samples.truth,
        "samples/logits": samples.logits,
        "samples/probabilities": samples.probabilities,
        "samples/computed": samples.computed,
        "samples/beyond": samples.labels_out_of_range,
        "questions/sample": samples.questions[:, 0],
        "questions/label": samples.questions[:, 1],
        **{f"samples/{name}": values for name, values in zip(SPREAD, samples.spread, strict=False)},
    }
    if samples.pictures is not None:
        found["samples/picture"] = samples.pictures
    if samples.neighbours is not None:
        found |= {f"samples/{name}": table for name, table in samples.neighbours.tables.items()}
    for name, said in batch.explained.items():
        if said.pictures is not None:
            found[f"explainers/{name}/picture"] = said.pictures
        found[f"explainers/{name}/computed"] = said.computed
        found[f"explainers/{name}/error"] = said.errors
        found |= {f"explainers/{name}/scores/{metric}": said.scores[i] for i, metric in enumerate(metrics)}
        found |= {f"explainers/{name}/{place}": table for place, table in stored_curves(said.curves).items()}
    if batch.searched is not None:
        searched = vars(batch.searched)
        found |= {f"{_SEARCH}/{name}": searched[name] for name in SEARCHED}
    return found


def batch_of(found: Mapping[str, Array], explainers: Sequence[str], metrics: Sequence[str]) -> BatchResults:
    """The batch that says what these tables hold."""
    logits = found["samples/logits"]
    spread = [found[f"samples/{name}"] for name in SPREAD if f"samples/{name}" in found]
    samples = InferenceBatch(
        ids=found["samples/id"],
        digests=found["samples/digest"],
        truth=found["samples/truth"],
        logits=logits,
        probabilities=found["samples/probabilities"],
        spread=np.stack(spread) if spread else np.zeros((0, *logits.shape)),
        questions=np.stack([found["questions/sample"], found["questions/label"]], axis=1),
        labels_out_of_range=found["samples/beyond"],
        pictures=found.get("samples/picture"),
        neighbours=Neighbours.among(found, "samples/"),
    )
    questions = len(samples.questions)
    explained = {
        name: ExplanationBatch(
            scores=np.array([found[f"explainers/{name}/scores/{metric}"] for metric in metrics]).reshape(
                len(metrics), questions
            ),
            computed=found[f"explainers/{name}/computed"],
            errors=found[f"explainers/{name}/error"],
            pictures=found.get(f"explainers/{name}/picture"),
            curves=_curves(found, name),
        )
        for name in explainers
    }
    searched: dict[str, Any] = {name: found[f"{_SEARCH}/{name}"] for name in SEARCHED if f"{_SEARCH}/{name}" in found}
    return BatchResults(samples, explained, SearchBatch(**searched) if searched else None)


def _curves(found: Mapping[str, Array], explainer: str) -> dict[str, Array]:
    """The curves of an explainer among tables, by metric."""
    above = f"explainers/{explainer}/"
    return curves_of({name.removeprefix(above): table for name, table in found.items() if name.startswith(above)})


def nothing(plan: PlanRecord) -> BatchResults:
    """A batch without samples, of a run of that plan."""
    classes, none = len(plan.class_names), np.zeros(0, np.int64)
    rows, spread = np.zeros((0, classes), np.float32), np.zeros((3 if plan.dropout_samples else 0, 0, classes))
    checksums = none.astype(np.uint32)
    samples = InferenceBatch(
        ids=none,
        digests=checksums,
        truth=np.zeros((0, 0), np.int64),
        logits=rows,
        probabilities=rows,
        spread=spread,
        questions=np.zeros((0, 2), np.int64),
        labels_out_of_range=none,
        pictures=checksums,
        neighbours=Neighbours.nothing(plan.neighbours) if plan.neighbours else None,
    )
    curves = {metric: np.zeros((0, len(plan.kept_curves(metric)), 2, 0)) for metric in plan.metrics}
    explained = ExplanationBatch(
        scores=np.zeros((len(plan.metrics), 0)),
        computed=np.zeros(0, bool),
        errors=np.zeros(0),
        pictures=checksums,
        curves={metric: table for metric, table in curves.items() if table.shape[1]},
    )
    searched = SearchBatch.nothing() if plan.searching else None
    return BatchResults(samples, dict.fromkeys(plan.explainers, explained), searched)


def joined_arrays(parts: Sequence[Array]) -> Array:
    """Tables of several batches below one another, rows of truth and curves padded to the longest."""
    return np.concatenate(parts) if parts[0].ndim < 2 else below_one_another(parts)


def sample_column(name: str) -> tuple[str, int | None]:
    """The table, and its column if it has several, whose rows say which samples those of a table are about."""
    group, _, last = name.partition("/")
    if group == "samples":
        return "samples/id", None
    if group == _SEARCH and last in ("layers", "probabilities"):
        return f"{_SEARCH}/layers", 0
    if group == _SEARCH and last == "boxes":
        return name, 0
    return "questions/sample", None
