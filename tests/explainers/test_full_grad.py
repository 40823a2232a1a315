"""FullGrad against numbers worked out on paper, and its sum against the logit."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn, ops

from explainrun.explainers import FullGrad, Gradient, InputXGradient, Network, NoiseTunnel, View
from explainrun.explainers.core.resize import resized, stretched
from explainrun.explainers.core.together import attribute_together
from explainrun.explainers.core.view import Needs

CLASSES = 3


def filled(cell, seed=0):
    """A cell whose parameters are random, variances positive."""
    rng = np.random.default_rng(seed)
    for parameter in cell.get_parameters():
        values = rng.normal(0, 0.6, parameter.shape)
        values = np.abs(values) + 0.3 if "variance" in parameter.name else values
        parameter.set_data(Tensor(values.astype(np.float32)))
    return cell


def images_of(count, channels=3, size=(8, 12)):
    return np.random.default_rng(1).normal(0, 2, (count, channels, *size)).astype(np.float32)


def estimate(explainer, images, label=1, pass_size=4):
    network = Network(explainer.network, pass_size, fill=True)
    view = View(network, images, np.arange(len(images)), np.full(len(images), label), needs=explainer.needs)
    return attribute_together([explainer], view)[0][explainer.name]


def check_complete(network, images=None):
    """That the products add up to the logits, which the image alone would miss."""
    explainer, images = FullGrad(filled(network)), images_of(5) if images is None else images
    logits = network(Tensor(images)).asnumpy()[:, 1]
    scale = np.abs(logits).max()
    np.testing.assert_allclose(estimate(explainer, images).errors, 0, atol=1e-5 * max(scale, 1))
    alone = InputXGradient(network)(Tensor(images), 1).asnumpy().sum(axis=(1, 2, 3))
    assert np.abs(alone - logits).max() > 0.1 * scale


class Pieces(nn.Cell):
    """What most classifiers are made of, in every way that it may be called."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3, has_bias=True)
        self.norm = nn.BatchNorm2d(4, eps=0.01)
        self.again = nn.Conv2d(4, 4, 3, pad_mode="pad", padding=1, has_bias=True)
        self.relu, self.relu6, self.pool = nn.ReLU(), nn.ReLU6(), nn.MaxPool2d(2, 2)
        self.plain = nn.BatchNorm2d(4, affine=False)
        self.hidden = nn.Dense(4 * 24, 5, activation="relu")
        self.head = nn.Dense(5, CLASSES)

    def construct(self, x):
        x = self.relu6(self.norm(self.first(x)))
        x = self.relu(self.again(x)) + ops.relu6(3 * self.again(x))  # a cell that runs twice, and a function
        x = self.pool(self.plain(self.relu6(x)))
        return self.head(self.hidden(x.reshape(x.shape[0], -1)))


class Tokens(nn.Cell):
    """Dense layers on (N, tokens, channels), and on windows as rows of their own."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Conv2d(3, 6, 4, stride=4, pad_mode="valid", has_bias=True)
        self.mix, self.within = nn.Dense(6, 7, activation="relu"), nn.Dense(7, 4)
        self.norm = nn.BatchNorm1d(4)
        self.head = nn.Dense(4, CLASSES)

    def construct(self, x):
        x = self.embed(x)
        x = self.mix(x.reshape(*x.shape[:2], -1).swapaxes(1, 2))
        windows = self.within(x.reshape(-1, 2, 7))
        return self.head(ops.relu(self.norm(windows.reshape(x.shape[0], -1, 4).mean(1))))


class ChannelsLast(nn.Cell):
    """A dense layer over the channels of every place, as in ConvNeXt, and a transposed convolution."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2dTranspose(3, 2, 2, stride=2, pad_mode="valid", has_bias=True)
        self.dense = nn.Dense(2, 3)

    def construct(self, x):
        x = self.dense(ops.relu(self.conv(x)).permute(0, 2, 3, 1))
        return (ops.relu(x) * ops.arange(x.shape[1] * x.shape[2]).reshape(1, *x.shape[1:3], 1)).mean((1, 2))


