"""``explainrun score``: more metrics on the maps of a finished run."""

from __future__ import annotations

from pathlib import Path

import click

from .process.errors import interrupted_by_sigterm, reported_errors, setting
from .process.standard_streams import echo_after


@click.command(short_help="Score a finished run by more metrics.")
@click.argument("run", metavar="FOLDER", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--metric", "metrics", multiple=True, required=True, metavar="NAME",
    help="Score by this metric (`explainrun list`); repeatable.",
)  # fmt: skip
@click.option(
    "--set", "settings", multiple=True, metavar="METRIC.OPTION=VALUE",
    help="Set an option, such as IoSR.threshold=0.25.",
)  # fmt: skip
@click.option(
    "--folder", type=click.Path(exists=True, file_okay=False, path_type=Path), metavar="DIR",
    help="Find what the run's config names here, where its own folder has moved.",
)  # fmt: skip
def score(run: Path, metrics: tuple[str, ...], settings: tuple[str, ...], folder: Path | None) -> None:
    """Score the maps of the finished run in FOLDER by more metrics; no map is made again.

    The end is that of a run made with all of them. Metrics that need no network, such as PointingGame and IoSR, load
    none and make no pass; for others the network is made from the config that the run was made from. Exit codes: 0
    scored, now or before; 2 bad input; 3 it failed or was stopped, or another run is writing to the folder: run the
    same again.
    """
    options = [setting(text) for text in settings]
    with reported_errors(), interrupted_by_sigterm():
        from ..grown_folder import scored_folder  # noqa: PLC0415

        result = scored_folder(run, metrics, dict(options), folder)
    echo_after(str(result), f"the run in {run} is scored")
