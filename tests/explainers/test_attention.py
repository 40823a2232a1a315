"""Maps from attention, on transformers whose probabilities are numbers on paper, and passes that they make."""

import numpy as np
import pytest
from mindspore import Parameter, Tensor, nn, ops

from explainrun.explainers import (
    AttentionRelevance,
    AttentionRollout,
    FullGrad,
    GradCAM,
    Gradient,
    LeGrad,
    Network,
    View,
)
from explainrun.explainers.contract.bundled import TinyTransformer, tiny_images
from explainrun.explainers.core.together import attribute_together
from explainrun.explainers.core.view import Needs

# Two pixels, each of one channel alone: with a class token of a third, the tokens are the rows of a unit matrix.
IMAGE = np.array([[[[0, 0]], [[1, 0]], [[0, 1]]]], np.float32)
MIXING = np.array([[0.5, 0.125, 0.375], [0.25, 0.5, 0.25], [0.2, 0.2, 0.6]], np.float32)  # how tokens attend
VALUES = np.array([[2, 0, 1], [3, -1, 0], [-2, 4, 1]], np.float32)  # of the tokens
CALLS = []  # of networks; an attribute of theirs that changes would make them other networks
HEAD = np.array([[1, 0, 0], [0, 1, 0.5]], np.float32)  # weights of two classes


def dense(weights):
    """Tokens times a matrix."""
    layer = nn.Dense(*weights.shape, has_bias=False)
    layer.weight.set_data(Tensor(weights.T.copy()))
    return layer


class Block(nn.Cell):
    """Tokens that are rows of a unit matrix attend as ``mixing`` says; others as its powers do."""

    def __init__(self, mixing, values):
        super().__init__()
        self.queries, self.keys, self.values = dense(np.log(mixing)), dense(np.eye(3, dtype=np.float32)), dense(values)

    def construct(self, x):
        scores = ops.matmul(self.queries(x), self.keys(x).swapaxes(1, 2))
        return x + ops.matmul(self.attending(scores), self.values(x))

    def attending(self, scores):
        return ops.softmax(scores, -1)


class OnPaper(nn.Cell):
    """Pixels and a class token, or without one all of them, whose mean is classified."""

    def __init__(self, *blocks, class_token=True):
        super().__init__()
        self.token = Parameter(Tensor(np.array([[[1, 0, 0]]], np.float32)))
        self.blocks, self.head, self.class_token = nn.CellList(list(blocks)), dense(HEAD.T.copy()), class_token

    def construct(self, x):
        CALLS.append(1)
        x = x.reshape(x.shape[0], 3, -1).swapaxes(1, 2)
        x = ops.cat((ops.tile(self.token, (x.shape[0], 1, 1)), x), 1)
        for block in self.blocks:
            x = block(x)
        return self.head(x[:, 0] if self.class_token else x.mean(1))


def one_layer(**options):
    return OnPaper(Block(MIXING, VALUES), **options)


def two_layers():
    """In the second one every token attends to all alike."""
    return OnPaper(Block(MIXING, VALUES), Block(np.ones((3, 3), np.float32), VALUES))


def maps(explainer, label):
    return explainer(Tensor(IMAGE), label).asnumpy()[0, 0, 0]


