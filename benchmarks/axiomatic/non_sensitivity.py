"""Does a map give nothing to the pixels that the network does not use, and something to all others?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ...explainers.arguments import positive_number, whole_number
from ...explainers.network import Block
from ...explainers.network.tensors import FloatArray
from ..core.answers import logits_as_they_are
from ..core.covered_images import Covering
from ..core.explanation import Explanation
from ..core.metric import Metric, Scores
from ..core.perturbations import ImageOfView, Perturbation

Changes = npt.NDArray[np.float64]


class NonSensitivity(Metric):
    """Share of the patches that either the map or the network uses, but not both; in 0..1, lower is better.

    Nguyen, Rodríguez Martínez: On Quantitative Aspects of Model Interpretability (2020): the size of the symmetric
    difference of two sets, those features with a saliency of zero and those whose change does not change the output,
    here over the number of features. A feature is a patch of pixels. The network uses it if the logit of the label
    changes where it is filled with values drawn uniformly from the image's range: if the root of the mean squared
    change over ``samples`` draws is above ``threshold`` times that of the patch with the largest. The map does if a
    value in it is above ``threshold`` times the map's largest, in size. 0 is best, 1 worst. NaN where the map is not
    finite. Costs ``samples`` images for each patch of an image, shared by all explainers and labels.

    It says whether a map is right about what plays no role at all. Where the network uses every patch, as most do, it
    says only how much of an image the map leaves at zero; it does not say whether what is used much is salient.

    Args:
        patch_size: pixels a side; patches at the right and the lower edge may be smaller.
        samples: draws for each patch.
        threshold: share of the largest value below which there is nothing.
        name: see ``Metric``.

    Raises:
        ValueError: if patch_size or samples is below 1, or threshold is not above 0.
    """

    higher_is_better = False

    def __init__(self, patch_size: int = 8, samples: int = 4, threshold: float = 1e-3, name: str | None = None) -> None:
        super().__init__(name=name)
        self.patch_size, self.samples = whole_number(patch_size, "patch_size"), whole_number(samples, "samples")
        self._filled = PatchesFilled(self.patch_size, self.samples)
        self.threshold = positive_number(threshold, "threshold")

    def covering(self, size: tuple[int, int]) -> Covering:
        return Covering((), logits_as_they_are, perturbations=(self._filled,))

    def score(self, explanation: Explanation) -> Scores:
        covering = self.covering(explanation.view.size)
        whole, found = explanation.untouched(covering), np.full(len(explanation.maps), np.nan)
        for question, answers in enumerate(explanation.on_copies(self._filled, covering)):
            map_ = explanation.maps[question]
            if answers is not None and np.isfinite(map_).all():
                moved = (answers - whole[question]).reshape(-1, self.samples)
                found[question] = self._wrong(map_, np.sqrt(np.square(moved).mean(axis=1)))
        return found

    def _wrong(self, map_: FloatArray, changes: Changes) -> float:
        """Share of the patches that either a map (H, W) or the network uses, which changes by so much (patches,)."""
        sizes = np.array([np.abs(map_[patch]).max() for patch in _patches(map_.shape, self.patch_size)])
        return float((self._above(sizes) != self._above(changes)).mean())

    def _above(self, values: Changes) -> npt.NDArray[np.bool_]:
        above: npt.NDArray[np.bool_] = values > self.threshold * values.max()
        return above


@dataclass(frozen=True)
class PatchesFilled(Perturbation):
    """Copies of an image, in each of which one patch is filled with values drawn uniformly from the image's range.

    Attributes:
        side: of patches, in pixels; those at the right and the lower edge may be smaller.
        samples: copies for each patch; so many of the first one, then of the next.
    """

    side: int
    samples: int
    constant_maps = True

    def number(self, image: ImageOfView) -> int:
        return self.samples * len(_patches(image.view.size, self.side))

    def block(self, image: ImageOfView) -> Block:
        untouched, numbers = image.image, image.generator("NonSensitivity")
        patches, lowest, highest = _patches(image.view.size, self.side), float(untouched.min()), float(untouched.max())

        def write(which: slice, out: FloatArray) -> None:
            out[...] = untouched
            for place, copy in enumerate(out, which.start):
                filled = copy[(slice(None), *patches[place // self.samples])]
                filled[...] = numbers.uniform(lowest, highest, filled.shape)

        return Block((self.number(image), *untouched.shape), write)


def _patches(size: tuple[int, ...], side: int) -> list[tuple[slice, slice]]:
    """The patches of an image (H, W), row by row."""
    tops, lefts = (range(0, length, side) for length in size)
    return [(slice(top, top + side), slice(left, left + side)) for top in tops for left in lefts]
