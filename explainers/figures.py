"""Figures that belong to whoever holds them: pyplot knows nothing of them, and a notebook shows what a cell ends with.

Import it late: it loads matplotlib, which is slow.
"""

from __future__ import annotations

import io
import textwrap
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

INCHES_A_LETTER = 0.0078  # of one point of font size, somewhat more than the mean of DejaVu Sans


class NotebookFigure(Figure):
    """A figure that shows itself in a notebook, which matplotlib's own only do once pyplot has been imported."""

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", bbox_inches="tight")
        return buffer.getvalue()


def new_figure(figsize: tuple[float, float]) -> Figure:
    """An empty figure, drawn in memory. Its axes keep the shape of what they show and lie close together."""
    figure = NotebookFigure(figsize=figsize, layout="compressed")
    FigureCanvasAgg(figure)
    return figure


def write_title(axes: Any, title: str, width: float, size: float = 9.0) -> None:
    """A title above a panel so many inches wide, in as many lines as it takes; a $ is a $, not mathematics."""
    letters = max(8, int(width / (INCHES_A_LETTER * size)))
    lines = [line for part in title.splitlines() for line in textwrap.wrap(part, letters) or [""]]
    axes.set_title("\n".join(lines), fontsize=size, parse_math=False)
