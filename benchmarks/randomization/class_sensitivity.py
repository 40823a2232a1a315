"""Does a map say something about its class?"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
from mindspore import Tensor

from ...explainers.core.call_options import CallOptions
from ...explainers.core.explainer import Explainer, direct_maps, image_array
from ...explainers.core.measured_size import PassSize
from ...explainers.core.view import View
from ...explainers.network import DEFAULT_PASS_SIZE, Jit, Output
from ...explainers.network.tensors import FloatArray, IntArray
from ..core.arithmetic import pearson
from ..core.explanation import Explanation
from ..core.metric import Metric, Scores, shaped


class ClassSensitivity(Metric):
    """(1 - r) / 2, r being the correlation of an image's maps for its most and its least likely class; in 0..1.

    A map that looks the same whatever class it is asked about says nothing about the class. Of classes that are equally
    likely the first counts. A score is the image's, whatever labels are asked about; NaN where a map is constant or not
    finite, or there is one class alone. Compare Li et al.: Quantitative Evaluations on Saliency Methods (2020).

    Args:
        num_labels: taken so that it is constructed as other metrics are; any number of classes will do.
        name: see ``Metric``.
    """

    def __init__(self, num_labels: int | None = None, name: str | None = None) -> None:
        super().__init__(num_labels, name)

    def score(self, explanation: Explanation) -> Scores:
        view = explanation.view
        found = {}
        for row, (most, least) in zip(np.unique(view.rows), _extremes(view), strict=True):
            maps = np.stack([explanation.map_of(row, most), explanation.map_of(row, least)])
            found[row] = _dissimilarity(maps) if most != least else float("nan")
        return np.array([found[row] for row in view.rows])

    def extra_questions(self, view: View) -> Iterable[tuple[int, int]]:
        for row, labels in zip(np.unique(view.rows), _extremes(view), strict=True):
            yield from ((int(row), int(label)) for label in labels)

    def evaluate(
        self,
        explainer: Explainer,
        inputs: Tensor,
        targets: Any = None,
        saliency: Tensor | npt.NDArray[Any] | None = None,
        mask: Tensor | npt.NDArray[Any] | None = None,
        *,
        output: Output = None,
        jit: Jit = "auto",
        pass_size: PassSize = DEFAULT_PASS_SIZE,
    ) -> Scores:
        """Score an explainer on images.

        Args:
            explainer: what to score.
            inputs: (N, C, H, W), as the network takes them.
            targets: without effect, since the score is the image's.
            saliency: maps (N, 2, H, W) of the most and the least likely class, where they are there already.
            mask: without effect.
            output: as for other metrics.
            jit: as for other metrics.
            pass_size: as for other metrics.

        Returns:
            Scores (N,).

        Raises:
            TypeError: if something is of another type.
            ValueError: if shapes do not fit.
        """
        if not isinstance(explainer, Explainer):
            raise TypeError(f"explainer must be an Explainer, got {type(explainer).__name__}")
        options, images = CallOptions(output, jit, pass_size), image_array(inputs)
        everyone = np.arange(len(images))
        labels = _extremes(View(options.network(explainer.network, images), images, everyone, everyone))
        shape = (*labels.shape, *images.shape[2:])
        maps = (
            direct_maps(explainer, images, labels, options) if saliency is None else shaped(saliency, shape, "saliency")
        )
        scores = np.array([_dissimilarity(of_image) for of_image in maps.reshape(shape)])
        return np.where(labels[:, 0] == labels[:, 1], np.nan, scores)


def _extremes(view: View) -> IntArray:
    """(images that are asked about, 2): the most and the least likely class of each."""
    logits = view.logits[np.unique(view.rows)]
    return np.stack([logits.argmax(axis=1), logits.argmin(axis=1)], axis=1)


def _dissimilarity(maps: FloatArray) -> float:
    """(1 - r) / 2 of two maps (2, H, W)."""
    if not np.isfinite(maps).all():
        return float("nan")
    first, second = maps.reshape(2, -1).astype(np.float64)
    return (1.0 - pearson(first, second)) / 2.0
