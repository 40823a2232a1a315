"""``explainrun explain``: pictures with several methods side by side."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ...summary_format.exit_codes import EXIT_BAD_INPUT
from .process.errors import reported_errors, setting
from .process.standard_streams import echo_after, report

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..figures.request import PictureRequest

DOTS_AN_INCH = 200
_WINDOW_PIXELS = 1600  # the widest window

# MindSpore and matplotlib take seconds to import, so the command imports what needs them: --help answers at once.


@click.command(short_help="Explain pictures, methods side by side.")
@click.argument("images", nargs=-1, metavar="IMAGE...")
@click.option("--img", multiple=True, metavar="IMAGE", help="Explain this picture, as IMAGE does.")
@click.option("--network", "--arch", metavar="NETWORK", help="Explain this classifier; see NETWORK above.")
@click.option("--checkpoint", metavar="FILE", help="Load its weights from FILE; a config may name its own.")
@click.option("--method", "methods", metavar="A,B", help="Use these explainers (`explainrun list`), else four.")
@click.option(
    "--target", "--class-idx", "targets", multiple=True, metavar="CLASS",
    help="Explain this class: an index, a name, or top-K for the K most probable; repeatable. [default: predicted]",
)  # fmt: skip
@click.option("--layer", metavar="A,B", help="Have methods read these layers; by default the deepest feature maps.")
@click.option(
    "--set", "settings", multiple=True, metavar="METHOD.OPTION=VALUE",
    help="Set an option, such as RISE.num_masks=200.",
)  # fmt: skip
@click.option("--size", metavar="H,W", help="Bring pictures to this size for the network.")
@click.option(
    "--channels", type=click.Choice(["1", "3", "4"]),
    help="Read grey, RGB or RGBA; by default as the network takes them.",
)  # fmt: skip
@click.option(
    "--mean", metavar="M,M,M",
    help="Subtract this from pixels of 0..1, or 0..255 where one exceeds 10; one number serves all.",
)  # fmt: skip
@click.option("--std", metavar="S,S,S", help="Divide by this afterwards; given as --mean is.")
@click.option("--classes", metavar="FILE", help="Read class names from FILE, one per line.")
@click.option("--activation", type=click.Choice(["softmax", "sigmoid"]), help="Make probabilities of logits by this.")
@click.option("--output", metavar="KEY", help="Take the logits from this output of several: an index or a key.")
@click.option("--device", type=click.Choice(["auto", "CPU", "GPU", "Ascend"]), help="Run on this device.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed random draws.")
@click.option("--alpha", type=float, default=0.5, show_default=True, help="Draw maps this opaque.")
@click.option("--rows", type=int, default=1, show_default=True, help="Arrange a picture's panels in so many rows.")
@click.option("--cmap", metavar="NAME", help="Draw all maps in this matplotlib colour map.")
@click.option("--savefig", metavar="FILE", help="Write the figure here instead of showing it.")
@click.option("--noblock", is_flag=True, help="Do not wait until the window is closed.")
def explain(images: tuple[str, ...], img: tuple[str, ...], channels: str | None, noblock: bool, **given: Any) -> None:
    """Explain pictures by several methods, side by side.

    IMAGE is a path or an http(s) address; each gets a row. NETWORK is a config (.yaml), package.module:factory,
    file.py:factory or mindcv:NAME. A config gives the class names, activation, mean, std, size and explainers' options
    that are not said here; mindcv: networks get 224 x 224 pixels normalised as ImageNet's; others the picture's own
    size and pixels of 0..1.

    Without --savefig a window shows the figure, or where there is none it is written beside you. Exit codes: 0 fine;
    2 bad input, nothing drawn, or a method named with --method has no map for a picture: its panel says why, and the
    others are drawn; 3 it failed or was stopped, or the figure cannot be written: run the same again.
    """
    given["settings"] = [setting(text) for text in given["settings"]]
    with reported_errors(committed=False):
        from ..figures.request import PictureRequest  # noqa: PLC0415

        taken = None if channels is None else int(channels)
        request = PictureRequest(images=(*images, *img), channels=taken, **given)
        refused = _explain(request, block=not noblock)
    if request.methods is not None and refused:
        sys.exit(EXIT_BAD_INPUT)


def _explain(request: PictureRequest, *, block: bool) -> bool:
    """Explain and draw what was requested; whether a method refused a picture."""
    from ..figures.explanations import explain_pictures  # noqa: PLC0415
    from ..figures.figure import drawn  # noqa: PLC0415

    question, shown, look = request.prepared()
    found, methods = explain_pictures(question, [one.pixels for one in shown], [one.name for one in shown])
    for said in found:
        one, label = shown[said.row], question.class_name(said.label)
        echo_after(f"{one.name}: {label}, probability {said.probability:.4f}", f"{one.name} is explained")
        for name, why in said.refused.items():
            report(f"{one.name}: no map by {name}: {why}")
    figure = drawn(shown, found, methods, question, look, None if request.savefig else _window)
    _show_or_write(figure, request.savefig, Path(shown[0].name).stem, block)
    return any(said.refused for said in found)


def _window(figsize: tuple[float, float]) -> Figure:
    """An empty figure in a window, or in memory where there is no display."""
    from ...explainers.visual.figures import NotebookFigure, new_figure  # noqa: PLC0415

    try:
        from matplotlib import pyplot  # noqa: PLC0415

        dots = min(100.0, _WINDOW_PIXELS / figsize[0])
        return pyplot.figure(figsize=figsize, dpi=dots, FigureClass=NotebookFigure, layout="constrained")
    except Exception:  # whatever a toolkit raises without a display
        return new_figure(figsize)


def _show_or_write(figure: Figure, path: str | None, stem: str, block: bool) -> None:
    """Show a figure that stands in a window; write others.

    Raises:
        OSError: if it cannot be written.
    """
    if path is None and getattr(figure.canvas, "required_interactive_framework", None):
        from matplotlib import pyplot  # noqa: PLC0415

        pyplot.show(block=block)
        return
    from ...explainers.visual.notebook import free_name  # noqa: PLC0415

    path = path or free_name(f"{stem or 'picture'}_explained", Path()).name
    try:
        figure.savefig(path, dpi=DOTS_AN_INCH, bbox_inches="tight", pad_inches=0.05)
    except OSError as error:
        raise OSError(f"cannot write {path}: {error.strerror or error}") from error
    echo_after(f"written to {path}", f"{path} is written")
