"""After an error in a pass, whoever raises it, the next passes are right."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn, ops

from explainrun.explainers import GradCAM, Gradient, GuidedBackprop, Network, OoDNet

IMAGES = np.random.default_rng(0).standard_normal((2, 1, 4, 5)).astype(np.float32)


class Fine(nn.Cell):
    """The gradient of layer norm fails where something is left of another pass."""

    def __init__(self):
        super().__init__()
        rng = np.random.default_rng(1)
        self.conv = nn.Conv2d(1, 4, 3, weight_init=Tensor(rng.standard_normal((4, 1, 3, 3)).astype(np.float32)))
        self.relu = nn.ReLU()
        self.norm = nn.LayerNorm((4,))
        self.dense = nn.Dense(4, 3, weight_init=Tensor(rng.standard_normal((3, 4)).astype(np.float32)))

    def construct(self, x):
        return self.dense(self.norm(self.relu(self.conv(x)).mean((2, 3))))


class Failing(nn.Cell):
    def __init__(self):
        super().__init__()
        self.relu = nn.ReLU()
        self.dense = nn.Dense(20, 3)

    def construct(self, x):
        return self.ending(self.dense(self.relu(x).reshape(x.shape[0], -1)), x)


class GivesTwo(Failing):
    def ending(self, logits, x):
        return logits, logits


class GivesNoLogits(Failing):
    def ending(self, logits, x):
        return logits.sum()


class Raises(Failing):
    def ending(self, logits, x):
        raise KeyError("own")


class Interrupted(Failing):
    def ending(self, logits, x):
        raise KeyboardInterrupt


class WrongShapes(Failing):
    def ending(self, logits, x):
        return ops.matmul(logits, x)


class WrongIndex(Failing):
    def ending(self, logits, x):
        return ops.gather(logits, Tensor([7, 8]), 1)


class WithoutDerivative(Failing):
    def ending(self, logits, x):
        return logits * ops.heaviside(logits, Tensor(0.0))


class RaisesInBackward(Failing):
    def ending(self, logits, x):
        def fail(gradient):
            raise RuntimeError("on the way back")

        logits.register_hook(fail)
        return logits * 2


class OwnBprop(nn.Cell):
    def construct(self, x):
        return x * 1

    def bprop(self, x, out, dout):
        raise RuntimeError("in a bprop")


class RaisesInBprop(Failing):
    def __init__(self):
        super().__init__()
        self.own = OwnBprop()

    def ending(self, logits, x):
        return self.own(logits)


class HalfPrecision(nn.Cell):
    """A cell that computes in float16 and raises there."""

    def __init__(self):
        super().__init__()
        self.relu = nn.ReLU()
        self.inner = Raises().to_float(ms.float16)

    def construct(self, x):
        return self.inner(x)


class HookRaises(Failing):
    def __init__(self):
        super().__init__()
        self.dense.register_forward_hook(self.fail)

    @staticmethod
    def fail(cell, inputs, output):
        raise IndexError("in a hook")

    def ending(self, logits, x):
        return logits


FAILING = [
    *(GivesTwo, GivesNoLogits, Raises, Interrupted, WrongShapes, WrongIndex, WithoutDerivative),
    *(RaisesInBackward, RaisesInBprop, HalfPrecision, HookRaises),
]


@pytest.fixture(scope="module")
def fine():
    network = Fine()
    return network, answers(network)


def answers(network):
    return [
        Gradient(network)(IMAGES, 0).asnumpy(),
        GradCAM(network, "conv")(IMAGES, 0).asnumpy(),
        Network(network).logits(IMAGES),
    ]


ASKING = {
    "gradient": lambda network: Gradient(network)(IMAGES, 0),
    "guided": lambda network: GuidedBackprop(network)(IMAGES, 0),
    "layer": lambda network: GradCAM(network, "relu")(IMAGES, 0),
}


@pytest.mark.parametrize("asking", ASKING)
@pytest.mark.parametrize("failing", FAILING)
def test_the_next_gradients_are_right(failing, asking, fine):
    network, expected = fine
    with pytest.raises((Exception, KeyboardInterrupt)):
        ASKING[asking](failing())
    for found, known in zip(answers(network), expected, strict=True):
        np.testing.assert_array_equal(found, known)


def test_the_next_gradient_is_right_after_a_layer_or_label_that_is_not_there(fine):
    network, expected = fine
    for asking in (
        lambda: Gradient(network)(IMAGES, 3),
        lambda: GradCAM(network, "norm")(IMAGES, 0),
        lambda: GradCAM(network, "dense.none")(IMAGES, 0),
    ):
        with pytest.raises(ValueError, match=r"targets|layer|channels"):
            asking()
        np.testing.assert_array_equal(Gradient(network)(IMAGES, 0).asnumpy(), expected[0])


@pytest.mark.parametrize("asking", ["logits", "activation"])
def test_half_precision_ends_with_the_pass_that_raises(asking, fine):
    network, expected = fine
    ask = {
        "logits": lambda: Network(HalfPrecision()).logits(IMAGES),
        "activation": lambda: Network(network).activated(np.ones((1, 20), np.float32), Raises().to_float(ms.float16)),
    }[asking]
    with pytest.raises(KeyError, match="own"):
        ask()
    assert ops.matmul(Tensor(np.ones((2, 2), np.float32)), Tensor(np.ones((2, 2), np.float32))).dtype == ms.float32
    np.testing.assert_array_equal(Network(network).logits(IMAGES), expected[2])


class WithFeatures(Fine):
    def __init__(self):
        super().__init__()
        self.num_features, self.output_features = 4, False

    def construct(self, x):
        features = self.norm(self.relu(self.conv(x)).mean((2, 3)))
        return features if self.output_features else self.dense(features)


def test_the_next_gradient_is_right_after_training_fails(fine, dataset):
    network, expected = fine

    def loss(logits, labels):
        raise KeyError("own")

    rows = dataset([(IMAGES[0], np.float32([0, 1, 0])), (IMAGES[1], np.float32([0, 0, 1]))], ("image", "labels"))
    with pytest.raises(KeyError, match="own"):
        OoDNet(WithFeatures(), 3).train(rows.batch(2), loss, epoch=1)
    np.testing.assert_array_equal(Gradient(network)(IMAGES, 0).asnumpy(), expected[0])


def test_a_compiled_network_stays_compiled(fine):
    network, expected = fine
    compiled = Network(network, pass_size=2)
    compiled.compile(IMAGES)
    before = compiled.logits(IMAGES)
    with pytest.raises(KeyError, match="own"):
        Gradient(HalfPrecision())(IMAGES, 0)
    np.testing.assert_array_equal(compiled.logits(IMAGES), before)
    np.testing.assert_allclose(before, expected[2], atol=1e-5)
