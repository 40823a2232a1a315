"""KernelSHAP: Shapley values of an image's segments, by weighted least squares."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from functools import partial
from itertools import combinations
from math import comb
from typing import Any

import numpy as np
import numpy.typing as npt
from mindspore import nn

from ..arguments import whole_number
from ..core.view import View
from ..network.tensors import Activation
from .baselines import Baseline
from .coalition_explainer import CoalitionExplainer, Coalitions, Fit
from .superpixel_explainer import PASS_KIND, Surrogate, number_of, weighted_r2
from .superpixel_explanation import Weights
from .superpixels import SegmentationFunction

_ENDS = 2  # the first rows: all segments shown, none
_DRAWN_TOGETHER = 256
_SINGULAR = 1e-10  # an eigenvalue's share of the largest, at which it is taken for 0

_log = logging.getLogger("explainrun")


class KernelSHAP(CoalitionExplainer[Coalitions]):
    """Importance of a pixel: the Shapley value of its segment, in the game for the label's probability; signed.

    Lundberg, Lee: A Unified Approach to Interpreting Model Predictions (2017), theorem 2: least squares over coalitions
    of segments, one of s of K segments weighted with (K - 1) / (C(K, s) s (K - s)), under the constraint that the
    values add up to the probability on the untouched image minus that with everything hidden. It holds exactly, in
    float64.

    Where ``num_samples`` reaches for all 2^K - 2 coalitions, they are all asked and the values are the exact ones.
    Otherwise, from the smallest and the largest coalitions inwards, each size is asked in full while its share of the
    images that are left, by weight, suffices; what is left are pairs of random coalitions and their complements, as in
    the shap package, no pair asked twice. Costs those images and two (of everything and nothing), for all labels of an
    image. Every image draws from its own generator. ``explain`` gives the values, and pictures of them. Where there are
    too few images to determine the values (fewer than 2 K - 2 always are), they are not computed (NaN), and the log
    says so.

    Args:
        network: see ``SuperpixelExplainer``.
        activation_fn: see ``SuperpixelExplainer``.
        num_samples: coalitions to ask about each image at most; by default 2 K + 2048, as in the shap package.
        segmentation: see ``SuperpixelExplainer``.
        segmentation_options: see ``SuperpixelExplainer``.
        hide_color: see ``SuperpixelExplainer``.
        name: see ``Explainer``.

    Raises:
        TypeError: as ``SuperpixelExplainer``.
        ValueError: as ``SuperpixelExplainer``; or if num_samples is not a whole number from 2.
    """

    def __init__(
        self,
        network: nn.Cell,
        activation_fn: Activation,
        num_samples: int | None = None,
        segmentation: str | SegmentationFunction = "slic",
        segmentation_options: Mapping[str, Any] | None = None,
        hide_color: Baseline | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(network, activation_fn, segmentation, segmentation_options, hide_color, name)
        self.num_samples = None if num_samples is None else whole_number(num_samples, "num_samples", 2)

    def images_needed(self, images: int, questions: int, shape: tuple[int, ...]) -> Mapping[str, int]:
        self.check_images(shape)
        return {PASS_KIND: images * (_ENDS + self._most(shape[1] * shape[2]))}

    def images_needed_for(self, view: View) -> Mapping[str, int]:
        counts = (number_of(self.segments(view, int(row))) for row in np.unique(view.rows))
        return {PASS_KIND: sum(map(self._images_of, counts))}

    def coalitions(self, generator: np.random.Generator, segments: int) -> Coalitions:
        full, pairs = _outside_in(segments, self._most(segments))
        sizes = np.arange(1, segments)
        by_size = (segments - 1) / (sizes * (segments - sizes))  # of all coalitions of a size together
        ends = np.repeat([[True], [False]], segments, axis=1)
        whole = np.array(list(_every(segments, full)), bool).reshape(-1, segments)
        whole_sizes = whole.sum(axis=1)
        each = np.array([by_size[size - 1] / comb(segments, int(size)) for size in whole_sizes])
        between = slice(full, segments - 1 - full)
        some, times = _pairs(generator, segments, pairs, sizes[between], by_size[between])
        drawn = times / max(times.sum(), 1) * by_size[between].sum()
        return Coalitions(np.concatenate([ends, whole, some]), np.concatenate([np.zeros(_ENDS), each, drawn]))

    def fitted(self, coalitions: Coalitions) -> Fit:
        shown, counts = coalitions.shown[_ENDS:].astype(np.float64), coalitions.weights[_ENDS:]
        segments = shown.shape[1]
        if segments == 1:
            return partial(_model, shown, counts, np.zeros((1, 0)))
        # Values that add up to d are d / K each, plus some that add up to 0: those solve least squares over rows from
        # which the mean is taken, whose matrix has the eigenvalue 0 in the direction of equal values alone.
        centred = shown - shown.mean(axis=1, keepdims=True)
        weighted = counts[:, None] * centred
        eigenvalues, vectors = np.linalg.eigh(centred.T @ weighted)
        if eigenvalues[1] <= _SINGULAR * eigenvalues[-1]:
            _log.warning(
                "%s: %d coalitions do not determine the values of %d segments, so an image gets no map; set "
                "num_samples to several times the number of segments", self.name, len(shown), segments,
            )  # fmt: skip
            return lambda _: Surrogate.unknown(segments)
        solving = (vectors[:, 1:] / eigenvalues[1:]) @ (vectors[:, 1:].T @ weighted.T)
        return partial(_model, shown, counts, solving)

    def _most(self, segments: int) -> int:
        """How many coalitions are asked of so many segments, at most."""
        return self.num_samples or 2 * segments + 2048

    def _images_of(self, segments: int) -> int:
        """How many images are run for an image of so many segments."""
        full, pairs = _outside_in(segments, self._most(segments))
        return _ENDS + 2 * pairs + sum(comb(segments, size) for size in _both_ends(segments, full))


def _model(shown: Weights, counts: Weights, solving: Weights, values: npt.NDArray[np.float64]) -> Surrogate:
    """The model of the probabilities of everything, nothing, and the coalitions shown."""
    nothing, whole, segments = values[1], values[0] - values[1], shown.shape[1]
    apart = solving @ (values[_ENDS:] - nothing - whole * shown.mean(axis=1))
    weights = whole / segments + apart
    return Surrogate(weights, float(nothing), weighted_r2(values[_ENDS:], nothing + shown @ weights, counts))


def _outside_in(segments: int, most: int) -> tuple[int, int]:
    """Up to which size coalitions and their complements are asked in full, and how many other pairs are drawn."""
    left, full = most, 0
    weights = {size: 1.0 / (size * (segments - size)) for size in range(1, segments)}
    for size in range(1, segments // 2 + 1):
        subsets = comb(segments, size) * len({size, segments - size})
        share = weights[size] * len({size, segments - size}) / sum(list(weights.values())[size - 1 : segments - size])
        if left * share < subsets * (1.0 - 1e-8):
            return full, left // 2
        left, full = left - subsets, size
    return full, 0


def _both_ends(segments: int, full: int) -> list[int]:
    """The sizes of coalitions that are asked in full."""
    return sorted({end for size in range(1, full + 1) for end in (size, segments - size)})


def _every(segments: int, full: int) -> Iterator[npt.NDArray[np.bool_]]:
    """Every coalition (K,) of those sizes."""
    for size in _both_ends(segments, full):
        for chosen in combinations(range(segments), size):
            shown = np.zeros(segments, bool)
            shown[list(chosen)] = True
            yield shown


def _pairs(
    generator: np.random.Generator, segments: int, pairs: int, sizes: npt.NDArray[np.int_], weights: Weights
) -> tuple[npt.NDArray[np.bool_], Weights]:
    """So many different pairs of random coalitions and their complements, (2 pairs, K), and how often each was drawn.

    Sizes are drawn by weight, and coalitions evenly among those of a size.
    """
    drawn: dict[bytes, int] = {}
    while len(drawn) < pairs:
        how_many = generator.choice(sizes, (_DRAWN_TOGETHER, 1), p=weights / weights.sum())
        shown = generator.random((_DRAWN_TOGETHER, segments)).argsort(axis=1).argsort(axis=1) < how_many
        shown ^= ~shown[:, :1]  # of the two the one that shows the first segment stands for both
        for row in shown:
            drawn[row.tobytes()] = drawn.get(row.tobytes(), 0) + 1
            if len(drawn) == pairs:
                break
    ones = np.frombuffer(b"".join(drawn), bool).reshape(-1, 1, segments)
    return np.concatenate([ones, ~ones], axis=1).reshape(-1, segments), np.repeat(list(drawn.values()), 2).astype(float)
