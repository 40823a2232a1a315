"""Which tokens attention mixes: class tokens, places, windows; and what chains of blocks come to."""

import numpy as np
import pytest
from mindspore import Parameter, Tensor, nn, ops

from explainrun.explainers import AttentionRelevance, AttentionRollout, LeGrad, Network, resized
from explainrun.explainers.attention.tokens import TokenChain, grid_of_keys
from explainrun.explainers.contract.bundled import spread_weights, tiny_images
from explainrun.explainers.network import AttentionBlock
from explainrun.explainers.network.attention.blocks import Probabilities
from explainrun.explainers.network.attention.operators import Site

SIZE = (12, 16)
NOWHERE = Probabilities(site=Site("Softmax", 0), reader=Site("MatMul", 0), argument=0, path=())


def block(queries, keys, *, name="layer", windows=1, grids=((3, 4),), used=None):
    return AttentionBlock(
        name=name, layer=name, probabilities=NOWHERE, shape=(windows, queries, keys), windows=windows, cell=None,
        width=None, grids=grids, used=used,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("keys", "grids", "grid"),
    [
        (12, ((3, 4),), (3, 4)),
        (13, ((3, 4),), (3, 4)),  # a class token before
        (14, ((6, 8), (3, 4)), (3, 4)),
        (48, ((6, 8), (3, 4)), (6, 8)),
        (12, ((6, 8),), (3, 4)),  # merged two by two
        (12, (), (3, 4)),  # patches without a convolution
        (12, ((5, 9),), (3, 4)),
    ],
)
def test_the_grid_of_keys(keys, grids, grid):
    assert grid_of_keys(block(keys, keys, grids=grids), SIZE) == grid


def test_keys_without_a_grid_are_refused(raising):
    with raising(ValueError, "attention-without-grid", layer="layer", keys=10):
        grid_of_keys(block(10, 10), SIZE)


def test_a_chain_of_other_tokens_is_refused(raising):
    changing = [block(48, 48, name="a", grids=((6, 8),)), block(12, 12, name="b")]
    with raising(ValueError, "attention-tokens-change", before="6 x 8", first="a", after="3 x 4", second="b"):
        TokenChain.of(changing, SIZE)
    with raising(ValueError, "attention-reduced", layer="layer", queries=48, keys=12):
        TokenChain.of([block(48, 12)], SIZE)
    with raising(ValueError, "attention-windows", layer="layer", windows=4):
        TokenChain.of([block(12, 12, windows=4)], SIZE)


def test_tokens_are_numbered_alike_in_all_blocks():
    alone, class_attention, together = block(12, 12), block(1, 13), block(13, 13)
    chain = TokenChain.of([alone, class_attention, together], SIZE)
    assert chain.tokens == 13
    assert (chain.queries(alone), chain.keys(alone)) == (slice(1, 13), slice(1, 13))
    assert (chain.queries(class_attention), chain.keys(class_attention)) == (slice(0, 1), slice(0, 13))
    assert (chain.queries(together), chain.keys(together)) == (slice(0, 13), slice(0, 13))
    places = chain.places(np.arange(26).reshape(2, 13))
    np.testing.assert_array_equal(places[0], np.arange(1, 13).reshape(3, 4))


def test_queries_that_are_no_tokens_stand_before_them():
    pooling = block(2, 12)
    chain = TokenChain.of([block(12, 12), pooling], SIZE)
    assert (chain.tokens, chain.queries(pooling), chain.keys(pooling)) == (14, slice(0, 2), slice(2, 14))
    np.testing.assert_allclose(chain.read(), [0.5, 0.5] + [0] * 12)


@pytest.mark.parametrize(
    ("blocks", "expected"),
    [
        ([block(14, 14, used=np.array([True, True] + [False] * 12))], [0.5, 0.5] + [0] * 12),  # a distilled token too
        ([block(12, 12, used=np.ones(12, bool))], [1 / 12] * 12),
        ([block(1, 13, used=np.array([True] + [False] * 12))], [1] + [0] * 12),  # whose block gives all tokens
        ([block(1, 13, used=np.array([True]))], [1] + [0] * 12),  # whose block gives the class token alone
        ([block(13, 13)], [1 / 13] * 13),  # where it could not be seen
        ([block(13, 13, used=np.ones(5, bool))], [1 / 13] * 13),  # of other tokens
    ],
)
def test_what_classes_are_made_from(blocks, expected):
    np.testing.assert_allclose(TokenChain.of(blocks, SIZE).read(), expected, rtol=1e-6)


