"""Gradients, layers' outputs and tails as graphs: the numbers of passes as they are, the network as it was."""

import gc
import weakref
from contextlib import nullcontext
from types import SimpleNamespace

import mindspore as ms
import numpy as np
import pytest
from mindspore import Parameter, Tensor, nn, ops

from explainrun.explainers import AblationCAM, GradCAM, Gradient, InputXGradient, Network
from explainrun.explainers.core.view import Needs, View
from explainrun.explainers.network import layer_outputs, logits_from, service
from explainrun.explainers.network.graphs import compiling, library, programs
from explainrun.explainers.network.graphs.cell_state import cell_state, hooked_layer
from explainrun.explainers.network.graphs.swapping import TappedLayer, swapped
from explainrun.explainers.network.tensors.layers import find_layer

LABELS = np.array([0, 2, 1, 2])


class Branching(nn.Cell):
    """A convolution, a block with a way round it, and a dense layer; height differs from width."""

    def __init__(self, returns="tensor"):
        super().__init__()
        self.first = nn.Conv2d(2, 3, 3, weight_init=_values(3, 2, 3, 3))
        self.block = nn.SequentialCell(nn.Conv2d(3, 3, 3, weight_init=_values(3, 3, 3, 3)), nn.ReLU())
        self.fc = nn.Dense(3, 3, weight_init=_values(3, 3), bias_init=_values(3))
        self.held = (self.first, self.block)
        self.scale, self.returns = 1.5, returns

    def construct(self, x):
        x = ops.tanh(self.first(x))
        x = x + self.scale * self.block(x)
        logits = self.fc(x.mean((2, 3)))
        return (x, {"logits": logits}) if self.returns == "parts" else logits


def _values(*shape):
    return Tensor(np.random.default_rng(sum(shape)).normal(size=shape).astype(np.float32))


def images(count=4, seed=0):
    return np.random.default_rng(seed).normal(size=(count, 2, 5, 7)).astype(np.float32)


def both(cell, **options):
    """The same network as it is and with graphs."""
    return Network(cell, 4, **options), Network(cell, 4, jit="on", **options)


def assert_close(found, expected):
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()


@pytest.mark.parametrize(
    ("rule", "layers", "returns"), [("plain", [], "parts"), ("loss", ["block", "block.1", "first"], "tensor")]
)
def test_gradients_are_those_of_passes_as_they_are(rule, layers, returns, state):
    cell = Branching(returns)
    before, held = state(cell), cell.held
    plain, graphs = both(cell, output=None if returns == "tensor" else "1.logits")
    rows, labels = images(6), np.array([0, 2, 1, 2, 1, 1])
    for image in (True, False):
        expected = plain.differentiate(rows, labels, layers, rule, image=image)
        found = graphs.differentiate(rows, labels, layers, rule, image=image)
        assert (found.image_gradient is None) == (expected.image_gradient is None) == bool(layers and not image)
        if found.image_gradient is not None:
            assert_close(found.input_gradient, expected.input_gradient)
        assert found.gradients.keys() == set(layers)
        for name in layers:
            assert_close(found.gradients[name], expected.gradients[name])
            assert_close(found.activations[name], expected.activations[name])
        assert_close(found.logits, expected.logits)
    assert graphs.graphs.refused == {}
    assert graphs.passes.made["graph trial"] == (2 if not layers else 4)
    assert state(cell) == before
    assert cell.held is held
    assert held[1] is cell.block


@pytest.mark.parametrize(
    ("layers", "image", "outputs"), [([], True, 2), (["block"], True, 3), (["block", "first"], False, 3)]
)
def test_what_comes_from_all_outputs_is_read_first(layers, image, outputs, monkeypatch):
    network, read, as_array = Network(Branching(), 4, jit="on"), [], programs.as_array
    network.differentiate(images(), LABELS, layers, image=image)
    monkeypatch.setattr(programs, "as_array", lambda values: read.append(values.shape) or as_array(values))
    network.differentiate(images(), LABELS, layers, image=image)
    assert read[0] == (outputs,)  # read while the graph runs, others slow it down
    assert len(read) == 1 + outputs + len(layers)


