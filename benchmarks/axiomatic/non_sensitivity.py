"""Does a map give nothing to the pixels that the network does not use, and something to all others?"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from ...explainers.arguments import positive_number, whole_number
from ...explainers.core.view import View
from ...explainers.network import Block
from ...explainers.network.tensors import FloatArray
from ..core.explanation import Explanation
from ..core.metric import Metric, Scores

Changes = npt.NDArray[np.float64]


class NonSensitivity(Metric):
    """Share of the patches that either the map or the network uses, but not both; in 0..1, lower is better.

    Nguyen, Rodríguez Martínez: On Quantitative Aspects of Model Interpretability (2020), section 4: the size of the
    symmetric difference of two sets, those features with a saliency of zero and those whose change does not change the
    output, here over the number of features. A feature is a patch of pixels. The network uses it if the logit of the
    label changes where it is filled with values drawn uniformly from the image's range: if the root of the mean squared
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
        self.threshold = positive_number(threshold, "threshold")

    def score(self, explanation: Explanation) -> Scores:
        view, memory = explanation.whole or (explanation.view, explanation.memory)
        key = ("NonSensitivity", self.patch_size, self.samples)
        if key not in memory:
            memory[key] = self._changes(view, explanation)
        changes, asked = memory[key], zip(explanation.view.rows.tolist(), explanation.view.labels.tolist(), strict=True)
        found = [self._wrong(map_, changes[pair]) for map_, pair in zip(explanation.maps, asked, strict=True)]
        return np.array(found, np.float64)

    def _wrong(self, map_: FloatArray, changes: Changes) -> float:
        """Share of the patches that either a map (H, W) or the network uses, which changes by so much (patches,)."""
        if not np.isfinite(map_).all():
            return float("nan")
        sizes = np.array([np.abs(map_[patch]).max() for patch in _patches(map_.shape, self.patch_size)])
        return float((self._above(sizes) != self._above(changes)).mean())

    def _above(self, values: Changes) -> npt.NDArray[np.bool_]:
        above: npt.NDArray[np.bool_] = values > self.threshold * values.max()
        return above

    def _changes(self, view: View, explanation: Explanation) -> dict[tuple[int, int], Changes]:
        """By image and label, how much each patch changes the label's logit: root mean squares (patches,)."""
        rows = np.unique(view.rows).tolist()
        patches = _patches(view.size, self.patch_size)
        count = len(patches) * self.samples
        explanation.count_passes("perturb", count * len(rows))
        said = view.network.streamed_logits(self._filled(view, rows, patches))
        found: dict[tuple[int, int], Changes] = {}
        for row, places, logits in view.answered(said, [count] * len(rows)):
            labels = view.labels[places]
            moved = logits.astype(np.float64) - view.logits[row, labels].astype(np.float64)
            changes = np.sqrt(np.square(moved.reshape(len(patches), self.samples, -1)).mean(axis=1))
            found |= {(row, label): changes[:, place].copy() for place, label in enumerate(labels.tolist())}
        return found

    def _filled(self, view: View, rows: list[int], patches: list[Any]) -> Iterator[Block]:
        """The images with each patch filled, so many times; all of the first image, then all of the next."""
        for row in rows:
            image, numbers = view.images[row], view.generator(row, "NonSensitivity")
            shape = (len(patches) * self.samples, *image.shape)
            yield Block(shape, partial(self._write, image, patches, numbers))

    def _write(
        self, image: FloatArray, patches: list[Any], numbers: np.random.Generator, which: slice, out: FloatArray
    ) -> None:
        """Make some copies of an image, each with a patch filled; they are asked for in order."""
        lowest, highest = float(image.min()), float(image.max())
        out[...] = image
        for place, copy in enumerate(out, which.start):
            filled = copy[(slice(None), *patches[place // self.samples])]
            filled[...] = numbers.uniform(lowest, highest, filled.shape)


def _patches(size: tuple[int, ...], side: int) -> list[tuple[slice, slice]]:
    """The patches of an image (H, W), row by row."""
    tops, lefts = (range(0, length, side) for length in size)
    return [(slice(top, top + side), slice(left, left + side)) for top in tops for left in lefts]
