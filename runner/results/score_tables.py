"""Tables of a run's scores."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from string import ascii_lowercase

import numpy as np
from tabulate import tabulate

from ...summary_format.plural import plural
from .metric_agreement import MetricAgreement
from .ranking import Ranking
from .run_scores import Aggregate, RunScores

_OF_PLACES = "place: 1 + how many are better beyond noise; those that share a letter may differ by noise alone"
_MARK = "!"
_BESIDE = 4  # columns of scores beside each other, so that lines stay readable


def table(scores: RunScores, style: str) -> str:
    """Explainers by metrics, and below what the marks mean and what was not scored."""
    marked = {(name, metric) for metric in scores.metrics for name, left in _unbeaten(scores, metric).items() if left}
    blocks = []
    for metrics in _blocks(scores.metrics):
        rows = [
            [
                _shown_name(scores, name),
                *(_cell(scores.aggregate(name, metric), marked=(name, metric) in marked) for metric in metrics),
            ]
            for name in scores.explainers
        ]
        blocks.append(_tabulated(rows, ["explainer", *metrics], style))
    return "\n\n".join(blocks) if style == "html" else "\n".join(["\n\n".join(blocks), *table_notes(scores)])


def table_notes(scores: RunScores) -> list[str]:
    """What is to be said below a table of scores, a line each."""
    if not scores.explainers or not scores.metrics:
        return []
    samples = len(set(scores.sample_ids))
    if not samples:
        return ["no sample has a question", *layer_notes(scores)]
    notes = [f"mean [95 % interval, by bootstrap over {plural(samples, 'sample')}]", *layer_notes(scores)]
    lower = [metric for metric in scores.metrics if not scores.higher_is_better.get(metric, True)]
    if lower:
        notes.append(f"lower is better in {', '.join(lower)}")
    if any(left for metric in scores.metrics for left in _unbeaten(scores, metric).values()):
        notes.append(f"{_MARK} does not beat every control beyond noise")
    beside = [metric for metric in scores.metrics if metric in scores.control_insensitive and scores.controls]
    if beside:
        notes.append(f"nothing is marked in {', '.join(beside)}: a map that ignores the image does best there")
    by_words: defaultdict[str, list[str]] = defaultdict(list)
    for metric in scores.metrics:
        by_words[_unscored(scores, metric)].append(metric)
    asked = f"of {plural(len(scores.labels), 'question')}"
    return notes + [f"not scored in {', '.join(of)}, {asked}: {words}" for words, of in by_words.items() if words]


def layer_notes(scores: RunScores) -> list[str]:
    """Which layers were chosen for explainers without one, a line each."""
    readers: defaultdict[str, list[str]] = defaultdict(list)
    for name, layer in scores.chosen_layers.items():
        grid = scores.chosen_reshapes.get(name)
        readers[layer if grid is None else f"{layer} with reshape {grid}"].append(name)
    return [f"layer {layer}, chosen automatically: {', '.join(names)}" for layer, names in readers.items()]


def label_table(scores: RunScores, metric: str, style: str) -> str:
    """Labels by explainers in one metric, with how many questions each label has."""
    times = Counter(scores.labels)
    blocks = [
        _tabulated(
            [
                [
                    name,
                    times[label],
                    *(_label_cell(scores.aggregate(explainer, metric, label)) for explainer in explainers),
                ]
                for label, name in enumerate(scores.class_names)
            ],
            [f"{metric} by label", "questions", *explainers],
            style,
        )
        for explainers in _blocks(scores.explainers)
    ]
    return "\n\n".join(blocks)


def ranking_table(scores: RunScores, style: str) -> str:
    """Explainers by metrics: places, and letters that those share which cannot be distinguished."""
    rankings = [scores.ranking(metric) for metric in scores.metrics]
    rows = [[_shown_name(scores, name), *(_place(ranking, name) for ranking in rankings)] for name in scores.explainers]
    table = _tabulated(rows, ["place", *scores.metrics], style)
    return table if style == "html" else "\n".join([table, *ranking_notes(scores)])


def ranking_notes(scores: RunScores) -> list[str]:
    """What is to be said below a table of places, a line each."""
    few = [ranking for ranking in map(scores.ranking, scores.metrics) if ranking.too_few]
    if not few:
        return [_OF_PLACES]
    needed = max(ranking.samples_needed for ranking in few)
    words = f"too few samples to show any difference in {', '.join(ranking.metric for ranking in few)}"
    return [_OF_PLACES, f"{words}: {plural(len(scores.explainers), 'explainer')} take at least {needed}"]


def _place(ranking: Ranking, name: str) -> str:
    """A place and the letters of ties; a place alone where there is no tie."""
    place = next((place for place, other in ranking.places if other == name), None)
    if place is None:
        return "-"
    letters = "".join(_letter(i) for i, group in enumerate(ranking.ties) if name in group)
    return f"{place} {letters}"


def _letter(index: int) -> str:
    return ascii_lowercase[index] if index < len(ascii_lowercase) else f"({index + 1})"


def differences_table(scores: RunScores, metric: str, style: str = "simple") -> str:
    """Every two explainers in one metric: how they differ, and whether that is beyond noise."""
    better_up = scores.higher_is_better.get(metric, True)
    rows = [
        [
            f"{pair.first} - {pair.second}",
            f"{pair.mean:+.4f} [{pair.low:+.3f}, {pair.high:+.3f}]",
            f"{pair.p_value:.4f}",
            pair.questions,
            pair.better(higher_is_better=better_up) or "tie",
        ]
        for pair in scores.ranking(metric).differences
    ]
    return _tabulated(rows, [f"{metric}: difference", "mean [95 % interval]", "p (Holm)", "questions", "better"], style)


def agreement_table(scores: RunScores, style: str = "simple") -> str:
    """Metrics by metrics: how far they agree on the order of the explainers."""
    found = scores.agreement
    if len(found.metrics) < 2 or len(found.explainers) < 2:
        return "agreement of metrics needs two metrics, and two explainers that are not controls"
    blocks = []
    for columns in _blocks(found.metrics):
        places = [found.metrics.index(name) for name in columns]
        rows = [
            [name, *(_agreement_cell(found, place, other) for other in places)]
            for place, name in enumerate(found.metrics)
        ]
        blocks.append(_tabulated(rows, ["agreement", *columns], style))
    ordered = f"order of {plural(len(found.explainers), 'explainer')} (controls aside)"
    note = (
        f"Kendall's tau [95 % interval, by bootstrap over {plural(found.samples, 'sample')}] of two metrics' {ordered}:"
    )
    note += "\n1 the same order, 0 unrelated, -1 the opposite one"
    return "\n\n".join(blocks) if style == "html" else "\n".join(["\n\n".join(blocks), note])


def _agreement_cell(found: MetricAgreement, first: int, second: int) -> str:
    tau, low, high = (matrix[first][second] for matrix in (found.tau, found.low, found.high))
    if np.isnan(tau):
        return "-"
    interval = "" if first == second or np.isnan(low) else f" [{low:+.2f}, {high:+.2f}]"
    return f"{tau:+.2f}{interval}"


def _shown_name(scores: RunScores, name: str) -> str:
    return f"{name} (control)" if name in scores.controls else name


def _cell(found: Aggregate, *, marked: bool = False) -> str:
    if not found.count:
        return "-"
    interval = "" if np.isnan(found.low) else f" [{found.low:.3f}, {found.high:.3f}]"
    return f"{found.mean:.4f}{interval}{f' {_MARK}' if marked else ''}"


def _label_cell(found: Aggregate) -> str:
    return _cell(found) + (f" ({found.unscored} unscored)" if found.unscored else "")


def _unbeaten(scores: RunScores, metric: str) -> dict[str, tuple[str, ...]]:
    """By explainer the controls that it does not beat; nothing where the run has none, which saves the tests."""
    return scores.ranking(metric).unbeaten if scores.controls else {}


def _unscored(scores: RunScores, metric: str) -> str:
    """How many questions of which explainers a metric could not score; empty where it scored all."""
    by_times: defaultdict[int, list[str]] = defaultdict(list)
    for name in scores.explainers:
        by_times[scores.aggregate(name, metric).unscored].append(name)
    counts = [f"{times} of {_which_explainers(names, scores)}" for times, names in sorted(by_times.items()) if times]
    return ", ".join(counts)


def _which_explainers(names: Sequence[str], scores: RunScores) -> str:
    if len(names) <= 2:
        return " and ".join(names)
    return "each explainer" if len(names) == len(scores.explainers) else f"{len(names)} explainers each"


def _blocks(columns: Sequence[str]) -> list[Sequence[str]]:
    return [columns[first : first + _BESIDE] for first in range(0, len(columns), _BESIDE)]


def _tabulated(rows: Sequence[Sequence[object]], headers: Sequence[str], style: str) -> str:
    return str(tabulate(rows, headers, tablefmt=style, disable_numparse=True))
