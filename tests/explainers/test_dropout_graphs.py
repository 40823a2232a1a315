"""Monte Carlo dropout as graphs: the masks and numbers of passes as they are, in fewer and faster ones."""

import gc
import weakref

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn, ops

from explainrun.explainers import Network
from explainrun.explainers.core.view import dropout_generators
from explainrun.explainers.network import UnsharedDropoutError, dropout_passes
from explainrun.explainers.network.dropout_passes import MaskedPasses

SAMPLES = 7


def _values(*shape):
    return Tensor(np.random.default_rng(sum(shape)).normal(size=shape).astype(np.float32))


def pictures(count):
    return np.random.default_rng(3).normal(size=(count, 2, 3, 5)).astype(np.float32)


def generators(ids):
    return [dropout_generators(0, i, SAMPLES) for i in ids]


class Body(nn.Cell):
    """A convolution, pooled to (N, 6), then whatever drops."""

    def __init__(self, tail):
        super().__init__()
        self.body, self.tail = nn.Conv2d(2, 6, 3, weight_init=_values(6, 2, 3, 3)), tail

    def construct(self, x):
        return self.tail(ops.tanh(self.body(x)).mean((2, 3)))


class Maps(nn.Cell):
    """Drops whole channels of feature maps."""

    def __init__(self):
        super().__init__()
        self.body, self.drop = nn.Conv2d(2, 6, 3, weight_init=_values(6, 2, 3, 3)), nn.Dropout2d(p=0.3)
        self.head = nn.Dense(6, 3, weight_init=_values(3, 6))

    def construct(self, x):
        return self.head(self.drop(ops.tanh(self.body(x))).mean((2, 3)))


class Branches(nn.Cell):
    """Two dropouts beside each other, joined, and a third after them."""

    def __init__(self):
        super().__init__()
        self.left, self.right, self.after = nn.Dropout(p=0.4), nn.Dropout(p=0.2), nn.Dropout(p=0.3)
        self.head = nn.Dense(6, 3, weight_init=_values(3, 6))

    def construct(self, x):
        return self.head(self.after(self.left(x) - ops.relu(self.right(x))))


class Residual(nn.Cell):
    """What is dropped is added to what is not, so it is not shared."""

    def __init__(self):
        super().__init__()
        self.drop, self.head = nn.Dropout(p=0.4), nn.Dense(6, 3, weight_init=_values(3, 6))

    def construct(self, x):
        return self.head(x + self.drop(x))


class Twice(nn.Cell):
    """One layer that drops in two places, which a graph does not keep apart."""

    def __init__(self):
        super().__init__()
        self.drop, self.head = nn.Dropout(p=0.4), nn.Dense(6, 3, weight_init=_values(3, 6))

    def construct(self, x):
        return self.head(self.drop(ops.tanh(self.drop(x))))


class Positions(nn.Cell):
    """Tokens (5 an image) whose places, the same for all images, are dropped too."""

    def __init__(self):
        super().__init__()
        self.places, self.first, self.second = _values(1, 5, 6), nn.Dropout(p=0.4), nn.Dropout(p=0.3)
        self.head = nn.Dense(6, 3, weight_init=_values(3, 6))

    def construct(self, x):
        tokens = x.reshape(x.shape[0], 5, 6)
        tokens = ops.tanh(tokens + self.first(self.places))
        folded = self.second(tokens.reshape(-1, 6))
        return self.head(folded.reshape(x.shape[0], 5, 6).mean(1))


class LatePositions(nn.Cell):
    """Tokens (5 an image) that are dropped, and after that their places, the same for all images."""

    def __init__(self):
        super().__init__()
        self.first, self.places, self.second = nn.Dropout(p=0.4), _values(1, 5, 6), nn.Dropout(p=0.3)
        self.head = nn.Dense(6, 3, weight_init=_values(3, 6))

    def construct(self, x):
        tokens = self.first(x.reshape(x.shape[0], 5, 6))
        return self.head(ops.tanh(tokens + self.second(self.places)).mean(1))


