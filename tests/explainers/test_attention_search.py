"""Attention is found by what it computes, however it is written, and nothing else is taken for it."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import Parameter, Tensor, mint, nn, ops

from explainrun.explainers import AttentionRelevance, AttentionRollout, LeGrad, Network
from explainrun.explainers.contract.bundled import TinyTransformer, spread_out, spread_weights, tiny_images
from explainrun.explainers.contract.network_state import network_state
from explainrun.explainers.network import half_training

WIDTH, HEADS, TOKENS = 6, 2, 12  # of the bundled images, in patches of 4
MASK = Tensor(spread_out(TOKENS * TOKENS).reshape(TOKENS, TOKENS))

pytestmark = pytest.mark.skipif(not hasattr(ms, "MsDispatchMode"), reason="MindSpore 2.10 shows what runs")


def by_hand(scores):
    """A softmax out of its parts."""
    powers = ops.exp(scores - scores.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def merged_heads(q, k, v):
    images, heads, tokens, width = q.shape
    q, k, v = (one.reshape(-1, tokens, width) for one in (q, k, v))
    return ops.bmm(ops.softmax(ops.bmm(q, k.swapaxes(1, 2)), -1), v).reshape(images, heads, tokens, width)


def in_place(q, k, v):
    scores = q @ k.swapaxes(2, 3)
    scores += MASK
    return ops.softmax(scores, -1) @ v


def in_half_precision(q, k, v):
    scores = ops.matmul(q.astype(ms.float16), k.swapaxes(2, 3).astype(ms.float16)).astype(ms.float32)
    return ops.matmul(ops.softmax(scores, -1).astype(ms.float16), v.astype(ms.float16)).astype(ms.float32)


DROPOUT = nn.Dropout(p=0.5).set_train(False)
WRITTEN = {  # from queries, keys and values (N, heads, T, width)
    "ops": lambda q, k, v: ops.matmul(ops.softmax(ops.matmul(q, k.swapaxes(2, 3)), -1), v),
    "cells": lambda q, k, v: ops.BatchMatMul()(
        DROPOUT(nn.Softmax(-1)(ops.BatchMatMul(transpose_b=True)(q, k) * 0.5)), v
    ),
    "mint": lambda q, k, v: mint.matmul(mint.nn.functional.softmax(mint.matmul(q, k.swapaxes(2, 3)), -1), v),
    "operators": lambda q, k, v: ((q @ k.swapaxes(2, 3)) / 2).softmax(-1) @ v,
    "primitives": lambda q, k, v: ops.Softmax(-1)(ops.add(q @ k.swapaxes(2, 3), MASK)) @ v,
    "a mask filled in": lambda q, k, v: ops.softmax(ops.masked_fill(q @ k.swapaxes(2, 3), MASK > 0.9, -1e9), -1) @ v,
    "softmax by hand": lambda q, k, v: by_hand(q @ k.swapaxes(2, 3)) @ v,
    "heads merged": merged_heads,
    "in place": in_place,
    "half precision": in_half_precision,
}


class Layer(nn.Cell):
    """Attention between tokens (N, T, 6), as a function writes it."""

    def __init__(self, attend):
        super().__init__()
        self.project, self.attend = nn.Dense(WIDTH, 3 * WIDTH), attend

    def construct(self, x):
        images, tokens, _ = x.shape
        q, k, v = self.project(x).reshape(images, tokens, 3, HEADS, -1).transpose(2, 0, 3, 1, 4)
        return self.attend(q, k, v).transpose(0, 2, 1, 3).reshape(images, -1, WIDTH)


class OfPatches(nn.Cell):
    """Four classes from the mean of patches that went through layers, each with a residual around it."""

    def __init__(self, *layers):
        super().__init__()
        self.patches = nn.Conv2d(3, WIDTH, 4, stride=4, pad_mode="valid", has_bias=True)
        self.layers, self.head = nn.CellList(list(layers)), nn.Dense(WIDTH, 4)
        spread_weights(self, 0.0)

    def construct(self, x):
        x = self.patches(x)
        x = x.reshape(x.shape[0], WIDTH, -1).swapaxes(1, 2)
        for layer in self.layers:
            x = x + layer(x)
        return self.head(x.mean(1))


def found_in(network):
    return Network(network).attention.found(tiny_images())


@pytest.mark.parametrize("attend", WRITTEN.values(), ids=WRITTEN)
def test_however_it_is_written(attend):
    network = OfPatches(Layer(attend))
    [block] = found_in(network).blocks
    assert (block.name, block.shape, block.windows, block.grids) == ("layers.0", (2, 12, 12), 1, ((3, 4),))
    tap, images, labels = "attention of layers.0", tiny_images(), np.arange(5) % 4
    found = Network(network).differentiate(images, labels, [tap])
    parts = network.layers[0].project(tokens_of(network, images)).asnumpy().reshape(5, 12, 3, 2, 3)
    values = parts[:, :, 2].transpose(0, 2, 1, 3)
    np.testing.assert_allclose(found.activations[tap].sum(axis=-1), 1, rtol=2e-3)
    # The mean of all tokens is classified, so the gradient of each query is what values weigh for the class.
    weights = network.head.weight.asnumpy()[labels].reshape(5, 2, 1, 3)
    expected = np.broadcast_to((values * weights).sum(axis=-1)[:, :, None] / 12, found.gradients[tap].shape)
    np.testing.assert_allclose(found.gradients[tap], expected, rtol=2e-2, atol=2e-3 * np.abs(expected).max())


def tokens_of(network, images):
    return network.patches(Tensor(images)).reshape(len(images), WIDTH, -1).swapaxes(1, 2)


class TalkingHeads(nn.Cell):
    """Heads are mixed before softmax and behind it (CaiT)."""

    def __init__(self):
        super().__init__()
        self.before, self.behind = nn.Dense(HEADS, HEADS), nn.Dense(HEADS, HEADS)

    def construct(self, q, k, v):
        scores = self.before((q @ k.swapaxes(2, 3)).transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
        return self.behind(ops.softmax(scores, -1).transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2) @ v


def test_heads_that_are_mixed():
    [block] = found_in(OfPatches(Layer(TalkingHeads()))).blocks
    assert block.shape == (2, 12, 12)
    found = Network(OfPatches(Layer(TalkingHeads()))).differentiate(tiny_images(), np.zeros(5, int), ["attention of "])
    np.testing.assert_allclose(found.activations[f"attention of {block.name}"].sum(axis=-1), 1, rtol=1e-5)


def test_products_one_by_one_of_a_single_query():
    """As XCiT writes class attention."""

    def attend(q, k, v):
        probabilities = ops.softmax((q[:, :, :1] * k).sum(-1), -1)
        return probabilities.expand_dims(2) @ v

    [block] = found_in(OfPatches(Layer(attend))).blocks
    assert block.shape == (2, 1, 12)


class LearntQuery(nn.Cell):
    """A query of its own looks at all tokens, as pooling by attention does."""

    def __init__(self):
        super().__init__()
        self.query, self.project = Parameter(Tensor(spread_out(WIDTH).reshape(1, 1, WIDTH))), nn.Dense(WIDTH, WIDTH)
        self.keys = nn.Dense(WIDTH, WIDTH)

    def construct(self, x):
        query = ops.tile(self.project(self.query), (x.shape[0], 1, 1))
        return ops.softmax(query @ self.keys(x).swapaxes(1, 2), -1) @ x


def test_a_query_that_is_learnt():
    network = OfPatches(LearntQuery())
    [block] = found_in(network).blocks
    assert block.shape == (1, 1, 12)
    maps = AttentionRollout(network)(Tensor(tiny_images()), 0).asnumpy()
    assert np.isfinite(maps).all()


class OverChannels(nn.Cell):
    """Channels attend to channels (XCiT, EdgeNeXt)."""

    def __init__(self):
        super().__init__()
        self.project = nn.Dense(WIDTH, 3 * WIDTH)

    def construct(self, x):
        images, tokens, _ = x.shape
        q, k, v = self.project(x).reshape(images, tokens, 3, HEADS, -1).transpose(2, 0, 3, 4, 1)
        attended = ops.softmax(q @ k.swapaxes(2, 3), -1) @ v
        return attended.transpose(0, 3, 1, 2).reshape(images, tokens, WIDTH)


class Gate(nn.Cell):
    """Channels weighed by what squeezing all tokens says of them."""

    def __init__(self):
        super().__init__()
        self.squeeze, self.weigh = nn.Dense(WIDTH, WIDTH), nn.Dense(WIDTH, WIDTH)

    def construct(self, x):
        return x * ops.softmax(self.weigh(self.squeeze(x.mean(1, keep_dims=True))), -1)


class PooledByWeights(nn.Cell):
    """Tokens averaged by a softmax of what a dense layer says of each, without queries."""

    def __init__(self):
        super().__init__()
        self.weigh = nn.Dense(WIDTH, 1)

    def construct(self, x):
        return ops.softmax(self.weigh(x).swapaxes(1, 2), -1) @ x


class SoftmaxOfKeys(nn.Cell):
    """Attention without scores of tokens (CoaT): softmax of the keys, multiplied by values first."""

    def __init__(self):
        super().__init__()
        self.project = nn.Dense(WIDTH, 3 * WIDTH)

    def construct(self, x):
        q, k, v = self.project(x).reshape(x.shape[0], -1, 3, WIDTH).transpose(2, 0, 1, 3)
        return q @ (ops.softmax(k.swapaxes(1, 2), -1) @ v)


class EndsInSoftmax(OfPatches):
    """Gives probabilities."""

    def construct(self, x):
        return ops.softmax(super().construct(x), -1)


def test_softmax_of_logits_is_not_taken():
    assert found_in(EndsInSoftmax(Gate())).blocks == ()
    assert len(found_in(EndsInSoftmax(Layer(WRITTEN["ops"]))).blocks) == 1


@pytest.mark.parametrize("layer", [OverChannels, Gate, PooledByWeights, SoftmaxOfKeys])
def test_what_is_not_taken(layer):
    found = found_in(OfPatches(layer()))
    assert found.blocks == ()
    assert found.left_out == ((("layers.0", "over channels"),) if layer is OverChannels else ())


def test_what_is_not_taken_beside_what_is(raising):
    network = OfPatches(OverChannels(), Layer(WRITTEN["ops"]), Gate())
    found = found_in(network)
    assert [block.name for block in found.blocks] == ["layers.1"]
    assert found.left_out == (("layers.0", "over channels"),)
    with raising(ValueError, "attention-not-in-layer", layer="layers.0", known=["layers.1"]):
        AttentionRollout(network, "layers.0")(Tensor(tiny_images()), 0)


class Twice(nn.Cell):
    """One layer that runs twice, and attention in the network's own code."""

    def __init__(self):
        super().__init__()
        self.patches, self.layer = nn.Conv2d(3, WIDTH, 4, stride=4, pad_mode="valid"), Layer(WRITTEN["ops"])
        self.head = nn.Dense(WIDTH, 4)
        spread_weights(self, 0.0)

    def construct(self, x):
        x = self.patches(x)
        x = x.reshape(x.shape[0], WIDTH, -1).swapaxes(1, 2)
        x = x + self.layer(x)
        x = x + self.layer(x)
        keys = self.layer.project(x)[:, :, :WIDTH]
        return self.head((ops.softmax(keys @ keys.swapaxes(1, 2), -1) @ x).mean(1))


