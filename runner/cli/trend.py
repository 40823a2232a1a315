"""``explainrun trend``: how scores changed from run to run."""

from __future__ import annotations

import json
from pathlib import Path

import click

from ...summary_format.exit_codes import EXIT_RESUMABLE
from .process.errors import ended_by_signals, exit_with, reported_read_errors
from .process.standard_streams import echo_or_exit

# NumPy and HDF5 take a while to import, so the command imports what needs them: --help answers at once.


@click.command(short_help="Show how scores changed from run to run.")
@click.argument("runs", metavar="BASELINE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--tolerance", "tolerances", multiple=True, metavar="[METRIC=]T",
    help="Tolerate means worse by this from run to run, as compare does. [default: 0.01]",
)  # fmt: skip
@click.option(
    "--alpha", type=click.FloatRange(0, 1, min_open=True, max_open=True), default=0.05, metavar="A",
    help="Allow this chance of a false alarm in each comparison, at most. [default: 0.05]",
)  # fmt: skip
@click.option("--explainer", "explainers", multiple=True, metavar="NAME", help="Show only this one; repeatable.")
@click.option("--metric", "metrics", multiple=True, metavar="NAME", help="Show only this one; repeatable.")
@click.option("--format", "form", type=click.Choice(["table", "json"]), default="table", help="Print this.")
@click.option(
    "--plot", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE.svg",
    help="Draw it too: a panel for each metric, a line for each explainer.",
)  # fmt: skip
def trend(
    runs: tuple[Path, ...],
    tolerances: tuple[str, ...],
    alpha: float,
    explainers: tuple[str, ...],
    metrics: tuple[str, ...],
    form: str,
    plot: Path | None,
) -> None:
    """Show how mean scores changed over several runs, which are named in their order, the oldest first.

    Each is a file that `explainrun baseline` kept, or a finished run. For every explainer in every metric the table has
    its mean in each run with a 95 % interval, and how that changed from the run before, with the verdict that
    `explainrun compare` gives; at last how it changed from the first run to the last, since falls that are tolerated
    one by one may add up. Two runs that cannot be compared, as of other samples, stand beside each other without a
    verdict, and the reason is shown. Loads no MindSpore.

    \b
    Examples:
      explainrun trend baselines/*.json
      explainrun trend v1.json v2.json runs/new --metric IoSR --plot trend.svg
      explainrun trend v1.json v2.json --format json

    Exit codes: 0 shown, whatever the verdicts; 2 bad input, or it cannot be written; 3 it was stopped, or the disk
    failed.

    \b
    --format json prints one object. Its keys:
      format, version             "explainrun trend", 1
      runs, alpha                 as they were named; of each comparison
      refused, overall_refused    why a run was not compared with the one before
                                  it, and the last with the first
      lines                       explainer, metric, higher_is_better; points (by
                                  run: mean, low, high, samples, questions), steps
                                  (from each run to the next: a row of compare
                                  --format json), overall (from the first to the
                                  last)
      (what is not known is null)
    """  # noqa: D301 - \b keeps click from wrapping
    with reported_read_errors():
        with ended_by_signals():
            from ...summary_format.storage.destinations import check_destination  # noqa: PLC0415
            from ..comparison.rules.tolerances import tolerances_of  # noqa: PLC0415
            from ..trend.drawing import trend_as_svg  # noqa: PLC0415
            from ..trend.history import history_of  # noqa: PLC0415
            from ..trend.reports import trend_as_json, trend_as_table  # noqa: PLC0415

        if plot is not None:
            if plot.suffix.lower() != ".svg":
                raise ValueError(f"{plot} is not an SVG; name a file that ends in .svg")
            check_destination(plot)
        held = tolerances_of(tolerances)
        history = history_of(runs, held, alpha=alpha, explainers=explainers, metrics=metrics)
        text = trend_as_table(history) if form == "table" else json.dumps(trend_as_json(history), indent=1)
        drawing = None if plot is None else trend_as_svg(history)
    if plot is not None and drawing is not None:
        _write(plot, drawing)
    echo_or_exit(text)


def _write(plot: Path, drawing: str) -> None:
    from ...summary_format.storage.whole_file import write_whole  # noqa: PLC0415

    try:
        plot.parent.mkdir(parents=True, exist_ok=True)
        write_whole(plot, drawing.encode("utf-8", "backslashreplace"))
    except OSError as error:
        exit_with(f"the drawing is not written: {error}; run it again", EXIT_RESUMABLE)
