"""LIME: a linear model of the network around one image, over its segments."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from mindspore import nn

from ..arguments import positive_number, whole_number
from ..network.tensors import Activation
from .baselines import Baseline
from .coalition_explainer import CoalitionExplainer, Coalitions, Fit
from .superpixel_explainer import PASS_KIND, Surrogate, weighted_r2
from .superpixel_explanation import Weights
from .superpixels import SegmentationFunction

_SELECTING_ALPHA = 0.01  # of the first fit, which only chooses


class LIME(CoalitionExplainer[Coalitions]):
    """Importance of a pixel: the weight of its segment in a linear model of the label's probability; signed.

    Ribeiro, Singh, Guestrin: "Why Should I Trust You?" (2016), section 3, with the choices of the authors' lime
    package: each segment is shown with probability 1/2, all of them in the first of ``num_samples`` images; an image
    counts sqrt(exp(-d^2 / kernel_width^2)), d being the cosine distance of its 0/1 row to that of all ones; the model
    is a ridge regression with an intercept. Costs ``num_samples`` images, for all labels of an image. Every image draws
    from its own generator. ``explain`` gives the model itself, and pictures of it.

    The default segmentation is the lime package's, for photographs of 200 pixels a side and more: of most 32 x 32 ones
    it makes a single segment, hence a constant map, which the log says; "slic" makes more.

    Args:
        network: see ``SuperpixelExplainer``.
        activation_fn: see ``SuperpixelExplainer``.
        num_samples: images that the model is fitted on.
        num_features: keep so many segments, those of the largest absolute weight in a first fit (with alpha 0.01), and
            fit again on them; the others weigh 0. The lime package calls that "highest_weights". By default all.
        segmentation: see ``SuperpixelExplainer``.
        segmentation_options: see ``SuperpixelExplainer``.
        hide_color: see ``SuperpixelExplainer``.
        kernel_width: the smaller, the more images count that show nearly all.
        alpha: strength of the ridge, which shrinks weights towards 0.
        name: see ``Explainer``.

    Raises:
        TypeError: as ``SuperpixelExplainer``.
        ValueError: as ``SuperpixelExplainer``; or if num_samples is not a whole number from 2, num_features not one
            from 1, or kernel_width or alpha is not above 0.
    """

    def __init__(
        self,
        network: nn.Cell,
        activation_fn: Activation,
        num_samples: int = 1000,
        num_features: int | None = None,
        segmentation: str | SegmentationFunction = "quickshift",
        segmentation_options: Mapping[str, Any] | None = None,
        hide_color: Baseline | None = None,
        kernel_width: float = 0.25,
        alpha: float = 1.0,
        name: str | None = None,
    ) -> None:
        super().__init__(network, activation_fn, segmentation, segmentation_options, hide_color, name)
        self.num_samples = whole_number(num_samples, "num_samples", 2)
        self.num_features = None if num_features is None else whole_number(num_features, "num_features")
        self.kernel_width, self.alpha = positive_number(kernel_width, "kernel_width"), positive_number(alpha, "alpha")

    def images_needed(self, images: int, questions: int, shape: tuple[int, ...]) -> Mapping[str, int]:
        self.check_images(shape)
        return {PASS_KIND: images * self.num_samples}

    def coalitions(self, generator: np.random.Generator, segments: int) -> Coalitions:
        shown = generator.integers(0, 2, (self.num_samples, segments), np.int8).astype(bool)
        shown[0] = True
        distances = 1.0 - np.sqrt(shown.mean(axis=1))  # of a 0/1 row to all ones the cosine is just that root
        return Coalitions(shown, np.sqrt(np.exp(-(distances**2) / self.kernel_width**2)))

    def fitted(self, coalitions: Coalitions) -> Fit:
        return partial(self._model, coalitions)

    def _model(self, coalitions: Coalitions, values: Weights) -> Surrogate:
        shown, counts = coalitions.shown.astype(np.float64), coalitions.weights
        kept = self._kept(shown, counts, values)
        ridge = _ridge(shown[:, kept], counts, values, self.alpha)
        weights = np.zeros(shown.shape[1])
        weights[kept] = ridge.coef_
        fitted = shown @ weights + ridge.intercept_
        return Surrogate(weights, float(ridge.intercept_), weighted_r2(values, fitted, counts))

    def _kept(self, shown: Weights, counts: Weights, values: Weights) -> npt.NDArray[np.int_]:
        """The segments that the model is made of, in their order."""
        segments = shown.shape[1]
        if self.num_features is None or self.num_features >= segments:
            return np.arange(segments)
        first = np.abs(_ridge(shown, counts, values, _SELECTING_ALPHA).coef_)
        return np.sort(np.argsort(-first, kind="stable")[: self.num_features])


def _ridge(shown: Weights, counts: Weights, values: Weights, alpha: float) -> Any:
    from sklearn.linear_model import Ridge  # noqa: PLC0415  (slow to import, and only LIME needs it)

    return Ridge(alpha=alpha).fit(shown, values, sample_weight=counts)
