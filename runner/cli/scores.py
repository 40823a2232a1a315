"""``explainrun scores``: what the scores of a finished run come to."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ...summary_format.exit_codes import EXIT_RESUMABLE
from .process.errors import ended_by_signals, exit_with, reported_read_errors
from .process.standard_streams import echo_or_exit

if TYPE_CHECKING:
    from ..results.scores import Scores


@click.command(short_help="Show means, intervals and places of a run.")
@click.argument("run", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--label-table", "metrics", multiple=True, metavar="METRIC",
    help="Show its scores label by label too; repeatable.",
)  # fmt: skip
@click.option("--differences", is_flag=True, help="Show how every two explainers differ too.")
@click.option("--agreement", is_flag=True, help="Show how far every two metrics agree on the explainers' order too.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object with all of it.")
def scores(run: Path, metrics: tuple[str, ...], *, differences: bool, agreement: bool, as_json: bool) -> None:
    """Report what the scores of RUN come to: means with their noise, a ranking, and what does not beat its controls.

    RUN is a summary folder, of which the newest run is read, a run's data folder or its results.h5. Loads no MindSpore.
    Intervals and tests draw whole samples, from a fixed seed. Exit codes: 0 of a finished run; 3 of an unfinished one,
    of which what is complete so far is shown, or where the command was stopped; 2 no run, a damaged one, or standard
    output cannot be written.

    \b
    --json prints one object. Its keys:
      finished                    whether the run came to its end
      samples, questions          with scores, or without
      controls, higher_is_better  names; by metric
      scores                      by explainer, metric: mean, low, high (95 %
                                  interval), count, unscored; and "labels", the
                                  same by class name
      rankings                    by metric: places ([place, name]), ties (groups
                                  of which no two differ beyond noise),
                                  differences of every two explainers (mean, low,
                                  high, p_value after Holm's correction,
                                  questions), unbeaten (by explainer, the controls
                                  that it is not better than beyond noise),
                                  samples with scores, and samples_needed: of
                                  fewer no test can show any difference
      agreement                   Kendall's tau of every two metrics' orders of
                                  explainers: metrics and explainers (names,
                                  without controls), samples, and tau, low, high
                                  (rows of a number for each metric; 95 %
                                  intervals over samples)
      (what is not known is null)
    """  # noqa: D301 - \b keeps click from wrapping
    with reported_read_errors():
        with ended_by_signals():
            from ...summary_format import Results  # noqa: PLC0415
            from ..results.scores import Scores  # noqa: PLC0415

        results = Results(run)
        found = Scores.of(results)
        for metric in metrics:
            found.column(metric)  # raises for an unknown name
        if as_json:
            text = json.dumps({"finished": results.finished, **_scores_as_json(found)}, indent=1, allow_nan=False)
        else:
            text = _scores_text(found, metrics, differences=differences, agreement=agreement)
    echo_or_exit(text)
    if not results.finished:
        exit_with("the run is not finished; run it again to resume", EXIT_RESUMABLE)


def _scores_text(found: Scores, metrics: tuple[str, ...], *, differences: bool, agreement: bool) -> str:
    from ..results.score_tables import differences_table  # noqa: PLC0415

    if not found.metrics or not found.explainers:
        return "the run has no scores: no metric, or no explainer, was registered"
    parts = [found.table(), found.ranking_table()]
    parts += [differences_table(found, metric) for metric in found.metrics if differences]
    parts += [found.agreement_table()] if agreement else []
    parts += [found.label_table(metric) for metric in metrics]
    return "\n\n".join(parts)


def _scores_as_json(found: Scores) -> dict[str, Any]:
    from ..json_values import finite  # noqa: PLC0415

    pairs = [(explainer, metric) for explainer in found.explainers for metric in found.metrics]
    content: dict[str, Any] = {
        "samples": len(set(found.sample_ids)),
        "questions": len(found.labels),
        "controls": list(found.controls),
        "higher_is_better": {metric: found.higher_is_better.get(metric, True) for metric in found.metrics},
        "scores": {explainer: {} for explainer in found.explainers},
        "rankings": {metric: asdict(found.ranking(metric)) for metric in found.metrics},
        "agreement": asdict(found.agreement),
    }
    for explainer, metric in pairs:
        by_label = {name: asdict(found.aggregate(explainer, metric, name)) for name in found.class_names}
        content["scores"][explainer][metric] = {**asdict(found.aggregate(explainer, metric)), "labels": by_label}
    plain: dict[str, Any] = finite(content)
    return plain