@pytest.mark.parametrize("network", [Pieces, Tokens, ChannelsLast])
def test_products_add_up_to_the_logit(network):
    check_complete(network())


@pytest.mark.parametrize("seed", range(3))
def test_stacks_of_any_kind_are_complete(seed):
    """Random stacks of convolutions, norms, rectifiers and poolings; another order for each seed."""
    rng = np.random.default_rng(seed)
    kinds = [
        lambda: nn.Conv2d(3, 3, 3, has_bias=True), lambda: nn.BatchNorm2d(3), nn.ReLU6, nn.ReLU,
        lambda: nn.AvgPool2d(2, 2), lambda: nn.Conv2d(3, 3, 1, group=3, has_bias=True), nn.Identity,
    ]  # fmt: skip
    cells = [kinds[place]() for place in rng.integers(0, len(kinds), 7)]
    assert sum(isinstance(cell, nn.AvgPool2d) for cell in cells) <= 3
    stack = nn.SequentialCell([nn.Conv2d(3, 3, 3, has_bias=True), *cells, nn.Flatten()])
    inner = int(np.prod(stack(Tensor(images_of(1))).shape[1:]))
    check_complete(nn.SequentialCell([stack, nn.Dense(inner, CLASSES)]))


def test_hand_worked_map(two_channels):
    """Image times gradient is 1 at (0, 0) and 3 at (1, 3); the bias 2 of the second channel counts -2 at (1, 0).

    Those stretched to 0..1 are 1/3, 1 and 1; the logit is 1 + 3 - 2 * 2 = 0.
    """
    explainer, image = FullGrad(two_channels()), two_channels.IMAGE
    found = explainer(Tensor(image), 0).asnumpy()[0, 0]
    np.testing.assert_allclose(found, [[1 / 3, 0, 0, 0], [1, 0, 0, 1]], atol=1e-6)
    np.testing.assert_allclose(estimate(explainer, image, 0).errors, 0, atol=1e-6)


class Scaled(nn.Cell):
    """Batch norm and ReLU6 over images (N, 1, 2, 3), added up with weights."""

    WEIGHTS = np.array([[1, 2, -1], [3, 0.5, 1]], np.float32)

    def __init__(self):
        super().__init__()
        self.norm, self.relu6 = nn.BatchNorm2d(1, eps=1.0), nn.ReLU6()
        for parameter, value in ((self.norm.gamma, 4), (self.norm.beta, 1), (self.norm.moving_mean, 0.5)):
            parameter.set_data(Tensor(np.array([value], np.float32)))
        self.norm.moving_variance.set_data(Tensor(np.array([3], np.float32)))  # the deviation is 2

    def construct(self, x):
        return (self.relu6(self.norm(x)) * Tensor(self.WEIGHTS)).sum((1, 2, 3)).reshape(-1, 1)


def test_implicit_biases_by_hand():
    """Batch norm gives 2 x + 1 - 4 * 0.5 / 2 = 2 x + 0: the beta and the mean cancel out, unlike beta alone."""
    image = np.array([[[[1, 2, 5], [-1, 4, 1.5]]]], np.float32)  # 2, 4, 6 of 10, 0 of -2, 6 of 8, 3
    network = Scaled()
    np.testing.assert_allclose(network(Tensor(image)).asnumpy(), [[2 + 8 - 6 + 0 + 3 + 3]])
    explainer = FullGrad(network)
    # Image times gradient: 2, 8, 0, 0, 0, 3 of 8 at most; the ceilings: 6 * 1 and 6 * 0.5, of 6 at most.
    expected = [[0.25, 1, 1], [0, 0.5, 3 / 8]]
    np.testing.assert_allclose(explainer(Tensor(image), 0).asnumpy()[0, 0], expected, atol=1e-6)
    network.norm.beta.set_data(Tensor(np.array([1.5], np.float32)))  # adds 0.5 wherever it passes
    assert estimate(explainer, image, 0).errors == pytest.approx([0], abs=1e-5)
    added = np.abs([[1, 2, 0], [0, 0, 1]]) / 2
    again = explainer(Tensor(image), 0).asnumpy()[0, 0]
    np.testing.assert_allclose(again, np.array([[0.25, 1, 1], [0, 0.5, 3 / 8]]) + added, atol=1e-6)


