"""Samples of a run as figures, for notebooks. Loads matplotlib."""

from __future__ import annotations

import base64
import io
import warnings
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import numpy as np
from PIL import Image

from ...explainers.visual.visualization import draw_blended, frame
from ...summary_format import Results, RunFolder
from ...summary_format.map_scale import holds_negatives
from ...summary_format.problem import Problem
from ..data.class_names import ClassFinder
from .encoded_arrays import Array
from .sample_pictures import SamplePictures
from .write import ReportError

_PANEL_INCHES = 2.2
_FIRST_SAMPLES, _FIRST_EXPLAINERS = 3, 5  # what a run shows of itself
_OPACITY = 0.6


def sample_figure(results: Results, run: RunFolder, sample: int, label: int | str | None = None) -> Any:
    """A sample's picture and all its maps, with their scores; a row for each label that was asked about.

    Args:
        results: of the run.
        run: where its pictures are.
        sample: its id.
        label: an index or a class name, for that label alone; None for all.

    Returns:
        A matplotlib figure.

    Raises:
        ReportError: if the run did not ask about that sample, or that label of it.
        ValueError: if there is no such class, or its name stands for several.
    """
    places = _places(results, sample, label)
    return _figure(results, run, places, results.explainers, scores=True)


def questions_figure(
    results: Results, run: RunFolder, asked: Sequence[tuple[int, int | str]], explainers: Sequence[str]
) -> Any:
    """Pictures and their maps by some explainers, a row for each question.

    Args:
        results: of the run.
        run: where its pictures are.
        asked: a sample's id and a label, an index or a class name, of each row.
        explainers: names, in the order of the columns.

    Returns:
        A matplotlib figure.

    Raises:
        ReportError: if the run did not ask one of them.
        ValueError: if there is no such class, or its name stands for several.
    """
    return _figure(results, run, np.array([_place(results, *one) for one in asked]), explainers, scores=False)


def _place(results: Results, sample: int, label: int | str) -> int:
    """Which of a run's questions is about a label of a sample."""
    return int(_places(results, sample, label)[0])


def _places(results: Results, sample: int, label: int | str | None) -> Array:
    """Which of a run's questions are about a sample, or a label of it.

    Raises:
        ReportError: if none is.
        ValueError: if there is no such class, or its name stands for several.
    """
    asked = results.questions
    places = np.flatnonzero(asked[:, 0] == sample)
    if label is not None:
        places = places[asked[places, 1] == ClassFinder(results.class_names).index(label)]
    if not len(places):
        others = [results.class_names[one] for one in asked[asked[:, 0] == sample, 1]]
        words = "the run did not ask about {what}; of this sample it asked about {asked}"
        what = f"sample {sample}" if label is None else f"label {label!r} of sample {sample}"
        raise ReportError(Problem.of("sample-not-asked", words, what=what, asked=", ".join(others) or "nothing"))
    return places


def first_samples(results: Results, run: RunFolder) -> str:
    """The first samples of a run with a few maps each, as HTML; empty where nothing was asked."""
    places = np.arange(min(_FIRST_SAMPLES, len(results.questions)))
    if not len(places) or not results.explainers:
        return ""
    figure = _figure(results, run, places, results.explainers[:_FIRST_EXPLAINERS], scores=False)
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph", UserWarning)  # a name that the font lacks stands in the table too
        figure.savefig(buffer, format="png", dpi=72, bbox_inches="tight")
    data = base64.b64encode(buffer.getvalue()).decode()
    return f'<img alt="The first samples and their maps" src="data:image/png;base64,{data}">'


def _figure(results: Results, run: RunFolder, places: Array, explainers: Sequence[str], *, scores: bool) -> Any:
    from ...explainers.visual.figures import new_figure, title_inches, wrap_title, write_title  # noqa: PLC0415  (slow)

    titles = [
        [wrap_title(title, _PANEL_INCHES) for title in row]
        for row in _titles(results, places, explainers, results.metrics if scores else ())
    ]
    high = sum(_PANEL_INCHES + title_inches(row) for row in titles)
    figure = new_figure((_PANEL_INCHES * (1 + len(explainers)), high))
    grid = figure.subplots(len(places), 1 + len(explainers), squeeze=False)
    pictures = SamplePictures(run, results)
    first, last = int(places.min()), int(places.max()) + 1
    signed = {name for name in explainers if any(map(holds_negatives, results.maps(name, first, last)))}
    for panels, place, row in zip(grid, places, titles, strict=True):
        for axes, title in zip(panels, row, strict=True):
            write_title(axes, title)
            frame(axes)
        _draw_row(panels, results, pictures, int(place), explainers, signed)
    return figure


def _titles(results: Results, places: Array, explainers: Sequence[str], metrics: Sequence[str]) -> Iterator[list[str]]:
    """What stands above each panel, question by question; every table is read once."""
    asked, samples, probabilities = results.questions, results.samples, results.probabilities
    scores = {name: {metric: results.scores(name, metric) for metric in metrics} for name in explainers}
    for place in places:
        sample, label = asked[place]
        chance = probabilities[np.searchsorted(samples, sample), label]
        lines = {
            name: [name, *(f"{metric} {_score(of[place])}" for metric, of in scores[name].items())] for name in scores
        }
        yield [f"sample {sample}\n{results.class_names[label]}: {chance:.3f}", *map("\n".join, lines.values())]


def _score(value: float) -> str:
    return f"{value:.3f}" if np.isfinite(value) else "not scored"


def _draw_row(
    panels: Any,
    results: Results,
    pictures: SamplePictures,
    place: int,
    explainers: Sequence[str],
    signed: Collection[str],
) -> None:
    sample = int(results.questions[place, 0])
    picture = pictures.of(sample)
    colours = None if picture is None else _colours(picture.full)
    if colours is None:
        panels[0].text(0.5, 0.5, "no picture", ha="center", va="center", transform=panels[0].transAxes)
    else:
        panels[0].imshow(colours)
    for axes, name in zip(panels[1:], explainers, strict=True):
        map_ = results.maps(name, place, place + 1)[0].astype(np.float64)
        if np.isfinite(map_).all():
            cmap = "RdBu_r" if name in signed else "viridis"
            draw_blended(axes, map_, colours, cmap, _OPACITY, signed=name in signed)
        else:
            axes.text(0.5, 0.5, "not computed", ha="center", va="center", transform=axes.transAxes)


def _colours(file: str) -> Array:
    with Image.open(io.BytesIO(base64.b64decode(file))) as picture:
        return np.asarray(picture.convert("RGB"))