@pytest.mark.parametrize(("layer", "most"), [("block.1", 0.5), ("", 4.0)])
def test_a_hook_that_changes_nothing_on_the_trial_makes_no_graph(layer, most):
    cell = Branching()
    of_layer = find_layer(cell, layer) if layer else cell
    of_layer.register_forward_hook(lambda _cell, _given, output: ops.minimum(output, Tensor(most)))
    plain, graphs = both(cell)
    small, large = 0.01 * images(), 100 * images()
    for rows in (small, large):
        found, expected = (one.differentiate(rows, LABELS) for one in (graphs, plain))
        np.testing.assert_array_equal(found.input_gradient, expected.input_gradient)
        np.testing.assert_array_equal(found.logits, expected.logits)
        np.testing.assert_array_equal(graphs.logits(rows), plain.logits(rows))
    assert graphs.graphs.refused.keys() == {"gradient", "forward"}
    with pytest.raises(ValueError, match="hook"):
        graphs.compile(small)
    unhooked = Network(Branching())
    assert [np.array_equal(plain.logits(rows), unhooked.logits(rows)) for rows in (small, large)] == [True, False]


@pytest.mark.parametrize("kind", ["forward_pre", "forward", "backward_pre", "backward"])
def test_hooks_of_every_kind_are_seen_until_they_are_gone(kind):
    cell = Branching()
    cell(Tensor(images()))  # which makes tables for hooks that hold none
    assert hooked_layer(cell) is None
    hook = getattr(cell.block, f"register_{kind}_hook")(lambda *_: None)
    assert hooked_layer(cell) == "block"
    hook.remove()
    assert hooked_layer(cell) is None


def test_only_tensors_of_layers_below_are_not_differentiated():
    """Of a pass that ends at a layer, nothing below it is asked for its gradient."""
    cell, asked = Branching(), []

    class Watched(nn.Cell):
        def construct(self, x):
            return x * 1

        def bprop(self, x, out, dout):
            asked.append(1)
            return (dout,)

    cell.first = nn.SequentialCell(cell.first, Watched())
    for image, times in ((True, 1), (False, 0)):
        asked.clear()
        Network(cell).differentiate(images(), LABELS, ["block"], image=image)
        assert len(asked) == times


def test_layers_alone_where_nobody_reads_the_image():
    alone, whole = Needs.gradient("block", image=False), Needs.gradient("first")
    assert alone.layers_alone == {"plain"}
    assert Needs.together([alone, alone]).layers_alone == {"plain"}
    assert Needs.together([alone, whole]).layers_alone == frozenset()
    assert Needs.together([alone, Needs.gradient(rule="guided")]).layers_alone == {"plain"}
    assert Needs.gradient("block", "", image=False).layers_alone == frozenset()
    cell = Branching()
    view = View(Network(cell), images(), np.arange(4), LABELS, needs=alone)
    with pytest.raises(ValueError, match="image=True"):
        _ = view.derivatives().input_gradient
    together = View(Network(cell), images(), np.arange(4), LABELS, needs=Needs.together([alone, whole]))
    np.testing.assert_array_equal(together.derivatives().gradients["block"], view.derivatives().gradients["block"])
    assert together.derivatives().input_gradient.shape == (4, 2, 5, 7)


def test_outputs_and_tails_are_those_of_whole_passes(state):
    cell = Branching()
    before = state(cell)
    plain, graphs = both(cell)
    rows = images(6)
    expected, found = (layer_outputs(one, rows, ["block", "first"]) for one in (plain, graphs))
    for name in ("block", "first"):
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-5, atol=1e-6)
    changed = expected["block"][::-1] * 2
    for layer in ("block", "first"):
        pairs = list(zip(rows, changed, strict=True))
        one, other = (np.concatenate(list(logits_from(each, layer, pairs, "ablate"))) for each in (plain, graphs))
        assert_close(other, one)
    assert graphs.graphs.refused == {}
    assert graphs.passes.made == {"activate": 2, "ablate": 4, "graph trial": 2 + 3 + 3}
    assert state(cell) == before


