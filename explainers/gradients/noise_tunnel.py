"""SmoothGrad and its kin: what a gradient explainer gives for noisy copies of an image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

import numpy as np

from ...summary_format.problem import Problem
from ..arguments import positive_number, whole_number
from ..core.explainer import Explainer, check_explainer
from ..core.view import View
from ..network import pass_kind
from ..network.tensors import FloatArray
from .gradient import PixelAttribution
from .noise import Moments, passes_of_copies

_LEAST_FOR_VARIANCE = 2
Kind = Literal["smoothgrad", "smoothgrad_sq", "vargrad"]


class NoiseTunnel(PixelAttribution):
    """What a gradient explainer gives for noisy copies of the image: its mean, the mean of its square, or its variance.

    Smilkov et al.: SmoothGrad (2017), section 2.2; Hooker et al.: A Benchmark for Interpretability Methods (2019),
    section 4.2 (smoothgrad_sq); Adebayo et al.: Local Explanation Methods (2018) (vargrad, the variance of the
    population). Of explainers that give every channel a value, those are taken, signs included, and become one per
    pixel at the end. (captum takes sizes before means, unless asked not to.) Noise is drawn for each image, the same
    for all its labels. Costs what the explainer does, ``nt_samples`` times.

    Args:
        explainer: reads gradients: ``Gradient``, ``InputXGradient``, ``IntegratedGradients``, ``GradCAM`` and its like,
            ...
        nt_type: "smoothgrad" (mean), "smoothgrad_sq" (mean of squares) or "vargrad" (variance).
        nt_samples: copies.
        stdevs: standard deviation of the noise, in the unit of the network's input. SmoothGrad's authors advise 0.1 to
            0.2 of the image's range.
        name: see ``Explainer``.

    Raises:
        TypeError: if explainer is none, or reads no gradients.
        ValueError: if nt_type is another word, nt_samples no whole number from 1 (from 2 for vargrad), or stdevs no
            number above 0.
    """

    def __init__(
        self,
        explainer: Explainer,
        nt_type: Kind = "smoothgrad",
        nt_samples: int = 5,
        stdevs: float = 1.0,
        name: str | None = None,
    ) -> None:
        check_explainer(explainer)
        if isinstance(explainer, NoiseTunnel):
            raise TypeError("explainer must not be a NoiseTunnel itself; give the one that it goes around")
        if not (isinstance(explainer, PixelAttribution) or explainer.needs.layers):
            raise TypeError(
                f"explainer must read gradients of the images it is given, {type(explainer).__name__} does not, or "
                "makes copies of its own; take Gradient"
            )
        if nt_type not in get_args(Kind):
            raise ValueError(f"nt_type must be one of {', '.join(map(repr, get_args(Kind)))}, got {nt_type!r}")
        super().__init__(explainer.network, name)
        self.explainer, self.nt_type, self.contrastable = explainer, nt_type, explainer.contrastable
        self.signed = explainer.signed if nt_type == "smoothgrad" else False
        self.nt_samples = whole_number(nt_samples, "nt_samples")
        if nt_type == "vargrad" and self.nt_samples < _LEAST_FOR_VARIANCE:
            words = "the variance of one copy is 0; vargrad needs nt_samples of at least {least}, got {given}"
            values = {"least": _LEAST_FOR_VARIANCE, "given": self.nt_samples}
            raise ValueError(Problem.of("variance-of-one", words, **values))
        self.stdevs = positive_number(stdevs, "stdevs")

    def by_channel(self, view: View) -> FloatArray:
        """Values (Q, C, H, W); (Q, 1, H, W) of an explainer that gives one per pixel."""
        parts = [self._part(part) for part in view.chunks(view.network.pass_size)]
        return np.concatenate(parts)

    def reduced(self, values: FloatArray) -> FloatArray:
        if isinstance(self.explainer, PixelAttribution):
            return self.explainer.reduced(values)
        return values[:, 0]

    def images_needed(self, images: int, questions: int, shape: tuple[int, ...]) -> Mapping[str, int]:
        copies = self.nt_samples * questions
        inner = self.explainer
        own = inner.images_by_channel(copies, shape) if isinstance(inner, PixelAttribution) else {}
        return {**{pass_kind(rule): copies for rule in inner.needs.layers}, **own}

    def _part(self, view: View) -> FloatArray:
        """Values of a few questions."""
        moments = Moments(len(view.rows), self.nt_samples)
        powers = {"smoothgrad": (1,), "smoothgrad_sq": (2,), "vargrad": (1, 2)}[self.nt_type]
        for asked, images in passes_of_copies(view, "NoiseTunnel", self.nt_samples, self.stdevs):
            noisy = view.with_copies(asked, images, self.explainer.needs)
            moments.add(asked, self._given(noisy), powers)
        if self.nt_type == "vargrad":
            return (moments.mean(2) - moments.mean(1) ** 2).clip(min=0).astype(np.float32)
        return moments.mean(powers[0]).astype(np.float32)

    def _given(self, view: View) -> FloatArray:
        """What the explainer gives for noisy images, (M, C, H, W)."""
        if isinstance(self.explainer, PixelAttribution):
            return self.explainer.by_channel(view)
        return self.explainer.attribute(view)[:, None]
