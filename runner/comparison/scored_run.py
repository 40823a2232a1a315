"""What comparing needs of a run: its samples, its questions and their scores, and what made them."""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from ...summary_format import Results, RunFolder
from ...summary_format.event_file.records import PREDICTED_ABOVE
from ...summary_format.plan_record import PlanRecord
from ...summary_format.problem import Problem

SIGNIFICANT = 6  # digits of scores that are compared: of a run as of its baseline file
DESCRIBED = (
    "network", "activation_fn", "seed", "pass_size", "mean", "std", "limit", "dropout_samples", "jit", "graph_mode",
    "columns", "shard", "device", "versions", "chosen_layers",
    "chosen_reshapes",
)  # fmt: skip
_PATH = re.compile(r"((?:Posix|Windows)Path\(['\"])?(?:~?/|[A-Za-z]:[\\/]).*", re.DOTALL)
_DEEPEST = 20  # nested values; options are not

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False, kw_only=True)
class ScoredRun:
    """A run's scores, of a summary folder or a baseline file.

    Attributes:
        name: as the user gave it.
        class_names: name of each label.
        explainers: options by name, in order.
        metrics: the same of metrics.
        higher_is_better: which way scores go, by metric.
        described: what made it, in plain values without paths: what its plan says under the keys of ``DESCRIBED``, and
            as "config" a digest of the config's network and data, None without a config.
        samples: (N,) ids, ascending.
        digests: (N,) checksums of what the dataset gave.
        truth: (N, K) true labels, ascending, padded with -1.
        predicted: of each sample the labels above 0.5, or else the most probable one; () where the network gave no
            numbers.
        questions: (Q, 2) sample id and label.
        scores: (Q,) by explainer and metric, of six significant digits; NaN where not scored.
        results: maps, in the order of the questions; None of a baseline file.
        folder: where pictures are; None where there are none.
        controls: explainers that know nothing of the network.
    """

    name: str
    class_names: tuple[str, ...]
    explainers: Mapping[str, Mapping[str, Any]]
    metrics: Mapping[str, Mapping[str, Any]]
    higher_is_better: Mapping[str, bool]
    described: Mapping[str, Any]
    samples: IntArray
    digests: IntArray
    truth: IntArray
    predicted: tuple[tuple[int, ...], ...]
    questions: IntArray
    scores: Mapping[tuple[str, str], FloatArray]
    results: Results | None = None
    folder: RunFolder | None = None
    controls: tuple[str, ...] = ()

    @classmethod
    def of(cls, name: str, results: Results, folder: RunFolder | None = None) -> ScoredRun:
        """What a finished run's archive says.

        Raises:
            ValueError: if its plan's options nest too deep, or a true label is out of range.
        """
        plan = results.plan_record
        explainers, metrics = portable(plan.explainers), portable(plan.metrics)
        return cls(
            name=name,
            class_names=results.class_names,
            explainers=explainers,
            metrics=metrics,
            higher_is_better={metric: plan.higher_is_better.get(metric, True) for metric in metrics},
            described=_described(plan),
            samples=results.samples.astype(np.int64),
            digests=results.digests.astype(np.int64),
            truth=_truth(results),
            predicted=_predicted(results),
            questions=results.questions.astype(np.int64),
            scores={(one, metric): rounded(results.scores(one, metric)) for one in explainers for metric in metrics},
            results=results,
            folder=folder,
            controls=tuple(name for name in plan.controls if name in explainers),
        )

    @cached_property
    def true_questions(self) -> IntArray:
        """(P, 2) sample id and label of each true label, asked or not, in order of samples, then labels."""
        rows, columns = np.nonzero(self.truth >= 0)
        pairs = np.stack([self.samples[rows], self.truth[rows, columns]], axis=1)
        return np.asarray(np.unique(pairs, axis=0), np.int64) if len(pairs) else pairs.reshape(0, 2)

    def places(self, questions: IntArray) -> IntArray:
        """(P,) which of its questions each of other ones (P, 2) is; -1 where it did not ask that."""
        if not len(self.questions):
            return np.full(len(questions), -1)
        both, found = np.unique(np.concatenate([self.questions, questions]), axis=0, return_inverse=True)
        place = np.full(len(both), -1)
        found = found.reshape(-1)
        place[found[: len(self.questions)]] = np.arange(len(self.questions))
        return np.asarray(place[found[len(self.questions) :]], np.int64)

    def values(self, explainer: str, metric: str, places: IntArray) -> FloatArray:
        """(P,) scores of the questions at such places, NaN where there is no score or the place is -1."""
        padded = np.append(self.scores[explainer, metric], np.nan)
        values: FloatArray = padded[places]
        return values

    def values_of(self, rows: Sequence[tuple[str, str]], questions: IntArray) -> FloatArray:
        """(P, rows) scores of questions (P, 2) by explainer and metric; NaN where there is none."""
        places = self.places(questions)
        return np.stack([self.values(*row, places) for row in rows], axis=1)

    def true_values(self, rows: Sequence[tuple[str, str]]) -> FloatArray:
        """(P, rows) scores of the true labels' questions by explainer and metric; NaN where there is none."""
        return self.values_of(rows, self.true_questions)

    def mean(self, explainer: str, metric: str) -> float:
        """Mean score of the true labels' questions, of six significant digits; NaN if none is scored."""
        return float(rounded([mean_of(self.true_values([(explainer, metric)])[:, 0])])[0])

    def picture(self, explainer: str, sample: int, label: int) -> str | None:
        """Path of a map's picture; None where there is none."""
        if self.folder is None:
            return None
        path = str(self.folder.root / self.folder.heatmap_path(explainer, sample, label))
        return path if os.path.isfile(path) else None

    def only(self, explainers: Iterable[str], metrics: Iterable[str]) -> ScoredRun:
        """With some of its explainers and metrics, of those that it has, in its own order."""
        explainers, metrics = set(explainers), set(metrics)
        return replace(
            self,
            explainers={name: options for name, options in self.explainers.items() if name in explainers},
            metrics={name: options for name, options in self.metrics.items() if name in metrics},
            scores={
                (one, metric): scores
                for (one, metric), scores in self.scores.items()
                if one in explainers and metric in metrics
            },
        )


