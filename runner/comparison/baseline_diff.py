"""How two baselines differ, for a reviewer of the change."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from tabulate import tabulate

from ...summary_format.plan_diff import mapping_differences, shown
from ...summary_format.plural import plural
from .baseline_file import baseline_text
from .compatibility import class_differences, labels_of, listed
from .scored_run import IntArray, ScoredRun

_HEADERS = ("explainer", "metric", "before", "after", "change", "questions changed", "lost", "gained")


def baseline_difference(old: ScoredRun, new: ScoredRun) -> str:
    """What a new baseline changes: a table of the scores that changed, and a line on all else; "" if it does not.

    Means are of the true labels' questions; changed, lost and gained are the questions that both asked whose score is
    another, is there no more, or was not there before.
    """
    if baseline_text(old) == baseline_text(new):
        return ""
    rows = list(_score_rows(old, new))
    table = [str(tabulate(rows, _HEADERS, disable_numparse=True, stralign="left"))] if rows else []
    lines = [*_entries(old, new), *_samples(old, new), *_questions(old, new), *_makings(old, new)]
    parts = ["\n".join(part) for part in (table, lines) if part]
    return "\n\n".join(parts) or "the two hold the same in another order"


def _score_rows(old: ScoredRun, new: ScoredRun) -> Iterator[tuple[str, ...]]:
    both, _, _ = _told_apart(old.questions, new.questions)
    places = [run.places(both) for run in (old, new)]
    for explainer, metric in old.scores:
        if (explainer, metric) not in new.scores:
            continue
        before, after = (run.values(explainer, metric, at) for run, at in zip((old, new), places, strict=True))
        had, has = np.isfinite(before), np.isfinite(after)
        counts = [int(cells.sum()) for cells in ((before != after) & had & has, had & ~has, ~had & has)]
        means = [run.mean(explainer, metric) for run in (old, new)]
        if any(counts) or not _same(*means):
            change = means[1] - means[0]
            yield (
                explainer,
                metric,
                *(_number_text(mean) for mean in means),
                _number_text(change, "+.4g"),
                *map(str, counts),
            )


def _entries(old: ScoredRun, new: ScoredRun) -> Iterator[str]:
    kinds: tuple[tuple[str, Mapping[str, Any], Mapping[str, Any]], ...] = (
        ("explainer", old.explainers, new.explainers),
        ("metric", old.metrics, new.metrics),
    )
    for kind, before, after in kinds:
        for what, names in (
            ("removed", [name for name in before if name not in after]),
            ("added", [name for name in after if name not in before]),
        ):
            if names:
                yield f"{kind}s {what}: {', '.join(names)}"
        common = [[name for name in names if name in before and name in after] for names in (before, after)]
        if common[0] != common[1]:
            yield f"order of {kind}s: was {', '.join(common[0])}, is {', '.join(common[1])}"
        for name in common[0]:
            differing = mapping_differences(before[name], after[name])
            if differing:
                yield f"options of {name}: {shown(differing)}"
    directions = mapping_differences(*({m: of.higher_is_better[m] for m in old.metrics if m in new.metrics}
                                       for of in (old, new)))  # fmt: skip
    yield from (f"higher is better: {words}" for words in directions)
    if old.controls != new.controls:
        yield f"controls were {', '.join(old.controls) or 'none'}, are {', '.join(new.controls) or 'none'}"


def _samples(old: ScoredRun, new: ScoredRun) -> Iterator[str]:
    for what, ids in (
        ("removed", np.setdiff1d(old.samples, new.samples)),
        ("added", np.setdiff1d(new.samples, old.samples)),
    ):
        if len(ids):
            yield f"samples {what}: {len(ids)} ({listed(ids)})"
    both, at, place = np.intersect1d(old.samples, new.samples, return_indices=True)
    differing: tuple[tuple[str, npt.NDArray[np.bool_]], ...] = (
        ("another image, other labels or boxes", old.digests[at] != new.digests[place]),
        ("other true labels", _unequal(labels_of(old, at), labels_of(new, place))),
        ("other predicted labels", _unequal([old.predicted[i] for i in at], [new.predicted[i] for i in place])),
    )
    for what, cells in differing:
        if cells.any():
            yield f"{plural(len(both[cells]), 'sample')} with {what}: {listed(both[cells])}"


def _questions(old: ScoredRun, new: ScoredRun) -> Iterator[str]:
    _, removed, added = _told_apart(old.questions, new.questions)
    for what, questions in (("removed", removed), ("added", added)):
        if len(questions):
            first = ", ".join(f"label {label} of sample {sample}" for sample, label in questions[:3].tolist())
            yield f"questions {what}: {len(questions)} ({first}{', ...' if len(questions) > 3 else ''})"


def _makings(old: ScoredRun, new: ScoredRun) -> Iterator[str]:
    yield from class_differences(old.class_names, new.class_names)
    yield from mapping_differences(old.described, new.described)


def _told_apart(old: IntArray, new: IntArray) -> tuple[IntArray, IntArray, IntArray]:
    """Questions (Q, 2) of both, of the old run alone and of the new one alone, in order."""
    before, after = (set(map(tuple, questions.tolist())) for questions in (old, new))
    common, gone, come = before & after, before - after, after - before
    first, second, third = (np.array(sorted(some), np.int64).reshape(-1, 2) for some in (common, gone, come))
    return first, second, third


def _unequal(first: Any, second: Any) -> npt.NDArray[np.bool_]:
    return np.array([one != two for one, two in zip(first, second, strict=True)], bool)


def _same(one: float, two: float) -> bool:
    return one == two or (math.isnan(one) and math.isnan(two))


def _number_text(number: float, form: str = ".6g") -> str:
    return f"{number:{form}}" if math.isfinite(number) else "-"
