"""Monte Carlo dropout: which layers act, whose masks, and what the samples say."""

import cProfile

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, mint, nn, ops
from scipy import stats

from explainrun.explainers import Network
from explainrun.explainers.core.view import dropout_generators
from explainrun.explainers.dropout_uncertainty import spread
from explainrun.explainers.network import DropoutPlaces, UnsharedDropoutError


class Dropping(nn.Cell):
    """Logit = the sum over channels of what passes the dropout; batch norm has flags and statistics to keep."""

    def __init__(self, dropout, dense=True):
        super().__init__()
        self.norm = nn.BatchNorm2d(4)
        self.drop = dropout
        self.head = nn.Dense(8, 1, has_bias=False) if dense else None
        if dense:
            self.head.weight.set_data(Tensor(np.ones((1, 8), np.float32)))

    def construct(self, x):
        x = self.norm(x)
        x = self.drop(x) if self.drop is not None else x
        x = x.reshape(x.shape[0], -1)
        return x.sum(1, keepdims=True) if self.head is None else self.head(x)


def images(count):
    return np.ones((count, 4, 1, 2), np.float32)


def generators(ids, samples):
    return [dropout_generators(0, i, samples) for i in ids]


def drawn(dropout, samples=400, dense=True):
    cell = Dropping(dropout, dense)
    return Network(cell).dropout_logits(images(1), generators([0], samples))[:, 0, 0]


# Eight ones of which each passes with probability 1 - p and then counts 1 / (1 - p): mean 8, variance 8 p / (1 - p).
@pytest.mark.parametrize(
    ("dropout", "sd"),
    [
        (nn.Dropout(p=0.5), 8**0.5),
        (nn.Dropout(p=0.2), 2**0.5),
        (mint.nn.Dropout(0.5), 8**0.5),
        (nn.Dropout2d(p=0.5), 4.0),  # whole channels of two: 4 of them, each counting 4
        (None, 8**0.5),  # put before the dense layer, at rate 0.5
    ],
    ids=["half", "fifth", "mint", "channels", "none"],
)
def test_mean_and_deviation_are_those_of_the_rate(dropout, sd):
    values = drawn(dropout)
    assert values.mean() == pytest.approx(8, abs=4 * sd / 400**0.5)
    assert values.std() == pytest.approx(sd, rel=0.15)


def test_rate_zero_changes_nothing():
    values = drawn(nn.Dropout(p=0.0), 5)
    assert len(set(values.tolist())) == 1
    found = spread(np.full((5, 1, 2), 0.25))
    assert (found.sd.tolist(), found.low.tolist(), found.high.tolist()) == ([[0, 0]], [[0.25] * 2], [[0.25] * 2])


def test_masks_are_the_images_own(state):
    cell = Dropping(nn.Dropout(p=0.3))
    cell.set_train(True)
    before = state(cell)
    network = Network(cell, pass_size=4, fill=True)
    together = network.dropout_logits(images(6), generators(range(6), 7))
    assert together.shape == (7, 6, 1)
    assert np.array_equal(network.dropout_logits(images(1), generators([5], 7))[:, 0], together[:, 5])
    assert len({tuple(together[:, i, 0]) for i in range(6)}) == 6
    assert dict(network.passes.made) == {"dropout": 14 + 7}
    assert state(cell) == before


def test_what_drops_in_unknown_ways_is_refused(raising):
    class AlphaDropout(nn.Cell):
        def construct(self, x):
            return x

    with raising(ValueError, "dropout-unknown", layer="drop", kind="AlphaDropout"):
        drawn(AlphaDropout(), 2)
    with raising(ValueError, "no-dropout-layer"):
        drawn(None, 2, dense=False)


class Head(nn.Cell):
    """Body, then whatever drops, on (N, 6); counts how often and with how many images its body runs."""

    def __init__(self, tail):
        super().__init__()
        self.body, self.tail = nn.Dense(6, 6), tail
        self.body.weight.set_data(Tensor(np.random.default_rng(1).normal(size=(6, 6)).astype(np.float32)))
        self.runs = []

    def construct(self, x):
        self.runs.append(x.shape[0])
        return self.tail(self.body(x.reshape(x.shape[0], -1)))