class Attending(nn.Cell):
    """Attention of the first so many tokens, or of all, to all."""

    def __init__(self, queries=None):
        super().__init__()
        self.queries, self.project, self.keys, self.values = queries, *(nn.Dense(6, 6) for _ in range(3))

    def construct(self, x):
        scores = ops.matmul(self.project(x[:, : self.queries]), self.keys(x).swapaxes(1, 2))
        return ops.matmul(ops.softmax(scores, -1), self.values(x))


class Places(nn.Cell):
    def __init__(self):
        super().__init__()
        self.attention = Attending()

    def construct(self, x):
        return x + self.attention(x)


class ClassToken(nn.Cell):
    def __init__(self):
        super().__init__()
        self.attention = Attending(1)

    def construct(self, x, token):
        return token + self.attention(ops.cat((token, x), 1))


class ClassAttention(nn.Cell):
    """Places attend to each other, then a class token alone to all, twice (CaiT)."""

    def __init__(self):
        super().__init__()
        self.patches, self.head = nn.Conv2d(3, 6, 4, stride=4, pad_mode="valid", has_bias=True), nn.Dense(6, 4)
        self.token = Parameter(ops.ones((1, 1, 6)))
        self.places, self.classes = Places(), nn.CellList([ClassToken(), ClassToken()])
        spread_weights(self, 0.3)

    def construct(self, x):
        x = self.patches(x)
        x = self.places(x.reshape(x.shape[0], 6, -1).swapaxes(1, 2))
        token = ops.tile(self.token, (x.shape[0], 1, 1))
        for block in self.classes:
            token = block(x, token)
        return self.head(token[:, 0])


def embedded(matrices):
    """Probabilities (or what is made of them) of three blocks as matrices over thirteen tokens."""
    whole = np.zeros((3, len(matrices[0]), 13, 13))
    whole[0, :, 1:, 1:], whole[1, :, :1], whole[2, :, :1] = matrices
    return whole


def test_class_attention_as_a_product_of_matrices():
    network, images, labels = ClassAttention(), tiny_images(), np.arange(5) % 4
    found = Network(network).differentiate(images, labels, ["attention of "])
    assert list(found.activations) == [
        f"attention of {name}.attention" for name in ("places", "classes.0", "classes.1")
    ]
    probabilities = [one.mean(axis=1) for one in found.activations.values()]
    mixing = embedded(probabilities) / 2 + np.eye(13) / 2
    mixing[0, :, 0, 0] = mixing[1:, :, range(1, 13), range(1, 13)] = 1  # tokens that do not attend stay
    rollout = mixing[2] @ mixing[1] @ mixing[0]
    positive = [np.maximum(one * found.gradients[tap], 0).mean(axis=1) for tap, one in found.activations.items()]
    added = embedded(positive) + np.eye(13)
    relevance = added[2] @ added[1] @ added[0]
    for method, expected in ((AttentionRollout, rollout), (AttentionRelevance, relevance)):
        maps = method(network)(Tensor(images), labels).asnumpy()[:, 0]
        of_class = resized(expected[:, 0, 1:].reshape(5, 3, 4).astype(np.float32), SIZE)
        np.testing.assert_allclose(maps, of_class, rtol=1e-4, atol=1e-6 * of_class.max())


def test_legrad_of_class_attention_asks_what_runs_behind_each_kind_of_block():
    """By the twin: the network's own parts on mean tokens, differentiated by a change of one probability."""
    network, images = ClassAttention(), tiny_images()[:1]
    found = Network(network).attention.found(images)
    assert [one.alike for one in found.blocks] == [("places",), ("classes.0", "classes.1"), ("classes.0", "classes.1")]
    x = network.patches(Tensor(images)).reshape(1, 6, -1).swapaxes(1, 2)
    inner = network.places.attention
    probabilities = ops.softmax(ops.matmul(inner.project(x), inner.keys(x).swapaxes(1, 2)), -1).asnumpy()

    def score(probabilities):
        mean = (x + ops.matmul(Tensor(probabilities), inner.values(x))).mean(1, keep_dims=True)
        places, now = ops.tile(mean, (1, 12, 1)), network.token
        for block in network.classes:
            now = block(places, now)
        return network.head(now[:, 0]).asnumpy()[0, 2]

    expected, step = np.zeros((12, 12)), np.float32(0.05)
    for row, column in np.ndindex(12, 12):
        more, less = probabilities.copy(), probabilities.copy()
        more[0, row, column] += step
        less[0, row, column] -= step
        expected[row, column] = (score(more) - score(less)) / (2 * step)
    maps = LeGrad(network, "places")(Tensor(images), 2).asnumpy()[0]
    by_hand = resized(np.maximum(expected, 0).mean(axis=0).reshape(1, 3, 4).astype(np.float32), SIZE)
    np.testing.assert_allclose(maps, by_hand, rtol=2e-2, atol=2e-3 * by_hand.max())
