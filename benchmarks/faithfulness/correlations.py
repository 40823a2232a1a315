"""Do maps and the network's answers to changed copies of the image rise and fall together?"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isqrt
from typing import Any

import numpy as np
from scipy.stats import rankdata

from ...explainers.arguments import whole_number
from ...explainers.core.windows import choose
from ...explainers.network import Block
from ...explainers.network.tensors import Activation, FloatArray, checked_activation
from ...explainers.perturbation.superpixels import SegmentationFunction
from ...summary_format.problem import Problem
from ..core.answers import read_by
from ..core.arithmetic import Numbers, pearson
from ..core.covered_images import Covering
from ..core.explanation import Explanation
from ..core.groups import Groups, checked_groups
from ..core.metric import Metric, Scores
from ..core.perturbations import EachGroup, ImageOfView, Perturbation, PixelsRemoved, RandomSubsets
from ..core.removal import checked_removal


class _OfCopies(Metric):
    """What the metrics share that ask about changed copies of images; all explainers and labels share their answers.

    Args:
        num_labels: how many classes the network has.
        activation_fn: from logits (N, classes) to probabilities, such as ``nn.Softmax()``.
        answer: "probability" or "logit" of the label.
        name: see ``Metric``.
    """

    def __init__(self, num_labels: int, activation_fn: Activation, answer: str, name: str | None) -> None:
        super().__init__(num_labels, name)
        self.read_by = read_by(answer, checked_activation(activation_fn))

    @abstractmethod
    def perturbation(self, size: tuple[int, int]) -> Perturbation:
        """The copies of images (H, W)."""

    @abstractmethod
    def predictions(self, maps: FloatArray, image: ImageOfView) -> Numbers:
        """(L, number) what maps (L, H, W) of an image say of each of its copies, or of several that belong together."""

    @abstractmethod
    def of_answers(self, predicted: Numbers, falls: Numbers) -> float:
        """The score of a map.

        Args:
            predicted: (number,) what it says of copies.
            falls: (copies,) how far the answer falls from the untouched image to each copy.
        """

    def covering(self, size: tuple[int, int]) -> Covering:
        return Covering((), self.read_by, perturbations=(self.perturbation(size),))

    def score(self, explanation: Explanation) -> Scores:
        scores = np.full(len(explanation.maps), np.nan)
        for question, predicted, falls in self.compared(explanation):
            scores[question] = self.of_answers(predicted, falls)
        return scores

    def compared(self, explanation: Explanation) -> Iterator[tuple[int, Numbers, Numbers]]:
        """The questions whose maps have an order, each with what ``of_answers`` makes its score of."""
        covering = self.covering(explanation.view.size)
        whole, on_copies = explanation.untouched(covering), explanation.on_copies(covering.perturbations[0], covering)
        falls = {place: whole[place] - answers for place, answers in enumerate(on_copies) if answers is not None}
        for row in sorted(set(explanation.view.rows[list(falls)].tolist())):
            questions = [question for question in falls if explanation.view.rows[question] == row]
            predicted = self.predictions(explanation.maps[questions], explanation.image_of(questions[0]))
            yield from zip(questions, predicted, (falls[question] for question in questions), strict=True)


class OfRemovedPixels(_OfCopies):
    """What the metrics share that compare a map's sums over removed pixels with how far the answer falls."""

    @abstractmethod
    def perturbation(self, size: tuple[int, int]) -> PixelsRemoved:
        """The copies of images (H, W)."""

    def predictions(self, maps: FloatArray, image: ImageOfView) -> Numbers:
        return self.perturbation(image.view.size).sums(image, maps)

    def of_answers(self, predicted: Numbers, falls: Numbers) -> float:
        return pearson(predicted, falls)


