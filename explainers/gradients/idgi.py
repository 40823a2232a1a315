"""IDGI: of each step of a path, what the logit does, shared out by the gradient alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ...summary_format.problem import Problem
from ..core.explainer import Explainer
from ..core.together import Estimate
from ..core.view import View
from ..network.tensors import FloatArray
from .complete_attribution import CompleteAttribution
from .path_method import PASS_KIND, PathMethod, Values, falls_from


class IDGI(CompleteAttribution):
    """What the label's logit gains by each step of another method's path, shared out by the squares of the gradient.

    Yang, Wang, Bilgic: IDGI: A Framework to Eliminate Explanation Noise from Integrated Gradients (2023), algorithm 1:
    a step on which the logit changes by d adds d g^2 / sum(g^2), g being the gradient at its beginning, whichever way
    the path itself takes. Of several baselines the map is a mean. A map sums up to the logit of the image less that of
    the baseline, exactly but for steps whose gradient is 0 everywhere; ``estimate`` and a run's archive give that
    error. Signed, summed over channels.

    Steps are those of the path: of ``IntegratedGradients`` even ones on the straight way, of ``GuidedIG`` its own, of
    ``BlurIG`` from the blurred image to the sharp one. Costs the explainer's ``steps`` differentiated images per
    question, for each baseline.

    Args:
        explainer: a path method: ``IntegratedGradients``, ``GuidedIG`` or ``BlurIG``.
        name: see ``Explainer``.

    Raises:
        TypeError: if explainer is not a path method.
    """

    def __init__(self, explainer: Explainer, name: str | None = None) -> None:
        if not isinstance(explainer, PathMethod):
            words = (
                "explainer must follow paths from baselines to the image, as IntegratedGradients, GuidedIG and BlurIG "
                "do, got {kind}"
            )
            raise TypeError(Problem.of("not-a-path-method", words, kind=type(explainer).__name__))
        super().__init__(explainer.network, name)
        self.explainer, self.passes_in_turn = explainer, explainer.passes_in_turn

    def by_channel(self, view: View) -> FloatArray:
        return self._attributed(view)[0].astype(np.float32)

    def estimate(self, view: View) -> Estimate:
        attributed, starts = self._attributed(view)
        return self.with_errors(attributed, falls_from(view, starts))

    def images_needed(self, images: int, questions: int, shape: tuple[int, ...]) -> Mapping[str, int]:
        self.explainer.images_by_channel(questions, shape)  # refuses images that its options do not fit
        return {PASS_KIND: questions * self.explainer.steps * self.explainer.paths}

    def images_by_channel(self, questions: int, shape: tuple[int, ...]) -> Mapping[str, int]:
        return {**self.images_needed(0, questions, shape), "infer": questions}

    def _attributed(self, view: View) -> tuple[Values, Values]:
        """Values (Q, C, H, W), and the logits (Q, paths) where paths begin."""
        paths, steps = self.explainer.paths, self.explainer.steps
        attributed = np.zeros((len(view.rows), *view.images.shape[1:]))
        ends = view.asked_values(view.logits[view.rows])
        starts, ahead = np.full((len(view.rows), paths), np.nan), dict[int, _Sharing]()
        for one in self.explainer.walk(view):
            for path, gradient, logit in zip(one.paths.tolist(), one.gradients, one.logits.tolist(), strict=True):
                question = path // paths
                if path not in ahead:
                    ahead[path] = _Sharing(np.zeros(attributed.shape[1:]))
                    starts[divmod(path, paths)] = logit
                ahead[path].visit(logit, gradient)
                if ahead[path].visits == steps:
                    attributed[question] += ahead.pop(path).ended(float(ends[question])) / paths
        return attributed, starts


@dataclass
class _Sharing:
    """A path on the way: what its steps have shared out, and how the next one does.

    Attributes:
        shared: (C, H, W).
        visits: how many places were visited.
    """

    shared: Values
    visits: int = 0
    _logit: float = 0.0
    _shares: Values | None = None

    def visit(self, logit: float, gradient: FloatArray) -> None:
        """Share out what the step to this place has changed; the next is shared by its gradient."""
        self.ended(logit)
        squares = gradient.astype(np.float64) ** 2
        whole = squares.sum()
        self._shares = squares / whole if whole != 0 else None  # none where the gradient is 0 everywhere
        self._logit, self.visits = logit, self.visits + 1

    def ended(self, logit: float) -> Values:
        """The same of the last step, to a place that was not differentiated; all that the path has shared out."""
        if self._shares is not None:
            self.shared += self._shares * (logit - self._logit)
        return self.shared
