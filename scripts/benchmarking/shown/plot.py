"""The plot of docs/costs.md: how much longer runs take than their passes, and calls than other libraries'."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator
from PIL import Image

from ..results import beside_bare, overhead_of
from ..rows import BESIDE, EXPLAINERS, METRICS, OTHERS, OVERHEAD
from ..subjects import SUBJECTS
from .tables import name_of

_COLOURS_KEPT = 64
COLOURS = {"digits": "#1b6ca8", "resnet20": "#d1652a", "lite0": "#3a7d44", "resnet50": "#7b4b94"}
_MARKS = {"digits": "o", "resnet20": "s", "lite0": "^", "resnet50": "D"}
_WIDTH, _ROW_HEIGHT, _LEAST_HEIGHT = 9.0, 0.24, 2.0
_TICKS = (0.125, 0.25, 0.5, 0.75, 1, 1.5, 2, 3, 4, 6, 8, 16, 32, 64)
_ORDER = {method: place for place, method in enumerate((*EXPLAINERS, *METRICS, *OTHERS))}


def draw(result: Mapping[str, Any], path: Path) -> None:
    """Draw the rows of one device, the first that there is, to an image file."""
    device = result["rows"][0]["device"]
    rows = [row for row in result["rows"] if row["device"] == device]
    panels = [
        ([row for row in rows if row["section"] == OVERHEAD], overhead_of, "time of a run / time of its passes alone"),
        ([row for row in rows if row["section"] == BESIDE], beside_bare, "our time / their time, at equal bare passes"),
    ]
    panels = [panel for panel in panels if any(panel[1](row) for row in panel[0])]
    heights = [max(_LEAST_HEIGHT, 0.9 + _ROW_HEIGHT * len({name_of(row) for row in of})) for of, _, _ in panels]
    with mpl.rc_context({"font.size": 10, "axes.spines.top": False, "axes.spines.right": False}):
        size = (_WIDTH, sum(heights))
        figure, axes = plt.subplots(
            len(panels), 1, figsize=size, layout="constrained", height_ratios=heights, squeeze=False
        )
        for axis, (of, value, title) in zip(axes[:, 0], panels, strict=True):
            _panel(axis, of, [value(row) for row in of], title)
        figure.savefig(path, dpi=100, facecolor="white")
        plt.close(figure)
    with Image.open(path) as drawn:  # a file of a few colours is a third as large
        few = drawn.convert("RGB").quantize(_COLOURS_KEPT, dither=Image.Dither.NONE)
    few.save(path, optimize=True)


def _panel(axis: Axes, rows: Sequence[Mapping[str, Any]], values: Sequence[float | None], title: str) -> None:
    names = sorted({name_of(row) for row in rows}, key=lambda name: (_ORDER.get(name.partition(",")[0], 99), name))
    place = {name: len(names) - 1 - at for at, name in enumerate(names)}
    for network, subject in SUBJECTS.items():
        shown = [(place[name_of(row)], value) for row, value in zip(rows, values, strict=True)
                 if row["network"] == network and value]  # fmt: skip
        if shown:
            heights, lengths = zip(*shown, strict=True)
            look: dict[str, Any] = {
                "color": COLOURS[network],
                "marker": _MARKS[network],
                "s": 34,
                "label": subject.title,
                "zorder": 3,
            }
            axis.scatter(lengths, heights, **look)
    axis.axvline(1, color="0.35", linewidth=1)
    axis.set_yticks(range(len(names)), names[::-1])
    axis.set_ylim(-0.7, len(names) - 0.3)
    axis.set_xscale("log", base=2)
    known = [value for value in values if value]
    axis.set_xlim(min(0.45, *known) * 0.95, max(2.2, *known) * 1.05)
    axis.set_xticks([tick for tick in _TICKS if axis.get_xlim()[0] <= tick <= axis.get_xlim()[1]], minor=False)
    axis.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axis.xaxis.set_minor_locator(NullLocator())
    axis.grid(axis="both", color="0.9")
    axis.set_title(title, loc="left", fontsize=11)
    axis.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False, fontsize=9)
