"""A trend as a drawing: a panel for each metric, a line for each explainer, with the intervals of its means.

It is written as SVG by hand, which takes no library and gives the same bytes for the same scores.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePath
from xml.sax.saxutils import escape

from ..comparison.formats.wording import number, printable
from .history import History, Line, Point

_WIDTH, _PANEL, _LEFT, _RIGHT, _TOP, _BOTTOM = 760, 220, 70, 210, 34, 34  # pixels
_STEP, _KEY = 40, 16  # between two runs, at least, and between names of explainers
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")  # Okabe, Ito 2008
_DASHES = ("", "6 3", "2 3")  # once colours begin again
_TICKS = 4


def trend_as_svg(history: History) -> str:
    """The whole drawing. A cross marks where a regression was found, or scores were lost."""
    panels = list(_panels(history))
    width = max(_WIDTH, _LEFT + _RIGHT + _STEP * (len(history.runs) - 1))
    tall = max([_PANEL, *(_TOP + _KEY * len(lines) + _BOTTOM for lines in panels)])  # so that all names fit
    height = tall * len(panels) + 20 * (len(history.runs) + 1)
    made = (
        _Panel(lines=lines, history=history, width=width, top=tall * place, height=tall)
        for place, lines in enumerate(panels)
    )
    drawn = [part for panel in made for part in panel.parts()]
    names = [
        _text(_LEFT, tall * len(panels) + 20 * place, f"{place}  {printable(name)}")
        for place, name in enumerate(history.runs, start=1)
    ]
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    title = f"<title>{escape(_title(history))}</title>"
    style = 'font-family="sans-serif" font-size="12" role="img"'
    back = f'<rect width="{width}" height="{height}" fill="#fff"/>'
    return "\n".join([f"{head} {style}>", title, back, *drawn, *names, "</svg>"]) + "\n"


def _title(history: History) -> str:
    first, last = (PurePath(history.runs[place]).name for place in (0, -1))
    return printable(f"Scores from {first} to {last}, with 95 % intervals")


def _panels(history: History) -> Iterator[list[Line]]:
    """The lines of each metric."""
    for metric in dict.fromkeys(line.metric for line in history.lines):
        yield [line for line in history.lines if line.metric == metric]


@dataclass(frozen=True, kw_only=True)
class _Panel:
    """One metric.

    Attributes:
        lines: of its explainers.
        history: of all.
        width: of the drawing, in pixels.
        top: where the panel begins.
        height: of the panel.
    """

    lines: Sequence[Line]
    history: History
    width: int
    top: int
    height: int

    def parts(self) -> Iterator[str]:
        """The elements of the panel."""
        better = "higher" if self.lines[0].higher_is_better else "lower"
        yield _text(_LEFT, self.top + 20, f"{printable(self.lines[0].metric)} ({better} is better)", weight="bold")
        yield from self._axes()
        for place, line in enumerate(self.lines):
            yield from self._line(line, place)

    @cached_property
    def _range(self) -> tuple[float, float]:
        ends = [end for line in self.lines for one in line.points if one for end in (one.mean, one.low, one.high)]
        known = [end for end in ends if math.isfinite(end)] or [0.0, 1.0]
        low, high = min(known), max(known)
        air = 0.05 * (high - low) or 0.05 * abs(high) or 0.5
        return low - air, high + air

    def _x(self, run: int) -> float:
        return _LEFT + (self.width - _LEFT - _RIGHT) * run / max(len(self.history.runs) - 1, 1)

    def _y(self, value: float) -> float:
        low, high = self._range
        return self.top + self.height - _BOTTOM - (self.height - _TOP - _BOTTOM) * (value - low) / (high - low)

    def _axes(self) -> Iterator[str]:
        low, high = self._range
        for tick in range(_TICKS + 1):
            value = low + (high - low) * tick / _TICKS
            y = self._y(value)
            yield f'<path d="M{_LEFT} {y:.1f}H{self.width - _RIGHT}" stroke="#ddd"/>'
            yield _text(_LEFT - 8, y + 4, number(value, max(abs(low), abs(high))), anchor="end")
        for run in range(len(self.history.runs)):
            yield _text(self._x(run), self.top + self.height - _BOTTOM + 18, str(run + 1), anchor="middle")

    def _line(self, line: Line, place: int) -> Iterator[str]:
        colour = _COLOURS[place % len(_COLOURS)]
        dashes = _DASHES[place // len(_COLOURS) % len(_DASHES)]
        shift = 3.0 * (place - (len(self.lines) - 1) / 2)  # so that intervals do not hide each other
        known = [(run, one) for run, one in enumerate(line.points) if one is not None and math.isfinite(one.mean)]
        path = "".join(f"{'L' if i else 'M'}{self._x(run) + shift:.1f} {self._y(one.mean):.1f}"
                       for i, (run, one) in enumerate(known))  # fmt: skip
        yield f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="2" stroke-dasharray="{dashes}"/>'
        for run, one in known:
            yield from self._mark(line, run, one, shift, colour)
        key = self.top + _TOP + _KEY * place
        dashed = f'stroke="{colour}" stroke-width="2" stroke-dasharray="{dashes}"'
        yield f'<path d="M{self.width - _RIGHT + 24} {key}h20" {dashed}/>'
        yield _text(self.width - _RIGHT + 50, key + 4, printable(line.explainer))

    def _mark(self, line: Line, run: int, point: Point, shift: float, colour: str) -> Iterator[str]:
        """A mean with its interval."""
        x, y = self._x(run) + shift, self._y(point.mean)
        if math.isfinite(point.low):
            ends = f"M{x:.1f} {self._y(point.low):.1f}V{self._y(point.high):.1f}"
            yield f'<path d="{ends}" stroke="{colour}" stroke-opacity="0.6"/>'
        step = line.steps[run - 1] if run else None
        if step is None or not step.verdict.failing:
            yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>'
            return
        cross, words = f"M{x - 6:.1f} {y - 6:.1f}l12 12m0 -12l-12 12", f"<title>{step.verdict.value}</title>"
        yield f'<path d="{cross}" stroke="#b00020" stroke-width="2.5">{words}</path>'


def _text(x: float, y: float, text: str, *, anchor: str = "start", weight: str = "normal") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-weight="{weight}">{escape(text)}</text>'