class Folded(nn.Cell):
    """Tokens (5 an image) that become rows of their own behind the first dropout."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Dropout(p=0.4), nn.Dropout(p=0.3)
        self.inner, self.head = nn.Dense(6, 6, weight_init=_values(6, 6)), nn.Dense(6, 3, weight_init=_values(3, 6))

    def construct(self, x):
        tokens = self.first(x.reshape(x.shape[0], 5, 6)).reshape(-1, 6)
        return self.head(self.second(ops.tanh(self.inner(tokens))).reshape(-1, 5, 6).mean(1))


class ByDictionary(nn.Cell):
    """Runs a layer that it holds in a dictionary too, where a graph does not find it."""

    def __init__(self):
        super().__init__()
        self.drop, self.head = nn.Dropout(p=0.4), nn.Dense(6, 3, weight_init=_values(3, 6))
        self.parts = {"drop": self.drop}

    def construct(self, x):
        return self.head(self.parts["drop"](x))


class Root(nn.Dense):
    """A dense layer that is the network."""

    def construct(self, x):
        return super().construct(x.reshape(x.shape[0], -1))


def several():
    dense = nn.Dense(6, 5, weight_init=_values(5, 6)), nn.Dense(5, 2, weight_init=_values(2, 5))
    return nn.SequentialCell(nn.Dropout(p=0.5), dense[0], nn.ReLU(), nn.Dropout(p=0.2), dense[1])


def dense():
    return nn.Dense(6, 2, weight_init=_values(2, 6))


CASES = {
    "one": (lambda: Body(nn.Dropout(p=0.5)), True),
    "several": (lambda: Body(several()), True),
    "no layer": (lambda: Body(dense()), True),
    "branches": (lambda: Body(Branches()), True),
    "channels": (Maps, True),
    "residual": (lambda: Body(Residual()), False),
    "positions": (Positions, False),
    "late positions": (LatePositions, True),
    "folded": (Folded, True),
}


def prepared(cell, jit, **options):
    network = Network(cell, 4, fill=True, jit=jit, **options)
    try:
        network.prepare_dropout(pictures(4), SAMPLES)
    except UnsharedDropoutError:
        assert not network.dropout.shared
    network.passes.drained()
    return network


@pytest.mark.parametrize("case", CASES)
def test_logits_are_those_of_passes_as_they_are(case, state):
    make, shared = CASES[case]
    cell = make()
    cell.set_train(True)
    before = state(cell)
    plain, graphs = prepared(cell, "off"), prepared(cell, "on")
    expected = plain.dropout_logits(pictures(10), generators(range(10)))
    found = graphs.dropout_logits(pictures(10), generators(range(10)))
    assert graphs.graphs.refused == {}
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())
    assert (found.std(axis=0).max(axis=1) > 0).all()
    passes = 3 if shared else 3 * SAMPLES
    assert dict(graphs.passes.made) == {"graph trial": 2, "dropout": passes}
    assert graphs.passes.compiled["dropout"] == passes
    assert dict(plain.passes.made) == {"dropout": passes}
    assert state(cell) == before


def test_an_images_logits_do_not_depend_on_its_neighbours_or_its_place():
    """Of 320 rows of a dense layer, a few differ in their last bit by where they stand."""
    tail = nn.SequentialCell(nn.Dropout(p=0.5), nn.Dense(6, 10, weight_init=_values(10, 6)))
    graphs = Network(Body(tail), 16, fill=True, jit="on")
    graphs.prepare_dropout(pictures(16), 20)
    seeds = [dropout_generators(0, i, 20) for i in range(16)]
    together = graphs.dropout_logits(pictures(16), seeds)
    for i in range(16):
        alone = graphs.dropout_logits(pictures(16)[i : i + 1], [dropout_generators(0, i, 20)])
        assert np.array_equal(alone[:, 0], together[:, i])


@pytest.mark.parametrize(("bound", "value"), [("_DENSE_CALLS", 6), ("_MASK_BYTES", 4 * 4 * 11 * 3)])
def test_few_samples_at_a_time_are_as_all_at_once(bound, value, monkeypatch):
    """3 of 7: two dense layers run 6 times in a call, and masks are of 6 and 5 values."""
    cell = Body(several())
    expected = prepared(cell, "on").dropout_logits(pictures(10), generators(range(10)))
    monkeypatch.setattr(dropout_passes, bound, value)
    graphs = prepared(cell, "on", own_graphs=True)
    found = graphs.dropout_logits(pictures(10), generators(range(10)))
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert (graphs.graphs.refused, dict(graphs.passes.made)) == ({}, {"graph trial": 2, "dropout": 3})
    (program,) = [one for one in graphs.graphs._opened().programs.values() if one is not None]
    assert program._samples == 3


class Half(nn.Cell):
    """In float16: dense layers with a dropout of values and one of channels between them."""

    def __init__(self):
        super().__init__()
        self.inner, self.head = nn.Dense(30, 8, weight_init=_values(8, 30)), nn.Dense(8, 3, weight_init=_values(3, 8))
        self.values, self.channels = nn.Dropout(p=0.4), nn.Dropout2d(p=0.3)
        for parameter in self.get_parameters():
            parameter.set_dtype(ms.float16)

    def construct(self, x):
        x = self.values(ops.tanh(self.inner(x.reshape(x.shape[0], -1))))
        return self.head(self.channels(x.reshape(-1, 2, 2, 2)).reshape(-1, 8))


def test_a_network_in_half_precision_has_the_masks_of_passes_as_they_are():
    cell = Half()
    plain, graphs = prepared(cell, "off"), prepared(cell, "on")
    assert graphs.type == ms.float16
    found, expected = (one.dropout_logits(pictures(6), generators(range(6))) for one in (graphs, plain))
    assert graphs.graphs.refused == {}
    np.testing.assert_allclose(found, expected, atol=1e-2 * np.abs(expected).max())
    assert found.std(axis=0).max() > 0.1


def refusal_of(cell):
    """Why a network runs as it is, with the logits that it then gives."""
    rows = pictures(4)
    graphs, plain = Network(cell, 4, fill=True, jit="on"), Network(cell, 4, fill=True)
    for network in (graphs, plain):
        network.prepare_dropout(rows, SAMPLES)
    found, expected = (one.dropout_logits(rows, generators(range(4))) for one in (graphs, plain))
    assert np.array_equal(found, expected)
    return graphs.graphs.refused.get("dropout", "")


def test_masks_that_would_take_much_memory_are_drawn_one_by_one(monkeypatch):
    monkeypatch.setattr(dropout_passes, "_MASK_BYTES", 4 * 4 * 11 - 1)
    assert "masks of a pass take 176 B" in refusal_of(Body(several()))


def test_a_network_that_is_a_dense_layer_runs_as_it_is():
    assert refusal_of(Root(30, 3, weight_init=_values(3, 30)))


def test_a_layer_that_graphs_do_not_find_runs_as_it_is():
    refusal_of(Body(ByDictionary()))


def test_a_graph_that_gives_other_logits_is_not_used(monkeypatch):
    wrong = MaskedPasses.__call__
    monkeypatch.setattr(MaskedPasses, "__call__", lambda self, images, masks: 1.001 * wrong(self, images, masks))
    cell = Body(several())
    plain, graphs = prepared(cell, "off"), prepared(cell, "on")
    expected = plain.dropout_logits(pictures(4), generators(range(4)))
    assert np.array_equal(graphs.dropout_logits(pictures(4), generators(range(4))), expected)
    assert "logits under dropout" in graphs.graphs.refused["dropout"]


def test_what_comes_before_the_first_mask_runs_once_for_all_samples(monkeypatch):
    """In the graph after it nothing of the image is left."""
    graphs = prepared(Body(several()), "on")
    first = graphs.dropout_logits(pictures(4), generators(range(4)))
    (program,) = [one for one in graphs.graphs._opened().programs.values() if hasattr(one, "_program")]
    program._program._head = lambda _: None
    assert np.array_equal(graphs.dropout_logits(10 * pictures(4), generators(range(4))), first)


def test_a_layer_that_drops_in_two_places_is_not_compiled():
    cell = Body(Twice())
    plain, graphs = prepared(cell, "off"), prepared(cell, "on")
    expected = plain.dropout_logits(pictures(4), generators(range(4)))
    assert np.array_equal(graphs.dropout_logits(pictures(4), generators(range(4))), expected)
    assert graphs.graphs.refused == {"dropout": "layer 'tail.drop' runs 2 times in a pass"}
    assert graphs.passes.compiled["dropout"] == 0


def test_other_weights_give_other_logits():
    cell = Body(several())
    graphs = prepared(cell, "on")
    before = graphs.dropout_logits(pictures(4), generators(range(4)))
    cell.body.weight.set_data(Tensor(0.5 * cell.body.weight.asnumpy()))
    found = prepared(cell, "on").dropout_logits(pictures(4), generators(range(4)))
    expected = prepared(cell, "off").dropout_logits(pictures(4), generators(range(4)))
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())
    assert np.abs(found - before).max() > 1e-2


@pytest.mark.parametrize("case", ["several", "no layer", "residual"])
def test_graphs_do_not_keep_a_network_alive(case):
    cell = CASES[case][0]()
    graphs = prepared(cell, "on", own_graphs=True)
    graphs.dropout_logits(pictures(4), generators(range(4)))
    (program,) = [one for one in graphs.graphs._opened().programs.values() if one is not None]
    gone = [weakref.ref(one) for _, one in cell.cells_and_names()]
    del cell, graphs
    gc.collect()
    assert [one() for one in gone] == [None] * len(gone)
    assert program is not None
