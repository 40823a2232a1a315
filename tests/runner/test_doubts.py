"""Networks whose outputs are not of their image alone, and activations that make no probabilities of them."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import Parameter, Tensor, nn, ops

from explainrun.explainers import Gradient, Occlusion
from explainrun.runner import ImageClassificationRunner, PlanError
from explainrun.summary_format import Results


class Net(nn.Cell):
    """Two logits of eight pixels, and something more."""

    def __init__(self, more=None, ends=None):
        super().__init__()
        weights = Tensor(np.linspace(-1, 1, 16, dtype=np.float32).reshape(2, 8))
        self.flat, self.head = nn.Flatten(), nn.Dense(8, 2, weights, has_bias=False)
        self.seen = Parameter(Tensor(np.zeros(2, np.float32)), name="seen", requires_grad=False)
        self.more, self.ends = more, ends

    def construct(self, x):
        logits = self.head(self.flat(x))
        logits = logits if self.more is None else self.more(self, logits)
        return logits if self.ends is None else self.ends(logits)


def noise_of_each(_, logits):
    return logits + ops.standard_normal(logits.shape)


def noise_of_a_pass(_, logits):
    return logits + ops.standard_normal((1, 1))


def numpys_noise(_, logits):
    return logits + Tensor(np.random.normal(size=(1, 2)).astype(np.float32))


def dropped(_, logits):
    return ops.dropout(logits, 0.5, training=True)


def less_the_mean_of_the_batch(_, logits):
    return logits - logits.mean(0)


def batch_normalised(_, logits):
    return (logits - logits.mean(0)) / (logits.std(0) + 1)


def counted(cell, logits):
    ops.assign(cell.seen, cell.seen + 1)
    return logits + cell.seen


def added_in_place(cell, logits):
    cell.seen.add_(ops.ones(2)) if ms.get_context("device_target") != "CPU" else cell.seen.set_data(cell.seen + 1)
    return logits * (1 + cell.seen)


@pytest.fixture
def runner(dataset, tmp_path):
    def make(cell, folder="run", activation=None, names=("zero", "one"), rows=6, occluding=None, **options):
        rng = np.random.default_rng(0)
        data = [
            (rng.normal(size=(1, 2, 4)).astype(np.float32), np.array([i % len(names)], np.int32)) for i in range(rows)
        ]
        options = {"pass_size": 16, "jit": "off", **options}
        activation = activation or nn.Sigmoid()
        made = ImageClassificationRunner(tmp_path / folder, (dataset(data), list(names)), cell, activation, **options)
        made.register_saliency([Gradient(cell), Occlusion(cell, occluding or activation, window=(1, 2), stride=1)])
        return made

    return make


RANDOM, MIXED, WRITTEN = "network-random", "network-mixes-images", "network-writes-parameters"
DOUBTED = [
    (noise_of_each, RANDOM),
    (noise_of_a_pass, RANDOM),
    (numpys_noise, RANDOM),
    (dropped, RANDOM),
    (less_the_mean_of_the_batch, MIXED),
    (batch_normalised, MIXED),
    (counted, WRITTEN),
    (added_in_place, WRITTEN),
]
SAID = {RANDOM: "different outputs for the same image", MIXED: "images beside it", WRITTEN: "writes its seen"}


@pytest.mark.parametrize(("more", "code"), DOUBTED)
def test_a_network_that_is_no_function_of_its_image_is_reported_in_one_line(more, code, runner, caplog):
    result = runner(Net(more)).run()
    assert [record.message for record in caplog.records if SAID[code] in record.message] != []
    warned = [record for record in caplog.records if record.levelname == "WARNING"]
    assert len(warned) == 1, caplog.text
    assert result.costs["needed"] == result.costs["made"]


@pytest.mark.parametrize(("more", "code"), DOUBTED)
def test_a_strict_run_refuses_it_before_anything_is_written(more, code, runner, tmp_path, raising):
    with raising(PlanError, code):
        runner(Net(more), strict=True).run()
    assert not list((tmp_path / "run").glob("*.json"))


@pytest.mark.parametrize("shard", [(1, 3), (3, 3)])
@pytest.mark.parametrize(("more", "code"), [(noise_of_a_pass, RANDOM), (less_the_mean_of_the_batch, MIXED)])
def test_shards_see_it_too(more, code, shard, runner, raising):
    with raising(PlanError, code):
        runner(Net(more), strict=True).run(shard=shard)


def test_a_sound_network_is_not_doubted(runner, caplog):
    for jit in ("off", "on"):
        result = runner(Net(), jit, jit=jit, strict=True).run()
        assert "repeat trial" not in result.costs["made"]
    assert caplog.text == ""


def test_a_run_of_noise_resumes(runner, kill):
    kill(lambda: runner(Net(noise_of_a_pass)).run(), 0, 1)
    assert runner(Net(noise_of_a_pass)).run().samples == 6


@pytest.mark.parametrize("more", [counted, added_in_place])
def test_what_passes_write_is_put_back_after_each(more, runner, tmp_path):
    """So results do not depend on the order of passes, and the network is left as it was found."""
    cell = Net(more)
    cell.seen.set_data(Tensor([1.0, 3.0]))
    runner(cell).run()
    np.testing.assert_array_equal(cell.seen.asnumpy(), [1, 3])
    found = Gradient(cell)(Tensor(np.ones((1, 1, 2, 4), np.float32)), 0).asnumpy()
    np.testing.assert_array_equal(Gradient(cell)(Tensor(np.ones((1, 1, 2, 4), np.float32)), 0).asnumpy(), found)
    np.testing.assert_array_equal(cell.seen.asnumpy(), [1, 3])
    runner(cell, "again", pass_size=2).run()
    np.testing.assert_allclose(Results(tmp_path / "again").logits, Results(tmp_path / "run").logits, rtol=1e-6)


def test_what_a_failing_pass_wrote_is_put_back(raising):
    def fails(cell, logits):
        counted(cell, logits)
        raise ValueError("no")

    cell = Net(fails)
    with pytest.raises(ValueError, match="no"):
        Gradient(cell)(Tensor(np.ones((1, 1, 2, 4), np.float32)), 0)
    np.testing.assert_array_equal(cell.seen.asnumpy(), [0, 0])


def test_the_users_random_numbers_are_left_alone(runner):
    drawn = []
    for more in (None, numpys_noise):
        np.random.seed(5)
        if more is not None:
            runner(Net(more), "strict", strict=True).plan()
            with pytest.raises(PlanError):
                runner(Net(more), "strict", strict=True).run()
        drawn.append(np.random.random())
    assert drawn[0] == drawn[1]


def softmax(logits):
    return ops.softmax(logits, -1)


REFUSED = [
    (None, nn.Softmax(axis=0), "activation-mixes-images"),
    (None, lambda logits: ops.softmax(logits.reshape(1, -1), -1).reshape(logits.shape), "activation-mixes-images"),
    (None, lambda logits: ops.sigmoid(logits) * 0 + 0.5, "activation-constant"),
    (None, lambda logits: ops.sigmoid(logits + ops.standard_normal(logits.shape)), "activation-random"),
    (softmax, nn.Softmax(), "network-gives-probabilities"),
    (softmax, nn.Sigmoid(), "network-gives-probabilities"),
    (lambda logits: ops.log_softmax(logits, -1), nn.Sigmoid(), "network-gives-logarithms"),
]


@pytest.mark.parametrize(("ends", "activation", "code"), REFUSED)
def test_probabilities_that_are_none_are_refused(ends, activation, code, runner, raising):
    with raising(PlanError, code):
        runner(Net(ends=ends), activation=activation).run()


@pytest.mark.parametrize(
    ("ends", "activation"),
    [
        (softmax, nn.Identity()),
        (lambda logits: ops.log_softmax(logits, -1), nn.Softmax()),
        (lambda logits: ops.log_softmax(logits, -1), ops.exp),
        (None, nn.Softmax()),
        (None, nn.Softmax(axis=1)),
    ],
)
def test_probabilities_that_are_some_are_not(ends, activation, runner, caplog):
    runner(Net(ends=ends), activation=activation).run()
    assert caplog.text == ""


def first_logit(logits):
    return logits[:, :1]


def test_one_logit_takes_a_sigmoid(runner, raising):
    with raising(PlanError, "activation-constant", value=1.0):
        runner(Net(ends=first_logit), activation=nn.Softmax(), names=["one"]).run()
    with raising(PlanError, "activation-mixes-classes"):
        runner(Net(ends=first_logit), activation=nn.Softmax()).run()
    runner(Net(ends=first_logit), names=["one"]).run()


def test_a_sigmoid_twice_is_reported(runner, caplog):
    runner(Net(ends=ops.sigmoid), rows=8).run()
    assert "all outputs of the network lie in 0..1" in caplog.text


def test_the_activation_of_an_explainer_is_looked_at_too(runner, tmp_path, raising):
    with raising(PlanError, "activation-mixes-images", where="Occlusion"):
        runner(Net(), occluding=nn.Softmax(axis=0)).run()
    with raising(ValueError, "activation-mixes-images"):
        Occlusion(Net(), nn.Softmax(axis=0))(Tensor(np.ones((1, 1, 2, 4), np.float32)), 0)


def test_a_later_start_says_it_again(runner, caplog, raising):
    cell = Net(less_the_mean_of_the_batch)
    runner(cell).run()
    caplog.clear()
    assert runner(cell).run().finished_before
    assert caplog.text.count("images beside it") == 1
    with raising(PlanError, MIXED):
        runner(cell, strict=True).run()
