"""What a run holds does not grow with its samples."""

import gc
import weakref

import numpy as np
import pytest
from mindspore import nn

from explainrun.benchmarks import ClassSensitivity, InsertionAUC, Robustness
from explainrun.benchmarks.core.explanation import Explanation
from explainrun.explainers import GradCAM, Gradient, GuidedBackprop
from explainrun.explainers.core.view import View
from explainrun.runner import ImageClassificationRunner


@pytest.fixture
def alive(monkeypatch):
    """The views and explanations of batches that are still in memory, without Python's collector of rings."""
    born = []

    def noted(kind, begin):
        def beginning(self, *arguments, **options):
            begin(self, *arguments, **options)
            born.append(weakref.ref(self))

        monkeypatch.setattr(kind, "__init__", beginning)

    for kind in (View, Explanation):
        noted(kind, kind.__init__)
    gc.collect()
    gc.disable()
    yield lambda: (len(born), [one() for one in born if one() is not None])
    gc.enable()


def test_nothing_of_a_batch_stays_in_memory(two_channels, dataset, scenes, tmp_path, alive):
    network = two_channels()
    data = (dataset(list(scenes(6))), ["zero", "one"])
    runner = ImageClassificationRunner(tmp_path, data, network, nn.Sigmoid(), pass_size=1, jit="off")
    metrics = [InsertionAUC(2, nn.Sigmoid(), steps=2), Robustness(2, nn.Sigmoid(), samples=2), ClassSensitivity()]
    runner.register_saliency([Gradient(network), GuidedBackprop(network), GradCAM(network, "relu")], metrics)
    assert np.isfinite(runner.run().scores.aggregate("Gradient", "Robustness").mean)
    born, left = alive()
    assert born > 10
    assert left == []