class TestOnPaper:
    def test_the_probabilities_are_those(self):
        network = Network(one_layer())
        [block] = network.attention.found(IMAGE).blocks
        assert (block.shape, block.windows, block.width) == ((1, 3, 3), 1, (3, 3))
        np.testing.assert_array_equal(block.used, [True, False, False])
        tap = f"attention of {block.name}"
        found = network.differentiate(IMAGE, np.array([0]), ["attention of "])
        np.testing.assert_allclose(found.activations[tap][0, 0], MIXING, rtol=1e-5)
        # The logit is the class token's: a value's weight for the class in its row, nothing in others.
        np.testing.assert_allclose(found.gradients[tap][0, 0], [[2, 3, -2], [0, 0, 0], [0, 0, 0]], rtol=1e-5)

    def test_rollout_is_half_of_one_layers_attention(self):
        np.testing.assert_allclose(maps(AttentionRollout(one_layer()), 0), [0.125 / 2, 0.375 / 2], rtol=1e-5)

    def test_rollout_of_two_layers_is_their_product(self):
        first, second = ((mixing + np.eye(3)) / 2 for mixing in (MIXING, np.full((3, 3), 1 / 3)))
        np.testing.assert_allclose(maps(AttentionRollout(two_layers()), 1), (second @ first)[0, 1:], rtol=1e-5)

    def test_rollout_of_the_mean_is_the_mean_of_the_rows(self):
        expected = ((MIXING + np.eye(3)) / 2).mean(axis=0)[1:]
        np.testing.assert_allclose(maps(AttentionRollout(one_layer(class_token=False)), 0), expected, rtol=1e-5)

    @pytest.mark.parametrize(("label", "expected"), [(0, [0.125 * 3, 0]), (1, [0, 0.375 * 4.5])])
    def test_relevance_is_what_adds_to_the_logit(self, label, expected):
        """Values weigh (2, 3, -2) for the first class, (0.5, -1, 4.5) for the second."""
        np.testing.assert_allclose(maps(AttentionRelevance(one_layer()), label), expected, rtol=1e-5, atol=1e-6)

    def test_relevance_of_two_layers_follows_the_first(self):
        """By the twin: the relevance of each layer in turn, from its own gradients."""
        network = two_layers()
        found = Network(network).differentiate(IMAGE, np.array([1]), ["attention of "])
        expected = np.eye(3)
        for tap, probabilities in found.activations.items():
            expected = expected + np.maximum(probabilities[0, 0] * found.gradients[tap][0, 0], 0) @ expected
        np.testing.assert_allclose(maps(AttentionRelevance(network), 1), expected[0, 1:], rtol=1e-5)

    @pytest.mark.parametrize(("label", "expected"), [(0, [1, 0]), (1, [0, 1.5])])
    def test_legrad_is_the_slope_of_the_mean_token(self, label, expected):
        """Of the three tokens' mean, a value has a third of its weight wherever it is attended to more."""
        np.testing.assert_allclose(maps(LeGrad(one_layer()), label), expected, rtol=1e-5, atol=1e-6)

    def test_legrad_asks_each_layer_by_itself(self):
        """The second layer's values are those of the tokens behind the first, whose mean the head sees."""
        tokens = np.eye(3) + MIXING @ VALUES
        slopes = [np.maximum(of @ HEAD.T, 0)[1:, 0] / 3 for of in (VALUES, tokens @ VALUES)]
        np.testing.assert_allclose(maps(LeGrad(two_layers()), 0), np.mean(slopes, axis=0), rtol=1e-5)

    def test_legrad_reads_probabilities_that_are_sums_of_others(self):
        """Which are found again by counting sums (ConViT), those of residuals among them and none of ours."""
        expected = maps(LeGrad(two_layers()), 1)
        network = two_layers()
        for block in network.blocks:
            block.attending = lambda scores: 0.5 * ops.softmax(scores, -1) + 0.5 * ops.softmax(1.0 * scores, -1)
        assert Network(network).attention.found(IMAGE).blocks[1].probabilities.site.operator.startswith("Add")
        np.testing.assert_allclose(maps(LeGrad(network), 1), expected, rtol=1e-5)
        read = [Network(network).differentiate(IMAGE, np.array([1]), ["attention of "], rule)
                for rule in ("plain", "blocks")]  # fmt: skip
        for tap, probabilities in read[0].activations.items():
            np.testing.assert_allclose(read[1].activations[tap], probabilities, rtol=1e-5)

    def test_layers_are_those_named(self):
        expected = maps(AttentionRollout(one_layer()), 0)
        for layers in ("blocks.0", ["blocks.0"]):
            np.testing.assert_array_equal(maps(AttentionRollout(two_layers(), layers), 0), expected)


def test_what_attention_is_made_of_is_shared():
    """One differentiated pass for all that read it, one of blocks' own scores, one for what has no gradient."""
    network, images = TinyTransformer(), tiny_images()
    methods = [Gradient, FullGrad, AttentionRollout, LeGrad, AttentionRelevance]  # biases are noted in the same pass
    explainers = [*(method(network) for method in methods), LeGrad(network, "blocks.1", name="last"),
                  AttentionRollout(network, ["blocks.0"], name="first")]  # fmt: skip
    service = Network(network, 16, fill=True, own_graphs=True)
    needs = Needs.together(explainer.needs for explainer in explainers)
    view = View(service, images, np.arange(5), np.arange(5) % 4, needs=needs, logits=service.logits(images))
    service.attention.found(images)
    service.passes.drained()
    called = network.calls
    found, refused = attribute_together(explainers, view)
    assert not refused
    assert dict(service.passes.made) == {"differentiate": 1, "blocks": 1, "activate": 1}
    assert network.calls - called == 3 + 2  # and what comes behind each of the two blocks
    alone = {one.name: one(Tensor(images), np.arange(5) % 4).asnumpy()[:, 0] for one in explainers}
    for name, estimate in found.items():
        np.testing.assert_allclose(estimate.maps, alone[name], rtol=1e-4, atol=1e-5 * np.abs(alone[name]).max())


def test_it_is_looked_for_once_as_long_as_the_network_stays_the_same():
    network, images = one_layer(), np.repeat(IMAGE, 5, axis=0)
    CALLS.clear()
    made = []
    for weights in (HEAD, HEAD, 2 * HEAD):
        network.head.weight.set_data(Tensor(weights))
        AttentionRollout(network)(Tensor(images), 0)
        made.append(len(CALLS) - sum(made))
    assert made == [2 + 4, 2, 2 + 4]  # the logits, to see which classes there are, and attention; the search before


def test_a_network_without_attention_is_refused_and_others_are_served(two_channels, raising):
    network = two_channels()
    images = np.ones((1, *network.IMAGE.shape[1:]), np.float32)
    explainers = [GradCAM(network, "relu"), AttentionRelevance(network)]
    needs = Needs.together(explainer.needs for explainer in explainers)
    view = View(Network(network), images, np.array([0]), np.array([0]), needs=needs)
    found, refused = attribute_together(explainers, view)
    assert list(found) == ["GradCAM"]
    with raising(ValueError, "attention-missing", network="TwoChannels"):
        raise refused["AttentionRelevance"]