class Gated(Branching):
    """A way round the block that is shut for dark images."""

    def construct(self, x):
        gate = ops.relu(x.mean((1, 2, 3)) - 1).reshape(-1, 1, 1, 1)
        return self.fc((self.block(ops.tanh(self.first(x))) * (1 + gate)).mean((2, 3)))


def test_a_tail_sees_what_goes_round_its_layer():
    cell = Gated()
    plain, graphs = both(cell)
    outputs = layer_outputs(plain, images(), ["block"])["block"]
    for network in (plain, graphs):
        network.layer_runs = plain.layer_runs
    for rows in (images(), images() + 5):  # a gate that opens once the graph is there
        pairs = list(zip(rows, outputs, strict=True))
        one, other = (np.concatenate(list(logits_from(each, "block", pairs, "ablate"))) for each in (plain, graphs))
        assert_close(other, one)
    with pytest.raises(ValueError, match=r"layer 'block' gives shape .* cannot give shape"):
        list(logits_from(graphs, "block", [(image, output[:1]) for image, output in pairs], "ablate"))


class TwoHeads(Branching):
    def construct(self, x):
        logits = super().construct(x)
        return logits, logits * logits


def test_a_graph_is_of_one_output():
    cell = TwoHeads()
    for output in (0, 1, lambda returned: returned[0], lambda returned: returned[1]):
        found, expected = (
            Gradient(cell)(Tensor(images()), LABELS, jit=jit, output=output).asnumpy() for jit in ("on", "off")
        )
        assert_close(found, expected)


def test_a_wrong_label_refuses_nothing_but_itself():
    network = Network(Branching(), jit="on")
    with pytest.raises(ValueError, match=r"targets must lie in 0\.\.2"):
        network.differentiate(images(), LABELS + 5)
    network.differentiate(images(), LABELS)
    assert network.graphs.refused == {}
    assert network.passes.made["graph trial"] == 2


def test_nothing_is_compiled_where_the_environment_forbids_it(monkeypatch):
    network = Network(Branching(), jit="on")
    network.logits(images())
    monkeypatch.setenv("MS_JIT", "0")
    network.logits(images())
    network.differentiate(images(), LABELS)
    with pytest.raises(ValueError, match="MS_JIT=0"):
        network.compile(images())
    assert network.passes.made == {"graph trial": 2, "infer": 2, "differentiate": 1, "compile": 1}


def test_a_pass_that_is_nearly_full_takes_the_graph_of_a_full_one():
    network = Network(Branching(), 4, jit="on")
    for count, trials in ((4, 2), (3, 2), (2, 2), (1, 4)):
        network.differentiate(images(count), LABELS[:count])
        assert network.passes.made["graph trial"] == trials


class Twice(Branching):
    def construct(self, x):
        x = self.block(self.block(ops.tanh(self.first(x))))
        return self.fc(x.mean((2, 3)))


class Unparsable(Branching):
    def construct(self, x):
        try:
            return super().construct(x)
        finally:
            pass


class Padded(Branching):
    """Its gradient is wrong in all calls of a graph but the first, in MindSpore 2.10: no call may show that."""

    def construct(self, x):
        return super().construct(ops.pad(x, (1, 1, 0, 0)))


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        (Twice, "runs 2 times"),
        (Branching, "outputs of 'block' are"),
        (Unparsable, "does not compile"),
        (Padded, "gradients of the image are"),
    ],
)
def test_what_a_graph_would_get_wrong_runs_as_it_is(kind, why, monkeypatch):
    cell = kind()
    if kind is Branching:  # a layer that is called in a way that no cell shows, so that nothing takes its place
        monkeypatch.setattr("explainrun.explainers.network.graphs.programs.swapped", lambda *_: nullcontext())
    plain, graphs = both(cell)
    expected, found = (one.differentiate(images(), LABELS, ["block"]) for one in (plain, graphs))
    np.testing.assert_array_equal(found.gradients["block"], expected.gradients["block"])
    np.testing.assert_array_equal(found.input_gradient, expected.input_gradient)
    assert kind is Padded or why in graphs.graphs.refused["gradient"]  # a later MindSpore may get it right


