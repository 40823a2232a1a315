"""Figures of maps: pyplot knows them where a script has imported it, and a notebook shows what a cell ends with.

Import it late: it loads matplotlib, which is slow.
"""

from __future__ import annotations

import io
import sys
import textwrap
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, cast

from .any_backend import matplotlib  # before what follows, which else may refuse to be imported

# isort: split
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from .notebook import has_display, in_notebook, write_instead

TITLE_SIZE = 9.0  # points
LINE_INCHES = 0.17
INCHES_A_LETTER = 0.0088  # of one point of font size: somewhat more than the mean of DejaVu Sans


class NotebookFigure(Figure):
    """A figure that shows itself in a notebook, once, and has a window made where it is shown elsewhere."""

    def show(self, warn: bool = True) -> None:
        """Show it in the notebook, or in a window of matplotlib's backend; ``pyplot.show()`` then waits for that.

        Where there is no display, it is written to the working folder (explained.png, explained_2.png, ...), which is
        logged.

        Args:
            warn: warn where the backend has no windows.

        Raises:
            ImportError: if the backend cannot run here.
            OSError: if it cannot be written.
        """
        if in_notebook():
            self._ipython_display_()
            return
        if self.canvas.manager is None:
            from matplotlib import pyplot  # noqa: PLC0415  (slow to import)

            pyplot.figure(FigureClass=cast(Any, lambda **_: self))
        if type(self.canvas) is FigureCanvasAgg and not has_display():
            write_instead(self.savefig)
        else:
            super().show(warn)

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", bbox_inches="tight")
        return buffer.getvalue()

    def _ipython_display_(self) -> None:
        display = sys.modules["IPython"].display
        display.display(display.Image(data=self._repr_png_()))
        if self.canvas.manager is not None and "inline" in matplotlib.get_backend():  # which would show it again
            sys.modules["matplotlib.pyplot"].close(self)


def new_figure(figsize: tuple[float, float]) -> Figure:
    """An empty figure of a width and height in inches that leaves room for titles by itself.

    Where pyplot was imported before, it is one of pyplot's, to be shown by ``pyplot.show()`` and to be closed by
    ``pyplot.close(figure)``; else, or where pyplot's backend cannot run, it is drawn in memory and needs no closing.
    """
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is not None:
        with suppress(Exception):  # whatever a toolkit raises without a display
            made: Figure = pyplot.figure(FigureClass=NotebookFigure, figsize=figsize, layout="constrained")
            return made
    figure = NotebookFigure(figsize=figsize, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def wrap_title(title: str, width: float) -> str:
    """A title in as many lines as it takes to stand above a panel so many inches wide."""
    letters = max(8, int(width / (INCHES_A_LETTER * TITLE_SIZE)))
    return "\n".join(line for part in title.splitlines() for line in textwrap.wrap(part, letters) or [""])


def title_inches(titles: Iterable[str]) -> float:
    """The height that a row of titles takes, with some air."""
    return 0.15 + LINE_INCHES * max(len(title.splitlines()) for title in titles)


def write_title(axes: Any, title: str) -> None:
    """A title above a panel; a $ is a $, not mathematics."""
    axes.set_title(title, fontsize=TITLE_SIZE, parse_math=False)
