"""``explainrun import``: maps of other libraries or people beside those of a finished run."""

from __future__ import annotations

from pathlib import Path

import click

from .process.errors import interrupted_by_sigterm, reported_errors
from .process.standard_streams import echo_after


@click.command(name="import", short_help="Add maps made elsewhere to a finished run.")
@click.argument("run", metavar="FOLDER", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("maps", metavar="MAPS.h5", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--name", required=True, metavar="NAME", help="Have them appear under this name.")
@click.option("--source", metavar="TEXT", help="Say who made them; by default what the file says.")
@click.option(
    "--folder", type=click.Path(exists=True, file_okay=False, path_type=Path), metavar="DIR",
    help="Find what the run's config names here, where its own folder has moved.",
)  # fmt: skip
def import_(run: Path, maps: Path, name: str, source: str | None, folder: Path | None) -> None:
    """Take maps that another library or a person made into the finished run in FOLDER: scored, ranked and shown.

    \b
    MAPS.h5 is an HDF5 file with these datasets:
      maps    (Q, height, width) numbers, of the size of the run's images
      sample  (Q,) position of each map's sample in the run's dataset, from 0
      label   (Q,) index of the class that it explains
      source  who made them, a text; may be missing

    It is read as a stranger's: in a process of its own, and refused with what is wrong with it. Questions of the run
    that it has no map for, or a map with NaN in it, count as not computed; so do metrics that need the method again.
    The run keeps a copy, so the file is not needed afterwards. Exit codes: 0 imported, now or before; 2 bad input; 3
    it failed or was stopped, or another run is writing to the folder: run the same again.
    """  # noqa: D301 - \b keeps click from wrapping
    with reported_errors(), interrupted_by_sigterm():
        from ..grown_folder import folder_with_maps  # noqa: PLC0415

        result = folder_with_maps(run, maps, name, source, folder)
    echo_after(str(result), f"the maps are imported into {run}")
