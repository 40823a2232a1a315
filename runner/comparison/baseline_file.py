"""Baseline files: a run's scores in JSON, small enough to keep beside the code and laid out to be reviewed.

A line each for an explainer's options and means, for a sample, and for an explainer's scores in a metric; numbers of
six significant digits, null where there is no score. No maps, and nothing of the machine but its kind of device.
"""

from __future__ import annotations

import json
import math
import os
import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from ...summary_format.errors import ExplainrunError
from ...summary_format.names import fits_path, is_text
from ...summary_format.plural import plural
from ...summary_format.problem import Problem
from ...summary_format.storage.durable import about, append, remove, replace
from ...summary_format.untrusted.numpy_json import json_of
from .scored_run import DESCRIBED, SIGNIFICANT, FloatArray, IntArray, ScoredRun, portable, rounded

FORMAT, VERSION = "explainrun baseline", 1
_MAKING = ("versions", "device")
_COLUMNS = ["id", "digest", "truth", "predicted", "asked"]
_DIGEST = re.compile(r"[0-9a-f]{8}", re.ASCII)
_MODE = 0o666  # less what the user's mask takes: the file is to be committed and edited as any other


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
        "sample_columns": _json_text(_COLUMNS),
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
    target, data = Path(path).resolve(), baseline_text(run).encode()  # resolved, since a link shall stay one
    partial = target.with_name(f".{target.name[:100]}.{secrets.token_hex(8)}")
    try:
        with about(target):
            handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _MODE)
        try:
            append(handle, data, partial)
        finally:
            os.close(handle)
        replace(partial, target)
    finally:
        remove(partial)


def read_baseline(path: str | Path) -> ScoredRun:
    """The scores that a baseline file keeps.

    Raises:
        BaselineError: if it is none, is damaged or of a newer version; the message says what is wrong.
        OSError: if it cannot be read.
    """
    try:
        return _read(json_of(Path(path).read_bytes(), unique_keys=True), str(path))
    except ValueError as error:
        problem = Problem.told(error)
        if problem.code == "other":
            problem = Problem.of("baseline-damaged", "{said}", said=str(error))
        raise BaselineError(problem.at(str(path))) from error


def _read(content: Any, name: str) -> ScoredRun:
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        words = "it is not a baseline; explainrun baseline RUN -o FILE writes one"
        raise ValueError(Problem.of("not-a-baseline", words))
    version = content.get("version")
    if type(version) is not int or version < 1:
        words = "its version is {given!r}, where a number belongs"
        raise ValueError(Problem.of("baseline-version", words, given=str(version)[:80]))
    if version > VERSION:
        words = "it is of version {version}, this Explainrun reads up to {known}"
        raise ValueError(Problem.of("baseline-newer", words, version=version, known=VERSION))
    class_names = content.get("class_names")
    if not isinstance(class_names, list) or not all(isinstance(one, str) and is_text(one) for one in class_names):
        raise ValueError(Problem.of("baseline-class-names", "its class_names must be a list of strings"))
    explainers, metrics = (_checked_options(content, kind) for kind in ("explainers", "metrics"))
    said = {**_mapping(content.get("run"), "run"), **_mapping(content.get("made_by"), "made_by")}
    samples = _samples(content, len(class_names))
    questions = [(one[0], label) for one in samples for label in one[4]]
    run = ScoredRun(
        name=name,
        class_names=tuple(class_names),
        explainers=explainers,
        metrics=metrics,
        higher_is_better=_directions(content, metrics),
        described={key: portable(said[key]) for key in (*DESCRIBED, "config") if key in said},
        samples=np.array([one[0] for one in samples], np.int64),
        digests=np.array([int(one[1], 16) for one in samples], np.int64),
        truth=_padded([one[2] for one in samples]),
        predicted=tuple(tuple(one[3]) for one in samples),
        questions=np.array(questions, np.int64).reshape(-1, 2),
        scores=_scores(content, explainers, metrics, len(questions)),
        controls=_controls(content, explainers),
    )
    _check_means(run, content)
    return run


def _checked_options(content: Mapping[str, Any], kind: str) -> dict[str, dict[str, Any]]:
    options = _mapping(content.get(kind), kind)
    wrong = [name for name in options if not fits_path(name)]
    if wrong:
        words = "its {kind} hold {name!r}, which no run takes"
        raise ValueError(Problem.of("baseline-name", words, kind=kind, name=wrong[0][:80]))
    return {name: portable(_mapping(of, f"{kind}.{name}")) for name, of in options.items()}


def _controls(content: Mapping[str, Any], explainers: Mapping[str, Any]) -> tuple[str, ...]:
    said = content.get("controls", [])
    if not isinstance(said, list) or not all(isinstance(name, str) and name in explainers for name in said):
        raise ValueError(Problem.of("baseline-controls", "its controls are not some of its explainers"))
    return tuple(said)


def _directions(content: Mapping[str, Any], metrics: Mapping[str, Any]) -> dict[str, bool]:
    said = _mapping(content.get("higher_is_better"), "higher_is_better", metrics)
    if not all(isinstance(higher, bool) for higher in said.values()):
        words = "its higher_is_better must map metrics to booleans"
        raise ValueError(Problem.of("baseline-directions", words))
    return {metric: said[metric] for metric in metrics}