def test_names_of_several_in_a_layer():
    network = Twice()
    assert [block.name for block in found_in(network).blocks] == ["layer#1", "layer#2", "#1"]
    first, second, both = (
        AttentionRollout(network, layers)(Tensor(tiny_images()), 0).asnumpy()
        for layers in ("layer#1", "layer#2", "layer")
    )
    assert np.abs(first - second).max() > 1e-4
    assert np.abs(both - second).max() > 1e-4


def test_a_fused_operator_is_refused_by_its_name(raising, monkeypatch):
    from explainrun.explainers.network.attention import recording  # noqa: PLC0415

    monkeypatch.setattr(recording, "FUSED", "SOFTMAX")  # no fused one runs on CPU
    network = OfPatches(Layer(WRITTEN["ops"]))
    Network(network).logits(tiny_images())
    before = network_state(network)
    with raising(ValueError, "attention-fused", layer="layers.0", operator="Softmax"):
        AttentionRelevance(network)(Tensor(tiny_images()), 0)
    assert network_state(network) == before
    monkeypatch.undo()
    network.head.weight.set_data(network.head.weight * 2)  # another network, in which it is looked for again
    assert np.isfinite(AttentionRelevance(network)(Tensor(tiny_images()), 0).asnumpy()).all()


def test_earlier_versions_of_mindspore_are_refused(raising, monkeypatch):
    from explainrun.explainers.network.attention import search  # noqa: PLC0415

    monkeypatch.setattr(search, "SHOWS_OPERATORS", False)
    with raising(ValueError, "attention-not-shown"):
        AttentionRollout(OfPatches(Layer(WRITTEN["ops"])))(Tensor(tiny_images()), 0)


