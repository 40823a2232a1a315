"""What an image is compared with: other images, fixed, made of the image, or the first of a run's dataset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from mindspore import Tensor

from ..core.sample_pool import SamplePool
from ..core.view import View
from ..network.tensors import FloatArray
from .baselines import Baseline, baseline_image, check_baseline_fits, checked_baselines

Baselines = Any  # what users give for them


@dataclass(frozen=True)
class References:
    """Baselines of a method, as it asks for them.

    Attributes:
        given: a pool; or several baselines, images (C, H, W) among them.
    """

    given: SamplePool | tuple[Baseline, ...]

    @classmethod
    def of(cls, baselines: Baselines) -> References:
        """Those that a user gives.

        Args:
            baselines: "pool", {"pool": K} or a ``SamplePool``, for the first samples of a run's dataset; an array (K,
                C, H, W) of images; one of what ``IntegratedGradients`` takes (a number, an array that broadcasts to
                (C, H, W), "mean" or "blur"), or a list of such.

        Raises:
            ValueError: if they are something else, not finite, or there are none.
        """
        pool = SamplePool.of(baselines)
        if pool is not None:
            return cls(pool)
        array = baselines.asnumpy() if isinstance(baselines, Tensor) else baselines
        images = isinstance(array, np.ndarray) and array.ndim == 4
        return cls(checked_baselines(list(array) if images else array))

    @property
    def pool(self) -> SamplePool | None:
        """The pool, if they are one."""
        return self.given if isinstance(self.given, SamplePool) else None

    @property
    def number(self) -> int:
        """How many there are at most: a dataset may have fewer samples than a pool asks for."""
        return self.given.size if isinstance(self.given, SamplePool) else len(self.given)

    @property
    def shared(self) -> bool:
        """Whether they are the same for all images."""
        return isinstance(self.given, SamplePool) or not any(isinstance(one, str) for one in self.given)

    def check_fit(self, shape: tuple[int, ...]) -> None:
        """Make sure that they can be compared with images (C, H, W).

        Raises:
            ValueError: if one is an array of a shape that does not fit.
        """
        for one in () if isinstance(self.given, SamplePool) else self.given:
            check_baseline_fits(one, shape)

    def by_row(self, view: View) -> Mapping[int, FloatArray]:
        """What each image that a view asks about is compared with, (K, C, H, W), by its row.

        Raises:
            ValueError: if they are of a run's dataset, and there is none.
        """
        rows = np.unique(view.rows).tolist()
        if isinstance(self.given, SamplePool):
            return dict.fromkeys(rows, view.pooled(self.given).images)
        made: list[FloatArray] = []
        for row in rows[:1] if self.shared else rows:
            made.append(np.stack([baseline_image(one, view.images[row]) for one in self.given]))
        return dict(zip(rows, made * len(rows) if self.shared else made, strict=True))