def _samples(content: Mapping[str, Any], classes: int) -> list[Any]:
    """The rows of samples, checked."""
    if content.get("sample_columns") != _COLUMNS:
        words = "its sample_columns are not {columns:list}"
        raise ValueError(Problem.of("baseline-columns", words, columns=_COLUMNS))
    samples, before = content.get("samples"), -1
    if not isinstance(samples, list):
        raise ValueError(Problem.of("baseline-samples", "its samples must be a list"))
    for place, row in enumerate(samples):
        if not isinstance(row, list) or len(row) != len(_COLUMNS):
            words = "row {place} of its samples is not {columns:list}"
            raise ValueError(Problem.of("baseline-row", words, place=place, columns=_COLUMNS))
        if type(row[0]) is not int or not before < row[0] < 1 << 63:
            words = "row {place} of its samples has the id {given}: ids are whole numbers that ascend"
            raise ValueError(Problem.of("baseline-id", words, place=place, given=str(row[0])[:80]))
        if not isinstance(row[1], str) or not _DIGEST.fullmatch(row[1]):
            words = "sample {sample} has the digest {given!r}, where eight hex digits belong"
            raise ValueError(Problem.of("baseline-digest", words, sample=row[0], given=str(row[1])[:80]))
        for column, labels in zip(_COLUMNS[2:], row[2:], strict=True):
            _check_labels(labels, classes, f"sample {row[0]}: {column}")
        before = row[0]
    return samples


def _check_labels(labels: Any, classes: int, what: str) -> None:
    whole = isinstance(labels, list) and all(type(label) is int and 0 <= label < classes for label in labels)
    if not whole or any(one >= two for one, two in pairwise(labels)):
        words = "{what} is {given}, where labels below {classes} belong, ascending"
        raise ValueError(Problem.of("baseline-labels", words, what=what, given=str(labels)[:80], classes=classes))


def _scores(
    content: Mapping[str, Any], explainers: Mapping[str, Any], metrics: Mapping[str, Any], questions: int
) -> dict[tuple[str, str], FloatArray]:
    said, found = _mapping(content.get("scores"), "scores", explainers), {}
    for explainer in explainers:
        of_explainer = _mapping(said[explainer], f"scores.{explainer}", metrics)
        for metric in metrics:
            found[explainer, metric] = _row(of_explainer[metric], questions, f"scores.{explainer}.{metric}")
    return found


def _row(values: Any, questions: int, what: str) -> FloatArray:
    if not isinstance(values, list) or len(values) != questions:
        given = plural(len(values), "score") if isinstance(values, list) else "not a list"
        words = "its {what} are {given}, {questions:there are question}"
        raise ValueError(Problem.of("baseline-score-count", words, what=what, given=given, questions=questions))
    return rounded([math.nan if value is None else _checked_number(value, what) for value in values])


def _checked_number(value: Any, what: str) -> float:
    try:
        if type(value) in (int, float) and math.isfinite(value):
            return float(value)
    except OverflowError:
        pass
    words = "its {what} hold {given!r}, where numbers or null belong"
    raise ValueError(Problem.of("baseline-number", words, what=what, given=str(value)[:80]))


def _check_means(run: ScoredRun, content: Mapping[str, Any]) -> None:
    """Means are written for those who read the file; edited scores make them wrong."""
    said = _mapping(content.get("means_of_true_labels"), "means_of_true_labels", run.explainers)
    for explainer in run.explainers:
        for metric, value in _mapping(said[explainer], f"means_of_true_labels.{explainer}", run.metrics).items():
            told = math.nan if value is None else _checked_number(value, f"means_of_true_labels.{explainer}")
            mean = run.mean(explainer, metric)
            if not np.isclose(told, mean, rtol=1e-4, atol=1e-12, equal_nan=True):
                words = (
                    "its mean of {explainer} in {metric} is {kept:.6g}, its scores give {mean:.6g}: it was edited; "
                    "make it again with explainrun baseline"
                )
                values = {"explainer": explainer, "metric": metric, "kept": told, "mean": mean}
                raise ValueError(Problem.of("baseline-edited", words, **values))


def _mapping(value: Any, what: str, keys: Mapping[str, Any] | None = None) -> dict[str, Any]:
    if not isinstance(value, dict):
        if value is None:
            raise ValueError(Problem.of("baseline-lacks", "it says no {what}", what=what))
        raise ValueError(Problem.of("baseline-no-mapping", "its {what} must be a mapping", what=what))
    if keys is not None and set(value) != set(keys):
        lacking, beyond = sorted(set(keys) - set(value)), sorted(set(value) - set(keys))
        words = [f"lack {', '.join(lacking)}"] * bool(lacking) + [f"hold {', '.join(beyond)} beside"] * bool(beyond)
        how = " and ".join(words)[:250]
        raise ValueError(Problem.of("baseline-keys", "its {what} {how}", what=what, how=how))
    return value


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
