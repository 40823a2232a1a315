"""Explainers that draw coalitions of an image's segments, ask about all of them, and fit a linear model."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator
from typing import Generic, NamedTuple, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from ..core.view import View
from ..network import Block
from .superpixel_explainer import PASS_KIND, Shown, SuperpixelExplainer, Surrogate, explained, number_of, with_hidden
from .superpixel_explanation import SuperpixelExplanation, Weights

Fit = Callable[[npt.NDArray[np.float64]], Surrogate]


class AnyCoalitions(Protocol):
    """Which segments of an image are shown together."""

    @property
    def shown(self) -> Shown:
        """(R, K), True where a segment is shown; the first row shows them all."""


class Coalitions(NamedTuple):
    """Which segments of an image are shown together.

    Attributes:
        shown: (R, K), True where a segment is shown; the first row shows them all.
        weights: (R,), how much each row counts in the fit.
    """

    shown: Shown
    weights: Weights


Drawn = TypeVar("Drawn", bound=AnyCoalitions)


class CoalitionExplainer(SuperpixelExplainer, Generic[Drawn]):
    """Draws coalitions of segments before any is asked about, and fits a linear model to the probabilities.

    A subclass draws the ``coalitions`` and says how they are ``fitted``. See ``SuperpixelExplainer`` for the arguments.
    """

    @abstractmethod
    def coalitions(self, generator: np.random.Generator, segments: int) -> Drawn:
        """Which of so many segments are shown together; the same for the same random numbers."""

    @abstractmethod
    def fitted(self, coalitions: Drawn) -> Fit:
        """What fits a model to the probabilities (R,), all finite, of one label on the coalitions of an image."""

    def answers(self, view: View) -> Iterator[tuple[int, SuperpixelExplanation]]:
        """Each question with its answer, image by image."""
        rows = [int(row) for row in np.unique(view.rows)]
        said = view.network.streamed_probabilities(
            (self._hidden(view, row) for row in rows), self.activation_fn, PASS_KIND
        )
        counts = (len(self.drawn(view, row).shown) for row in rows)
        for row, places, probabilities in view.answered(said, counts):
            segments, coalitions = self.segments(view, row), self.drawn(view, row)
            fit = self.fitted(coalitions)
            for column, question in enumerate(places.tolist()):  # one by one: see ``fitted``
                label = int(view.labels[question])
                values = probabilities[:, column].astype(np.float64)
                known = np.isfinite(values).all()
                model = fit(values) if known else Surrogate.unknown(coalitions.shown.shape[1])
                yield question, explained(label, segments, model, float(values[0]), view.images[row])

    def drawn(self, view: View, row: int) -> Drawn:
        """The coalitions of an image of the view."""
        return self.coalitions(view.generator(row, type(self).__name__), number_of(self.segments(view, row)))

    def _hidden(self, view: View, row: int) -> Block:
        """An image (C, H, W) with each coalition of its segments shown in turn."""
        shown = self.drawn(view, row).shown
        return with_hidden(view.images[row], self.cover(view, row), self.segments(view, row), shown)
