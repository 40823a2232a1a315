"""``explainrun new``: a config, a network and a dataset to fill in."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import click

from ....summary_format.exit_codes import EXIT_RESUMABLE
from ....summary_format.storage.whole_file import write_whole
from ..process.errors import exit_with
from ..process.standard_streams import echo_after

CONFIG = "explain.yaml"
FILES = (CONFIG, "network.py", "dataset.py")


@click.command(short_help="Begin a config, to be filled in.")
@click.argument("folder", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
def new(folder: Path) -> None:
    """Write explain.yaml, network.py and dataset.py into DIR, which is made if it is missing.

    Each is commented, and marks by FILL IN what is yours to say: the network and its checkpoint, the names of the
    classes, the pictures. No file that is there is replaced. Exit codes: 0 written; 2 one of them is there already; 3
    they cannot be written: run the same again once that is mended.
    """
    there = [name for name in FILES if (folder / name).exists()]
    if there:
        exit_with(f"{folder} holds {' and '.join(there)} already; name another folder, or move that away")
    template = files("explainrun.configs").joinpath("new")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in FILES:
            write_whole(folder / name, template.joinpath(name).read_bytes())
    except OSError as error:
        for name in FILES:  # none of which was there before
            (folder / name).unlink(missing_ok=True)
        exit_with(f"{folder} cannot be written: {error}; run it again", EXIT_RESUMABLE)
    echo_after(
        "\n".join(
            [
                *(f"{folder / name}" for name in FILES),
                f"fill in what is marked FILL IN, then: explainrun check {folder / CONFIG}",
            ]
        ),
        f"{', '.join(FILES)} are written into {folder}",
    )