class Branches(nn.Cell):
    """Two dropouts beside each other, joined, and a third after them."""

    def __init__(self):
        super().__init__()
        self.left, self.right, self.after = nn.Dropout(p=0.4), nn.Dropout(p=0.2), nn.Dropout(p=0.3)
        self.head = nn.Dense(6, 3)
        self.head.weight.set_data(Tensor(np.random.default_rng(2).normal(size=(3, 6)).astype(np.float32)))

    def construct(self, x):
        return self.head(self.after(self.left(x) - ops.relu(self.right(x))))


class Residual(nn.Cell):
    """What is dropped is added to what is not, so it cannot be repeated alone."""

    def __init__(self):
        super().__init__()
        self.drop = nn.Dropout(p=0.4)

    def construct(self, x):
        return x + self.drop(x)


class Mixed(nn.Cell):
    """Folds rows away, so repeated ones give other logits."""

    def __init__(self):
        super().__init__()
        self.drop = nn.Dropout(p=0.4)

    def construct(self, x):
        rows = x.shape[0]
        return self.drop(x)[:rows]


def pictures(count):
    return np.random.default_rng(3).normal(size=(count, 2, 1, 3)).astype(np.float32)


def several():
    return nn.SequentialCell(nn.Dropout(p=0.5), nn.Dense(6, 5), nn.ReLU(), nn.Dropout(p=0.2), nn.Dense(5, 2))


@pytest.mark.parametrize(
    "tail", [lambda: nn.Dropout(p=0.5), several, Branches, lambda: nn.Dense(6, 2)], ids=["one", "two", "branches", "no"]
)
def test_what_comes_before_the_first_dropout_is_computed_once(tail, state):
    cell = Head(tail())
    cell.set_train(True)
    before = state(cell)
    apart, together = Network(cell, 16, fill=True), Network(cell, 16, fill=True)
    one_by_one = apart.dropout_logits(pictures(21), generators(range(21), 9))
    together.prepare_dropout(pictures(21), 9)
    assert together.dropout.shared
    assert dict(together.passes.drained().made) == {"dropout trial": 4}
    cell.runs.clear()
    shared = together.dropout_logits(pictures(21), generators(range(21), 9))
    assert cell.runs == [16, 16]  # nine masks, but the body ran once a pass
    assert dict(together.passes.made) == {"dropout": 2}
    assert dict(apart.passes.made) == {"dropout": 2 * 9}
    np.testing.assert_allclose(shared, one_by_one, rtol=1e-5, atol=1e-6)
    assert shared.std(axis=0).min() > 0
    assert state(cell) == before


def test_shared_masks_do_not_depend_on_the_place_in_a_pass():
    rng = np.random.default_rng(5)
    tail = nn.SequentialCell(nn.Dropout(p=0.5), nn.Dense(6, 10))
    tail[1].weight.set_data(Tensor(rng.normal(size=(10, 6)).astype(np.float32)))
    network = Network(Head(tail), 16, fill=True)
    network.prepare_dropout(pictures(16), 20)
    together = network.dropout_logits(pictures(16), generators(range(16), 20))
    for i in range(16):
        alone = network.dropout_logits(pictures(16)[i : i + 1], generators([i], 20))
        assert np.array_equal(alone[:, 0], together[:, i])


def test_rate_zero_has_no_spread_when_shared():
    tail = nn.SequentialCell(nn.Dropout(p=0.0), nn.Dense(6, 10))
    network = Network(Head(tail), 16, fill=True)
    network.prepare_dropout(pictures(16), 20)
    logits = network.dropout_logits(pictures(16), generators(range(16), 20))
    assert (spread(logits).sd == 0).all()


@pytest.mark.parametrize(
    ("tail", "code"),
    [
        (Residual, "dropout-residual"),
        (Mixed, "dropout-logits-shape"),
    ],
)
def test_dropout_whose_output_cannot_be_repeated_takes_full_passes(raising, tail, code, state):
    cell = Head(tail())
    before = state(cell)
    network = Network(cell, 4, fill=True)
    with raising(UnsharedDropoutError, code):
        network.prepare_dropout(pictures(4), 5)
    assert not network.dropout.shared
    network.passes.drained()
    assert network.dropout_logits(pictures(5), generators(range(5), 5)).shape == (5, 5, 6)
    assert dict(network.passes.made) == {"dropout": 2 * 5}
    assert state(cell) == before


def test_what_would_take_too_much_memory_takes_full_passes(monkeypatch, raising):
    monkeypatch.setattr("explainrun.explainers.network.mc_dropout._REPEATED_BYTES", 4 * 6 * 4 * 5 - 1)
    network = Network(Head(nn.Dropout(p=0.5)), 4, fill=True)
    with raising(UnsharedDropoutError, "dropout-too-large", times=5, size=480):
        network.prepare_dropout(pictures(4), 5)


