"""An explainer and a metric that another package gives."""

import numpy as np

from explainrun.benchmarks import Metric
from explainrun.explainers import Explainer, Needs


class SquaredGradient(Explainer):
    """Sum over the channels of the squared gradient, times ``scale``."""

    needs = Needs.gradient()

    def __init__(self, network, scale=1.0, name=None):
        super().__init__(network, name)
        self.scale = scale

    def attribute(self, view):
        return self.scale * (view.derivatives().input_gradient ** 2).sum(axis=1)


class Spread(Metric):
    """Share of the pixels above a share of the map's maximum; NaN for a map without order."""

    higher_is_better = False

    def __init__(self, threshold=0.5, name=None):
        super().__init__(name=name)
        self.threshold = threshold

    def score(self, explanation):
        maps = explanation.maps
        shares = (maps > self.threshold * maps.max(axis=(1, 2), keepdims=True)).mean(axis=(1, 2))
        return np.where(explanation.rankable, shares, np.nan)
