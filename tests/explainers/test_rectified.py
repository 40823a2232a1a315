"""GuidedBackprop and Deconvolution by hand, however a network calls its rectifiers."""

import numpy as np
import pytest
from mindspore import Tensor, mint, nn, ops

from explainrun.explainers import Deconvolution, Gradient, GuidedBackprop, Network

IMAGE = np.array([[[[3.0, 2.5, -1.0, 0.5]]]], np.float32)
AFTER_TWICE = np.array([1, -1, 2, -3], np.float32)
AFTER_ONCE = np.array([1, -1, -2, 3], np.float32)


class Rectifying(nn.Cell):
    """Logit = AFTER_TWICE . r(r(2 r(y - 1) - x)) + AFTER_ONCE . y with y = r(x), r being called in one of many ways."""

    def __init__(self, rectify):
        super().__init__()
        cells = {"shared cell": nn.ReLU(), "mint cell": mint.nn.ReLU()}
        functions = {
            "ops.relu": ops.relu,
            "ops.ReLU()": ops.ReLU(),
            "mint function": mint.nn.functional.relu,
            "mixed": ops.relu,
        }
        self.rectify = cells[rectify] if rectify in cells else functions[rectify]
        self.first = nn.ReLU() if rectify == "mixed" else self.rectify

    def construct(self, x):
        y = self.first(x)
        z = self.rectify(self.rectify(2 * self.rectify(y - 1) - x))
        return (z * Tensor(AFTER_TWICE) + y * Tensor(AFTER_ONCE)).sum((1, 2, 3)).reshape(-1, 1)


def slow(back):
    """The gradient by the chain rule, written out; ``back(gradient, input)`` is the rectifier's rule."""
    x = IMAGE.ravel()
    y = np.maximum(x, 0)
    z = np.maximum(y - 1, 0)
    u = 2 * z - x
    to_u = back(back(AFTER_TWICE, np.maximum(u, 0)), u)
    to_y = back(2 * to_u, y - 1) + AFTER_ONCE
    return back(to_y, x) - to_u


RULES = {
    Gradient: lambda gradient, x: gradient * (x > 0),
    GuidedBackprop: lambda gradient, x: np.maximum(gradient, 0) * (x > 0),
    Deconvolution: lambda gradient, x: np.maximum(gradient, 0),
}
EXPECTED = {Gradient: [2, -2, -2, 3], GuidedBackprop: [2, 0, -2, 3], Deconvolution: [2, 0, 0, 3]}
WAYS = ["shared cell", "mint cell", "ops.relu", "ops.ReLU()", "mint function", "mixed"]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("explainer", RULES)
def test_every_way_to_call_a_rectifier(explainer, way):
    network = Rectifying(way)
    np.testing.assert_array_equal(slow(RULES[explainer]), EXPECTED[explainer])
    derivatives = Network(network).differentiate(IMAGE, np.array([0]), rule=explainer.rule)
    np.testing.assert_array_equal(derivatives.input_gradient.ravel(), EXPECTED[explainer])
    np.testing.assert_array_equal(derivatives.logits, network(Tensor(IMAGE)).asnumpy())
    maps = explainer(network)(Tensor(IMAGE), 0).asnumpy()
    np.testing.assert_array_equal(maps.ravel(), np.abs(EXPECTED[explainer]))


class Saturating(nn.Cell):
    def __init__(self, rectify):
        super().__init__()
        self.rectify = rectify

    def construct(self, x):
        return (self.rectify(x) * Tensor(np.array([2, 3, -4, 5], np.float32))).sum((1, 2, 3)).reshape(-1, 1)


@pytest.mark.parametrize("rectify", [nn.ReLU6(), ops.relu6, ops.ReLU6()], ids=["cell", "function", "primitive"])
def test_relu6_lets_nothing_back_where_it_is_full(rectify):
    image = Tensor(np.array([[[[7, 3, 1, -1]]]], np.float32))
    network = Saturating(rectify)
    assert Gradient(network)(image, 0).asnumpy().ravel().tolist() == [0, 3, 4, 0]
    assert GuidedBackprop(network)(image, 0).asnumpy().ravel().tolist() == [0, 3, 0, 0]
    assert Deconvolution(network)(image, 0).asnumpy().ravel().tolist() == [2, 3, 0, 5]


@pytest.mark.parametrize("explainer", [GuidedBackprop, Deconvolution])
def test_the_rule_is_gone_afterwards(explainer, state):
    network = Rectifying("mixed")
    before, calls = state(network), (ops.ReLU.__call__, ops.ReLU6.__call__)
    explainer(network)(Tensor(IMAGE), 0)
    with pytest.raises(ValueError, match="targets must lie in"):
        explainer(network)(Tensor(IMAGE), 1)
    assert (ops.ReLU.__call__, ops.ReLU6.__call__) == calls
    assert state(network) == before
    assert Gradient(network)(Tensor(IMAGE), 0).asnumpy().ravel().tolist() == [2, 2, 2, 3]


class Aside(nn.Cell):
    """Rectifies what does not lie between the images and the logits."""

    def __init__(self, aside):
        super().__init__()
        self.dense, self.aside = nn.Dense(4, 4), aside

    def construct(self, x):
        return (x.reshape(-1, 4) + self.aside(self, x.reshape(-1, 4))).sum(1, keepdims=True)


ASIDE = {
    "none": lambda network, x: x,
    "of parameters": lambda network, x: ops.relu(network.dense(Tensor([[1.0, 2.0, 3.0, 4.0]]))),  # as position tables
    "of a constant": lambda network, x: ops.relu(Tensor([[1.0, -2.0, 3.0, 4.0]])),
    "unused": lambda network, x: (ops.relu6(x), x)[1],
    "detached": lambda network, x: ops.stop_gradient(ops.relu(x)),
}


@pytest.mark.parametrize("explainer", [GuidedBackprop, Deconvolution])
@pytest.mark.parametrize("aside", ASIDE)
def test_a_network_without_rectifiers_between_images_and_logits_is_refused(explainer, aside, raising):
    with raising(ValueError, "rectifier-missing", rule=explainer.rule):
        explainer(Aside(ASIDE[aside]))(Tensor(IMAGE), 0)