def test_a_graph_is_made_where_it_pays_and_no_earlier(monkeypatch):
    cell = Branching()
    monkeypatch.setattr(library, "PAYS_BACK", 3)
    made = []
    for _ in range(4):
        network = Network(cell, jit="auto")
        network.differentiate(images(), LABELS)
        made.append(network.passes.made["graph trial"])
    assert made == [0, 0, 2, 0]  # the third paid, and the fourth found the graph
    off = Network(cell, jit="off")
    off.differentiate(images(), LABELS)
    assert off.passes.made == {"differentiate": 1}


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize(("kind", "passes"), [("tail", 1), ("gradient", 8)])
def test_a_tail_is_worth_eight_other_passes(own, kind, passes, monkeypatch):
    cell = Branching()
    worth = 280 + library.VALUES_A_CELL * sum(1 for _ in cell.cells_and_names())  # of a pass, in runs
    monkeypatch.setattr(library, "PAYS_BACK", 8)
    monkeypatch.setattr(library, "PAYS_IN_RUNS", 8 * worth)
    graphs = library.Graphs(cell, "auto", own=own)
    found = [graphs.program((kind, "block"), 280, lambda: "graph") for _ in range(passes)]
    of_runs = kind == "tail"  # which do not count passes
    assert found == [None] * (passes - 1) + ["graph" if of_runs or not own else None]


def test_a_graph_lives_as_long_as_the_network_stays_the_same():
    cell = Branching()
    maps = Gradient(cell)(Tensor(images()), LABELS, jit="on").asnumpy()
    cell.fc.weight.set_data(cell.fc.weight + 1)  # a graph would go on reading what was there before
    changed = Gradient(cell)(Tensor(images()), LABELS, jit="on").asnumpy()
    assert_close(changed, Gradient(cell)(Tensor(images()), LABELS, jit="off").asnumpy())
    assert np.abs(changed - maps).max() > 1e-3


def _in_place(cell, *_):
    if isinstance(cell, Branching):
        ops.assign(cell.fc.weight, cell.fc.weight + 1)


class Holding(Branching):
    """Holds what a graph may take over in many ways."""

    everyone = 1

    def __init__(self):
        super().__init__()
        self.table, self.array, self.plain = {"scale": 1}, np.zeros(3), SimpleNamespace(values=[])
        self.hidden = [nn.Dense(2, 2)]
        self.register_buffer("shift", Tensor(np.float32([1])))
        self.hook = self.first.register_forward_hook(_in_place)


def _another_hook(cell):
    cell.hook.remove()
    cell.first.register_forward_hook(_another_layer)


def _another_layer(cell):
    cell.fc = nn.Dense(3, 3, weight_init=_values(3, 3) + 1)


@pytest.mark.parametrize(
    "change",
    [
        _in_place,
        _another_layer,
        lambda cell: cell.fc.bias.set_data(cell.fc.bias + 1),
        lambda cell: setattr(cell, "scale", 3.0),
        lambda cell: setattr(cell, "held", ()),
        lambda cell: cell.block.register_forward_hook(_another_layer),
        lambda cell: cell.block.register_forward_pre_hook(_another_layer),
        lambda cell: cell.block.register_backward_hook(_another_layer),
        _another_hook,
        lambda cell: cell.table.update(scale=2),
        lambda cell: cell.array.fill(7),
        lambda cell: cell.plain.values.append(1),
        lambda cell: cell.hidden[0].weight.set_data(cell.hidden[0].weight + 1),
        lambda cell: cell._buffers["shift"].assign_value(Tensor(np.float32([2]))),
        lambda cell: setattr(type(cell), "everyone", 2),
        lambda cell: cell.block.to_float(ms.float16),
        lambda cell: cell.add_flags(fast=True),
    ],
)
def test_what_changes_a_network_changes_its_state(change):
    cell = Holding()
    Network(cell).differentiate(images(), LABELS, ["block"])  # what a first pass leaves is nobody's change
    before = cell_state(cell)
    Network(cell).logits(images())
    cell.set_train(True)
    assert cell_state(cell) == before
    change(cell)
    assert cell_state(cell) != before