class Calling(nn.Cell):
    def __init__(self, call):
        super().__init__()
        self.call = call
        self.known = nn.Dropout(p=0.5)

    def construct(self, x):
        return self.known(self.call(x, self.training))


@pytest.mark.parametrize(
    "call",
    [
        lambda x, training: ops.dropout(x, 0.5, training=training),
        lambda x, training: mint.nn.functional.dropout(x, 0.5, training),
        lambda x, _: ops.Dropout(0.9)(x)[0],
    ],
    ids=["ops", "mint", "primitive"],
)
def test_a_dropout_function_is_refused(call, state, raising):
    cell = Head(Calling(call))
    before = state(cell)
    with raising(ValueError, "dropout-function", kinds=["Calling"]):
        Network(cell).prepare_dropout(pictures(2), 5)
    assert state(cell) == before


@pytest.mark.parametrize("layer", [nn.Dropout(p=0.5), mint.nn.Dropout(0.5), nn.Dropout2d(p=0.5)])
def test_dropout_layers_are_not_taken_for_functions(layer):
    network = Network(Dropping(layer))
    network.prepare_dropout(images(2), 5)
    assert network.dropout.shared


class Unused(nn.Cell):
    """A dropout layer that never runs in inference, and after the last dense layer that runs one that does not."""

    def __init__(self, runs=True):
        super().__init__()
        self.drop, self.head, self.auxiliary = nn.Dropout(p=0.9), nn.Dense(6, 2), nn.Dense(6, 3)
        self.runs = runs

    def construct(self, x):
        if not self.runs:
            return x
        return self.head(x) if not self.training else self.auxiliary(self.drop(x))


def test_without_a_dropout_layer_that_runs_the_last_dense_one_that_runs_is_taken():
    network = Network(Head(Unused()))
    network.prepare_dropout(pictures(2), 5)
    assert network.dropout == DropoutPlaces(("tail.head",), shared=True, added=True)
    assert network.dropout_logits(pictures(2), generators(range(2), 50)).std(axis=0).min() > 0


def test_a_network_in_which_nothing_can_drop_is_refused(raising):
    network = Unused(runs=False)
    with raising(ValueError, "no-dropout-runs"):
        Network(network).prepare_dropout(np.ones((2, 6), np.float32), 5)


class Tokens(nn.Cell):
    """Tokens (4 an image) with dropout on what ``kind`` names; logits from their mean."""

    def __init__(self, kind):
        super().__init__()
        rng = np.random.default_rng(6)
        self.kind, self.first, self.second = kind, nn.Dropout(p=0.4), nn.Dropout(p=0.3)
        self.head = nn.Dense(6, 3)
        self.head.weight.set_data(Tensor(rng.normal(size=(3, 6)).astype(np.float32)))
        self.places = ms.Parameter(Tensor(rng.normal(size=(1, 4, 6)).astype(np.float32)))

    def construct(self, x):
        x = x.reshape(x.shape[0], 4, 6)
        if self.kind == "tokens":
            return self.head(self.first(x).mean(1))
        if self.kind == "places":
            return self.head(ops.tanh(x + self.first(self.places)).mean(1))
        if self.kind == "tokens first":
            return self.head(ops.tanh(self.first(x.transpose(1, 0, 2))).mean(0))
        if self.kind == "then folded":
            x = ops.tanh(self.first(x))
        rows = x.shape[0]
        return self.head(ops.tanh(self.second(x.reshape(-1, 6))).reshape(rows, 4, 6).mean(1))


def tokens(count):
    return np.random.default_rng(7).normal(size=(count, 1, 4, 6)).astype(np.float32)


@pytest.mark.parametrize(
    ("kind", "shared"), [("tokens", True), ("then folded", True), ("folded", False), ("places", False)]
)
def test_every_image_has_its_own_masks_however_the_network_folds_its_rows(kind, shared):
    cell = Tokens(kind)
    network = Network(cell, 16, fill=True)
    try:
        network.prepare_dropout(tokens(18), 30)
    except UnsharedDropoutError:
        assert not shared
    assert network.dropout.shared is shared
    together = network.dropout_logits(tokens(18), generators(range(18), 30))
    for i in (0, 3, 15, 17):
        alone = network.dropout_logits(tokens(18)[i : i + 1], generators([i], 30))
        np.testing.assert_allclose(alone[:, 0], together[:, i], atol=1e-6)
    free = Network(cell, 16, fill=True)
    free.dropout = DropoutPlaces(network.dropout.layers)
    np.testing.assert_allclose(free.dropout_logits(tokens(18), generators(range(18), 30)), together, atol=1e-5)
    cell.set_train(True)  # MindSpore's own dropout; there is nothing else that would train
    expected = np.stack([cell(Tensor(tokens(18))).asnumpy() for _ in range(200)]).std(axis=0).mean()
    assert together.std(axis=0).mean() == pytest.approx(expected, rel=0.1)


