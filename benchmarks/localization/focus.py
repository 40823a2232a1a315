"""In a mosaic of images, does a map of a label lie on those that have it?"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from mindspore import Tensor

from ...explainers.core.resize import resized
from ...explainers.core.sample_pool import SamplePool
from ...explainers.core.together import attribute_together
from ...explainers.core.view import Needs, View
from ...explainers.network.tensors import FloatArray, IntArray
from ...summary_format.problem import Problem
from ..core.arithmetic import quotient
from ..core.explanation import Explanation, Masks
from ..core.metric import Scores
from ..recomputation.map_passes import count_map_passes
from ..recomputation.recomputing_metric import RecomputingMetric
from .base import flat


class Focus(RecomputingMetric):
    """The share of positive relevance that lies on the images of the label, in mosaics of four; in 0..1.

    Arias-Duart et al.: Focus! Rating XAI Methods and Finding Biases (2022). A mosaic of two images that have the label
    and two that have not is explained for the label: ``sum of max(map, 0) on the first two / sum of max(map, 0)``.
    Higher is better: 1 where all relevance lies on them, 0 where none does, 0.5 for a map that knows nothing. The
    question's own image is one of the two; the other three come from ``partners``, by default the first samples of the
    run's dataset, and which they are, and in which quarters each lies, is drawn from the sample's generator for the
    label, so it depends on seed, sample id, label and partners alone. Each image is brought to a quarter of the image's
    size, bilinearly, so that the network gets images of the size that it takes; the paper puts them side by side as
    they are. Needs no boxes or masks. Costs a map of another image for each question, which explainers share, and a
    pass of the mosaics. Scaling a map changes nothing. NaN where partners have no other image of the label or not two
    without it, or a map has no value above 0 or is not finite.

    What it does not say: where in an image the label is; and a network that does not recognise its classes at half of
    their size, or mistakes the partners, scores low with whatever method. A planted network that looks at fixed places
    is one of these, so planted networks say nothing of it.

    Args:
        partners: "pool" for the first 20 samples of the run's dataset with their true labels, or {"pool": K} for the
            first K (see ``SamplePool``): as many as have another image of most labels. Else images (M, C, h, w) as the
            network takes them, of any size, and their labels (M,) or (M, K), negative ones padding; in a config the
            path of an HDF5 or npz file of ``images`` and ``labels``.
        name: see ``Metric``.

    Raises:
        TypeError: if partners are neither a pool nor a pair.
        ValueError: if the pair does not fit together, or holds something else than finite images and whole numbers.
            Later, if partners are a pool and there is no dataset, as in a direct call.
    """

    map_recomputations = 1

    def __init__(self, partners: Any = "pool", name: str | None = None) -> None:
        super().__init__(name=name)
        self.partners = SamplePool.of(partners) or partners
        self.gallery = None if isinstance(self.partners, SamplePool) else Partners.of(partners)

    def check_images(self, shape: tuple[int, ...]) -> None:
        channels = shape[0] if self.gallery is None else self.gallery.images.shape[1]
        if channels != shape[0]:
            words = "partners have {given:plural channel}, the images have {wanted}"
            raise ValueError(Problem.of("partners-channels", words, given=channels, wanted=shape[0]))

    def score_recomputable(self, explanation: Explanation) -> Scores:
        return explanation.of_peers(self, self._of_explanations)

    def _of_explanations(self, explanations: Sequence[Explanation]) -> dict[str, Scores | ValueError]:
        memory, key = explanations[0].memory, ("mosaics", self)
        if key not in memory:
            memory[key] = self._mosaics(explanations[0])
        return _focus(explanations, memory[key])

    def _mosaics(self, explanation: Explanation) -> Mosaics:
        view, gallery = explanation.view, self.gallery
        if gallery is None:
            pooled = view.pooled(self.partners)
            gallery = Partners.of((pooled.images, pooled.truth))
        drawn = [gallery.mosaic(view, question) for question in range(len(view.rows))]
        asked = np.array([place for place, one in enumerate(drawn) if one is not None], np.int64)
        images = np.array([one[0] for one in drawn if one is not None], np.float32)
        wanted = np.array([one[1] for one in drawn if one is not None], bool)
        if not len(asked):
            return Mosaics(view=view, asked=asked, images=images, wanted=wanted, logits=view.logits[:0])
        explanation.count_passes("mosaic", len(images))
        logits = view.network.pooled_logits(images, "mosaic")
        return Mosaics(view=view, asked=asked, images=images, wanted=wanted, logits=logits)


@dataclass(frozen=True)
class Partners:
    """Images that mosaics are made of.

    Attributes:
        images: (M, C, h, w).
        labels: (M, K), negative ones padding.
        digests: (M,) checksums, by which an image is not put beside itself.
    """

    images: FloatArray
    labels: IntArray
    digests: npt.NDArray[np.int64]

    @classmethod
    def of(cls, given: Any) -> Partners:
        """Those that a user gives.

        Raises:
            TypeError: if it is not a pair.
            ValueError: if the pair does not fit together.
        """
        if not isinstance(given, (tuple, list)) or len(given) != 2:
            words = "partners must be a pair (images, labels), 'pool' or a mapping from it to a number, got {kind}"
            raise TypeError(Problem.of("partners-no-pair", words, kind=type(given).__name__))
        images, labels = (one.asnumpy() if isinstance(one, Tensor) else np.asarray(one) for one in given)
        fit = images.ndim == 4 and labels.ndim in (1, 2) and len(images) == len(labels)
        if not fit or labels.dtype.kind not in "iu" or images.dtype.kind not in "biuf" or not np.isfinite(images).all():
            words = (
                "partners must be finite images (M, C, H, W) and whole numbers (M,) or (M, K), got {images} of {kind} "
                "and {labels} of {label_kind}"
            )
            kinds = {"kind": str(images.dtype), "label_kind": str(labels.dtype)}
            raise ValueError(Problem.of("partners-misfit", words, images=images.shape, labels=labels.shape, **kinds))
        images = images.astype(np.float32)
        digests = np.array([zlib.crc32(image.tobytes()) for image in images])
        return cls(images, labels.reshape(len(labels), -1).astype(np.int64), digests)

    def mosaic(self, view: View, question: int) -> tuple[FloatArray, Masks] | None:
        """A question's mosaic (C, H, W), and which of its pixels (H, W) are of the label; None where partners lack."""
        row, label = int(view.rows[question]), int(view.labels[question])
        image = np.ascontiguousarray(view.images[row], np.float32)
        having = (self.labels == label).any(axis=1)
        same = np.flatnonzero(having & (self.digests != zlib.crc32(image.tobytes())))
        others = np.flatnonzero(~having)
        if not len(same) or len(others) < 2:
            return None
        generator = view.generator(row, f"Focus {label}")
        chosen = [generator.choice(same), *generator.choice(others, 2, replace=False)]
        four = [image, *(self.images[place] for place in chosen)]
        quarters, made, wanted = _quarters(view.size), np.empty_like(image), np.zeros(view.size, bool)
        for place, quarter in enumerate(generator.permutation(4)):
            rows, columns = quarters[quarter]
            made[:, rows, columns] = resized(four[place], (rows.stop - rows.start, columns.stop - columns.start))
            wanted[rows, columns] = place < 2
        return made, wanted


