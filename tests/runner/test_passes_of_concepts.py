"""A run with Deep Feature Factorization makes the passes that it needs, and shares them."""

import numpy as np
import pytest
from mindspore import Tensor, nn

from explainrun.benchmarks import Robustness
from explainrun.explainers import DeepFeatureFactorization, GradCAM
from explainrun.runner import ImageClassificationRunner
from explainrun.summary_format import Results

SIZE, SAMPLES, NOISY = 4, 10, 2


class Classifier(nn.Cell):
    """Two logits from the mean of two rectified channels of images (N, 3, 6, 8)."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 2, 1)
        self.conv.weight.set_data(Tensor(np.array([[1, 0, -1], [0, 1, 1]], np.float32).reshape(2, 3, 1, 1)))
        self.relu, self.runs = nn.ReLU(), 0

    def construct(self, x):
        self.runs += 1
        return self.relu(self.conv(x)).mean((2, 3))


@pytest.mark.parametrize("beside", [False, True])
def test_it_adds_no_pass(dataset, tmp_path, beside):
    rng, network = np.random.default_rng(0), Classifier()
    rows = [(rng.normal(size=(3, 6, 8)).astype(np.float32), np.int32([i % 2])) for i in range(SAMPLES)]
    runner = ImageClassificationRunner(
        tmp_path, (dataset(rows), ["a", "b"]), network, nn.Sigmoid(), pass_size=SIZE, jit="off"
    )
    others = [GradCAM(network, "relu")] if beside else []
    runner.register_saliency(
        [DeepFeatureFactorization(network, "relu", 2), *others], [Robustness(2, nn.Sigmoid(), NOISY, threshold=9)]
    )
    result, questions = runner.run(), len(Results(tmp_path).questions)
    differentiated = -(-questions // SIZE) + -(-NOISY * questions // SIZE)
    expected = {"network probe": 2, "infer": 3, "noise": -(-NOISY * SAMPLES // SIZE), "differentiate": differentiated}
    assert result.costs["made"] == expected == result.costs["needed"]
    assert network.runs == sum(expected.values())
    for sample, label in Results(tmp_path).questions.tolist():
        direct = DeepFeatureFactorization(network, "relu", 2)(Tensor(rows[sample][0][None]), label, show=False)
        found = Results(tmp_path).map("DeepFeatureFactorization", sample=sample, label=label)
        np.testing.assert_allclose(found, direct.asnumpy()[0, 0], rtol=1e-3, atol=1e-5)