def mean_of(values: FloatArray) -> float:
    """The mean of the scores there are among some (P,), whatever their order; NaN if there is none."""
    scored = values[np.isfinite(values)].tolist()
    return math.fsum(scored) / len(scored) if scored else math.nan


def rounded(values: Sequence[float] | FloatArray) -> FloatArray:
    """Numbers as a baseline file keeps them: of six significant digits, NaN where not finite."""
    digits = np.array([float(f"{value:.{SIGNIFICANT}g}") for value in np.asarray(values, np.float64).tolist()])
    return np.where(np.isfinite(digits), digits + 0.0, np.nan).astype(np.float64)  # + 0.0: of -0.0 its sign is lost


def portable(value: Any, deepest: int = _DEEPEST) -> Any:
    """Plain values as any machine may read them: of paths the last part alone, of numbers that are none their names.

    Raises:
        ValueError: if they nest deeper than options do.
    """
    if deepest < 0:
        raise ValueError(Problem.of("nested-too-deep", "values nest more than {most} deep", most=_DEEPEST))
    if isinstance(value, Mapping):
        return {str(key): portable(inner, deepest - 1) for key, inner in value.items()}
    if isinstance(value, list):
        return [portable(inner, deepest - 1) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, str):
        text = value.encode("utf-8", "backslashreplace").decode()
        path = _PATH.fullmatch(text)
        return text if path is None else (path[1] or "") + re.split(r"[\\/]", text)[-1]
    return value


def _described(plan: PlanRecord) -> dict[str, Any]:
    described = {key: portable(plan.raw[key]) for key in DESCRIBED if key in plan.raw}
    text = json.dumps(portable(plan.made_from), sort_keys=True)
    return {**described, "config": hashlib.sha256(text.encode()).hexdigest()[:16] if plan.made_from else None}


def _predicted(results: Results) -> tuple[tuple[int, ...], ...]:
    """By sample; the first one where several are the most probable."""
    probabilities = results.probabilities
    known = results.computed & np.isfinite(probabilities).all(axis=1)
    above = probabilities > PREDICTED_ABOVE
    return tuple(
        () if not is_known else tuple(np.flatnonzero(over).tolist()) or (int(np.argmax(row)),)
        for is_known, over, row in zip(known.tolist(), above, probabilities, strict=True)
    )


def _truth(results: Results) -> IntArray:
    """Without columns that hold padding alone, so that runs of some samples and of others look alike."""
    truth = results.truth.astype(np.int64)
    if (truth >= len(results.class_names)).any():
        raise ValueError("a true label is out of range")
    width = int((truth >= 0).sum(axis=1).max(initial=0))
    return np.ascontiguousarray(truth[:, :width]) if (truth[:, width:] < 0).all() else truth
