"""Blur integrated gradients: a path that takes the image's blur away."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache

import numpy as np
from mindspore import nn

from ..arguments import positive_number, whole_number, yes_or_no
from ..core.together import Estimate
from ..core.view import View
from ..network import DEFAULT_PASS_SIZE
from ..network.tensors import FloatArray, IntArray
from .path_method import PASS_KIND, PathMethod, Values, Visited, falls_from, visited

Blurs = Callable[[int, int], Values]
_REACH = 4.0  # deviations, after which the Gaussian is cut off
_ENDED = 1e-15  # a deviation that blurs nothing


class BlurIG(PathMethod):
    """Integrated gradients on the path that takes the image's blur away; signed.

    Xu, Venugopalan, Sundararajan: Attribution in Scale and Space (2020), section 3: the sum over ``steps`` deviations
    of the derivative of the blurred image with respect to its deviation, times the gradient of the label's logit there,
    in float64. That derivative is taken as the difference over ``grad_step``, from the right, as in PAIR's saliency
    package; steps begin at the deviations 0, max_sigma / steps, ... Outside of the image there is 0, so that the
    path begins near black where max_sigma is as large as the image. Up to the error of the steps a map sums up to
    the logit of the image less that of the most blurred one; ``estimate`` and a run's archive give that error. Costs
    ``steps`` differentiated images per question, and one image per image; the labels of an image share its blurs.

    Args:
        network: see ``Explainer``.
        steps: of the path.
        max_sigma: the deviation of the Gaussian at the path's beginning, in pixels; 50 is for images of some 224 pixels
            a side.
        grad_step: how far apart the two deviations are that give a derivative.
        sqrt: have the squares of the deviations evenly spaced, not the deviations.
        name: see ``Explainer``.

    Raises:
        TypeError: if the network is not a ``mindspore.nn.Cell``.
        ValueError: if steps is not a whole number from 1, max_sigma or grad_step not above 0, or sqrt neither True nor
            False.
    """

    def __init__(
        self,
        network: nn.Cell,
        steps: int = 100,
        max_sigma: float = 50.0,
        grad_step: float = 0.01,
        sqrt: bool = False,
        name: str | None = None,
    ) -> None:
        super().__init__(network, name)
        self.steps, self.sqrt = whole_number(steps, "steps"), yes_or_no(sqrt, "sqrt")
        self.max_sigma = positive_number(max_sigma, "max_sigma")
        self.grad_step = positive_number(grad_step, "grad_step")
        parts = np.arange(self.steps + 1) / self.steps
        self._sigmas = np.sqrt(parts * self.max_sigma) if self.sqrt else parts * self.max_sigma

    def by_channel(self, view: View) -> FloatArray:
        return self._attributed(view).astype(np.float32)

    def estimate(self, view: View) -> Estimate:
        attributed = self._attributed(view)
        rows, places = np.unique(view.rows, return_inverse=True)
        blurs = (blurred(view.images[row], float(self._sigmas[-1])).astype(np.float32) for row in rows.tolist())
        logits = view.network.pooled_logits(blurs, "baseline").astype(np.float64)
        return self.with_errors(attributed, falls_from(view, view.asked_values(logits[places.reshape(-1)])[:, None]))

    def walk(self, view: View) -> Iterator[Visited]:
        sigmas = self._sigmas[:0:-1]
        for _, found in self._visits(view, _blurs(view, sigmas), len(sigmas)):
            yield found

    def images_needed(self, images: int, questions: int, shape: tuple[int, ...]) -> Mapping[str, int]:
        return {**self.images_by_channel(questions, shape), "baseline": images}

    def images_by_channel(self, questions: int, shape: tuple[int, ...]) -> Mapping[str, int]:
        return {PASS_KIND: questions * self.steps}

    def _attributed(self, view: View) -> Values:
        """(Q, C, H, W)."""
        attributed = np.zeros((len(view.rows), *view.images.shape[1:]))
        widths, sigmas = np.diff(self._sigmas), self._sigmas[:-1]
        blur = _blurs(view, sigmas)

        @lru_cache(1)
        def slope(row: int, place: int) -> Values:
            """How the blurred image changes with its deviation, over the step."""
            further = blurred(view.images[row], float(sigmas[place]) + self.grad_step)
            change: Values = widths[place] * ((further - blur(row, place)) / self.grad_step)
            return change

        for places, found in self._visits(view, blur, len(sigmas)):
            for question, place, gradient in zip(found.paths.tolist(), places.tolist(), found.gradients, strict=True):
                attributed[question] -= slope(int(view.rows[question]), place) * gradient
        return attributed

    def _visits(self, view: View, blur: Blurs, count: int) -> Iterator[tuple[IntArray, Visited]]:
        """Every question at every deviation, the questions on an image one after the other at each.

        Yields:
            The place (M,) of the deviation of each image of a pass among the deviations, and what was found.
        """
        turns = np.array([
            (question, place)
            for row in np.unique(view.rows).tolist()
            for place in range(count)
            for question in view.questions_about(row).tolist()
        ])  # fmt: skip
        for first in range(0, len(turns), view.network.pass_size):
            questions, places = turns[first : first + view.network.pass_size].T
            pairs = zip(view.rows[questions].tolist(), places.tolist(), strict=True)
            images = np.stack([blur(row, place) for row, place in pairs]).astype(np.float32)
            yield places, visited(view, questions, images, 1)


def _blurs(view: View, sigmas: Values) -> Blurs:
    """What gives an image (C, H, W) behind a deviation, by their places; as many as in a usual pass are kept."""
    each = sigmas.tolist()
    return lru_cache(min(view.network.pass_size, DEFAULT_PASS_SIZE))(
        lambda row, place: blurred(view.images[row], each[place])
    )


def blurred(image: FloatArray, sigma: float) -> Values:
    """An image (C, H, W) behind a Gaussian of that deviation in pixels, cut off at 4 deviations; 0 around the image."""
    whole = image.astype(np.float64)
    if sigma <= _ENDED:
        return whole
    down, across = (_smoothing(side, sigma) for side in image.shape[1:])
    smooth: Values = down @ whole @ across
    return smooth


@lru_cache(2)  # for both sides of a square image, or those of another
def _smoothing(side: int, sigma: float) -> Values:
    """The symmetric matrix (side, side) that blurs a line of pixels."""
    reach = int(_REACH * sigma + 0.5)
    weights = np.exp(-0.5 / sigma**2 * np.arange(-reach, reach + 1) ** 2)
    weights /= weights.sum()
    apart = np.abs(np.subtract.outer(np.arange(side), np.arange(side)))
    matrix: Values = np.where(apart <= reach, weights[reach + np.minimum(apart, reach)], 0.0)
    return matrix
