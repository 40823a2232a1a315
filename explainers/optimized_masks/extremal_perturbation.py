"""Extremal perturbations: the part of a given area on which the label's logit is largest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

import numpy as np
from mindspore import Tensor, nn

from ...summary_format.problem import Problem
from ..arguments import one_of, positive_number, real_number, whole_number
from ..batched_search import side_by_side
from ..core.call_options import CallOptions
from ..core.explainer import Explainer, view_of_call
from ..core.measured_size import PassSize
from ..core.view import View
from ..network import DEFAULT_PASS_SIZE, Jit, Output
from ..network.tensors import FloatArray, IntArray
from ..perturbation.baselines import Baseline, check_baseline_fits, checked_baseline
from .blends import Blend, Blending, blending
from .descent import Momentum
from .smooth_masks import SmoothMasks

Variant = Literal["preserve", "delete"]

_AREAS = (0.025, 0.05, 0.1, 0.2)
_POINTS_A_SIDE = 32  # 224 pixels, 7 apart
_SIGMA_IN_STEPS = 3
_BLUR, _LEAST_BLUR = 20 / 224, 4.0  # of the short side; pixels, below which a mask of nearly 1 blurs nothing
_RATE, _MOMENTUM = 0.01, 0.9
_WEIGHT, _GROWTH = 300.0, 1.0035  # of the area's term, and how it grows from step to step


class ExtremalPerturbation(Explainer):
    """Smooth masks of given areas on which the label's logit is largest, the rest of the image blurred; their mean.

    Fong, Patrick, Vedaldi: Understanding Deep Networks via Extremal Perturbations and Smooth Masks (2019). A mask
    begins with 1 everywhere and takes steps up the logit less lambda times the mean square of its sorted values'
    distance from those of the area, zeros and then ones; lambda, 300 at first, grows by 0.35 % a step, and every other
    step sees the image mirrored. An area is the share of the image that the mask shows; torchray, the authors' code,
    counts it on the mask with its border, so that its 0.1 shows 0.135 of an image of 224 pixels. It also blurs into
    zeros at the image's edges, which are repeated here. Costs ``steps`` differentiated images per question and area.
    The masks of as many questions as a pass holds take their steps together.

    Args:
        network: see ``Explainer``.
        areas: each above 0 and below 1; the default is the paper's for localization.
        steps: that each mask takes.
        variant: "preserve" has the masks show where the logit is largest, "delete" hide where it is least.
        baseline: what covers: "blur", a number, an array that broadcasts to (C, H, W), or "mean" (each channel's).
        blur: sigma in pixels where a mask hides all; by default 20 of 224 of the image's short side, at least 4.
        step: pixels from one point of a mask's grid to the next; by default so many that the short side has 32.
        sigma: of the bump on each point, in pixels; three steps by default.
        name: see ``Explainer``.

    Raises:
        TypeError: if the network is not a ``mindspore.nn.Cell``.
        ValueError: if there are no areas or one is none, steps or step is not a whole number from 1, variant is another
            word, baseline is malformed, or blur or sigma is not above 0. Later, if baseline does not fit the images.
    """

    signed = False
    pynative = True

    def __init__(
        self,
        network: nn.Cell,
        areas: Sequence[float] = _AREAS,
        steps: int = 800,
        variant: Variant = "preserve",
        baseline: Baseline = "blur",
        blur: float | None = None,
        step: int | None = None,
        sigma: float | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(network, name)
        self.areas, self.steps = _checked_areas(areas), whole_number(steps, "steps")
        self.passes_in_turn = self.steps
        self.variant = one_of(variant, get_args(Variant), "variant")
        self.baseline = checked_baseline(baseline)
        self.blur = None if blur is None else positive_number(blur, "blur")
        self.step = None if step is None else whole_number(step, "step")
        self.sigma = None if sigma is None else positive_number(sigma, "sigma")

    def attribute(self, view: View) -> FloatArray:
        mean: FloatArray = self._masks(view).mean(axis=1, dtype=np.float64).astype(np.float32)
        return mean

    def masks(
        self,
        inputs: Tensor,
        targets: Any,
        *,
        output: Output = None,
        jit: Jit = "auto",
        pass_size: PassSize = DEFAULT_PASS_SIZE,
    ) -> Tensor:
        """The mask (N, L, areas, H, W) of each area, in 0..1.

        Args:
            inputs: (N, C, H, W), as the network takes them.
            targets: as for the direct call.
            output: as for the direct call.
            jit: as for the direct call.
            pass_size: as for the direct call.

        Raises:
            TypeError: if inputs or targets are of another type.
            ValueError: if their shapes do not fit, or a target is out of range.
        """
        view, place = view_of_call(self, inputs, targets, CallOptions(output, jit, pass_size))
        return Tensor(self._masks(view)[place])

    def images_needed(self, images: int, questions: int, shape: tuple[int, ...]) -> Mapping[str, int]:
        check_baseline_fits(self.baseline, shape)
        return {"optimize": questions * len(self.areas) * self.steps}

    def questions_together(self, pass_size: int) -> int:
        return -(-pass_size // len(self.areas))

    def _masks(self, view: View) -> FloatArray:
        """(Q, areas, H, W)."""
        smooth, areas = self._smooth(view.size), len(self.areas)
        masks = np.empty((len(view.rows) * areas, *view.size), np.float32)
        for passes in side_by_side(len(masks), self.steps, view.network.pass_size):
            which = np.unique(np.concatenate(passes))
            masks[which] = self._search(view, which, smooth).run([one - which[0] for one in passes])
        return masks.reshape(-1, areas, *view.size)

    def _smooth(self, size: tuple[int, int]) -> SmoothMasks:
        """What makes masks of images (height, width)."""
        step = self.step or max(1, round(min(size) / _POINTS_A_SIDE))
        return SmoothMasks(size, step, self.sigma or float(_SIGMA_IN_STEPS * step))

    def _search(self, view: View, which: IntArray, smooth: SmoothMasks) -> _Search:
        """The search for some masks, by their numbers, of which each question has one for each area."""
        blur = self.blur or max(_BLUR * min(view.size), _LEAST_BLUR)
        questions, areas = which // len(self.areas), which % len(self.areas)
        rows = view.rows[questions]
        blendings = {row: blending(view.images[row], self.baseline, blur) for row in np.unique(rows).tolist()}
        shown = np.array([max(1, round(area * view.size[0] * view.size[1])) for area in self.areas])
        return _Search(
            view,
            smooth,
            [blendings[row] for row in rows.tolist()],
            view.labels[questions],
            shown[areas],
            preserve=self.variant == "preserve",
        )


class _Search:
    """Masks that are optimised together.

    Args:
        view: where passes run.
        smooth: what makes the masks.
        blendings: of each mask, what it makes of its image.
        labels: (N,) of each mask.
        shown: (N,) how many pixels each shall show.
        preserve: whether the label's logit shall be large; else it shall be small where the mask hides the image.
    """

    def __init__(
        self,
        view: View,
        smooth: SmoothMasks,
        blendings: Sequence[Blending],
        labels: IntArray,
        shown: IntArray,
        *,
        preserve: bool,
    ) -> None:
        self._network, self._smooth, self._blendings, self._labels = view.network, smooth, blendings, labels
        self._shown, self._preserve = shown, preserve
        self._inner = (slice(None), *smooth.image)
        self._values = np.ones((len(labels), *smooth.grid), np.float32)
        self._descent = Momentum(self._values, _RATE, _MOMENTUM)

    def run(self, passes: Sequence[IntArray]) -> FloatArray:
        """The masks (N, H, W) after these passes, in each of which some of them take a step."""
        for rows in passes:
            self._descent.follow(rows, self._gradients(rows))
        size = self._network.pass_size
        found = [self._smooth.make(self._values[first : first + size]) for first in range(0, len(self._values), size)]
        return np.concatenate([masks.values for masks in found])[self._inner]

    def _gradients(self, rows: IntArray) -> FloatArray:
        """Of what some masks shall make small, with respect to their values on the grid (R, h, w)."""
        masks, taken = self._smooth.make(self._values[rows]), self._descent.taken[rows]
        weights = (_WEIGHT * _GROWTH**taken).astype(np.float32)[:, None, None]
        gradient = weights * area_slopes(masks.values, self._shown[rows])
        gradient[self._inner] -= self._rises(rows, masks.values[self._inner], taken % 2 == 0)
        return self._smooth.slopes(self._values[rows], masks, gradient)

    def _rises(self, rows: IntArray, masks: FloatArray, mirrored: IntArray) -> FloatArray:
        """How what shall be large rises with masks (R, H, W), seen in a mirror or not; one pass."""
        blends = [self._blended(row, mask) for row, mask in zip(rows.tolist(), masks, strict=True)]
        images = np.stack([blend.image[..., ::-1] if flip else blend.image
                           for blend, flip in zip(blends, mirrored, strict=True)])  # fmt: skip
        gradients = self._network.differentiate(images, self._labels[rows], kind="optimize").input_gradient
        seen = (of_image[..., ::-1] if flip else of_image
                for of_image, flip in zip(gradients, mirrored, strict=True))  # fmt: skip
        return np.stack([(of_image * blend.slope).sum(axis=0) for of_image, blend in zip(seen, blends, strict=True)])

    def _blended(self, row: int, mask: FloatArray) -> Blend:
        """What a mask makes of its image. One that hides makes small what is large where it does not."""
        return self._blendings[row](mask if self._preserve else 1 - mask)


def area_slopes(masks: FloatArray, shown: IntArray) -> FloatArray:
    """The gradient (R, height, width) of the mean square that sorted values of masks are away from zeros, then ones.

    Sorting is not needed: each value is compared with 1 if it is among the largest, as many as shall be shown, with 0
    otherwise. Of values that are equal, those further on count as larger.

    Args:
        masks: (R, height, width).
        shown: (R,), how many ones there shall be.
    """
    flat = masks.reshape(len(masks), -1)
    wanted = np.stack([_among_largest(mask, many) for mask, many in zip(flat, shown.tolist(), strict=True)])
    slopes: FloatArray = (2 / flat.shape[1] * (flat - wanted)).astype(np.float32).reshape(masks.shape)
    return slopes


def _among_largest(values: FloatArray, many: int) -> FloatArray:
    """1 for the largest so many of values (n,), 0 for the others."""
    least = np.partition(values, len(values) - many)[len(values) - many]
    found = values > least
    equal = np.flatnonzero(values == least)
    found[equal[len(equal) - (many - int(found.sum())) :]] = True
    among: FloatArray = found.astype(np.float32)
    return among


def _checked_areas(areas: Any) -> tuple[float, ...]:
    several = areas if isinstance(areas, (list, tuple, np.ndarray)) else [areas]
    if not len(several) or not all(0 < real_number(area, "areas") < 1 for area in several):
        words = "areas must be shares of the image, each above 0 and below 1, such as [0.05, 0.1], got {given!r}"
        raise ValueError(Problem.of("areas-malformed", words, given=areas))
    return tuple(float(area) for area in several)
