"""What metrics are given whose scores are worked out by hand."""

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


def as_they_are(logits):
    """An activation that leaves logits as they are, for networks whose logits are probabilities."""
    return logits


@pytest.fixture(scope="session")
def same():
    return as_they_are


@pytest.fixture(scope="session")
def explained():
    """Makes what a metric sees of maps (Q, H, W), by default one for each image (N, C, H, W), of label 0."""

    def make(cell, images, maps, rows=None, labels=None, pass_size=16, **options):
        rows = np.arange(len(images)) if rows is None else np.asarray(rows)
        labels = np.zeros(len(rows), int) if labels is None else np.asarray(labels)
        view = View(Network(cell, pass_size), np.asarray(images, np.float32), rows, labels, **options)
        return Explanation(Gradient(cell), view, np.asarray(maps, np.float32))

    return make
