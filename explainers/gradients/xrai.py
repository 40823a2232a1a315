"""XRAI: integrated gradients gathered over regions of the image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from mindspore import nn

from ...summary_format.problem import Problem
from ..arguments import one_of, share, whole_number
from ..core.explainer import Explainer
from ..core.view import View
from ..network.tensors import FloatArray
from ..perturbation.baselines import Baseline
from ..perturbation.superpixels import SegmentationFunction
from .integrated_gradients import Covers, IntegratedGradients
from .regions import Regions, over_segmented, own_segments, ranked, ranked_fast, regions_of

ALGORITHMS = ("full", "fast")


class XRAI(Explainer):
    """Regions of the image, each with the mean attribution that it adds to regions above it; signed.

    Kapishnikov et al.: XRAI: Better Attributions Through Regions (2019), algorithm 1, with the choices of the authors'
    saliency package. Attributions are those of ``IntegratedGradients``, a mean over ``baselines``, of which each pixel
    takes the largest over its channels. Regions are the segments of six segmentations by scikit-image's felzenszwalb,
    of scales 50 to 1200 on the image at 224 x 224 pixels, each with the pixels as near to it as ``dilation``. The
    region is chosen next whose pixels that are not in the map yet have the largest mean, which becomes their value;
    regions that would add less than ``min_pixel_diff`` pixels are left out, and what no region covers has its own
    mean. So a map adds up to that of the attributions. Costs ``steps`` differentiated images per question, for each
    baseline; an image is segmented once for all its labels.

    On images of 32 pixels a side the defaults of ``min_pixel_diff`` and ``dilation``, which count pixels of the image
    itself, leave few regions: take 5 and 1.

    Args:
        network: see ``Explainer``.
        steps: of the integrated gradients.
        baselines: as for ``IntegratedGradients``; by default each image's smallest value and its largest.
        algorithm: "full"; or "fast", which ranks regions by the mean of all their pixels, in the map already or not.
        area_threshold: share of the image, above which "full" chooses no further region.
        min_pixel_diff: pixels that a region must add.
        segmentation: instead of those segments, a function from an image (H, W, C), float64 in 0..1, to integers
            (H, W), or (S, H, W) for several segmentations.
        dilation: in pixels of the image; 0 leaves segments as they are.
        name: see ``Explainer``.

    Raises:
        TypeError: if the network is not a ``mindspore.nn.Cell``, or segmentation not a function.
        ValueError: if steps or min_pixel_diff is not a whole number from 1 or dilation from 0, area_threshold not in
            0..1, there is no such algorithm, or a baseline is malformed. Later, if a baseline does not fit the images,
            or segmentation gives something else.
    """

    signed = True
    pynative = True

    def __init__(
        self,
        network: nn.Cell,
        steps: int = 100,
        baselines: Baseline | Sequence[Baseline] | None = None,
        algorithm: str = "full",
        area_threshold: float = 1.0,
        min_pixel_diff: int = 50,
        segmentation: SegmentationFunction | None = None,
        dilation: int = 5,
        name: str | None = None,
    ) -> None:
        super().__init__(network, name)
        if segmentation is not None and not callable(segmentation):
            words = "segmentation must be a function from (H, W, C) to integers (H, W) or (S, H, W), got {kind}"
            raise TypeError(Problem.of("regions-not-a-function", words, kind=type(segmentation).__name__))
        self._integrated = (
            _FromExtremes(network, steps) if baselines is None else IntegratedGradients(network, steps, baselines)
        )
        self.algorithm = one_of(algorithm, ALGORITHMS, "algorithm")
        self.area_threshold = share(area_threshold, "area_threshold")
        self.min_pixel_diff = whole_number(min_pixel_diff, "min_pixel_diff")
        self.segmentation, self.dilation = segmentation, whole_number(dilation, "dilation", 0)

    def attribute(self, view: View) -> FloatArray:
        attributions: FloatArray = self._integrated.by_channel(view).max(axis=1)
        maps = np.full_like(attributions, np.nan)
        for row in np.unique(view.rows).tolist():
            regions = self._regions(view.images[row])
            for question in view.questions_about(row).tolist():
                if np.isfinite(attributions[question]).all():
                    maps[question] = self._ranked(attributions[question], regions)
        return maps

    def images_needed(self, images: int, questions: int, shape: tuple[int, ...]) -> Mapping[str, int]:
        return self._integrated.images_by_channel(questions, shape)

    def _regions(self, image: FloatArray) -> Regions:
        given: Any = self.segmentation
        return regions_of(over_segmented(image) if given is None else own_segments(given, image), self.dilation)

    def _ranked(self, attribution: FloatArray, regions: Regions) -> FloatArray:
        if self.algorithm == "fast":
            return ranked_fast(attribution, regions, least=self.min_pixel_diff)
        return ranked(attribution, regions, least=self.min_pixel_diff, area=self.area_threshold)


class _FromExtremes(IntegratedGradients):
    """Those from images of an image's smallest value and of its largest."""

    def __init__(self, network: nn.Cell, steps: int) -> None:
        super().__init__(network, steps, [0.0, 0.0])  # two, whose values ``covers`` takes from the image

    def covers(self, view: View) -> Covers:
        rows = np.unique(view.rows).tolist()
        ends = {row: (view.images[row].min(), view.images[row].max()) for row in rows}
        return {row: [np.full_like(view.images[row], end) for end in ends[row]] for row in rows}