@pytest.mark.parametrize(
    ("count", "code", "values"), [(16, "dropout-mixes-images", {}), (6, "dropout-rows", {"rows": 4, "images": 6})]
)
def test_what_drops_across_images_is_refused(raising, count, code, values):
    cell = Tokens("tokens first")
    network = Network(cell, 4 if count == 16 else 6)
    with raising(ValueError, code, **values):
        network.prepare_dropout(tokens(count), 5)


class Attending(nn.Cell):
    def __init__(self, rate):
        super().__init__()
        self.attention, self.drop = nn.MultiheadAttention(6, 2, dropout=rate, batch_first=True), nn.Dropout(p=0.5)

    def construct(self, x):
        x = x.reshape(x.shape[0], 1, 6)
        return self.drop(self.attention(x, x, x)[0].mean(1))


def test_attention_is_refused_only_if_it_drops(raising):
    network = Network(Head(Attending(0.0)))
    network.prepare_dropout(pictures(3), 4)
    assert network.dropout.layers == ("tail.drop",)
    with raising(ValueError, "dropout-function", kinds=["MultiheadAttention"]):
        Network(Head(Attending(0.3))).prepare_dropout(pictures(3), 4)


class OnlyInTraining(nn.Cell):
    def __init__(self):
        super().__init__()
        self.head, self.dropout_rate = nn.Dense(6, 2), 0.5

    def construct(self, x):
        if self.training:
            x = ops.dropout(x, self.dropout_rate)
        return self.head(x)


def test_a_dropout_function_that_only_training_calls_is_refused_too(raising):
    with raising(ValueError, "dropout-function", kinds=["OnlyInTraining"]):
        Network(Head(OnlyInTraining())).prepare_dropout(pictures(2), 5)


class ByKeyword(nn.Cell):
    def __init__(self):
        super().__init__()
        self.drop, self.head = nn.Dropout(p=0.5), nn.Dense(6, 2)

    def construct(self, x):
        return self.head(x=self.drop(x))


def test_layers_may_be_called_by_keyword():
    network = Network(Head(ByKeyword()), 4, fill=True)
    network.prepare_dropout(pictures(4), 5)
    assert network.dropout.shared


def test_a_profiler_may_be_at_work():
    network, profiler = Network(Head(several())), cProfile.Profile()
    profiler.enable()
    try:
        network.prepare_dropout(pictures(2), 5)
    finally:
        profiler.disable()
    assert network.dropout.shared
    assert profiler.getstats()


def test_what_does_not_fit_into_memory_together_is_not_shared(monkeypatch, raising):
    network = Network(Head(several()), 4)
    repeated = ops.repeat_interleave

    def full(values, times, axis):
        if times > 1 and values.shape[0] == 4:
            raise RuntimeError("Allocate memory failed: device memory is not enough")
        return repeated(values, times, axis)

    monkeypatch.setattr("explainrun.explainers.network.mc_dropout.ops.repeat_interleave", full)
    with raising(UnsharedDropoutError, "dropout-out-of-memory"):
        network.prepare_dropout(pictures(4), 5)


def test_intervals_are_betas_where_one_fits_and_quantiles_where_none_does():
    rng = np.random.default_rng(0)
    values = np.stack([rng.beta(6, 2, 4000), rng.integers(0, 2, 4000).astype(float)], axis=1)[:, None]
    found = spread(values)
    assert found.sd[0, 0] == pytest.approx(stats.beta(6, 2).std(), rel=0.05)
    assert found.low[0, 0] == pytest.approx(stats.beta(6, 2).ppf(0.025), rel=0.05)
    assert found.high[0, 0] == pytest.approx(stats.beta(6, 2).ppf(0.975), rel=0.01)
    assert (found.low[0, 1], found.high[0, 1]) == (0, 1)  # only 0 and 1: the variance is m (1 - m)
    assert found.sd[0, 1] == pytest.approx(0.5, abs=0.01)