@dataclass(frozen=True, kw_only=True)
class Mosaics:
    """Mosaics of a view's questions.

    Attributes:
        view: the untouched images.
        asked: (M,) the questions that have one.
        images: (M, C, H, W) the mosaics.
        wanted: (M, H, W) which pixels are of the label.
        logits: (M, classes) what the network says of them.
    """

    view: View
    asked: IntArray
    images: FloatArray
    wanted: Masks
    logits: FloatArray

    def changed(self, needs: Needs) -> View:
        """A view of the mosaics, each asked about for its question's label."""
        rows, labels, places = self.view.rows[self.asked], self.view.labels[self.asked], np.arange(len(self.asked))
        return self.view.with_images(rows, self.images, places, labels, self.logits, needs)


def _focus(explanations: Sequence[Explanation], mosaics: Mosaics) -> dict[str, Scores | ValueError]:
    """The scores (Q,) of each explainer, or why it refuses mosaics."""
    explainers = [explanation.explainer for explanation in explanations]
    scores: dict[str, Scores | ValueError] = {
        explainer.name: np.full(len(mosaics.view.rows), np.nan) for explainer in explainers
    }
    if not len(mosaics.asked):
        return scores
    changed = mosaics.changed(Needs.together(explainer.needs for explainer in explainers))
    count_map_passes(explanations, changed)
    found, refused = attribute_together(explainers, changed)
    for name, estimate in found.items():
        maps = estimate.maps.reshape(len(mosaics.asked), -1).astype(np.float64)
        finite = np.isfinite(maps).all(axis=1)
        relevance = np.maximum(np.where(finite[:, None], maps, 0.0), 0.0)
        on_label = (relevance * flat(mosaics.wanted)).sum(axis=1)
        of_explainer = np.full(len(mosaics.view.rows), np.nan)
        of_explainer[mosaics.asked] = quotient(on_label, relevance.sum(axis=1))
        scores[name] = of_explainer
    return {**scores, **refused}


def _quarters(size: tuple[int, int]) -> list[tuple[slice, slice]]:
    """Rows and columns of the four quarters; of an odd height or width the lower or right ones are larger."""
    halves = [(slice(0, length // 2), slice(length // 2, length)) for length in size]
    return [(rows, columns) for rows in halves[0] for columns in halves[1]]
