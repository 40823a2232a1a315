"""Test-time augmentation of class activation maps, and their principal component in place of their sum."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import product
from typing import Any, TypeVar

import numpy as np

from ...summary_format.problem import Problem
from ..arguments import positive_number, yes_or_no
from ..core.explainer import Explainer
from ..core.layout import Grid
from ..core.resize import stretched
from ..core.together import attribute_together
from ..core.view import Needs, View
from ..network import pass_kind
from ..network.tensors import FloatArray, IntArray
from .base import ActivationMap, largest

Augmented = TypeVar("Augmented", bound="AugmentedCAM")


class AugmentedCAM(Explainer):
    """The mean of a CAM's maps of the image as it is, mirrored, darker and brighter, each brought back and to 0..1.

    grad-cam's smoothing (Gildenblat et al.: PyTorch library for CAM methods, 2021): ``aug_smooth`` is this mean over
    all pairs of mirroring and factor, and ``eigen_smooth`` puts the first principal component of the weighed feature
    maps where a CAM sums them, which ``flip=False, factors=[1.0], eigen_smooth=True`` does alone. The sign of the
    component is the one that goes along with the sum (grad-cam's is arbitrary). Maps that are never negative are
    stretched to 0..1 before the mean, and signed ones divided by their largest absolute value; grad-cam cuts negative
    values to zero first. Costs what the CAM does, six times by default.

    Args:
        explainer: ``GradCAM`` and its like, ``ScoreCAM`` and its like, ...
        flip: also explain the image mirrored left to right.
        factors: what the image, as the network takes it, is multiplied by, each in turn.
        eigen_smooth: whether maps are made of principal components.
        name: see ``Explainer``.

    Raises:
        TypeError: if explainer is not one of the CAM family.
        ValueError: if flip or eigen_smooth is neither True nor False, factors are not numbers above 0 or there are
            none, or eigen_smooth is asked of a CAM that sums no feature maps, such as ``EigenCAM``.
    """

    pynative = True

    def __init__(
        self,
        explainer: ActivationMap,
        flip: bool = True,
        factors: Sequence[float] = (0.9, 1.0, 1.1),
        eigen_smooth: bool = False,
        name: str | None = None,
    ) -> None:
        if not isinstance(explainer, ActivationMap):
            words = (
                "explainer must be one of the CAM family, such as GradCAM, {kind} is not; NoiseTunnel smooths other "
                "gradient methods"
            )
            raise TypeError(Problem.of("explainer-no-cam", words, kind=type(explainer).__name__))
        super().__init__(explainer.network, name)
        self.explainer, self.signed = explainer, explainer.signed
        self.flip, self.factors = yes_or_no(flip, "flip"), _factors(factors)
        self.eigen_smooth = yes_or_no(eigen_smooth, "eigen_smooth")
        self.needs = Needs.output(*explainer.needs.outputs)
        self._copies = list(product((False, True) if self.flip else (False,), self.factors))  # mirrored, times a factor
        self._asked()

    def with_layer(self: Augmented, layer: str | Sequence[str], reshape: Grid | None = None) -> Augmented:
        reading = super().with_layer(layer, reshape)
        if reading is not self:
            reading.needs = Needs.output(*reading.explainer.needs.outputs)
        return reading

    def attribute(self, view: View) -> FloatArray:
        maps = np.empty((len(view.rows), *view.size), np.float32)
        for questions in self._parts(view):
            maps[questions] = self._part(view.subset(questions))
        return maps

    def images_needed(self, images: int, questions: int, shape: tuple[int, ...]) -> Mapping[str, int]:
        return self._times(self.explainer.images_needed(images, questions, shape), images, questions)

    def images_needed_for(self, view: View) -> Mapping[str, int]:
        return self._times(self.explainer.images_needed_for(view), len(np.unique(view.rows)), len(view.rows))

    def _times(self, own: Mapping[str, int], images: int, questions: int) -> Mapping[str, int]:
        """What all copies take, by what the explainer itself runs for the images as they are."""
        copies, needed = len(self._copies), Counter[str]()
        needed.update({kind: copies * count for kind, count in own.items()})
        needed.update({pass_kind(rule): copies * questions for _, rule in self.explainer.needs.passes})
        needed.update({"activate": copies * images} if self.explainer.needs.outputs else {})
        needed.update({"augment": copies * images} if self.explainer.reads_logits else {})
        return needed

    def _asked(self) -> ActivationMap:
        """The explainer that looks at the copies."""
        return self.explainer.eigen_smoothed() if self.eigen_smooth else self.explainer

    def _parts(self, view: View) -> Iterator[IntArray]:
        """Which questions are answered at a time: as many as a pass holds, or those about so many images.

        The latter where all questions about an image share what the explainer reads of it.
        """
        size = view.network.pass_size
        if not (self.explainer.needs.outputs or self.explainer.reads_logits):
            yield from (np.arange(len(view.rows))[first : first + size] for first in range(0, len(view.rows), size))
            return
        rows = np.unique(view.rows)
        for first in range(0, len(rows), size):
            yield np.flatnonzero(np.isin(view.rows, rows[first : first + size]))

    def _part(self, view: View) -> FloatArray:
        """The maps of a few questions."""
        explainer, copies = self._asked(), len(self._copies)
        rows, places = np.unique(view.rows, return_inverse=True)
        images = np.concatenate([self._changed(view.images[row]) for row in rows])
        asked = (places.reshape(-1, 1) * copies + np.arange(copies)).reshape(-1)
        labels, logits = np.repeat(view.labels, copies), partial(view.network.logits, images, "augment")
        changed = view.with_images(np.repeat(rows, copies), images, asked, labels, logits, explainer.needs)
        found, refused = attribute_together([explainer], changed)
        if refused:
            raise refused[explainer.name]
        maps = found[explainer.name].maps.reshape(len(view.rows), copies, *view.size)
        mean: FloatArray = self._brought_back(maps).mean(axis=1, dtype=np.float64).astype(np.float32)
        return mean

    def _changed(self, image: FloatArray) -> FloatArray:
        """The copies (M, C, H, W) of an image."""
        return np.stack([np.float32(factor) * (image[..., ::-1] if mirrored else image)
                         for mirrored, factor in self._copies])  # fmt: skip

    def _brought_back(self, maps: FloatArray) -> FloatArray:
        """Maps (Q, M, H, W) of the copies as maps of the image itself, all of one scale."""
        seen = [maps[:, place, :, ::-1] if mirrored else maps[:, place]
                for place, (mirrored, _) in enumerate(self._copies)]  # fmt: skip
        scaled = [stretched(one) if self.signed is False else one / largest(one) for one in seen]
        return np.stack(scaled, axis=1)


def _factors(factors: Any) -> tuple[float, ...]:
    if not isinstance(factors, (list, tuple)) or not factors:
        words = "factors must be a list of numbers above 0, such as [0.9, 1.0, 1.1], got {given!r}"
        raise ValueError(Problem.of("factors-malformed", words, given=factors))
    return tuple(positive_number(factor, "factors") for factor in factors)
