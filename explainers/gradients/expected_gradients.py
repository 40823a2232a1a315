"""Expected gradients: integrated gradients over baselines and places that are drawn together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
from mindspore import nn

from ..arguments import whole_number
from ..core.together import Estimate
from ..core.view import View
from ..network import Block, by_image, in_passes
from ..network.tensors import FloatArray, IntArray
from ..perturbation.references import Baselines, References
from .gradient import PixelAttribution, summed_over_channels

Sums = npt.NDArray[np.float64]
_SUMMED_TOGETHER = 64  # samples, whose gradients memory holds at a time


@dataclass(frozen=True)
class _Draws:
    """What is drawn for an image.

    Attributes:
        references: (K, C, H, W), what it is compared with.
        which: (S,) the reference of each sample.
        places: (S,) where on the way from it to the image each sample lies, in 0..1.
    """

    references: FloatArray
    which: IntArray
    places: FloatArray

    def between(self, image: FloatArray, samples: slice, out: FloatArray) -> None:
        """Make images at the places of some samples."""
        starts = self.references[self.which[samples]]
        np.subtract(image, starts, out=out)
        out *= self.places[samples, None, None, None]
        out += starts


class ExpectedGradients(PixelAttribution):
    """Distance from a baseline times the gradient on the way from it, averaged over drawn baselines and places; signed.

    Erion et al.: Improving Performance of Deep Learning Models with Axiomatic Attribution Priors and Expected Gradients
    (2019), section 3.1; summed over channels. Each sample takes one of the baselines and a place on the straight way
    from it to the image, both uniformly; captum's ``GradientShap`` does the same where its noise is 0. Maps sum up, as
    the samples get many, to the logit of the image less the mean of the baselines' logits; a run's archive gives each
    map's standard error, as a share of its range. Every image draws from its own generator, the same for all its
    labels. Costs ``num_samples`` differentiated images per question.

    Args:
        network: see ``Explainer``.
        baselines: "pool", the first 20 samples of a run's dataset, or {"pool": K}; an array (K, C, H, W) of images; or
            what ``IntegratedGradients`` takes, one or a list. A direct call knows no dataset, and needs one of the
            others.
        num_samples: how many are drawn for each image.
        name: see ``Explainer``.

    Raises:
        TypeError: if the network is not a ``mindspore.nn.Cell``.
        ValueError: if num_samples is not a whole number from 1, a baseline is malformed, or there are none. Later, if a
            baseline does not fit the images, or a direct call lacks arrays.
    """

    signed = True
    contrastable = True

    def __init__(
        self, network: nn.Cell, baselines: Baselines = "pool", num_samples: int = 50, name: str | None = None
    ) -> None:
        super().__init__(network, name)
        self._references = References.of(baselines)
        self.baselines = self._references.pool or baselines
        self.num_samples = whole_number(num_samples, "num_samples")

    def by_channel(self, view: View) -> FloatArray:
        return self._means(view)[0].astype(np.float32)

    def reduced(self, values: FloatArray) -> FloatArray:
        return summed_over_channels(values)

    def estimate(self, view: View) -> Estimate:
        """Maps, and of each its mean standard error over the pixels as a share of the map's range."""
        means, errors = self._means(view)
        return Estimate.with_standard_errors(self.reduced(means.astype(np.float32)), errors)

    def images_needed(self, images: int, questions: int, shape: tuple[int, ...]) -> Mapping[str, int]:
        return self.images_by_channel(questions, shape)

    def images_by_channel(self, questions: int, shape: tuple[int, ...]) -> Mapping[str, int]:
        self._references.check_fit(shape)
        return {"expect": questions * self.num_samples}

    def _means(self, view: View) -> tuple[Sums, Sums]:
        """(Q, C, H, W) the mean over the samples of each question, and (Q, H, W) its map's standard error."""
        drawn = {row: self._drawn(view, row, of_row) for row, of_row in self._references.by_row(view).items()}
        edges = [*range(0, self.num_samples, _SUMMED_TOGETHER), self.num_samples]
        gradients = by_image(self._gradients(view, drawn), np.diff(edges).tolist() * len(view.rows))
        means = np.zeros((len(view.rows), *view.images.shape[1:]))
        errors = np.zeros((len(view.rows), *view.size))
        for question, row in enumerate(view.rows.tolist()):
            draws, squares = drawn[row], np.zeros(view.size)
            for first in edges[:-1]:
                which = draws.which[first : first + _SUMMED_TOGETHER]
                values = (view.images[row] - draws.references[which]).astype(np.float64) * next(gradients)
                means[question] += values.sum(axis=0) / self.num_samples
                squares += (values.sum(axis=1) ** 2).sum(axis=0)
            errors[question] = self._standard_error(means[question].sum(axis=0), squares)
        return means, errors

    def _standard_error(self, mean: Sums, squares: Sums) -> Sums:
        """(H, W) of a map, from its mean and the sum of its samples' squares; NaN of one sample."""
        if self.num_samples == 1:
            return np.full_like(mean, np.nan)
        variance = (squares / self.num_samples - mean**2).clip(min=0) / (self.num_samples - 1)
        error: Sums = np.sqrt(variance)
        return error

    def _drawn(self, view: View, row: int, references: FloatArray) -> _Draws:
        generator = view.generator(row, "ExpectedGradients")
        which = generator.integers(len(references), size=self.num_samples)
        return _Draws(references, which, generator.random(self.num_samples, np.float32))

    def _gradients(self, view: View, drawn: Mapping[int, _Draws]) -> Iterator[FloatArray]:
        """Gradients at the samples of all questions, pass by pass."""
        shape, first = (self.num_samples, *view.images.shape[1:]), 0
        ways = (Block(shape, partial(drawn[row].between, view.images[row])) for row in view.rows.tolist())
        for images in in_passes(ways, view.network.pass_size):
            questions = np.arange(first, first + len(images)) // self.num_samples
            yield view.differentiate(questions, images, kind="expect").input_gradient
            first += len(images)