class Noisy(nn.Cell):
    """Attention that is another one in every pass."""

    def construct(self, q, k, v):
        noise = Tensor(np.random.default_rng().normal(0, 3, (q.shape[0], HEADS, TOKENS, TOKENS)).astype(np.float32))
        return ops.softmax(q @ k.swapaxes(2, 3) + noise, -1) @ v


class OfTheBatch(nn.Cell):
    """Heads of other images: the images are not the outermost axis of the probabilities."""

    def construct(self, q, k, v):
        q, k, v = (one.swapaxes(0, 1) for one in (q, k, v))
        return (ops.softmax(q @ k.swapaxes(2, 3), -1) @ v).swapaxes(0, 1)


@pytest.mark.parametrize("attend", [Noisy, OfTheBatch])
def test_probabilities_that_are_not_those_of_an_image_are_refused(attend, raising):
    with raising(ValueError, "attention-not-of-images", layer="layers.0.attend"):
        AttentionRollout(OfPatches(Layer(attend())))(Tensor(tiny_images()), 0)


class Windows(nn.Cell):
    """The two halves of the tokens attend by themselves."""

    def __init__(self):
        super().__init__()
        self.inner = Layer(WRITTEN["ops"])

    def construct(self, x):
        return self.inner(x.reshape(-1, TOKENS // 2, WIDTH)).reshape(-1, TOKENS, WIDTH)


@pytest.mark.parametrize("method", [AttentionRollout, LeGrad, AttentionRelevance])
def test_windows_are_refused(method, raising):
    network = OfPatches(Windows())
    [block] = found_in(network).blocks
    assert (block.windows, block.shape) == (2, (4, 6, 6))
    code = "attention-not-scored" if method is LeGrad else "attention-windows"
    with raising(ValueError, code, layer="layers.0.inner"):
        method(network)(Tensor(tiny_images()), 0)


@pytest.mark.parametrize("method", [AttentionRollout, LeGrad, AttentionRelevance])
@pytest.mark.parametrize("fails_at", [1, 3, 4, 5, 6])
def test_the_network_is_left_as_it_was_when_it_raises(method, fails_at):
    """In the search and behind it, in a network that trains."""
    network = TinyTransformer()
    Network(network).logits(tiny_images())
    calls = [0]

    def fail(_cell, _inputs):
        calls[0] += 1
        if calls[0] == fails_at:
            raise ArithmeticError("this run of the head fails")

    hook = network.head.register_forward_pre_hook(fail)
    with half_training(network):
        before = network_state(network)
        try:
            method(network)(Tensor(tiny_images()), 0)
            failed = False
        except ArithmeticError:
            failed = True
        assert failed == (calls[0] >= fails_at)
        assert network_state(network) == before
    hook.remove()
    calls[0] = 99
    assert np.isfinite(AttentionRollout(network)(Tensor(tiny_images()), 0).asnumpy()).all()
