"""``explainrun report``: a run, or two, as a page."""

from __future__ import annotations

from pathlib import Path

import click

from .errors import ended_by_signals, reported_read_errors
from .standard_streams import echo_after
from .standard_streams import report as report_line


@click.command(short_help="Write a page that shows a run.")
@click.argument("run", type=click.Path(exists=True, path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="DIR", help="Write the page to this folder.")
@click.option(
    "--single-file", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
    help="Write the page as one HTML file, to be mailed.",
)  # fmt: skip
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Show the first N samples only.")
@click.option(
    "--explainer", "explainers", multiple=True, metavar="NAME",
    help="Show only the maps of this one; repeatable. Scores are shown of all.",
)  # fmt: skip
@click.option(
    "--only", type=click.Choice(["failures"]), help="Show only samples with a label that was missed or is wrong."
)
def report(
    run: Path,
    output: Path | None,
    single_file: Path | None,
    limit: int | None,
    explainers: tuple[str, ...],
    only: str | None,
) -> None:
    """Write a page that shows RUN: samples and maps, scores, counterfactuals and how it was made.

    RUN is a summary folder, of which the newest run is shown, or a run's data folder. The page is a folder of static
    files (report/ beside where you are, unless -o says otherwise), or one file. It needs a browser and nothing else:
    open index.html. Of an unfinished or damaged run it shows what is complete and sound, and says so. An earlier report
    in the same place is replaced; anything else there is refused. Loads no MindSpore.

    Exit codes: 0 written; 2 no run, shards that are not merged, or it cannot be written there; 3 it was stopped.
    """
    with reported_read_errors():
        with ended_by_signals():
            from ..report.write import LARGE_FILE, Choice, write_report, write_single_file  # noqa: PLC0415

        choice = Choice(limit=limit, explainers=explainers or None, failures=only is not None)
        pages = []
        if output is not None or single_file is None:
            pages.append(write_report(run, output or Path("report"), choice))
        if single_file is not None:
            size = write_single_file(run, single_file, choice)
            pages.append(single_file)
            if size > LARGE_FILE:
                report_line(
                    f"{single_file} has {size / 1e6:.0f} MB, which few mails carry; leave something out with --limit, "
                    "--explainer or --only failures, or write a folder with -o"
                )
    for page in pages:
        echo_after(str(page), f"{page} is written")
