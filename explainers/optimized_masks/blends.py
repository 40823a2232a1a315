"""Images between their own pixels and what covers them, place by place as a mask says, and how they change with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ..network.tensors import FloatArray
from ..perturbation.baselines import Baseline, baseline_image, blurred

_LEVELS = 8  # of blur


class Blend(NamedTuple):
    """An image behind a mask.

    Attributes:
        image: (C, H, W).
        slope: its derivative with respect to the mask, place by place.
    """

    image: FloatArray
    slope: FloatArray


Blending = Callable[[FloatArray], Blend]  # from a mask (H, W)


def blending(image: FloatArray, baseline: Baseline, blur: float) -> Blending:
    """What masks make of an image (C, H, W): 1 shows it, 0 what covers it.

    Args:
        image: the image.
        baseline: what covers it; "blur" blurs the more, the lower the mask is, by linear interpolation between
            8 levels, as Fong et al. (2019) do, the others lie below the image as a picture does below a pane.
        blur: sigma in pixels where the mask is 0.
    """
    if isinstance(baseline, str) and baseline == "blur":
        sigmas = blur * np.linspace(1, 0, _LEVELS)
        return Pyramid(np.stack([blurred(image, sigma) if sigma else image for sigma in sigmas]))
    return Pyramid(np.stack([baseline_image(baseline, image), image]))


class Pyramid:
    """Versions of an image from the one that a mask of 0 shows to the one that 1 does, linear between neighbours.

    Args:
        levels: (L, C, H, W), from 2 on.
    """

    def __init__(self, levels: FloatArray) -> None:
        self._levels, self._rises = levels, np.diff(levels, axis=0)

    def __call__(self, mask: FloatArray) -> Blend:
        steps = len(self._rises)
        place = mask * np.float32(steps)
        level = np.minimum(place.astype(np.int64), steps - 1)[None, None]
        rise = np.take_along_axis(self._rises, level, 0)[0]
        image = np.take_along_axis(self._levels, level, 0)[0] + (place - level[0]) * rise
        return Blend(image.astype(np.float32, copy=False), steps * rise)
