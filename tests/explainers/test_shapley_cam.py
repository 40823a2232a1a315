"""ShapleyCAM: gradients less half the product of the Hessian with the layer, worked out on paper."""

import numpy as np
import pytest
from mindspore import Tensor, nn, ops

from explainrun.explainers import GradCAM, Network, ShapleyCAM
from explainrun.explainers.network import layer_outputs
from explainrun.explainers.network.derivatives.second_order import second_order
from explainrun.testing import EXPLAINER_RULES

ROWS = np.array([[0.5, -1.0], [1.0, 0.25], [-0.5, 2.0]], np.float32)  # of each label, for each channel
IMAGE = np.array([[[[1, 2, 0], [0.5, 1, 3]], [[2, 0, 1], [1, 0.5, 0]]]], np.float32)


class Curved(nn.Cell):
    """The logits are the channels' means of squares, by rows; the layer gives the image."""

    def __init__(self):
        super().__init__()
        self.layer, self.rows = nn.Identity(), Tensor(ROWS)

    def construct(self, x):
        return (self.layer(x) ** 2).mean((2, 3)) @ self.rows.T


@pytest.mark.parametrize("label", [0, 1, 2])
def test_of_squares_half_of_the_gradient_is_left(label):
    """Back from a mean of squares the gradient is 2 a / 6 times the row, and so is the product of Hessian and a."""
    found = ShapleyCAM(Curved(), "layer", utility="logit")(Tensor(IMAGE), label).asnumpy()[0, 0]
    weights = (IMAGE[0] / 6).mean(axis=(1, 2)) * ROWS[label]
    np.testing.assert_allclose(found, (weights[:, None, None] * IMAGE[0]).sum(axis=0).clip(min=0), rtol=1e-5)


@pytest.mark.parametrize("layer", ["layer", ""])
def test_gradient_and_product_of_the_residual_softmax(layer):
    """Of 2 y - logsumexp the gradient is 2 y' less the mean of all y', the Hessian that of y, less the spread."""
    network, labels = Network(Curved(), 4), np.array([1])
    outputs = layer_outputs(network, IMAGE, [layer])[layer]
    found = second_order(network, IMAGE, labels, layer, outputs, network.logits(IMAGE))
    slopes = ROWS[:, :, None, None] * IMAGE[0] / 3  # of each logit; the Hessian times a is the same
    logits = (IMAGE[0] ** 2).mean(axis=(1, 2)) @ ROWS.T
    shares = np.exp(logits) / np.exp(logits).sum()
    mean = np.tensordot(shares, slopes, 1)
    np.testing.assert_allclose(found.gradient[0], 2 * slopes[1] - mean, rtol=1e-5, atol=1e-6)
    along = (slopes * IMAGE[0]).sum(axis=(1, 2, 3))  # how each logit rises along a
    spread = np.tensordot(shares * (along - shares @ along), slopes, 1)
    np.testing.assert_allclose(found.product[0], 2 * slopes[1] - mean - spread, rtol=1e-5, atol=1e-6)


def test_where_all_is_linear_in_pieces_it_is_gradcam_of_the_logit(two_channels):
    network, image = two_channels(), Tensor(two_channels.IMAGE)
    found = ShapleyCAM(network, ["conv", "relu"], utility="logit")(image, [[0, 1]]).asnumpy()
    np.testing.assert_allclose(found, GradCAM(network, ["conv", "relu"])(image, [[0, 1]]).asnumpy(), atol=1e-6)
    assert np.abs(ShapleyCAM(network, "relu")(image, 1).asnumpy() - found[:, 1]).max() > 0.1


class Twice(nn.Cell):
    """One layer that runs twice."""

    def __init__(self):
        super().__init__()
        self.layer, self.rows = nn.ReLU(), Tensor(ROWS)

    def construct(self, x):
        return self.layer(2 * self.layer(x)).mean((2, 3)) @ self.rows.T


def test_a_layer_that_runs_twice_is_refused(raising):
    with raising(ValueError, "second-derivatives-uncompiled", network="Twice"):
        ShapleyCAM(Twice(), "layer")(Tensor(IMAGE), 0)


class Padded(Curved):
    """MindSpore's graphs have the gradient of ``ops.pad`` right in their first call alone."""

    def construct(self, x):
        return (ops.pad(self.layer(x), (0, 1, 1, 0)) ** 2).mean((2, 3)) @ self.rows.T


def test_a_graph_that_has_another_gradient_is_refused(raising):
    with raising(ValueError, "second-derivatives-uncompiled", network="Padded"):
        ShapleyCAM(Padded(), "layer")(Tensor(IMAGE), 0)


