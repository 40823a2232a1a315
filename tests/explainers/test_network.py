"""The network as a service: passes counted, shapes kept, everything left as found."""

import copy
import gc
import os
import subprocess
import sys
import threading
import weakref

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn

from explainrun.explainers import GradCAM, Gradient, Network
from explainrun.explainers.network import taps


def images(count, seed=0):
    return np.random.default_rng(seed).normal(size=(count, 1, 2, 4)).astype(np.float32)


class Raises(nn.Cell):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner
        self.armed = False

    def construct(self, x):
        x = self.inner(x)
        if self.armed:
            raise RuntimeError("in the middle")
        return x


@pytest.mark.parametrize("train", [True, False])
def test_network_is_left_as_found(two_channels, state, train):
    network = two_channels()
    network.set_train(train)
    network.relu.set_train(not train)  # flags of single cells are kept too
    network.norm.gamma.requires_grad = False
    network.set_grad(True)
    before = state(network)
    GradCAM(network, layer="relu")(Tensor(two_channels.IMAGE), 0)
    Network(network).logits(images(3))
    assert state(network) == before
    network.set_grad(False)
    network.set_train(False)
    copied = copy.deepcopy(network)
    assert np.array_equal(copied(Tensor(images(5))).asnumpy(), network(Tensor(images(5))).asnumpy())


def test_network_is_left_as_found_when_it_raises(two_channels, state):
    network = Raises(two_channels())
    network.set_train(True)
    before = state(network)
    network.armed = True
    with pytest.raises(RuntimeError, match="in the middle"):
        GradCAM(network, layer="inner.relu")(Tensor(two_channels.IMAGE), 0)
    with pytest.raises(RuntimeError, match="in the middle"):
        Network(network).logits(images(1))
    network.armed = False
    assert state(network) == before
    maps = GradCAM(network, layer="inner.relu")(Tensor(two_channels.IMAGE), 0)
    assert np.array_equal(maps.asnumpy(), GradCAM(network.inner, layer="relu")(Tensor(two_channels.IMAGE), 0).asnumpy())


def test_dropout_is_off_and_batch_norm_frozen_while_explaining(two_channels):
    network = two_channels()
    network.set_train(True)
    logits = Network(network).logits(two_channels.IMAGE)
    np.testing.assert_allclose(logits, [[0, 12]], atol=1e-6)  # 1 + 3 - 2 * 2, and 1+2+3+1+4+1
    assert network.norm.moving_mean.asnumpy().tolist() == [0, 0]


@pytest.mark.parametrize(
    "said", ["Out of memory!", "Device(id:0) memory isn't enough and alloc memory failed", "other"]
)
def test_a_full_device_is_told_with_a_smaller_pass_size(linear, said):
    class Full(linear):
        def construct(self, x):
            raise RuntimeError(said)

    network = Network(Full(np.ones((2, 1, 2, 4))), pass_size=8)
    words = "other" if said == "other" else "has no memory for a pass of 8 images; set pass_size to 4"
    for call in (lambda: network.logits(images(3)), lambda: network.differentiate(images(3), np.zeros(3, int))):
        with pytest.raises(RuntimeError, match=words):
            call()


def test_passes_have_one_shape_and_are_counted(linear):
    cell = linear(np.eye(8).reshape(8, 1, 2, 4))
    network = Network(cell, pass_size=4, fill=True)
    rows = images(10)
    np.testing.assert_array_equal(network.logits(rows), rows.reshape(10, 8))
    assert cell.calls == [4, 4, 4]
    network.pooled_logits(iter(rows[:5]))
    network.differentiate(rows[:3], np.array([0, 1, 7]))
    assert cell.calls == [4] * 6
    assert dict(network.passes.made) == {"infer": 3, "perturb": 2, "differentiate": 1}
    assert dict(network.passes.images) == {"infer": 10, "perturb": 5, "differentiate": 3}


