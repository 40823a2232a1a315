"""Uncertainty in a run: each label's own spread, from its own sample's masks."""

import numpy as np
from mindspore import Tensor, nn

from explainrun.explainers import Gradient, Network
from explainrun.explainers.dropout import spread
from explainrun.explainers.view import keyed_generator
from explainrun.runner import ImageClassificationRunner
from explainrun.summary_format import read_summary


def test_every_label_has_the_spread_of_its_own_sample_and_column(two_channels, dataset, tmp_path):
    network = two_channels()
    images = np.random.default_rng(4).normal(size=(5, 1, 2, 4)).astype(np.float32)
    rows = [(image, np.int32([0, 1])) for image in images]
    runner = ImageClassificationRunner(tmp_path, (dataset(rows), ["zero", "one"]), network, nn.Sigmoid(), seed=3)
    runner.register_saliency([Gradient(network)])
    runner.register_uncertainty(samples=8)
    runner.run()
    for sample_id, sample in read_summary(tmp_path).samples.items():
        generator = keyed_generator(3, sample_id, "dropout")
        logits = Network(network).dropout_logits(images[sample_id : sample_id + 1], [generator], 8)
        found = spread(nn.Sigmoid()(Tensor(logits)).asnumpy())
        for item in (*sample.truth, *sample.predicted):
            expected = [values[0, item.label] for values in (found.sd, found.low, found.high)]
            np.testing.assert_allclose(item.spread, expected, rtol=1e-4, atol=1e-6)
