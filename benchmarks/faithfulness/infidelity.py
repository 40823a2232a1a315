"""Does a map predict how the network's answer changes where the image is perturbed?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ...explainers.arguments import one_of, positive_number, whole_number, yes_or_no
from ...explainers.network import Block
from ...explainers.network.tensors import Activation, FloatArray
from ...summary_format.problem import Problem
from ..core.arithmetic import Numbers
from ..core.perturbations import ImageOfView, Perturbation, Removed
from ..core.removal import Removal, checked_removal
from .correlations import _OfCopies

PERTURBATIONS = ("gaussian", "square")
_MADE_TOGETHER = 16  # copies of an image, where their differences are looked at


class Infidelity(_OfCopies):
    """Mean squared difference of what a map predicts and what happens where the image is perturbed; lower is better.

    INFD = mean of (sum of I map - (f(x) - f(x - I)))^2 over perturbations I. Yeh et al.: On the (In)fidelity and
    Sensitivity of Explanations (2019), definition 2.1. At least 0, and 0 for the signed gradient of a linear network.
    "gaussian" draws I for each pixel, the same for all its channels, from a normal distribution; "square" removes a
    square at a random place, I being what was removed. A map has one value per pixel, the sum of those of its channels:
    I is averaged over channels before it is multiplied, which is exact for what is the same on all channels. NaN for a
    map without order. Costs ``samples`` images, for all explainers and labels of an image.

    The map has to be in the unit of a gradient, answer per pixel value. ``attribution="contribution"`` is for maps that
    hold each pixel's part of the answer, such as those of ``InputXGradient`` or ``IntegratedGradients``: with "square"
    then the sum of the map over the square is compared. ``scaled`` first multiplies the map by the factor that suits
    best (captum's ``normalize``), for maps of any unit, such as those of the CAM family; a map and its negative then
    score alike.

    It does not say how good a map is by itself, as its unit is that of the answer, squared: compare explainers on the
    same network and perturbations. A map near 0 everywhere may do better than one with the right shape and the wrong
    scale, and the negative of the right map better than a random one of larger values.

    Args:
        num_labels: how many classes the network has.
        activation_fn: from logits (N, classes) to probabilities, such as ``nn.Softmax()``.
        perturbation: "gaussian" or "square".
        samples: perturbations of each image.
        radius: standard deviation of "gaussian", as a share of the image's range.
        square_size: side of squares in pixels; by default an eighth of the image's short side.
        baseline: value of removed pixels, as the network takes them, where removal is "value".
        removal: what stands in squares; see ``checked_removal``.
        attribution: "gradient" or "contribution".
        scaled: whether the map is scaled first.
        answer: "logit" or "probability" of the label; maps are mostly of the logit.
        name: see ``Metric``.

    Raises:
        TypeError: if activation_fn cannot be called.
        ValueError: if num_labels, samples or square_size is below 1, radius is not above 0, the baseline is not finite
            or without effect, "contribution" comes without "square", scaled is not True or False, or there is no such
            perturbation, removal, attribution or answer.
    """

    higher_is_better = False

    def __init__(  # noqa: PLR0913 - all but two are options with defaults, to be given by name
        self,
        num_labels: int,
        activation_fn: Activation,
        *,
        perturbation: str = "gaussian",
        samples: int = 100,
        radius: float = 0.1,
        square_size: int | None = None,
        baseline: float = 0.0,
        removal: str = "value",
        attribution: str = "gradient",
        scaled: bool = False,
        answer: str = "logit",
        name: str | None = None,
    ) -> None:
        super().__init__(num_labels, activation_fn, answer, name)
        self._contribution = _checked_pair(perturbation, attribution)
        self.samples = whole_number(samples, "samples")
        side = None if square_size is None else whole_number(square_size, "square_size")
        reach, cover = positive_number(radius, "radius"), checked_removal(removal, baseline)
        self._copies: Noisy | SquaresRemoved = (
            Noisy(self.samples, reach) if perturbation == "gaussian" else SquaresRemoved(self.samples, side, cover)
        )
        self.scaled = yes_or_no(scaled, "scaled")

    def perturbation(self, size: tuple[int, int]) -> Perturbation:
        return self._copies

    def predictions(self, maps: FloatArray, image: ImageOfView) -> Numbers:
        exact = maps.astype(np.float64)
        parts = [np.stack([(left * map_).sum(axis=(1, 2)) for map_ in exact]) for left in self._left_out(image)]
        return np.concatenate(parts, axis=1)

    def of_answers(self, predicted: Numbers, falls: Numbers) -> float:
        if self.scaled:
            length = (predicted**2).sum()
            predicted = predicted * ((predicted * falls).sum() / length if length else 0.0)
        return float(((predicted - falls) ** 2).mean())

    def _left_out(self, image: ImageOfView) -> Iterator[Removed] | Iterator[Numbers]:
        """What each copy lacks, (N, H, W) at a time: which pixels, where maps hold contributions, else how much."""
        if self._contribution and isinstance(self._copies, SquaresRemoved):
            return self._copies.masks(image)
        return _differences(self._copies, image)


@dataclass(frozen=True)
class Noisy(Perturbation):
    """Copies of an image from each of which Gaussian noise is taken, the same from all channels of a pixel.

    Attributes:
        samples: how many.
        radius: standard deviation, as a share of the image's range.
    """

    samples: int
    radius: float

    def number(self, image: ImageOfView) -> int:
        return self.samples

    def block(self, image: ImageOfView) -> Block:
        untouched, generator = image.image, image.generator("Gaussian perturbation")
        deviation = np.float32(self.radius * float(np.ptp(untouched)))

        def write(which: slice, out: FloatArray) -> None:
            noise = generator.standard_normal((len(out), 1, *untouched.shape[1:]), np.float32)
            np.subtract(untouched, deviation * noise, out=out)

        return Block((self.samples, *untouched.shape), write)


@dataclass(frozen=True)
class SquaresRemoved(Perturbation):
    """Copies of an image, each without a square at a place drawn for it, which lies in the image.

    Attributes:
        samples: how many.
        side: in pixels; None for an eighth of the image's short side, rounded, at least 1. Never more than the image.
        removal: what stands there.
    """

    samples: int
    side: int | None
    removal: Removal

    def number(self, image: ImageOfView) -> int:
        return self.samples

    def block(self, image: ImageOfView) -> Block:
        remover, corners = image.remover(self.removal), self._corners(image)

        def write(which: slice, out: FloatArray) -> None:
            remover.write(self._squares(image, corners[which]), out)

        return Block((self.samples, *image.image.shape), write)

    def masks(self, image: ImageOfView) -> Iterator[Removed]:
        """Which pixels copies lack, some (N, H, W) at a time."""
        corners = self._corners(image)
        for first in range(0, self.samples, _MADE_TOGETHER):
            yield self._squares(image, corners[first : first + _MADE_TOGETHER])

    def _extent(self, image: ImageOfView) -> npt.NDArray[np.int_]:
        side = self.side or max(1, round(min(image.view.size) / 8))
        return np.minimum(side, image.view.size)

    def _corners(self, image: ImageOfView) -> npt.NDArray[np.int_]:
        """(samples, 2) the row and column of each square's top left corner."""
        places = np.array(image.view.size) - self._extent(image) + 1
        return image.generator("square perturbation").integers(0, places, (self.samples, 2))

    def _squares(self, image: ImageOfView, corners: npt.NDArray[np.int_]) -> Removed:
        height, width = self._extent(image)
        rows, columns = np.indices(image.view.size)
        top, left = (of[:, None, None] for of in corners.T)
        removed: Removed = (rows >= top) & (rows < top + height) & (columns >= left) & (columns < left + width)
        return removed


def _differences(perturbation: Perturbation, image: ImageOfView) -> Iterator[Numbers]:
    """What the network sees less on each copy of an image, (N, H, W) at a time: the mean over channels."""
    block, untouched = perturbation.block(image), image.image.astype(np.float64)
    for copies in block.parts(_MADE_TOGETHER):
        yield (untouched - copies).mean(axis=1)


def _checked_pair(perturbation: Any, attribution: Any) -> bool:
    """Whether maps hold contributions.

    Raises:
        ValueError: if there is no such perturbation or attribution, or they do not fit together.
    """
    for given, what, known in (
        (perturbation, "perturbation", PERTURBATIONS),
        (attribution, "attribution", ("gradient", "contribution")),
    ):
        one_of(given, known, what)
    if attribution == "contribution" and perturbation != "square":
        words = "attribution 'contribution' needs perturbation 'square', got {given!r}: noise removes nothing"
        raise ValueError(Problem.of("contribution-without-square", words, given=perturbation))
    return bool(attribution == "contribution")
