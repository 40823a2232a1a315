"""What metrics are given that look at maps and masks alone."""

import numpy as np
import pytest

from explainrun.benchmarks import Explanation
from explainrun.explainers import Gradient, Network, View


@pytest.fixture
def score(linear):
    """Scores of maps (Q, H, W) by a metric that makes no pass, where labels are as masks say."""

    def call(metric, maps, masks=None):
        images = np.zeros((len(maps), 1, *maps.shape[1:]), np.float32)
        cell = linear(np.zeros((1, 1, *maps.shape[1:])))
        view = View(Network(cell), images, np.arange(len(maps)), np.zeros(len(maps), int))
        scores = metric.score(Explanation(Gradient(cell), view, maps, masks))
        assert cell.calls == []
        return scores.tolist()

    return call
