"""Does a map add up to what it explains?"""

from __future__ import annotations

import numpy as np

from ...explainers.arguments import real_number
from ...explainers.network import UNIFORM
from ..core.arithmetic import quotient
from ..core.explanation import Explanation
from ..core.metric import Metric, Scores


class Completeness(Metric):
    """``|sum of the map - (f(x) - f(b))| / |f(x) - f(b)|``, the logit f of the label; from 0, lower is better.

    Sundararajan, Taly, Yan: Axiomatic Attribution for Deep Networks (2017): a map that shares out what the image has
    over a baseline b, an image of one value, sums up to that, and this is by how much it misses it, as a share. 0 is
    best; a map of zeros has 1, and there is no worst. Held only by methods that promise it, with the baseline that they
    were given: ``IntegratedGradients`` up to the steps of its path, ``KernelSHAP``, and ``InputXGradient`` where the
    network is linear without biases and b is 0. Maps of absolute values or scaled to 0..1, such as ``Gradient`` and
    ``GradCAM``, promise nothing of the kind. NaN where a map is not finite, or the image's logit is the baseline's.
    Costs the baseline's logits, once for a network.

    It says whether the values are in the unit of the logit and none of it is lost. It does not say that they stand at
    the right pixels: any map becomes complete by scaling it.

    Args:
        baseline: the value that b holds throughout, in the unit in which the network takes images.
        name: see ``Metric``.

    Raises:
        ValueError: if baseline is not a finite number.
    """

    higher_is_better = False

    def __init__(self, baseline: float = 0.0, name: str | None = None) -> None:
        super().__init__(name=name)
        self.baseline = real_number(baseline, "baseline")

    def score(self, explanation: Explanation) -> Scores:
        view, maps = explanation.view, explanation.maps.reshape(len(explanation.maps), -1).astype(np.float64)
        nothing = view.network.uniform_logits(self.baseline, view.images.shape[1:], UNIFORM).astype(np.float64)
        falls = view.logits[view.rows, view.labels].astype(np.float64) - nothing[view.labels]
        with np.errstate(invalid="ignore"):
            missed = np.abs(maps.sum(axis=1) - falls)
        residuals = quotient(missed, np.abs(falls))
        return np.where(np.isfinite(residuals), residuals, np.nan)