class FaithfulnessCorrelation(OfRemovedPixels):
    """Correlation of how much of the map random subsets of pixels hold, and how far removing them lowers the answer.

    Pearson's r, over random subsets S of one size, of the sum of the map over S and f(x) - f(x without S). Bhatt,
    Weller, Moura: Evaluating and Aggregating Feature-based Model Explanations (2020). In -1..1, higher is better; the
    scale of a map does not matter. NaN for a map without order, or where the answer or the sums never change. Costs
    ``samples`` images, for all explainers and labels of an image.

    It does not say much where a subset holds few of the pixels that matter: r is then small for every map, and rises
    with more draws only in how precise it is. A map that is right but not additive (after a ReLU, say) does not reach
    1.

    Args:
        num_labels: how many classes the network has.
        activation_fn: from logits (N, classes) to probabilities, such as ``nn.Softmax()``.
        subset_size: pixels that are removed together; by default the whole part of sqrt(H W).
        samples: subsets, at least 2.
        baseline: value of removed pixels, as the network takes them, where removal is "value".
        removal: "value", "mean" of each channel, "blur" or "noisy_linear"; see ``checked_removal``.
        answer: "probability" or "logit" of the label.
        name: see ``Metric``.

    Raises:
        TypeError: if activation_fn cannot be called.
        ValueError: if num_labels or subset_size is below 1, samples below 2, the baseline is not finite or without
            effect, or there is no such removal or answer. Later, if images have no more pixels than a subset.
    """

    def __init__(
        self,
        num_labels: int,
        activation_fn: Activation,
        *,
        subset_size: int | None = None,
        samples: int = 100,
        baseline: float = 0.0,
        removal: str = "value",
        answer: str = "probability",
        name: str | None = None,
    ) -> None:
        super().__init__(num_labels, activation_fn, answer, name)
        self.subset_size = None if subset_size is None else whole_number(subset_size, "subset_size")
        self.samples = whole_number(samples, "samples", 2)
        self._removal = checked_removal(removal, baseline)

    def perturbation(self, size: tuple[int, int]) -> PixelsRemoved:
        pixels = size[0] * size[1]
        chosen = self.subset_size or isqrt(pixels)
        return RandomSubsets(checked_sizes([chosen], pixels, "subset_size"), self.samples, self._removal)


class _OfGroups(_OfCopies):
    """What the metrics share that change one group of pixels at a time.

    Args:
        num_labels: how many classes the network has.
        activation_fn: from logits (N, classes) to probabilities, such as ``nn.Softmax()``.
        groups: "pixels", "patches" or "superpixels".
        patch_size: side of patches in pixels; by default an eighth of the image's short side.
        segmentation: of superpixels, as in ``LIME``.
        segmentation_options: for it, by name.
        answer: "probability" or "logit" of the label.
        name: see ``Metric``.
    """

    def __init__(
        self,
        num_labels: int,
        activation_fn: Activation,
        *,
        groups: str,
        patch_size: int | None,
        segmentation: str | SegmentationFunction,
        segmentation_options: Mapping[str, Any] | None,
        answer: str,
        name: str | None,
    ) -> None:
        super().__init__(num_labels, activation_fn, answer, name)
        self._groups = checked_groups(groups, patch_size, segmentation, segmentation_options, self.name)


class FaithfulnessEstimate(OfRemovedPixels, _OfGroups):
    """Correlation of how much of the map each group of pixels holds, and how far removing it alone lowers the answer.

    Pearson's r, over the groups G, of the sum of the map over G and f(x) - f(x without G). Alvarez-Melis, Jaakkola:
    Towards Robust Interpretability with Self-Explaining Neural Networks (2018). In -1..1, higher is better; the scale
    of a map does not matter. NaN for a map without order, or where the answer or the sums never change. Costs an image
    per group, for all explainers and labels of an image.

    It does not say how groups act together: what either of two eyes alone would show is lost on it.

    Args:
        num_labels: how many classes the network has.
        activation_fn: from logits (N, classes) to probabilities, such as ``nn.Softmax()``.
        groups: "patches", "pixels" (as in the paper; as many images as pixels) or "superpixels".
        patch_size: side of patches in pixels; by default an eighth of the image's short side.
        baseline: value of removed pixels, as the network takes them, where removal is "value".
        removal: "value", "mean" of each channel, "blur" or "noisy_linear"; see ``checked_removal``.
        segmentation: of superpixels: "slic", "quickshift", "felzenszwalb" or a function, as in ``LIME``.
        segmentation_options: for it, by name.
        answer: "probability" or "logit" of the label.
        name: see ``Metric``.

    Raises:
        TypeError: if activation_fn cannot be called, or the segmentation is of another type.
        ValueError: if num_labels or patch_size is below 1, the baseline is not finite or without effect, or there are
            no such groups, removal, segmentation, options or answer.
    """

    def __init__(
        self,
        num_labels: int,
        activation_fn: Activation,
        *,
        groups: str = "patches",
        patch_size: int | None = None,
        baseline: float = 0.0,
        removal: str = "value",
        segmentation: str | SegmentationFunction = "slic",
        segmentation_options: Mapping[str, Any] | None = None,
        answer: str = "probability",
        name: str | None = None,
    ) -> None:
        super().__init__(
            num_labels,
            activation_fn,
            groups=groups,
            patch_size=patch_size,
            segmentation=segmentation,
            segmentation_options=segmentation_options,
            answer=answer,
            name=name,
        )
        self._removal = checked_removal(removal, baseline)

    def perturbation(self, size: tuple[int, int]) -> EachGroup:
        return EachGroup(self._groups, self._removal)


