"""What stands where pixels are removed from an image."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt

from ...explainers.arguments import one_of, real_number
from ...explainers.core.windows import choose
from ...explainers.network.tensors import FloatArray
from ...explainers.perturbation.baselines import baseline_image
from ...summary_format.problem import Problem
from .imputation import NOISE, imputed

Removal = float | str  # a number stands for itself, in the unit in which the network takes pixels
NOISY_LINEAR = "noisy_linear"
REMOVALS = ("value", "mean", "blur", NOISY_LINEAR)


def checked_removal(removal: Any, baseline: Any) -> Removal:
    """How pixels are removed.

    Args:
        removal: "value", "mean" (each channel's own), "blur" (the image's own Gaussian blur, see ``baseline_image``) or
            "noisy_linear" (weighted means of neighbours, see ``imputed``, and Gaussian noise of deviation 0.01).
        baseline: the value that "value" puts there; 0 for others.

    Raises:
        ValueError: if there is no such removal, the baseline is not a finite number, or it would be without effect.
    """
    value, rule = real_number(baseline, "baseline"), one_of(removal, REMOVALS, "removal")
    if rule == "value":
        return value
    if value:
        words = "baseline {given} is without effect with removal {removal!r}; leave it out, or take removal 'value'"
        raise ValueError(Problem.of("baseline-without-effect", words, given=value, removal=rule))
    return rule


class Remover:
    """Removes pixels of one image by one rule, many copies at once.

    Args:
        image: (C, H, W).
        removal: the rule.
        generator: of the image, for the noise of "noisy_linear": one draw for each pixel and channel, whatever is
            removed.
    """

    def __init__(self, image: FloatArray, removal: Removal, generator: np.random.Generator) -> None:
        self._image, self._noise = image, None
        if removal == NOISY_LINEAR:
            self._noise = NOISE * generator.standard_normal(image.shape)
            self._whole = self._imputed(np.ones(image.shape[1:], np.bool_))
        else:
            self._whole = np.ascontiguousarray(baseline_image(removal, image))

    def write(self, removed: npt.NDArray[np.bool_], out: FloatArray) -> None:
        """Make copies (N, C, H, W) in ``out``, each without the pixels that its mask (N, H, W) removes."""
        if self._noise is None:
            choose(removed, self._whole, self._image, out)
            return
        with ThreadPoolExecutor(thread_name_prefix="explainrun-impute") as threads:  # each takes its own equations
            for copy, made in zip(out, threads.map(self._imputed, removed), strict=True):
                copy[...] = made

    def blended(self, shares: FloatArray) -> FloatArray:
        """The image (C, H, W) where shares (H, W) are 1, what stands for it where they are 0, and between a mean."""
        mixed: FloatArray = self._whole + shares * (self._image - self._whole)
        return mixed

    def _imputed(self, removed: npt.NDArray[np.bool_]) -> FloatArray:
        assert self._noise is not None
        copy = self._image.copy()
        copy[:, removed] = imputed(self._image, removed) + self._noise[:, removed]
        return copy
