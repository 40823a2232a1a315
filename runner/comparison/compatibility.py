"""Whether two runs asked the same, so that what their scores differ by says something of the explanations."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ...summary_format.errors import SeveralProblemsError
from ...summary_format.plan_diff import mapping_differences, shown
from ...summary_format.plural import noun
from ...summary_format.problem import Problem
from .scored_run import IntArray, ScoredRun

_EXAMPLES = 5
# By class of metric: options that earlier versions could not name, and what the metric did then.
_LATER_OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "InsertionAUC": {"removal": "value"},
    "DeletionAUC": {"removal": "value"},
    "NaiveFaithfulness": {"removal": "value"},
}
_CHECKSUM = re.compile(r" [0-9a-f]{16}$")


class NotComparableError(SeveralProblemsError):
    """Why two runs cannot be compared, all at once."""


def check_comparable(baseline: ScoredRun, candidate: ScoredRun) -> None:
    """Make sure that a candidate can be compared with a baseline.

    A question about a true label that one run did not ask, since its network gave no numbers for that sample, is not
    a problem here: it is a score lost or gained.

    Raises:
        NotComparableError: if not; it names everything that hinders.
    """
    problems = [
        *class_differences(baseline.class_names, candidate.class_names),
        *_missing_samples(baseline, candidate),
        *_changed_samples(baseline, candidate),
        *_metric_problems(baseline, candidate),
        *_lacking(baseline, candidate),
    ]
    if not (baseline.truth >= 0).any():
        problems.append(
            Problem.of(
                "no-true-labels",
                "no sample of {run} has a true label; runs are compared on the questions about true labels",
                run=baseline.name,
            )
        )
    if not baseline.scores:
        words = "{run} has no scores: it needs an explainer and a metric"
        problems.append(Problem.of("no-scores", words, run=baseline.name))
    if problems:
        raise NotComparableError(problems)


def notes(baseline: ScoredRun, candidate: ScoredRun) -> tuple[str, ...]:
    """How two runs differ in what does not hinder comparing them: what made them, and explainers' options."""
    said = mapping_differences(baseline.described, candidate.described)
    if _says_all(baseline) != _says_all(candidate):
        said.append("one of them was made by an earlier version, so checksums of metrics' code and Cells do not count")
    for name, options in baseline.explainers.items():
        differing = mapping_differences(options, candidate.explainers.get(name, options))
        said += [f"{name}: {shown(differing)}"] if differing else []
    return tuple(said)


def left_out(baseline: ScoredRun, candidate: ScoredRun) -> tuple[str, ...]:
    """What is not judged though both may have it, a few words each."""
    controls = [f"{name} (a control)" for name in baseline.controls if name not in baseline.explainers]
    without = [run.name for run in (baseline, candidate) if run.results is None]
    return (*controls, *(f"maps, of which {name} keeps none" for name in without))


def class_differences(before: Sequence[str], now: Sequence[str]) -> Iterator[Problem]:
    """Which class names differ, in one sentence; nothing if none does."""
    if tuple(before) == tuple(now):
        return
    places = [i for i in range(min(len(before), len(now))) if before[i] != now[i]]
    parts = [f"label {i} was {before[i]!r}, is {now[i]!r}" for i in places[:_EXAMPLES]]
    parts += [f"and {len(places) - _EXAMPLES} more"] if len(places) > _EXAMPLES else []
    if len(before) != len(now):
        parts.insert(0, f"there were {len(before)}, there are {len(now)}")
    words = "other class names: {differences:lines}"
    yield Problem.of("other-class-names", words, differences=parts, labels=places, before=len(before), now=len(now))


def labels_of(run: ScoredRun, rows: IntArray) -> list[list[int]]:
    """The true labels of samples at some rows, ascending."""
    return [sorted({label for label in row if label >= 0}) for row in run.truth[rows].tolist()]


def listed(ids: IntArray) -> str:
    """The first ids."""
    shown_ids = ", ".join(map(str, ids[:_EXAMPLES].tolist()))
    return f"{shown_ids}, ..." if len(ids) > _EXAMPLES else shown_ids


