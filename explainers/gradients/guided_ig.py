"""Guided integrated gradients: a path that takes the pixels of small gradient first."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from mindspore import nn

from ...summary_format.problem import Problem
from ..arguments import share, whole_number
from ..core.together import Estimate
from ..core.view import View
from ..network.tensors import FloatArray, IntArray
from ..perturbation.baselines import Baseline, baseline_image, check_baseline_fits, checked_baselines
from .path_method import PASS_KIND, PathMethod, Values, Visited, falls_from, visited

_ROUNDING = 1e-9  # of a distance


class GuidedIG(PathMethod):
    """Integrated gradients on a path that moves the pixels first whose gradient is small; signed.

    Kapishnikov et al.: Guided Integrated Gradients: an Adaptive Path Method for Removing Noise (2021). Each
    step takes the same part of the L1 distance from the baseline to the image. Of the values (pixels of channels) that
    may still move, those with the smallest absolute gradient move, a share ``fraction`` of all at a time, until the
    step's part is done; none gets further than ``max_dist`` from where the straight way would have it, as a share of
    its own way. A value's attribution is the sum of its moves times its gradient at the beginning of the step, in
    float64. Up to the error of these steps a map sums up to the logit of the image less that of the baseline;
    ``estimate`` and a run's archive give that error.

    Where a path leads depends on its gradients, so its steps follow one another: the questions of a view go side by
    side, and fill passes where there are as many paths as a pass has images. One image alone takes ``steps`` passes.
    Costs ``steps`` differentiated images per question, for each baseline.

    Args:
        network: see ``Explainer``.
        steps: of a path.
        fraction: of the values that move at a time, above 0 and up to 1.
        max_dist: 0 is the straight way, 1 lets values move freely between baseline and image.
        baselines: where paths begin; see ``IntegratedGradients``.
        name: see ``Explainer``.

    Raises:
        TypeError: if the network is not a ``mindspore.nn.Cell``.
        ValueError: if steps is not a whole number from 1, fraction not above 0 and up to 1, max_dist not in 0..1, a
            baseline is malformed, or an empty list is given. Later, if a baseline does not fit the images.
    """

    def __init__(
        self,
        network: nn.Cell,
        steps: int = 200,
        fraction: float = 0.25,
        max_dist: float = 0.02,
        baselines: Baseline | Sequence[Baseline] = 0.0,
        name: str | None = None,
    ) -> None:
        super().__init__(network, name)
        self.steps = self.passes_in_turn = whole_number(steps, "steps")
        self.fraction, self.max_dist = share(fraction, "fraction"), share(max_dist, "max_dist")
        if not self.fraction:
            words = "fraction must be above 0, got {given!r}: some values must move"
            raise ValueError(Problem.of("fraction-of-none", words, given=fraction))
        self.baselines = checked_baselines(baselines)
        self.paths = len(self.baselines)

    def by_channel(self, view: View) -> FloatArray:
        return self._attributed(view)[0].astype(np.float32)

    def estimate(self, view: View) -> Estimate:
        attributed, starts = self._attributed(view)
        return self.with_errors(attributed, falls_from(view, starts))

    def walk(self, view: View) -> Iterator[Visited]:
        for _, passes in self._groups(view):
            yield from passes

    def images_needed(self, images: int, questions: int, shape: tuple[int, ...]) -> Mapping[str, int]:
        return self.images_by_channel(questions, shape)

    def images_by_channel(self, questions: int, shape: tuple[int, ...]) -> Mapping[str, int]:
        for baseline in self.baselines:
            check_baseline_fits(baseline, shape)
        return {PASS_KIND: questions * self.steps * self.paths}

    def _attributed(self, view: View) -> tuple[Values, Values]:
        """Values (Q, C, H, W), and the logits (Q, paths) where paths begin."""
        attributed = np.zeros((len(view.rows), *view.images.shape[1:]))
        starts = np.full((len(view.rows), self.paths), np.nan)
        for paths, passes in self._groups(view):
            for one in passes:
                for path, logit in zip(one.paths.tolist(), one.logits.tolist(), strict=True):
                    if paths[path].taken == 1:
                        starts[divmod(path, self.paths)] = logit
            for number, path in paths.items():  # in their order, so that bits do not depend on which go together
                attributed[number // self.paths] += path.attributed / self.paths
        return attributed, starts

    def _groups(self, view: View) -> Iterator[tuple[dict[int, _Path], Iterator[Visited]]]:
        """Paths that go side by side, by number, and their passes."""
        for going in together(len(view.rows) * self.paths, self.steps, view.network.pass_size):
            paths = {path: self._path(view, path) for path in np.unique(np.concatenate(going)).tolist()}
            yield paths, self._passes(view, going, paths)

    def _passes(self, view: View, going: Sequence[IntArray], paths: Mapping[int, _Path]) -> Iterator[Visited]:
        """The passes of some paths, each of which takes a step after every pass that it is in."""
        for which in going:
            images = np.stack([paths[path].place.astype(np.float32) for path in which.tolist()])
            found = visited(view, which, images, self.paths)
            for path, gradient in zip(which.tolist(), found.gradients, strict=True):
                paths[path].step(gradient)
            yield found

    def _path(self, view: View, path: int) -> _Path:
        question, baseline = divmod(path, self.paths)
        image = view.images[view.rows[question]]
        return _Path(baseline_image(self.baselines[baseline], image), image, self)


class _Path:
    """A path between two of its steps.

    Args:
        start: (C, H, W), where it begins.
        end: (C, H, W), where it leads.
        method: whose.

    Attributes:
        place: (C, H, W), where it is.
        attributed: (C, H, W), moves times gradients so far.
        taken: how many steps it has taken.
    """

    def __init__(self, start: FloatArray, end: FloatArray, method: GuidedIG) -> None:
        self._start, self._end = start.astype(np.float64), end.astype(np.float64)
        self._method, self._whole = method, np.abs(self._end - self._start).sum()
        self.place, self.attributed, self.taken = self._start.copy(), np.zeros_like(self._start), 0

    def step(self, gradient: FloatArray) -> None:
        """Move on by a step whose gradient at its beginning is this; one that is not finite leaves no attribution."""
        self.taken += 1
        part, slack = self.taken / self._method.steps, self._method.max_dist
        if not np.isfinite(gradient).all():
            self.place, self.attributed = self._straight(part), np.full_like(self.attributed, np.nan)
            return
        lowest, highest = self._straight(max(part - slack, 0.0)), self._straight(min(part + slack, 1.0))
        before = self.place
        self._move(np.abs(gradient).astype(np.float64), lowest, highest, self._whole * (1 - part))
        self.attributed += (self.place - before) * gradient

    def _straight(self, part: float) -> Values:
        """The place on the straight way after a part of it."""
        straight: Values = self._start + (self._end - self._start) * part
        return straight

    def _move(self, sizes: Values, lowest: Values, highest: Values, left: float) -> None:
        """Move until so much of the L1 distance to the end is left, by values of the smallest sizes of gradients.

        Args:
            sizes: (C, H, W), which this changes.
            lowest: (C, H, W), to where values that lag behind are brought at once.
            highest: (C, H, W), past which none moves.
            left: distance.
        """
        forward = np.sign(self._end - self._start)
        self.place = np.where((lowest - self.place) * forward > 0, lowest, self.place)
        distance = np.abs(self._end - self.place).sum()
        while not math.isclose(distance, left, rel_tol=_ROUNDING, abs_tol=_ROUNDING):
            sizes[self.place == highest] = np.inf
            chosen = (sizes <= _quantile(sizes, self._method.fraction)) & (sizes < np.inf)
            possible = np.abs(highest - self.place)[chosen].sum()
            if not possible > 0:
                return
            part = (distance - left) / possible
            moved = highest if part > 1 else self.place + (highest - self.place) * part
            self.place = np.where(chosen, moved, self.place)
            if part <= 1:
                return
            distance = np.abs(self._end - self.place).sum()


def together(paths: int, steps: int, pass_size: int) -> Iterator[list[IntArray]]:
    """Which paths are in each pass, where those of a group go side by side, a step per pass.

    Groups are as small as fills their passes, since a path on its way takes memory: a pass of paths, of which the last
    group takes what is left too. So the passes are as few as so many images fill, where there are as many paths as a
    pass has images; else there is one for each step.

    Yields:
        For each group its passes, each with the numbers (M,) of the paths in it.
    """
    groups = max(1, paths // pass_size)
    for group in range(groups if paths else 0):
        first, last = group * pass_size, paths if group == groups - 1 else (group + 1) * pass_size
        turns, size = np.tile(np.arange(first, last), steps), min(pass_size, last - first)
        yield [turns[place : place + size] for place in range(0, len(turns), size)]


def _quantile(values: Values, fraction: float) -> float:
    """The largest of that fraction of the values, the smallest ones."""
    place = math.floor(fraction * (values.size - 1))
    return float(np.partition(values, place, axis=None)[place])