def test_coarse_layers_are_resized(linear):
    """A convolution of stride 2 has one term for four pixels."""

    class Coarse(nn.Cell):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(1, 2, 2, stride=2, pad_mode="valid", has_bias=True)
            self.head = nn.Dense(2 * 2 * 3, CLASSES)

        def construct(self, x):
            x = self.conv(x)
            return self.head(x.reshape(x.shape[0], -1))

    network, image = filled(Coarse()), images_of(1, 1, (4, 6))
    slopes = network.head.weight.asnumpy()[2].reshape(2, 2, 3)
    sizes = np.abs(slopes * network.conv.bias.asnumpy()[:, None, None])
    coarse = resized(stretched(sizes).sum(axis=0, keepdims=True), (4, 6))[0]
    own = stretched(np.abs(InputXGradient(network)(Tensor(image), 2).asnumpy()[0]))[0]
    np.testing.assert_allclose(FullGrad(network)(Tensor(image), 2).asnumpy()[0, 0], own + coarse, atol=1e-5)


def test_what_is_not_linear_in_pieces_is_reported(two_channels):
    class Smooth(two_channels):
        def construct(self, x):
            return self.head(ops.sigmoid(self.conv(x)).reshape(x.shape[0], -1))

    network, image = Smooth(), two_channels.IMAGE
    steep = ops.grad(lambda x: network(x)[:, 0].sum())(Tensor(image)).asnumpy()
    assert steep.any()
    found = estimate(FullGrad(network), image, 0).errors
    given = network(Tensor(image)).asnumpy()[0, 0]
    at_2 = 1 / (1 + np.exp(-2.0))  # the second channel gives this at (1, 0), where the weight is -2
    assert found == pytest.approx([(steep * image).sum() - 2 * 2 * at_2 * (1 - at_2) - given], abs=1e-5)
    assert abs(found[0]) > 0.1


def test_it_shares_the_pass_of_the_gradient():
    network = Network(filled(Pieces()), 4, fill=True)
    explainers = [Gradient(network.cell), FullGrad(network.cell)]
    needs = Needs.together(explainer.needs for explainer in explainers)
    assert needs.biases
    images, rows = images_of(6), np.repeat(np.arange(6), 2)
    view = View(network, images, rows, np.tile([0, 2], 6), needs=needs)
    found, _ = attribute_together(explainers, view)
    assert network.passes.made == {"differentiate": 3}
    for explainer in explainers:
        alone = explainer(Tensor(images), [[0, 2]] * 6, pass_size=4).asnumpy().reshape(-1, 8, 12)
        np.testing.assert_allclose(found[explainer.name].maps, alone, atol=1e-5, err_msg=explainer.name)


def test_a_noise_tunnel_goes_around_it(two_channels):
    network, image = two_channels(), Tensor(two_channels.IMAGE)
    found = NoiseTunnel(FullGrad(network), nt_samples=3, stdevs=1e-4)(image, 0).asnumpy()
    np.testing.assert_allclose(found, FullGrad(network)(image, 0).asnumpy(), atol=1e-2)


def test_the_primitive_is_left_as_it_was():
    before = ops.ReLU6.__dict__["__call__"]
    FullGrad(filled(Pieces()))(Tensor(images_of(1)), 0)
    assert ops.ReLU6.__dict__["__call__"] is before

    class Failing(Pieces):
        def construct(self, x):
            super().construct(x)
            raise RuntimeError("fails")

    with pytest.raises(RuntimeError, match="fails"):
        FullGrad(Failing())(Tensor(images_of(1)), 0)
    assert ops.ReLU6.__dict__["__call__"] is before
    assert ms.get_context("mode") == ms.PYNATIVE_MODE
