"""Baseline files: a run's scores in JSON, small enough to keep beside the code and laid out to be reviewed.

A line each for an explainer's options and means, for a sample, and for an explainer's scores in a metric; numbers of
six significant digits, null where there is no score. No maps, and nothing of the machine but its kind of device.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...summary_format.errors import ExplainrunError
from ...summary_format.problem import Problem
from ...summary_format.storage.whole_file import write_whole
from ...summary_format.untrusted.numpy_json import json_of
from ...summary_format.untrusted.regular_files import read_regular
from .baseline_content import COLUMNS, FORMAT, VERSION, BaselineContent
from .scored_run import DESCRIBED, SIGNIFICANT, FloatArray, IntArray, ScoredRun, portable, rounded

_MAKING = ("versions", "device")


class BaselineError(ExplainrunError, ValueError):
    """A file is not a baseline, or one that is damaged or of a newer version."""


def baseline_text(run: ScoredRun) -> str:
    """A run's baseline file; the same bytes for the same run."""
    asked = _labels_of_samples(run)
    pairs = np.array([(sample, label) for sample, labels in asked.items() for label in labels], np.int64).reshape(-1, 2)
    places = run.places(pairs)
    made, rest = (
        {key: run.described[key] for key in run.described if (key in _MAKING) is kind} for kind in (True, False)
    )
    samples = sorted(zip(*_sample_columns(run), strict=True))
    parts = {
        "format": _json_text(FORMAT),
        "version": _json_text(VERSION),
        "made_by": _json_text(made),
        "run": _block({key: _json_text(value) for key, value in rest.items()}),
        "class_names": _json_text(run.class_names),
        "explainers": _block({name: _json_text(options) for name, options in run.explainers.items()}),
        "controls": _json_text(run.controls),
        "metrics": _block({name: _json_text(options) for name, options in run.metrics.items()}),
        "higher_is_better": _json_text(run.higher_is_better),
        "means_of_true_labels": _block({one: _means(run, one) for one in run.explainers}),
        "sample_columns": _json_text(COLUMNS),
        "samples": _lines([_tight([*sample, asked[sample[0]]]) for sample in samples], "[]", 1),
        "scores": _block(
            {
                one: _block({metric: _number_list(run.values(one, metric, places)) for metric in run.metrics}, 2)
                for one in run.explainers
            }
        ),
    }
    return f"{_block(parts, 0)}\n"


def write_baseline(run: ScoredRun, path: str | Path) -> None:
    """Write a run's baseline file, which is there whole or not at all; one that is there is replaced.

    Raises:
        OSError: if it cannot be written.
    """
    write_whole(path, baseline_text(run).encode())


def read_baseline(path: str | Path) -> ScoredRun:
    """The scores that a baseline file keeps.

    Raises:
        BaselineError: if it is none, is damaged or of a newer version; the message says what is wrong.
        OSError: if it cannot be read.
    """
    try:
        content = BaselineContent.of(json_of(read_regular(path), unique_keys=True))
        run = _run_of(content, str(path))
        _check_means(run, content)
    except ValueError as error:
        problem = Problem.from_error(error)
        if problem.code == "other":
            problem = Problem.of("baseline-damaged", "{said}", said=str(error))
        raise BaselineError(problem.at(str(path))) from error
    return run


def _run_of(content: BaselineContent, name: str) -> ScoredRun:
    said = {**content.run, **content.made_by}
    return ScoredRun(
        name=name,
        class_names=content.class_names,
        explainers=portable(content.explainers),
        metrics=portable(content.metrics),
        higher_is_better={metric: content.higher_is_better[metric] for metric in content.metrics},
        described={key: portable(said[key]) for key in (*DESCRIBED, "config") if key in said},
        samples=np.array([one[0] for one in content.samples], np.int64),
        digests=np.array([int(one[1], 16) for one in content.samples], np.int64),
        truth=_padded([one[2] for one in content.samples]),
        predicted=tuple(tuple(one[3]) for one in content.samples),
        questions=np.array(content.questions, np.int64).reshape(-1, 2),
        scores={
            (explainer, metric): rounded([_or_nan(value) for value in content.scores[explainer][metric]])
            for explainer in content.explainers
            for metric in content.metrics
        },
        controls=content.controls,
    )


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value


def _check_means(run: ScoredRun, content: BaselineContent) -> None:
    """Means are written for those who read the file; edited scores make them wrong.

    Raises:
        ValueError: with a problem, if one is.
    """
    for explainer, metric in run.scores:
        kept, mean = _or_nan(content.means_of_true_labels[explainer][metric]), run.mean(explainer, metric)
        if not np.isclose(kept, mean, rtol=1e-4, atol=1e-12, equal_nan=True):
            words = (
                "its mean of {explainer} in {metric} is {kept:.6g}, its scores give {mean:.6g}: it was edited; "
                "make it again with explainrun baseline"
            )
            values = {"explainer": explainer, "metric": metric, "kept": kept, "mean": mean}
            raise ValueError(Problem.of("baseline-edited", words, **values))


def _padded(labels: Sequence[Sequence[int]]) -> IntArray:
    table = np.full((len(labels), max(map(len, labels), default=0)), -1, np.int64)
    for row, own in zip(table, labels, strict=True):
        row[: len(own)] = own
    return table


def _labels_of_samples(run: ScoredRun) -> dict[int, list[int]]:
    """The labels that were asked of each sample, ascending."""
    asked: dict[int, list[int]] = {sample: [] for sample in sorted(run.samples.tolist())}
    for sample, label in sorted(set(map(tuple, run.questions.tolist()))):
        asked[sample].append(label)
    return asked


def _sample_columns(run: ScoredRun) -> Iterator[list[Any]]:
    yield run.samples.tolist()
    yield [f"{digest:08x}" for digest in run.digests.tolist()]
    yield [sorted({label for label in labels if label >= 0}) for labels in run.truth.tolist()]
    yield [list(labels) for labels in run.predicted]


def _means(run: ScoredRun, explainer: str) -> str:
    means = {metric: run.mean(explainer, metric) for metric in run.metrics}
    return f"{{{', '.join(f'{_json_text(metric)}: {_json_number(mean)}' for metric, mean in means.items())}}}"


def _number_list(values: FloatArray) -> str:
    return f"[{','.join(map(_json_number, values.tolist()))}]"


def _json_number(number: float) -> str:
    return f"{number:.{SIGNIFICANT}g}" if math.isfinite(number) else "null"


def _json_text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _tight(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def _block(parts: Mapping[str, str], depth: int = 1) -> str:
    return _lines([f"{_json_text(key)}: {part}" for key, part in parts.items()], "{}", depth)


def _lines(parts: Sequence[str], around: str, depth: int) -> str:
    """Parts in brackets, a line each."""
    if not parts:
        return around
    inner = ",\n".join(" " * (depth + 1) + part for part in parts)
    return f"{around[0]}\n{inner}\n{' ' * depth}{around[1]}"
