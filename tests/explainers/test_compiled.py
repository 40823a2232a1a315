"""Compiled forward passes: the same numbers, the network as it was, and a way back."""

import copy
import logging

import numpy as np
import pytest
from mindspore import Tensor, nn

from explainrun.explainers import Gradient, Network
from explainrun.explainers.network.graphs.compiling import Graph
from explainrun.runner import ImageClassificationRunner, PlanError

NAMES = ["zero", "one"]
ONCE = {"network probe": 1, "infer": 1, "differentiate": 1}


def images(count):
    return np.random.default_rng(0).normal(size=(count, 1, 2, 4)).astype(np.float32)


class Uncompilable(nn.Cell):
    """PyNative alone runs this statement."""

    def construct(self, x):
        try:
            return x.reshape(x.shape[0], -1)[:, :2] * 2
        finally:
            pass


def test_compiled_passes_give_the_same_numbers_and_leave_the_network(two_channels, state):
    cell = two_channels()
    cell.set_train(True)
    before = state(cell)
    plain, network = Network(cell, pass_size=4, fill=True), Network(cell, pass_size=4, fill=True)
    expected = plain.logits(images(10))
    network.compile(images(10))
    runs, construct = [], two_channels.construct
    two_channels.construct = lambda self, x: runs.append(1) or construct(self, x)
    try:
        np.testing.assert_allclose(network.logits(images(10)), expected, atol=1e-5)
    finally:
        two_channels.construct = construct
    assert runs == []  # the graph ran, not the method
    assert dict(network.passes.made) == {"compile": 2, "infer": 3}
    assert state(cell) == before
    copied = copy.deepcopy(cell)
    np.testing.assert_array_equal(Network(copied).logits(images(3)), Network(cell).logits(images(3)))


class Headless(nn.Cell):
    """Returns what comes before its head, which drops and normalises by the batch while it trains."""

    def __init__(self):
        super().__init__()
        self.head = nn.SequentialCell(nn.BatchNorm1d(2, momentum=0.5), nn.Dropout(p=0.5))

    def construct(self, x):
        return x.reshape(x.shape[0], -1)[:, :2] * 2


@pytest.mark.parametrize("jit", ["on", "off"])
def test_a_function_that_reads_logits_calls_layers_in_inference_mode(state, jit):
    cell = Headless()
    cell.set_train(True)
    network = Network(cell, pass_size=4, fill=True, output=cell.head, jit=jit)
    before = state(cell)
    first, second = network.logits(images(4)), network.logits(images(4))
    expected = images(4).reshape(4, -1)[:, :2] * 2 / np.sqrt(1 + cell.head[0].eps)
    np.testing.assert_allclose(first, expected, rtol=1e-5)
    np.testing.assert_array_equal(first, second)
    assert network.passes.compiled["infer"] == (2 if jit == "on" else 0)
    assert state(cell) == before


def test_the_compiler_leaves_no_mark(two_channels):
    cell, compiled = two_channels(), two_channels()
    cell(Tensor(images(4)))  # a first call makes attributes that are nobody's mark
    network = Network(compiled, fill=True)
    network.compile(images(4))
    network.logits(images(4))
    for (_, plain), (_, marked) in zip(cell.cells_and_names(), compiled.cells_and_names(), strict=True):
        assert vars(marked).keys() == vars(plain).keys()


def test_hooks_and_gradients_work_beside_compiled_passes(two_channels):
    cell = two_channels()
    network, plain = Network(cell, fill=True), Network(cell, fill=True)
    network.compile(images(4))
    labels = np.array([0, 1, 1, 0])
    found, expected = (each.differentiate(images(4), labels, ["relu"]) for each in (network, plain))
    np.testing.assert_array_equal(found.input_gradient, expected.input_gradient)
    np.testing.assert_array_equal(found.gradients["relu"], expected.gradients["relu"])


def run(network, dataset, folder, **options):
    rows = [(image, np.int32([0])) for image in images(5)]
    runner = ImageClassificationRunner(folder, (dataset(rows), NAMES), network, nn.Sigmoid(), **options)
    runner.register_saliency([Gradient(network)])
    return runner.run()


def test_what_does_not_compile_runs_as_it_is_with_one_line(dataset, tmp_path, caplog, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where the compiler would leave a report
    caplog.set_level(logging.INFO, "explainrun")
    result = run(Uncompilable(), dataset, tmp_path / "auto")
    assert [r.message for r in caplog.records if "not compiled" in r.message] == [
        "forward passes are not compiled: the network does not compile (RuntimeError: Unsupported statement 'Try'.)"
    ]
    assert not list(tmp_path.glob("rank_*"))
    assert result.costs["made"] == result.costs["needed"] == {**ONCE, "compile": 1}
    reason = "forward: the network does not compile (RuntimeError: Unsupported statement 'Try'.)"
    assert (result.costs["compiled"], result.costs["refused"]) == ({}, {reason: 1})
    assert f"not compiled: {reason}" in result.profile().splitlines()
    with pytest.raises(PlanError, match=r"jit is on, but the network does not compile .*; set it to auto or off"):
        run(Uncompilable(), dataset, tmp_path / "on", jit="on")
    assert not (tmp_path / "on").exists()
    assert run(Uncompilable(), dataset, tmp_path / "off", jit="off").costs["made"] == ONCE


def test_other_numbers_are_refused(two_channels, monkeypatch):
    network = Network(two_channels(), fill=True)
    apart = 1e-3

    class Shifted(Graph):
        def __call__(self, batch):
            return super().__call__(batch) + apart

    monkeypatch.setattr("explainrun.explainers.network.service.Graph", Shifted)
    with pytest.raises(ValueError, match=r"compiled, the network gives logits that are 0\.001 apart"):
        network.compile(images(4))
    assert network._forward is network.cell
    apart = 1e-6
    network.compile(images(4))


def test_what_is_not_finite_may_be_not_finite_compiled(linear):
    cell = linear(np.ones((2, 1, 1, 2)))
    network = Network(cell, fill=True)
    network.compile(np.array([[[[1, 1]]], [[[3e38, 3e38]]]], np.float32))
    assert network._forward is not cell


def test_a_run_goes_on_as_it_began(two_channels, dataset, tmp_path, monkeypatch):
    made = ImageClassificationRunner
    network = two_channels()

    def runner():
        rows = [(image, np.int32([0])) for image in images(9)]
        built = made(tmp_path, (dataset(rows), NAMES), network, nn.Sigmoid(), pass_size=1)
        built.register_saliency([Gradient(network)])
        return built

    with monkeypatch.context() as patch:
        patch.setattr(
            "explainrun.runner.batches.explaining.BatchExplainer.explain", lambda *_: (_ for _ in ()).throw(KeyError())
        )
        with pytest.raises(KeyError):
            runner().run()
    calls, compile_ = [], Network.compile
    monkeypatch.setattr(Network, "compile", lambda self, first: calls.append(len(first)) or compile_(self, first))
    result = runner().run()
    assert calls == [1]
    assert result.costs["made"]["compile"] == 4  # two in each start
    assert result.costs["needed"]["compile"] == 2


def test_jit_is_one_of_three_words(two_channels, dataset, tmp_path):
    with pytest.raises(ValueError, match="jit must be one of auto, on, off, got 'yes'"):
        run(two_channels(), dataset, tmp_path, jit="yes")
