"""Integrated gradients: the gradient averaged on the way from a baseline to the image."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial, reduce

import numpy as np
import numpy.typing as npt
from mindspore import nn
from scipy.special import roots_legendre

from ..arguments import whole_number
from ..core.together import Estimate
from ..core.view import View
from ..network import Block, by_image, in_passes
from ..network.tensors import FloatArray
from ..perturbation.baselines import Baseline, baseline_image, check_baseline_fits, checked_baseline
from .complete_attribution import CompleteAttribution

Values = npt.NDArray[np.float64]
Covers = Mapping[int, Sequence[FloatArray]]  # what stands for each baseline of an image
_SUMMED_TOGETHER = 64  # steps, whose gradients memory holds at a time


class IntegratedGradients(CompleteAttribution):
    """Distance from the baseline times the mean gradient of the label's logit on the straight way to the image; signed.

    Sundararajan, Taly, Yan: Axiomatic Attribution for Deep Networks (2017), equation 1, by Gauss-Legendre quadrature;
    summed over channels. Up to the error of the quadrature a map sums up to the logit of the image less that of the
    baseline (completeness, section 3); ``estimate`` and a run's archive give that error, question by question. Costs
    ``steps`` differentiated images per question, and one image per image, for each baseline.

    Args:
        network: see ``Explainer``.
        steps: of the quadrature.
        baselines: a number, an array that broadcasts to (C, H, W), "mean" (each channel's) or "blur"; or a list of
            such, over which the map is a mean.
        name: see ``Explainer``.

    Raises:
        TypeError: if the network is not a ``mindspore.nn.Cell``.
        ValueError: if steps is not a whole number from 1, a baseline is malformed, or an empty list is given. Later, if
            a baseline does not fit the images.
    """

    def __init__(
        self,
        network: nn.Cell,
        steps: int = 50,
        baselines: Baseline | Sequence[Baseline] = 0.0,
        name: str | None = None,
    ) -> None:
        super().__init__(network, name)
        self.steps = whole_number(steps, "steps")
        several = baselines if isinstance(baselines, (list, tuple)) else [baselines]
        if not several:
            raise ValueError("baselines must hold at least one, got an empty list")
        self.baselines = tuple(checked_baseline(baseline, "baselines") for baseline in several)
        nodes, weights = roots_legendre(self.steps)
        self._places, self._weights = ((nodes + 1) / 2).astype(np.float32), weights / 2

    def by_channel(self, view: View) -> FloatArray:
        return self._attributed(view, self._covers(view)).astype(np.float32)

    def estimate(self, view: View) -> Estimate:
        """Maps, and of each its sum less what it should be: the fall of the logit from the image to the baselines."""
        covers = self._covers(view)
        attributed = self._attributed(view, covers)
        maps = self.reduced(attributed.astype(np.float32))
        return Estimate(maps, attributed.sum(axis=(1, 2, 3)) - self._falls(view, covers))

    def images_needed(self, images: int, questions: int, shape: tuple[int, ...]) -> Mapping[str, int]:
        return {**self.images_by_channel(questions, shape), "baseline": images * len(self.baselines)}

    def images_by_channel(self, questions: int, shape: tuple[int, ...]) -> Mapping[str, int]:
        for baseline in self.baselines:
            check_baseline_fits(baseline, shape)
        return {"integrate": questions * self.steps * len(self.baselines)}

    def _attributed(self, view: View, covers: Covers) -> Values:
        """(Q, C, H, W)."""
        several, edges = len(self.baselines), [*range(0, self.steps, _SUMMED_TOGETHER), self.steps]
        lengths = np.diff(edges).tolist() * several * len(view.rows)
        gradients = by_image(self._gradients(view, covers), lengths)
        attributed = np.empty((len(view.rows), *view.images.shape[1:]))
        for question, row in enumerate(view.rows.tolist()):
            parts = []
            for cover in covers[row]:
                weights = np.split(self._weights, edges[1:-1])
                mean = reduce(np.add, (np.tensordot(some, next(gradients), 1) for some in weights))
                parts.append((view.images[row] - cover) * mean)
            attributed[question] = sum(parts) / several
        return attributed

    def _gradients(self, view: View, covers: Covers) -> Iterator[FloatArray]:
        """Gradients at all places on all ways of all questions, pass by pass."""
        each, first = self.steps * len(self.baselines), 0
        ways = (self._way(view.images[row], cover) for row in view.rows.tolist() for cover in covers[row])
        for images in in_passes(ways, view.network.pass_size):
            questions = np.arange(first, first + len(images)) // each
            yield view.differentiate(questions, images, kind="integrate").input_gradient
            first += len(images)

    def _way(self, image: FloatArray, cover: FloatArray) -> Block:
        """The images (C, H, W) on the way from a baseline."""
        write = partial(_between, cover, image - cover, self._places[:, None, None, None])
        return Block((self.steps, *image.shape), write)

    def _covers(self, view: View) -> Covers:
        rows = np.unique(view.rows).tolist()
        return {row: [baseline_image(baseline, view.images[row]) for baseline in self.baselines] for row in rows}

    def _falls(self, view: View, covers: Covers) -> Values:
        """(Q,) the logit of each question's image less the mean of its baselines'."""
        rows, places = np.unique(view.rows, return_inverse=True)
        asked = (cover for row in rows.tolist() for cover in covers[row])
        logits = view.network.pooled_logits(asked, "baseline").astype(np.float64)
        means = logits.reshape(len(rows), len(self.baselines), -1).mean(axis=1)
        return view.asked_values(view.logits[view.rows] - means[places.reshape(-1)])


def _between(cover: FloatArray, whole: FloatArray, places: FloatArray, which: slice, out: FloatArray) -> None:
    """Make images at some places on the way from the cover, which lies a whole away from its end."""
    np.multiply(places[which], whole, out=out)
    out += cover
