"""What the page says of a run as a whole: what it did, what came of it, what was not computed, what is broken."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from typing import Any

from ...summary_format import Inspection, Results
from ..results.ranking import Ranking
from ..results.run_scores import RunScores
from .mean_curves import mean_curves
from .metric_texts import metric_text
from .nearest_samples import nearest_layer

FORMAT, VERSION = "explainrun report", 1
_LEFT_OUT_OF_PLAN = ("class_names", "explainers", "metrics", "skipped")


def run_summary(found: Inspection, results: Results) -> dict[str, Any]:
    """All that does not grow with the samples shown, in plain values.

    Args:
        found: on looking at the folder.
        results: of the run there.
    """
    scores = RunScores.of(results)
    plan = results.plan_record
    return {
        **state_of(found),
        "digest": digest_of(results),
        "class_names": list(results.class_names),
        "explainers": [_explainer(results, name) for name in results.explainers],
        "metrics": [_metric(results, name) for name in results.metrics],
        "scores": [
            [asdict(scores.aggregate(name, metric)) for metric in results.metrics] for name in results.explainers
        ],
        "curves": mean_curves(results),
        "rankings": [_ranking(scores.ranking(metric)) for metric in results.metrics],
        "samples_total": len(results.samples),
        "questions_total": len(results.questions),
        "unlabelled": int(results.computed.sum() - len(set(results.questions[:, 0].tolist()))),
        "skipped": [[int(key), why] for key, why in plan.skipped.items() if key.isdecimal()],
        "uncertainty": plan.dropout_samples,
        "hierarchical_occlusion": plan.hierarchical_occlusion,
        "nearest_samples": plan.nearest_samples and {**plan.nearest_samples, "layer": nearest_layer(plan)},
        "costs": results.costs,
        "plan": {key: value for key, value in results.plan.items() if key not in _LEFT_OUT_OF_PLAN},
    }


def state_of(found: Inspection) -> dict[str, Any]:
    """Whether the run is finished, how far it is, and what is wrong with it."""
    lacking = found.not_computed
    return {
        "format": FORMAT,
        "version": VERSION,
        "folder": found.folder.resolve().name,
        "state": found.state,
        "ended": found.ended,
        "seconds": found.seconds,
        "running": found.running,
        "progress": None if found.progress is None else [found.progress.samples, found.progress.samples_total],
        "not_computed": None if lacking is None else asdict(lacking),
        "faults": [asdict(fault) for fault in found.faults],
    }


def digest_of(results: Results) -> str:
    """16 hexadecimal digits that stand for what a run did and found: its plan, samples, predictions and scores."""
    found = hashlib.sha256(json.dumps(results.plan, sort_keys=True).encode())
    for table in (results.samples, results.digests, results.questions, results.logits):
        found.update(table.tobytes())
    for name in results.explainers:
        for metric in results.metrics:
            found.update(results.scores(name, metric).tobytes())
    return found.hexdigest()[:16]


def _explainer(results: Results, name: str) -> dict[str, Any]:
    plan = results.plan_record
    return {
        "name": name,
        "options": plan.explainers[name],
        "control": name in plan.controls,
        "layer": plan.chosen_layers.get(name),
        "error_text": plan.errors.get(name),
    }


def _metric(results: Results, name: str) -> dict[str, Any]:
    plan = results.plan_record
    options = plan.metrics[name]
    return {
        "name": name,
        "options": options,
        "higher_is_better": plan.higher_is_better.get(name, True),
        "control_sensitive": name not in plan.control_insensitive,
        "text": metric_text(options.get("class")),
    }


def _ranking(ranking: Ranking) -> dict[str, Any]:
    return {
        "places": [[place, name] for place, name in ranking.places],
        "ties": [list(group) for group in ranking.ties],
        "unbeaten": {name: list(controls) for name, controls in ranking.unbeaten.items() if controls},
        "differences": [asdict(difference) for difference in ranking.differences],
        "samples_needed": ranking.samples_needed if ranking.too_few else None,
    }