def _missing_samples(baseline: ScoredRun, candidate: ScoredRun) -> Iterator[Problem]:
    """Samples that only one of the two has."""
    before, now = baseline.samples, candidate.samples
    missing, added = np.setdiff1d(before, now), np.setdiff1d(now, before)
    shards = "".join(
        f"; {run.name} is shard {run.described['shard'][0]} of {run.described['shard'][1]}, merge the shards first"
        for run in (baseline, candidate)
        if isinstance(run.described.get("shard"), list) and len(run.described["shard"]) == 2
    )
    if len(missing):
        yield Problem.of(
            "samples-missing",
            "{samples:plural sample} of {total} missing in {run}: {ids}{advice}",
            samples=len(missing),
            total=len(before),
            run=candidate.name,
            ids=listed(missing),
            advice=shards,
        )
    if len(added):
        yield Problem.of(
            "samples-added",
            "{samples:plural sample} in {run} that {baseline} lacks: {ids}{advice}",
            samples=len(added),
            run=candidate.name,
            baseline=baseline.name,
            ids=listed(added),
            advice=shards,
        )


def _changed_samples(baseline: ScoredRun, candidate: ScoredRun) -> Iterator[Problem]:
    """Samples of both runs that are not the same in both."""
    both, at, place = np.intersect1d(baseline.samples, candidate.samples, return_indices=True)
    other = baseline.digests[at] != candidate.digests[place]
    if other.any():
        yield Problem.of(
            "samples-differ",
            "{samples:plural sample} of {total} with another image, other labels or boxes: {ids}",
            samples=len(both[other]),
            total=len(both),
            ids=listed(both[other]),
        )
    labels = [labels_of(run, rows) for run, rows in ((baseline, at), (candidate, place))]
    relabelled = [i for i, (one, two) in enumerate(zip(*labels, strict=True)) if one != two]
    if relabelled:
        first = relabelled[0]
        yield Problem.of(
            "samples-relabelled",
            "{samples:plural sample} with other true labels: {ids} (sample {first} had {before}, has {now})",
            samples=len(relabelled),
            ids=listed(both[relabelled]),
            first=int(both[first]),
            before=labels[0][first],
            now=labels[1][first],
        )


def _metric_problems(baseline: ScoredRun, candidate: ScoredRun) -> Iterator[Problem]:
    generations = {_says_all(run) for run in (baseline, candidate)}
    for name in (name for name in baseline.metrics if name in candidate.metrics):
        options = _with_later_options([run.metrics[name] for run in (baseline, candidate)])
        if len(generations) > 1:
            options = _said_by_both(*map(_without_checksums, options))
        differing = mapping_differences(*options)
        if differing:
            yield Problem.of("metric-differs", "{metric}: {differences}", metric=name, differences=shown(differing))
        was, now = baseline.higher_is_better[name], candidate.higher_is_better[name]
        if was != now:
            better = {True: "higher", False: "lower"}
            words = "{metric}: {before} was better, {now} is"
            yield Problem.of("metric-turned", words, metric=name, before=better[was], now=better[now])


def _with_later_options(both: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Options of two runs, those that the earlier one could not name yet as what it did."""
    named = {key for options in both for key in options}
    return [
        {**{key: value for key, value in _later_options(options).items() if key in named}, **options}
        for options in both
    ]


def _later_options(options: Mapping[str, Any]) -> Mapping[str, Any]:
    return _LATER_OPTIONS.get(str(options.get("class")), {})


def _says_all(run: ScoredRun) -> bool:
    """Whether its options are all that constructors were given; earlier versions knew those that were attributes."""
    network = run.described.get("network")
    return isinstance(network, Mapping) and "parameters" in network


def _without_checksums(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options as both ways of describing them say them: in force, Cells and functions by their names alone."""
    in_force = {**options, **options.get("resolved", {})}
    names = {key: value["cell"] if isinstance(value, Mapping) and "cell" in value else value
             for key, value in in_force.items() if key not in ("code", "resolved")}  # fmt: skip
    return {key: _CHECKSUM.sub("", value) if isinstance(value, str) else value for key, value in names.items()}


def _said_by_both(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [{key: value for key, value in options.items() if key in before and key in now} for options in (before, now)]


def _lacking(baseline: ScoredRun, candidate: ScoredRun) -> Iterator[Problem]:
    kinds: tuple[tuple[str, Mapping[str, Any], Mapping[str, Any]], ...] = (
        ("explainer", baseline.explainers, candidate.explainers),
        ("metric", baseline.metrics, candidate.metrics),
    )
    for kind, before, now in kinds:
        lost = [name for name in before if name not in now]
        if lost:
            yield Problem.of(
                "run-lacks",
                "{run} lacks the {what} {names:list} of {baseline}; compare the others alone with --{kind}, or keep a "
                "new baseline with explainrun baseline --update",
                run=candidate.name,
                what=noun(len(lost), kind),
                names=lost,
                baseline=baseline.name,
                kind=kind,
            )
