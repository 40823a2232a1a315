"""Explainers that hide segments of an image, and say what showing each does to the probabilities."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt
from mindspore import Tensor, nn

from ..core.call_options import CallOptions
from ..core.explainer import Explainer, view_of_call
from ..core.measured_size import PassSize
from ..core.together import Estimate
from ..core.view import View
from ..core.windows import choose
from ..network import DEFAULT_PASS_SIZE, Block, Jit, Output
from ..network.tensors import Activation, FloatArray, IntArray, checked_activation
from .baselines import Baseline, baseline_image, check_baseline_fits, checked_baseline
from .superpixel_explanation import SuperpixelExplanation, Weights
from .superpixels import Segmentation, SegmentationFunction, segment_means

PASS_KIND = "superpixel"
Shown = npt.NDArray[np.bool_]  # (R, K), which of K segments each of some images shows


class Surrogate(NamedTuple):
    """A linear model; its attributes are those of ``SuperpixelExplanation``."""

    weights: Weights
    intercept: float
    score: float
    errors: Weights | None = None

    @classmethod
    def unknown(cls, segments: int) -> Surrogate:
        """None, where it could not be computed."""
        return cls(np.full(segments, np.nan), np.nan, np.nan)

    @classmethod
    def additive(cls, shown: Shown, values: Weights, weights: Weights, errors: Weights | None = None) -> Surrogate:
        """What each segment adds to the probability while none is shown.

        Args:
            shown: (R, K) the coalitions that were asked about, all segments first, none second.
            values: (R,) the probabilities of a label.
            weights: (K,) what each segment adds.
            errors: (K,) of these.
        """
        nothing = float(values[1])
        fitted = nothing + shown @ weights
        return cls(weights, nothing, weighted_r2(values, fitted, np.ones(len(values))), errors)


class SuperpixelExplainer(Explainer):
    """Shows an image with some of its segments hidden, again and again, and weighs segments by the probabilities.

    A subclass says in ``answers`` which segments are shown together and what follows. All labels of an image share its
    passes, of the kind "superpixel". An image is segmented once for a view.

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
    def answers(self, view: View) -> Iterator[tuple[int, SuperpixelExplanation]]:
        """Each question of a view with its answer, in any order."""

    def attribute(self, view: View) -> FloatArray:
        return self.estimate(view).maps

    def estimate(self, view: View) -> Estimate:
        """Maps, and of each the mean standard error of its pixels as a share of its range, where that is known."""
        maps, errors = np.empty((len(view.rows), *view.size), np.float32), np.full(len(view.rows), np.nan)
        for question, found in self.answers(view):
            maps[question] = found.weights[found.segments]
            extent = np.ptp(found.weights)
            if found.errors is not None and extent > 0:
                errors[question] = found.errors[found.segments].mean() / extent
        return Estimate(maps, None if np.isnan(errors).all() else errors)

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
        found = dict(self.answers(view))
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

    def cover(self, view: View, row: int) -> FloatArray:
        """What stands where segments of an image are hidden, (C, H, W)."""
        image = view.images[row]
        if self.hide_color is None:
            return segment_means(image, self.segments(view, row))
        return baseline_image(self.hide_color, image)


def explained(
    label: int, segments: IntArray, model: Surrogate, prediction: float, image: FloatArray
) -> SuperpixelExplanation:
    """What a linear model says of an image and a label whose probability is the prediction."""
    return SuperpixelExplanation(
        label, segments, model.weights, model.intercept, model.score, prediction,
        model.intercept + float(model.weights.sum()), image, model.errors,
    )  # fmt: skip


def with_hidden(image: FloatArray, cover: FloatArray, segments: IntArray, shown: Shown) -> Block:
    """An image (C, H, W) with each of some coalitions (R, K) of its segments shown in turn, and covered elsewhere."""
    return Block((len(shown), *image.shape), partial(_hide, image, cover, segments, shown))


def _hide(
    image: FloatArray, cover: FloatArray, segments: IntArray, shown: Shown, which: slice, out: FloatArray
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