def test_results_do_not_depend_on_how_images_are_grouped(two_channels):
    network, rows = Network(two_channels(), fill=True), images(40)
    whole = network.logits(rows)
    shuffled = np.random.default_rng(1).permutation(40)
    assert np.array_equal(network.logits(rows[shuffled]), whole[shuffled])
    assert np.array_equal(network.logits(rows[3:4]), whole[3:4])
    labels = np.arange(40) % 2
    together = network.differentiate(rows, labels, ["relu"])
    alone = network.differentiate(rows[7:8], labels[7:8], ["relu"])
    assert np.array_equal(alone.input_gradient[0], together.input_gradient[7])
    assert np.array_equal(alone.gradients["relu"][0], together.gradients["relu"][7])


def test_pooling_draws_images_one_pass_at_a_time(linear):
    cell = linear(np.ones((1, 1, 2, 4)))
    seen = []

    def rows():
        for i in range(9):
            seen.append((i, len(cell.calls)))
            yield np.full((1, 2, 4), i, np.float32)

    logits = Network(cell, pass_size=4).pooled_logits(rows())
    assert logits[:, 0].tolist() == [8 * i for i in range(9)]
    assert seen == [(i, i // 4) for i in range(9)]


def test_uniform_image_is_asked_once(linear):
    cell = linear(np.ones((2, 1, 2, 4)), bias=1.0)
    network = Network(cell)
    for _ in range(3):
        assert network.uniform_logits(2.0, (1, 2, 4)).tolist() == [17, 17]
    assert network.uniform_logits(0.0, (1, 2, 4)).tolist() == [1, 1]
    assert len(cell.calls) == 2


class Awkward(nn.Cell):
    def __init__(self, what):
        super().__init__()
        self.flat, self.head, self.aside, self.idle = nn.Flatten(), nn.Dense(8, 2), nn.ReLU(), nn.ReLU()
        self.what = what

    def construct(self, x):
        logits = self.head(self.flat(x))
        self.aside(x)
        return {"tuple": (logits, logits), "flat": logits[:, 0], "fine": logits}[self.what]


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("tuple", r"Awkward returns 2 outputs that may be its logits, 0, 1; give one of these names"),
        ("flat", r"Awkward must return logits of shape \(N, classes\), it returned shape \(1,\)"),
    ],
)
def test_what_is_no_logits_is_refused(what, words):
    with pytest.raises(ValueError, match=words):
        Network(Awkward(what)).logits(images(1))
    with pytest.raises(ValueError, match=words):
        Network(Awkward(what)).differentiate(images(1), np.array([0]))


def test_taps_that_say_nothing_are_errors():
    network = Network(Awkward("fine"))
    with pytest.raises(ValueError, match="layer 'idle' did not run in the forward pass"):
        network.differentiate(images(1), np.array([0]), ["idle"])
    with pytest.raises(ValueError, match="the logits do not depend on layer 'aside'"):
        network.differentiate(images(1), np.array([0]), ["aside"])


class Shared(nn.Cell):
    """One ReLU cell that runs twice: relu(-relu(x) + 3), added up."""

    def __init__(self):
        super().__init__()
        self.relu = nn.ReLU()

    def construct(self, x):
        return (self.relu(3 - self.relu(x)) * 2).sum((1, 2, 3)).reshape(-1, 1)


def test_of_a_shared_cell_the_last_run_is_read():
    image = np.array([[[[1, -2, 5, 2], [0.5, 4, -1, 3.5]]]], np.float32)
    seen = Network(Shared()).differentiate(image, np.array([0]), ["relu"])
    assert seen.activations["relu"].tolist() == [[[[2, 3, 0, 1], [2.5, 0, 3, 0]]]]
    assert seen.gradients["relu"].tolist() == [[[[2] * 4] * 2]]
    assert seen.input_gradient.tolist() == [[[[-2, 0, 0, -2], [-2, 0, 0, 0]]]]


