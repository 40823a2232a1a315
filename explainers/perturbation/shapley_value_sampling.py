"""Shapley values of an image's segments, by the mean over random orders in which they are shown."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from mindspore import nn

from ..arguments import whole_number
from ..core.view import View
from ..network.tensors import Activation, IntArray
from .baselines import Baseline
from .coalition_explainer import CoalitionExplainer, Fit
from .superpixel_explainer import PASS_KIND, Shown, Surrogate
from .superpixel_explanation import Weights
from .superpixels import SegmentationFunction

_LEAST_FOR_ERRORS = 2


class Orders(NamedTuple):
    """Random orders of K segments, and the coalitions that showing them one after the other makes.

    Attributes:
        shown: (R, K), each coalition once: all segments, none, then the others as they come.
        orders: (N, K), the segments in each order.
        rows: (N, K + 1), the row in ``shown`` of the first 0 to K segments of each order.
    """

    shown: Shown
    orders: IntArray
    rows: IntArray


class ShapleyValueSampling(CoalitionExplainer[Orders]):
    """Importance of a pixel: the Shapley value of its segment, in the game for the label's probability; signed.

    Castro, Gómez, Tejada: Polynomial calculation of the Shapley value based on sampling (2009), section 3: the mean,
    over ``num_samples`` random orders of the segments, of what a segment adds to the probability when it is shown after
    those before it. In each order, and so in the map's segments, that adds up to the probability on the untouched image
    minus that with everything hidden. ``explain`` also gives each value's standard error, the deviation over the orders
    by the root of their number; ``estimate`` and a run's archive have its mean as a share of the map's range.

    Costs an image for each segment but one of each order, and two (of everything and nothing), for all labels of an
    image; a coalition that several orders come past is asked once. Every image draws from its own generator.

    Args:
        network: see ``SuperpixelExplainer``.
        activation_fn: see ``SuperpixelExplainer``.
        num_samples: orders.
        segmentation: see ``SuperpixelExplainer``.
        segmentation_options: see ``SuperpixelExplainer``.
        hide_color: see ``SuperpixelExplainer``.
        name: see ``Explainer``.

    Raises:
        TypeError: as ``SuperpixelExplainer``.
        ValueError: as ``SuperpixelExplainer``; or if num_samples is not a whole number from 1.
    """

    def __init__(
        self,
        network: nn.Cell,
        activation_fn: Activation,
        num_samples: int = 25,
        segmentation: str | SegmentationFunction = "slic",
        segmentation_options: Mapping[str, Any] | None = None,
        hide_color: Baseline | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(network, activation_fn, segmentation, segmentation_options, hide_color, name)
        self.num_samples = whole_number(num_samples, "num_samples")

    def images_needed(self, images: int, questions: int, shape: tuple[int, ...]) -> Mapping[str, int]:
        self.check_images(shape)
        return {PASS_KIND: images * (2 + self.num_samples * (shape[1] * shape[2] - 1))}

    def images_needed_for(self, view: View) -> Mapping[str, int]:
        return {PASS_KIND: sum(len(self.drawn(view, int(row)).shown) for row in np.unique(view.rows))}

    def coalitions(self, generator: np.random.Generator, segments: int) -> Orders:
        orders = generator.permuted(np.tile(np.arange(segments), (self.num_samples, 1)), axis=1)
        known = {np.full(segments, one).tobytes(): place for place, one in enumerate((True, False))}
        rows = np.empty((self.num_samples, segments + 1), np.int64)
        for place, order in enumerate(orders):
            shown = np.zeros(segments, bool)
            for step, segment in enumerate((None, *order)):
                if segment is not None:
                    shown[segment] = True
                rows[place, step] = known.setdefault(shown.tobytes(), len(known))
        return Orders(np.frombuffer(b"".join(known), bool).reshape(-1, segments), orders, rows)

    def fitted(self, coalitions: Orders) -> Fit:
        return partial(_mean_over_orders, coalitions)


def _mean_over_orders(coalitions: Orders, values: npt.NDArray[np.float64]) -> Surrogate:
    """The model of the probabilities of the coalitions, (R,)."""
    added = np.empty(coalitions.orders.shape)
    np.put_along_axis(added, coalitions.orders, np.diff(values[coalitions.rows], axis=1), axis=1)
    weights: Weights = added.mean(axis=0)
    count = len(added)
    errors = added.std(axis=0, ddof=1) / np.sqrt(count) if count >= _LEAST_FOR_ERRORS else None
    return Surrogate.additive(coalitions.shown, values, weights, errors)
