"""Uncertainty in a run: each label's own spread, from its own sample's masks."""

import numpy as np
import pytest
from mindspore import Tensor, nn, ops

from explainrun.explainers import Gradient, Network
from explainrun.explainers.core.view import dropout_generators
from explainrun.explainers.dropout_uncertainty import spread
from explainrun.runner import ImageClassificationRunner, PlanError
from explainrun.summary_format import Results, Segments, merge, read_summary


def test_every_label_has_the_spread_of_its_own_sample_and_column(two_channels, dataset, tmp_path):
    network = two_channels()
    images = np.random.default_rng(4).normal(size=(5, 1, 2, 4)).astype(np.float32)
    rows = [(image, np.int32([0, 1])) for image in images]
    runner = ImageClassificationRunner(tmp_path, (dataset(rows), ["zero", "one"]), network, nn.Sigmoid(), seed=3)
    runner.register_saliency([Gradient(network)])
    runner.register_uncertainty(samples=8)
    runner.run()
    for sample_id, sample in read_summary(tmp_path).samples.items():
        generators = [dropout_generators(3, sample_id, 8)]
        logits = Network(network).dropout_logits(images[sample_id : sample_id + 1], generators)
        found = spread(nn.Sigmoid()(Tensor(logits)).asnumpy())
        for item in (*sample.truth, *sample.predicted):
            expected = [values[0, item.label] for values in (found.sd, found.low, found.high)]
            np.testing.assert_allclose(item.spread, expected, rtol=1e-4, atol=1e-6)


class Shared(nn.Cell):
    """On (N, 1, 2, 4), dropout before a dense layer; whatever its masks, they share one pass."""

    def __init__(self, dropout):
        super().__init__()
        self.dropout, self.head = dropout, nn.Dense(8, 2, has_bias=False)
        self.head.weight.set_data(Tensor(np.random.default_rng(0).normal(size=(2, 8)).astype(np.float32)))

    def construct(self, x):
        return self.head(self.dropout(x.reshape(x.shape[0], -1)))


class Deep(nn.Cell):
    """The same with a convolution before and a second dropout behind."""

    def __init__(self):
        super().__init__()
        self.body = nn.Conv2d(1, 3, 3, weight_init=_values(3, 1, 3, 3))
        self.first, self.second = nn.Dropout(p=0.5), nn.Dropout(p=0.2)
        self.inner, self.head = nn.Dense(24, 6, weight_init=_values(6, 24)), nn.Dense(6, 2, weight_init=_values(2, 6))

    def construct(self, x):
        x = self.first(ops.tanh(self.body(x)).reshape(x.shape[0], -1))
        return self.head(self.second(ops.tanh(self.inner(x))))


def _values(*shape):
    return Tensor(np.random.default_rng(sum(shape)).normal(size=shape).astype(np.float32))


def uncertain(network, dataset, folder, count=70, **options):
    images = np.random.default_rng(4).normal(size=(count, 1, 2, 4)).astype(np.float32)
    rows = [(image, np.int32([i % 2])) for i, image in enumerate(images)]
    runner = ImageClassificationRunner(folder, (dataset(rows), ["zero", "one"]), network, nn.Sigmoid(), **options)
    runner.register_saliency([Gradient(network)])
    runner.register_uncertainty(samples=20)
    return runner


def test_all_masks_of_a_pass_share_it(dataset, tmp_path):
    result = uncertain(Shared(nn.Dropout(p=0.5)), dataset, tmp_path, jit="off").run()
    assert result.costs["made"] == result.costs["needed"]
    assert result.costs["made"] | {"dropout trial": 4, "infer": 5, "dropout": 5} == result.costs["made"]
    sd, low, high = Results(tmp_path).uncertainty
    assert (sd > 0).all() and (low >= 0).all() and (high <= 1).all() and (low < high).all()  # noqa: PT018


def test_a_run_goes_on_as_it_began(dataset, tmp_path, monkeypatch):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    uncertain(Shared(nn.Dropout(p=0.5)), dataset, whole).run()
    write, writes = Segments.write_samples, []

    def fail(segments, index, samples):
        writes.append(index)
        if index:
            raise OSError("stopped")
        write(segments, index, samples)

    with monkeypatch.context() as patched:
        patched.setattr(Segments, "write_samples", fail)
        with pytest.raises(OSError, match="stopped"):
            uncertain(Shared(nn.Dropout(p=0.5)), dataset, broken).run()
    result = uncertain(Shared(nn.Dropout(p=0.5)), dataset, broken).run()
    assert np.array_equal(Results(broken).uncertainty, Results(whole).uncertainty)
    assert result.costs["made"]["dropout"] == result.costs["needed"]["dropout"] == 5
    assert result.costs["made"]["dropout trial"] == result.costs["needed"]["dropout trial"] == 4


@pytest.mark.slow
def test_compiled_it_ends_alike_killed_or_in_shards(dataset, tmp_path, kill, how_runs_differ):
    network = Deep()
    whole = uncertain(network, dataset, tmp_path / "whole", jit="on").run()
    assert whole.costs["compiled"]["dropout"] == whole.costs["made"]["dropout"] == 5
    kill(uncertain(network, dataset, tmp_path / "killed", jit="on").run, batch=1, commits=1)
    uncertain(network, dataset, tmp_path / "killed", jit="on").run()
    parts = [uncertain(network, dataset, tmp_path / f"parts/{one}", jit="on").run(shard=(one, 2)).summary_dir
             for one in (1, 2)]  # fmt: skip
    merge(tmp_path / "merged", parts)
    for other in ("killed", "merged"):
        assert list(how_runs_differ(tmp_path / "whole", tmp_path / other)) == []
    plain = uncertain(network, dataset, tmp_path / "plain", jit="off").run()
    assert plain.costs["made"]["dropout"] == 5
    for one, other in zip(
        Results(tmp_path / "whole").uncertainty, Results(tmp_path / "plain").uncertainty, strict=True
    ):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_what_cannot_be_shared_is_told_in_one_line(two_channels, dataset, tmp_path, caplog):
    result = uncertain(two_channels(), dataset, tmp_path, count=3).run()
    lines = [record.message for record in caplog.records if "uncertainty" in record.message]
    assert len(lines) == 1
    assert lines[0].startswith("uncertainty takes 20 passes for each pass of images: ")
    assert result.costs["made"]["dropout"] == 20


def test_a_dropout_function_is_a_problem_of_the_plan(dataset, tmp_path, raising):
    class Calling(Shared):
        def construct(self, x):
            return super().construct(ops.dropout(x, 0.5, training=self.training))

    with raising(PlanError, "dropout-function", kinds=["Calling"]):
        uncertain(Calling(nn.Dropout(p=0.5)), dataset, tmp_path, count=3, jit="off").run()
    assert not list(tmp_path.iterdir())
