"""Figures that belong to whoever holds them: pyplot knows nothing of them, and a notebook shows what a cell ends with.

Import it late: it loads matplotlib, which is slow.
"""

from __future__ import annotations

import io
import textwrap
from collections.abc import Iterable
from typing import Any

from . import any_backend  # noqa: F401 - before what follows, which else may refuse to be imported

# isort: split
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

TITLE_SIZE = 9.0  # points
LINE_INCHES = 0.17
INCHES_A_LETTER = 0.0088  # of one point of font size: somewhat more than the mean of DejaVu Sans


class NotebookFigure(Figure):
    """A figure that shows itself in a notebook, which matplotlib's own only do once pyplot has been imported."""

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", bbox_inches="tight")
        return buffer.getvalue()


def new_figure(figsize: tuple[float, float]) -> Figure:
    """An empty figure of a width and height in inches, drawn in memory, that leaves room for titles by itself."""
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