def test_graph_mode_is_refused_before_the_pass(two_channels):
    explainer = Gradient(two_channels())
    ms.set_context(mode=ms.GRAPH_MODE)
    try:
        with pytest.raises(ValueError, match="a gradient explainer needs PyNative mode"):
            explainer(Tensor(two_channels.IMAGE), 0)
    finally:
        ms.set_context(mode=ms.PYNATIVE_MODE)


def test_threads_take_turns(linear):
    cell = linear(np.ones((1, 1, 2, 4)))
    inside, overlaps = [], []
    construct = cell.construct

    def watched(x):
        inside.append(1)
        overlaps.append(len(inside))
        result = construct(x)
        inside.pop()
        return result

    cell.construct = watched
    network, results = Network(cell), {}
    threads = [
        threading.Thread(target=lambda i=i: results.update({i: network.logits(images(20, i))})) for i in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(overlaps) == {1}
    for i in range(4):
        np.testing.assert_allclose(results[i][:, 0], images(20, i).sum((1, 2, 3)), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("given", "expected"), [(None, "AVX2"), ("AVX512_CORE", "AVX512_CORE")])
@pytest.mark.long
def test_fast_convolutions_are_chosen_unless_the_user_chose(given, expected):
    environment = {key: value for key, value in os.environ.items() if key != "ONEDNN_MAX_CPU_ISA"}
    if given:
        environment["ONEDNN_MAX_CPU_ISA"] = given
    code = "import explainrun.explainers, os; print(os.environ['ONEDNN_MAX_CPU_ISA'])"
    told = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert told.stdout.split()[-1] == expected


class ByBatch(nn.Cell):
    """Batch norm told to use batch statistics always, which would change its parameters."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm2d(1, use_batch_statistics=True)

    def construct(self, x):
        return self.norm(x).sum((1, 2, 3)).reshape(-1, 1)


def test_batch_norm_by_batch_is_frozen_and_left_as_found(state):
    cell, rows = ByBatch(), images(5)
    before = state(cell)
    network = Network(cell)
    together = network.logits(rows)
    np.testing.assert_allclose(network.logits(rows[2:3]), together[2:3], rtol=1e-5)
    network.differentiate(rows, np.zeros(5, int))
    assert state(cell) == before
    assert cell.norm.use_batch_statistics is True


def test_half_precision_comes_out_as_float32(two_channels):
    cell, whole = two_channels(), two_channels()
    cell.to_float(ms.float16)
    seen = Network(cell).differentiate(two_channels.IMAGE, np.array([0]), ["conv"])
    assert {array.dtype for array in (seen.logits, seen.activations["conv"], seen.gradients["conv"])} == {
        np.dtype("f4")
    }
    maps = GradCAM(cell, "conv")(Tensor(two_channels.IMAGE), 0).asnumpy()
    np.testing.assert_allclose(maps, GradCAM(whole, "conv")(Tensor(two_channels.IMAGE), 0).asnumpy(), atol=1e-2)


def test_layers_and_their_shapes(two_channels):
    found = Network(two_channels()).layers(two_channels.IMAGE)
    assert found[:2] == [("conv", "Conv2d", (1, 2, 2, 4)), ("norm", "BatchNorm2d", (1, 2, 2, 4))]
    assert found[-1] == ("head", "Dense", (1, 2))
    assert [shape for name, _, shape in Network(Awkward("fine")).layers(images(1)) if name == "idle"] == [None]


def test_what_taps_kept_is_let_go(two_channels, monkeypatch):
    """A tapped tensor, its hook and the tap hold one another beyond the sight of Python's collector."""
    born = []

    class Tap(taps._Tap):
        def __init__(self, name):
            super().__init__(name)
            born.append(weakref.ref(self))

    monkeypatch.setattr(taps, "_Tap", Tap)
    network = Network(two_channels(), 2)
    network.differentiate(np.ones((3, 1, 2, 4), np.float32), np.array([0, 1, 0]), ["relu"])
    gc.collect()
    assert [tap() for tap in born] == [None, None]  # two passes