def test_graphs_that_are_made_leave_the_cells_alone(state, monkeypatch):
    cell = Branching()
    cell.set_train(True)
    network = Network(cell, pass_size=4, fill=True, jit="on")

    def answers():
        outputs = layer_outputs(network, images(), ["block"])["block"]
        found = network.differentiate(images(), LABELS, ["block"])
        tail = np.concatenate(list(logits_from(network, "block", zip(images(), outputs, strict=True), "ablate")))
        return network.logits(images()), found.logits, found.input_gradient, found.gradients["block"], outputs, tail

    first, before = answers(), state(cell)

    def called(_):
        raise AssertionError("put into inference mode")

    monkeypatch.setattr(service, "evaluating", called)
    for one, other in zip(first, answers(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert state(cell) == before


def test_a_graph_does_not_keep_a_network_alive():
    cell = Branching()
    Gradient(cell)(Tensor(images()), LABELS, jit="on")
    GradCAM(cell, "block")(Tensor(images()), LABELS, jit="on")
    seen, phases = weakref.ref(cell), set(compiling._phases())
    del cell
    gc.collect()
    assert seen() is None
    compiling.free_graphs()
    assert len(phases - compiling._phases()) >= 2
    before = set(compiling._phases())
    refused = Padded()
    Gradient(refused)(Tensor(images()), LABELS, jit="on")
    gc.collect()
    compiling.free_graphs()
    assert compiling._phases() == before


def test_errors_of_compilation_leave_the_network(state, monkeypatch):
    cell = Branching()
    before = state(cell)

    def failing(self, *inputs):
        raise RuntimeError("not in graphs")

    monkeypatch.setattr(TappedLayer, "construct", failing)
    maps = GradCAM(cell, "block")(Tensor(images()), LABELS, jit="on").asnumpy()
    np.testing.assert_array_equal(maps, GradCAM(cell, "block")(Tensor(images()), LABELS, jit="off").asnumpy())
    assert state(cell) == before
    with pytest.raises(KeyError), swapped(cell, {"block": nn.ReLU()}):
        raise KeyError
    assert state(cell) == before


@pytest.mark.slow
@pytest.mark.parametrize("explainer", [GradCAM, AblationCAM, InputXGradient])
def test_direct_calls_agree_with_and_without_graphs(explainer):
    cell = Branching()
    built = explainer(cell) if explainer is InputXGradient else explainer(cell, "block")
    found = built(Tensor(images(5)), 1, jit="on", pass_size=3).asnumpy()
    assert_close(found, built(Tensor(images(5)), 1, jit="off", pass_size=3).asnumpy())


def test_parameters_that_passes_write_are_not_left_to_graphs():
    class Counting(Branching):
        def __init__(self):
            super().__init__()
            self.count = Parameter(Tensor(np.float32([0])), name="count", requires_grad=False)

        def construct(self, x):
            ops.assign(self.count, self.count + 1)
            return super().construct(x)

    cell = Counting()
    network = Network(cell, jit="on")
    network.differentiate(images(), LABELS)
    assert "its passes write parameters" in network.graphs.refused["gradient"]
    assert cell.count.asnumpy() == [0]


@pytest.mark.parametrize(("option", "code"), [({"jit": "fast"}, "jit-unknown"), ({"pass_size": 70_000}, "too-large")])
def test_options_of_a_direct_call_are_checked(option, code):
    with pytest.raises(ValueError, match=r"jit must be|pass_size must be") as raised:
        Gradient(Branching())(Tensor(images()), 0, **option)
    assert code in raised.value.args[0].code
