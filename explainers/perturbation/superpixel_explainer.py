"""Explainers that hide segments of an image and fit a linear model to what the network says of the rest."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt
from mindspore import Tensor, nn

from ..core.call_options import CallOptions
from ..core.explainer import Explainer, view_of_call
from ..core.measured_size import PassSize
from ..core.view import View
from ..core.windows import choose
from ..network import DEFAULT_PASS_SIZE, Block, Jit, Output
from ..network.tensors import Activation, FloatArray, IntArray, checked_activation
from .baselines import Baseline, baseline_image, check_baseline_fits, checked_baseline
from .superpixel_explanation import SuperpixelExplanation, Weights
from .superpixels import Segmentation, SegmentationFunction, segment_means

PASS_KIND = "superpixel"


class Coalitions(NamedTuple):
    """Which segments of an image are shown together.

    Attributes:
        shown: (R, K), True where a segment is shown; the first row shows them all.
        weights: (R,), how much each row counts in the fit.
    """

    shown: npt.NDArray[np.bool_]
    weights: Weights


class Surrogate(NamedTuple):
    """A linear model; its attributes are those of ``SuperpixelExplanation``."""

    weights: Weights
    intercept: float
    score: float

    @classmethod
    def unknown(cls, segments: int) -> Surrogate:
        """None, where it could not be computed."""
        return cls(np.full(segments, np.nan), np.nan, np.nan)


Fit = Callable[[npt.NDArray[np.float64]], Surrogate]


class SuperpixelExplainer(Explainer):
    """Shows an image with some of its segments hidden, again and again, and fits a linear model to the probabilities.

    A subclass draws the ``coalitions`` and says how they are ``fitted``. All labels of an image share its passes, of
    the kind "superpixel". An image is segmented once for a view.

    Args:
        network: see ``Explainer``.
        activation_fn: from logits (N, classes) to probabilities, such as ``nn.Softmax()``.
        segmentation: "slic", "quickshift", "felzenszwalb", or a function; see ``Segmentation``.
        segmentation_options: for it, by name.
        hide_color: what stands where a segment is hidden: None for the segment's own mean colour, else as the
            ``baseline`` of ``Occlusion``: a number, an array that broadcasts to (C, H, W), "mean" or "blur".
        name: see ``Explainer``.

    Raises:
        TypeError: if the network, activation, segmentation or its options are of another type.
        ValueError: if there is no such segmentation or option, or hide_color is none. Later, if the images have not 1,
            3 or 4 channels, hide_color does not fit them, or a segmentation function gives no integers (H, W).
    """

    signed = True

    def __init__(
        self,
        network: nn.Cell,
        activation_fn: Activation,
        segmentation: str | SegmentationFunction,
        segmentation_options: Mapping[str, Any] | None,
        hide_color: Baseline | None,
        name: str | None,
    ) -> None:
        super().__init__(network, name)
        self.activation_fn = checked_activation(activation_fn)
        self.segmentation, self.segmentation_options = segmentation, segmentation_options
        self.hide_color = None if hide_color is None else checked_baseline(hide_color, "hide_color")
        self._segmented = Segmentation(segmentation, segmentation_options, self.name)
        self._known: WeakKeyDictionary[View, dict[int, IntArray]] = WeakKeyDictionary()

    @abstractmethod
    def coalitions(self, generator: np.random.Generator, segments: int) -> Coalitions:
        """Which of so many segments are shown together; the same for the same random numbers."""

    @abstractmethod
    def fitted(self, coalitions: Coalitions) -> Fit:
        """What fits a model to the probabilities (R,), all finite, of one label on the coalitions of an image."""

    def attribute(self, view: View) -> FloatArray:
        maps = np.empty((len(view.rows), *view.size), np.float32)
        for question, found in self._answers(view):
            maps[question] = found.weights[found.segments]
        return maps

    def explain(
        self,
        inputs: Tensor,
        targets: Any,
        *,
        output: Output = None,
        jit: Jit = "auto",
        pass_size: PassSize = DEFAULT_PASS_SIZE,
    ) -> list[SuperpixelExplanation] | list[list[SuperpixelExplanation]]:
        """Explain images in full: segments, weights, and how well the linear model fits.

        Args:
            inputs: (N, C, H, W), as the network takes them.
            targets: as for the direct call.
            output: as for the direct call.
            jit: as for the direct call.
            pass_size: as for the direct call.

        Returns:
            A list of N explanations; of N lists of L explanations for targets (N, L).

        Raises:
            TypeError: if inputs or targets are of another type.
            ValueError: if their shapes do not fit, or a target is out of range.
        """
        view, place = view_of_call(self, inputs, targets, CallOptions(output, jit, pass_size))
        found = dict(self._answers(view))
        rows = [[found[question] for question in row] for row in place.tolist()]
        return rows if np.ndim(targets) == 2 else [row[0] for row in rows]

    def check_images(self, shape: tuple[int, ...]) -> None:
        """Make sure that images (C, H, W) can be segmented and hidden.

        Raises:
            ValueError: if they cannot.
        """
        self._segmented.check(shape)
        if self.hide_color is not None:
            check_baseline_fits(self.hide_color, shape)

    def segments(self, view: View, row: int) -> IntArray:
        """The segment of each pixel of an image of the view, (H, W); found once."""
        known = self._known.setdefault(view, {})
        if row not in known:
            known[row] = self._segmented(view.images[row], view.generator(row, "segmentation"))
        return known[row]

    def _answers(self, view: View) -> Iterator[tuple[int, SuperpixelExplanation]]:
        """Each question with its answer, image by image."""
        rows = [int(row) for row in np.unique(view.rows)]
        said = view.network.streamed_probabilities(
            (self._hidden(view, row) for row in rows), self.activation_fn, PASS_KIND
        )
        counts = (len(self._drawn(view, row).shown) for row in rows)
        for row, places, probabilities in view.answered(said, counts):
            segments, coalitions = self.segments(view, row), self._drawn(view, row)
            fit = self.fitted(coalitions)
            for column, question in enumerate(places.tolist()):  # one by one: see ``fitted``
                label = int(view.labels[question])
                values = probabilities[:, column].astype(np.float64)
                known = np.isfinite(values).all()
                model = fit(values) if known else Surrogate.unknown(coalitions.shown.shape[1])
                yield question, SuperpixelExplanation(
                    label, segments, *model, float(values[0]), model.intercept + float(model.weights.sum()),
                    view.images[row],
                )  # fmt: skip

    def _drawn(self, view: View, row: int) -> Coalitions:
        return self.coalitions(view.generator(row, type(self).__name__), number_of(self.segments(view, row)))

    def _hidden(self, view: View, row: int) -> Block:
        """An image (C, H, W) with each coalition of its segments shown in turn."""
        image, segments = view.images[row], self.segments(view, row)
        cover = segment_means(image, segments) if self.hide_color is None else baseline_image(self.hide_color, image)
        shown = self._drawn(view, row).shown
        return Block((len(shown), *image.shape), partial(_hide, image, cover, segments, shown))


def _hide(
    image: FloatArray,
    cover: FloatArray,
    segments: IntArray,
    shown: npt.NDArray[np.bool_],
    which: slice,
    out: FloatArray,
) -> None:
    """Make an image with each of some coalitions shown."""
    choose(np.take(shown[which], segments, axis=1), image, cover, out)


def number_of(segments: IntArray) -> int:
    """How many segments there are."""
    return int(segments.max()) + 1


def weighted_r2(values: Weights, fitted: Weights, weights: Weights) -> float:
    """Share of the values' weighted variance that a model explains; NaN where they do not vary."""
    if not len(values) or np.ptp(values) == 0:
        return np.nan
    variation = (weights * (values - np.average(values, weights=weights)) ** 2).sum()
    return float(1.0 - (weights * (values - fitted) ** 2).sum() / variation) if variation > 0 else np.nan