class Python(Curved):
    """What graphs cannot hold."""

    def construct(self, x):
        return super().construct(x) + float(x.asnumpy().sum() > 0)


def test_a_network_that_does_not_compile_is_refused(raising):
    with raising(ValueError, "second-derivatives-uncompiled", network="Python"):
        ShapleyCAM(Python(), "layer")(Tensor(IMAGE), 0)


def test_a_hook_is_not_lost_without_a_word(raising):
    network = Curved()
    network.layer.register_forward_hook(lambda _cell, _given, output: ops.minimum(output, Tensor(100.0)))
    with raising(ValueError, "second-derivatives-uncompiled", network="Curved") as problem:
        ShapleyCAM(network, "layer")(Tensor(IMAGE), 0)
    assert "'layer' has a hook" in str(problem.value)


class Steep(nn.Cell):
    """Batch norm, ReLU6, convolution and a dense layer, with pooling in between: what ends networks."""

    def __init__(self, pool):
        super().__init__()
        rng = np.random.default_rng(0)
        self.first, self.layer, self.relu = nn.Conv2d(2, 3, 1, has_bias=True), nn.Identity(), nn.ReLU6()
        self.norm, self.pool, self.second = nn.BatchNorm2d(3), pool, nn.Conv2d(3, 4, 2, pad_mode="valid")
        self.head = nn.Dense(4, 3)
        for one in self.trainable_params():
            one.set_data(Tensor(rng.normal(0.2, 0.7, one.shape).astype(np.float32)))

    def construct(self, x):
        x = self.layer(self.first(x))
        x = self.second(self.relu(3 * self.norm(x)))
        return self.head(self.pool(x).mean((2, 3)))


def test_products_are_how_gradients_change_along_the_layer():
    """By finite differences of the residual softmax's gradient; rows of different labels in ragged passes."""
    cell, labels = Steep(nn.Identity()), np.array([0, 1, 2, 1, 0])
    images = np.random.default_rng(1).normal(size=(5, 2, 4, 5)).astype(np.float32)
    network = Network(cell, 2, fill=True)
    outputs, logits = layer_outputs(network, images, ["layer"])["layer"], network.logits(images)
    found = second_order(network, images, labels, "layer", outputs, logits)
    assert network.passes.made["second order"] == 3
    step, slopes = 1e-3, []
    for factor in (1 + step, 1 - step):
        moved = np.float32(factor) * outputs
        slopes.append(second_order(network, images, labels, "layer", moved, logits).gradient)
    expected = (slopes[0] - slopes[1]) / (2 * step)
    np.testing.assert_allclose(found.product, expected, atol=1e-2 * np.abs(expected).max())
    assert np.abs(expected).max() > 0.001


class Pooled(nn.Cell):
    """Calls the function, which runs another operator than the cell."""

    def __init__(self, size, stride):
        super().__init__()
        self.size, self.stride = size, stride

    def construct(self, x):
        return ops.max_pool2d(x, self.size, self.stride)


@pytest.mark.parametrize(
    ("pool", "operator"), [(nn.AvgPool2d, "AvgPool"), (nn.MaxPool2d, "MaxPool"), (Pooled, "MaxPool")]
)
def test_an_operator_that_is_not_differentiated_twice_is_named(pool, operator, raising):
    cell = Steep(pool(2, 1))
    image = np.ones((1, 2, 4, 5), np.float32)
    with raising(ValueError, "no-second-derivative", operator=operator, network="Steep"):
        ShapleyCAM(cell, "layer")(Tensor(image), 0)
    assert GradCAM(cell, "layer")(Tensor(image), 0).shape == (1, 1, 4, 5)  # nothing of the failed pass is left


def test_a_layer_must_be_read_before():
    with pytest.raises(ValueError, match="layer 'layer' must be read before it can be differentiated twice"):
        second_order(Network(Curved()), IMAGE, np.array([0]), "layer", IMAGE, np.zeros((1, 3), np.float32))


def test_a_utility_is_one_of_two(raising):
    with raising(ValueError, "option-value-unknown", what="utility", given="softmax"):
        ShapleyCAM(Curved(), "layer", utility="softmax")


@pytest.mark.slow
@pytest.mark.parametrize("rule", [one for one in EXPLAINER_RULES if one.name in ("passes", "neighbours")], ids=str)
def test_several_layers_keep_to_the_contract(rule):
    rule(ShapleyCAM, layer=["relu", "features"])
