"""``explainrun report``: a run, or two, as a page."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import click

from .process.errors import ended_by_signals, reported_read_errors
from .process.standard_streams import echo_after
from .process.standard_streams import report as report_line


@click.command(short_help="Write a page that shows a run, or two.")
@click.argument("run", type=click.Path(exists=True, path_type=Path))
@click.argument("candidate", required=False, type=click.Path(exists=True, path_type=Path))
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
    candidate: Path | None,
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

    With CANDIDATE the page compares that with RUN, as `explainrun compare RUN CANDIDATE` does with its usual
    tolerances, and shows the maps of both; a limit takes the samples that changed first. RUN may then be a file that
    `explainrun baseline` kept, of which the page has verdicts only.

    Exit codes: 0 written, whatever the verdict; 2 no run, two that cannot be compared, shards that are not merged, or
    it cannot be written there; 3 it was stopped.
    """
    with reported_read_errors():
        with ended_by_signals():
            from ..report.write import LARGE_FILE, Choice  # noqa: PLC0415

            to_folder, to_file = _writers(run, candidate)

        choice = Choice(limit=limit, explainers=explainers or None, failures=only is not None)
        pages = []
        if output is not None or single_file is None:
            pages.append(to_folder(output or Path("report"), choice))
        if single_file is not None:
            size = to_file(single_file, choice)
            pages.append(single_file)
            if size > LARGE_FILE:
                report_line(
                    f"{single_file} has {size / 1e6:.0f} MB, which few mails carry; leave something out with --limit, "
                    "--explainer or --only failures, or write a folder with -o"
                )
    for page in pages:
        echo_after(str(page), f"{page} is written")


def _writers(run: Path, candidate: Path | None) -> tuple[Callable[..., Path], Callable[..., int]]:
    """What writes the page as a folder, and as one file."""
    from ..report.write import write_report, write_single_file  # noqa: PLC0415
    from ..report.write_comparison import write_comparison, write_comparison_file  # noqa: PLC0415

    if candidate is None:
        return partial(write_report, run), partial(write_single_file, run)
    return partial(write_comparison, run, candidate), partial(write_comparison_file, run, candidate)