class MonotonicityCorrelation(_OfGroups):
    """Rank correlation of how large the map is over each group of pixels, and how uncertain the answer is without it.

    Spearman's rho, over the groups G, of the sum of absolute map values over G and the mean of (f(x) - f(x'))^2, where
    in x' the pixels of G are drawn uniformly from the image's range. Nguyen, Rodríguez Martínez: On Quantitative
    Aspects of Model Interpretability (2020), where it is monotonicity. In -1..1, higher is better; neither the scale
    nor the sign of a map matters. NaN for a map without order, or where either never changes. Costs ``samples`` images
    per group, for all explainers and labels of an image.

    It does not say whether pixels speak for or against the label: a map and its negative score alike.

    Args:
        num_labels: how many classes the network has.
        activation_fn: from logits (N, classes) to probabilities, such as ``nn.Softmax()``.
        groups: "patches", "pixels" or "superpixels".
        patch_size: side of patches in pixels; by default an eighth of the image's short side.
        samples: how often each group is drawn.
        segmentation: of superpixels: "slic", "quickshift", "felzenszwalb" or a function, as in ``LIME``.
        segmentation_options: for it, by name.
        answer: "probability" or "logit" of the label.
        name: see ``Metric``.

    Raises:
        TypeError: if activation_fn cannot be called, or the segmentation is of another type.
        ValueError: if num_labels, patch_size or samples is below 1, or there are no such groups, segmentation, options
            or answer.
    """

    def __init__(
        self,
        num_labels: int,
        activation_fn: Activation,
        *,
        groups: str = "patches",
        patch_size: int | None = None,
        samples: int = 10,
        segmentation: str | SegmentationFunction = "slic",
        segmentation_options: Mapping[str, Any] | None = None,
        answer: str = "probability",
        name: str | None = None,
    ) -> None:
        super().__init__(
            num_labels,
            activation_fn,
            groups=groups,
            patch_size=patch_size,
            segmentation=segmentation,
            segmentation_options=segmentation_options,
            answer=answer,
            name=name,
        )
        self.samples = whole_number(samples, "samples")

    def perturbation(self, size: tuple[int, int]) -> Perturbation:
        return _Redrawn(self._groups, self.samples)

    def predictions(self, maps: FloatArray, image: ImageOfView) -> Numbers:
        return EachGroup(self._groups, 0.0).sums(image, np.abs(maps))

    def of_answers(self, predicted: Numbers, falls: Numbers) -> float:
        losses = (falls.reshape(-1, self.samples) ** 2).mean(axis=1)
        return pearson(rankdata(predicted), rankdata(losses))


@dataclass(frozen=True)
class _Redrawn(Perturbation):
    """Copies of an image, in each of which one group of pixels is drawn uniformly from the image's range.

    Attributes:
        cut: the groups; so many copies of the first one, then of the next.
        samples: how many.
    """

    cut: Groups
    samples: int

    def check(self, shape: tuple[int, ...]) -> None:
        self.cut.check(shape)

    def number(self, image: ImageOfView) -> int:
        return self.samples * image.number(self.cut)

    def block(self, image: ImageOfView) -> Block:
        untouched, groups, generator = image.image, image.groups(self.cut), image.generator("redrawn groups")
        low, reach = untouched.min(), np.ptp(untouched)

        def write(which: slice, out: FloatArray) -> None:
            drawn = low + reach * generator.random(out.shape, np.float32)
            chosen = np.arange(which.start, which.stop)[:, None, None] // self.samples
            choose(groups == chosen, drawn, untouched, out)

        return Block((self.number(image), *untouched.shape), write)


def checked_sizes(sizes: Sequence[int], pixels: int, name: str) -> tuple[int, ...]:
    """Sizes of subsets of so many pixels.

    Raises:
        ValueError: if one has all pixels or more, so that there is one subset alone.
    """
    if max(sizes) >= pixels > 1:
        words = "{name} must be below the {pixels:plural pixel} of an image, got {given}"
        raise ValueError(Problem.of("subset-too-large", words, name=name, pixels=pixels, given=max(sizes)))
    return tuple(sizes)
