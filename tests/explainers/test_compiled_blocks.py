"""Blocks that a network's author has compiled: layers in them are read and tapped, or that is refused."""

import os

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn, ops

from explainrun.explainers import AblationCAM, GradCAM, Gradient, Network
from explainrun.explainers.network import layer_outputs
from explainrun.explainers.network.ascent import channel_answers

IMAGES = np.random.default_rng(0).standard_normal((2, 1, 5, 6)).astype(np.float32)
LAYERS = ["block", "block.act", "block.conv"]


class Plain(nn.Cell):
    def __init__(self):
        super().__init__()
        weights = np.random.default_rng(1).standard_normal((3, 1, 3, 3)).astype(np.float32)
        self.conv = nn.Conv2d(1, 3, 3, weight_init=Tensor(weights))
        self.act = nn.ReLU()

    def construct(self, x):
        return self.act(self.conv(x))


class ByAst(Plain):
    @ms.jit
    def construct(self, x):
        return self.act(self.conv(x))


class ByBytecode(Plain):
    @ms.jit(capture_mode="bytecode")
    def construct(self, x):
        return self.act(self.conv(x))


class ByTrace(Plain):
    @ms.jit(capture_mode="trace")
    def construct(self, x):
        return self.act(self.conv(x))


class Around(nn.Cell):
    def __init__(self, block):
        super().__init__()
        self.block = block
        weights = np.random.default_rng(2).standard_normal((2, 3)).astype(np.float32)
        self.dense = nn.Dense(3, 2, weight_init=Tensor(weights), has_bias=False)

    def construct(self, x):
        return self.dense(self.block(x).mean((2, 3)))


@pytest.mark.parametrize("layer", LAYERS)
def test_layers_in_a_compiled_block_are_read_and_tapped(layer):
    plain, compiled = Around(Plain()), Around(ByAst())
    for ask in (
        lambda network: GradCAM(network, layer)(IMAGES, 0).asnumpy(),
        lambda network: AblationCAM(network, layer)(IMAGES, 0).asnumpy(),
        lambda network: layer_outputs(Network(network), IMAGES, [layer])[layer],
        lambda network: channel_answers(Network(network), IMAGES, layer, np.array([0, 2]))[1],
        lambda network: [shape for name, _, shape in Network(network).layers(IMAGES) if name == layer],
    ):
        np.testing.assert_array_equal(ask(compiled), ask(plain))


def test_passes_without_hooks_run_compiled(monkeypatch):
    calls, call = [], ops.ReLU.__call__
    monkeypatch.setattr(ops.ReLU, "__call__", lambda primitive, x: calls.append(1) or call(primitive, x))
    Network(Around(ByAst())).logits(IMAGES)
    assert calls == []  # Python has called nothing
    Network(Around(ByAst())).differentiate(IMAGES, np.array([0, 1]))
    assert calls == [1]


@pytest.mark.parametrize("found", [None, "1"])
def test_the_setting_is_as_it_was(found, monkeypatch):
    if found is not None:
        monkeypatch.setenv("MS_JIT", found)
    GradCAM(Around(ByAst()), "block.act")(IMAGES, 0)
    assert os.environ.get("MS_JIT") == found
    with pytest.raises(ValueError, match="targets"):
        Gradient(Around(ByAst()))(IMAGES, 5)
    assert os.environ.get("MS_JIT") == found


# MindSpore cannot trace below frames without source, such as those of processes that share tests.
@pytest.mark.parametrize("block", [ByBytecode, pytest.param(ByTrace, marks=pytest.mark.slow)])
def test_what_stays_compiled_is_not_tapped_in_silence(block):
    network, expected = Around(block()), GradCAM(Around(Plain()), "block")(IMAGES, 0).asnumpy()
    np.testing.assert_array_equal(GradCAM(network, "block")(IMAGES, 0).asnumpy(), expected)  # around the graph
    for _ in range(2):  # the first call of a traced function runs uncompiled
        with pytest.raises(ValueError, match=r"'block.act' .*capture_mode 'bytecode' or 'trace' runs no hooks"):
            GradCAM(network, "block.act")(IMAGES, 0)
    Network(network).logits(IMAGES)
    with pytest.raises(ValueError, match=r"'block.act' did not run .*runs no hooks"):
        layer_outputs(Network(network), IMAGES, ["block.act"])
