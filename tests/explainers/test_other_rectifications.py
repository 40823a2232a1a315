"""What rectifies beside ReLU and ReLU6 is refused under a backward rule, however it is written; the rest is kept."""

import os

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, mint, nn, ops
from mindspore.common import _Function

from explainrun.explainers import Deconvolution, Gradient, GuidedBackprop
from explainrun.explainers.network.backward import rectifications

IMAGE = np.array([[[[3.0, 2.5, -1.0, 0.5], [-2.0, -0.4, 1.5, -3.5]]]], np.float32)
WEIGHTS = np.array([[[2, -3, 5, -7], [11, -13, 17, 19]]], np.float32)
ZERO = Tensor(0.0)
MASK = Tensor(np.where(IMAGE < 0, -300, 0).astype(np.float32))  # where floats of smooth functions are all the same

watching = pytest.mark.skipif(not hasattr(ms, "MsDispatchMode"), reason="MindSpore 2.10 shows what runs")
pytestmark = watching


class Beside(nn.Cell):
    """Logit = WEIGHTS . (relu(x) + f(x - 0.1)), so that a part of the network follows the rule in any case."""

    def __init__(self, function):
        super().__init__()
        self.relu = nn.ReLU()
        self.part = function if isinstance(function, nn.Cell) else None
        self.function = function

    def construct(self, x):
        other = self.function(x - 0.1)
        return ((self.relu(x) + other) * Tensor(WEIGHTS)).sum((1, 2, 3)).reshape(-1, 1)


REFUSED = {
    "ops.maximum": (lambda x: ops.maximum(x, 0), "Maximum"),
    "maximum of tensors": (lambda x: ops.maximum(ops.zeros_like(x), x), "Maximum"),
    "Tensor.maximum": (lambda x: x.maximum(ZERO), "Maximum"),
    "mint.maximum": (lambda x: mint.maximum(x, ZERO), "Maximum"),
    "minimum": (lambda x: -ops.minimum(-x, 0), "Minimum"),
    "ops.clamp": (lambda x: ops.clamp(x, min=0), "Clamp"),
    "ops.clip": (lambda x: ops.clip(x, 0), "Clamp"),
    "Tensor.clamp": (lambda x: x.clamp(min=0), "Clamp"),
    "Tensor.clip": (lambda x: x.clip(0, 6), "Clamp"),
    "mint.clamp": (lambda x: mint.clamp(x, min=ZERO), "Clamp"),
    "clip_by_value": (lambda x: ops.clip_by_value(x, 0, 100), "Maximum"),
    "numpy.maximum": (lambda x: ms.numpy.maximum(x, 0), "Maximum"),
    "above a number": (lambda x: ops.maximum(x, 0.3), "Maximum"),
    "hardtanh": (lambda x: ops.hardtanh(x, -1, 1), "Maximum"),
    "ops.where": (lambda x: ops.where(x > 0, x, 0.0), "Select"),
    "mint.where": (lambda x: mint.where(x > 0, x, ZERO), "Select"),
    "numpy.where": (lambda x: ms.numpy.where(x > 0, x, 0), "Select"),
    "where above a number": (lambda x: ops.where(x > 0.5, x, 0.0), "Select"),
    "select": (lambda x: ops.select(x > 0, x, ops.zeros_like(x)), "Select"),
    "masked_fill": (lambda x: ops.masked_fill(x, x < 0, 0.0), "MaskedFill"),
    "Tensor.masked_fill": (lambda x: x.masked_fill(x < 0, 0.0), "MaskedFill"),
    "product with a mask": (lambda x: x * (x > 0), "Mul"),
    "product with a float mask": (lambda x: x * (x > 0).astype(ms.float32), "Mul"),
    "leaky_relu(x, 0)": (lambda x: ops.leaky_relu(x, 0.0), "Maximum"),
    "nn.LeakyReLU(0)": (nn.LeakyReLU(0.0), "Maximum"),
    "nn.PReLU(w=0)": (nn.PReLU(1, 0.0), "PReLU"),
    "ops.prelu": (lambda x: ops.prelu(x, Tensor([0.0])), "PReLU"),
    "nn.Threshold": (nn.Threshold(0.0, 0.0), "Select"),
    # and some that nobody has named
    "half of x + |x|": (lambda x: (x + x.abs()) / 2, "Add"),
    "root of the square": (lambda x: x + ops.sqrt(x * x), "Add"),
    "product with the sign": (lambda x: x * (ops.sign(x) + 1), "Mul"),
    "fmax": (lambda x: ops.fmax(x, ops.zeros_like(x)), "Fmax"),
    "largest of a stack": (lambda x: ops.amax(ops.stack([x, ops.zeros_like(x)]), 0), "ReduceMax"),
    "a primitive of earlier days": (ops.operations.nn_ops.ReLUV3(), "ReLUV3"),
}


@pytest.mark.parametrize("explainer", [GuidedBackprop, Deconvolution])
@pytest.mark.parametrize("way", REFUSED)
def test_other_rectifications_are_refused(way, explainer, raising, state):
    function, operator = REFUSED[way]
    network = Beside(function)
    network(Tensor(IMAGE))
    before, calls = state(network), (ops.ReLU.__call__, ops.ReLU6.__call__, os.environ.get("MS_JIT"))
    where = f"layer 'part' ({type(function).__name__})" if isinstance(function, nn.Cell) else "Beside"
    with raising(ValueError, "rectifier-other", rule=explainer.rule, where=where) as caught:
        explainer(network)(Tensor(IMAGE), 0)
    assert caught.value.args[0].values["operator"].startswith(operator)
    assert (ops.ReLU.__call__, ops.ReLU6.__call__, os.environ.get("MS_JIT")) == calls
    assert state(network) == before
    assert np.isfinite(Gradient(network)(Tensor(IMAGE), 0).asnumpy()).all()


KEPT = {
    "hardswish": nn.HSwish(),
    "hardswish written out": lambda x: x * ops.relu6(x + 3) / 6,
    "hardsigmoid": nn.HSigmoid(),
    "GELU": nn.GELU(),
    "SiLU": nn.SiLU(),
    "sigmoid": nn.Sigmoid(),
    "tanh": nn.Tanh(),
    "ELU": nn.ELU(),
    "SELU": nn.SeLU(),
    "softplus": lambda x: ops.log(1 + ops.exp(x)),
    "softshrink": nn.SoftShrink(),
    "hardshrink": nn.HShrink(),
    "leaky": nn.LeakyReLU(0.2),
    "PReLU": nn.PReLU(1, 0.25),
    "leaky by where": lambda x: ops.where(x > 0, x, 0.1 * x),
    "RReLU": nn.RReLU(0.1, 0.1),
    "absolute": ops.abs,
    "square": ops.square,
    "squared ReLU": lambda x: x * ops.relu(x),
    "maxout": lambda x: ops.maximum(x, 0.5 * x[..., ::-1]),
    "max pool": nn.MaxPool2d(3, 1, pad_mode="same"),
    "dropout": nn.Dropout(p=0.5),
    "fixed mask": lambda x: x * Tensor(np.array([1, 0, 0, 1], np.float32)),
    "softmax": lambda x: ops.softmax(x, -1),
    "softmax of what a mask leaves": lambda x: ops.softmax(x + MASK, -1),
    "sigmoid that is full": lambda x: ops.sigmoid(x + MASK),
    "sigmoid of mint": lambda x: mint.sigmoid(x + MASK),
    "tanh that is full": lambda x: ops.tanh(x + MASK),
    "erf that is full": lambda x: ops.erf(x + MASK),
    "exponential of nothing": lambda x: ops.exp(x + MASK),
    "power of nothing": lambda x: 2.0 ** (x + MASK),
    "GELU far out": lambda x: nn.GELU()(x + MASK),
    "SiLU far out": lambda x: nn.SiLU()(x + MASK),
    "ELU far out": lambda x: nn.ELU()(x + MASK),
    "SELU far out": lambda x: nn.SeLU()(x + MASK),
    "Mish far out": lambda x: nn.Mish()(x + MASK),
    "softplus far out": lambda x: ops.softplus(x + MASK),
    "guard above zero": lambda x: ops.sqrt(ops.clamp(x * x, min=1e-6)),
    "generalised mean": lambda x: ops.relu(x).clamp(min=1e-6) ** 3.0,
    "own bprop that is smooth": None,
}


class Swish(nn.Cell):
    """As EfficientNets have it, to save memory."""

    def construct(self, x):
        return x * ops.sigmoid(x)

    def bprop(self, x, out, dout):
        return (dout * (ops.sigmoid(x) + out * (1 - ops.sigmoid(x))),)


@pytest.mark.parametrize("explainer", [GuidedBackprop, Deconvolution])
@pytest.mark.parametrize("way", KEPT)
def test_what_does_not_rectify_keeps_its_gradient(way, explainer, monkeypatch):
    network = Beside(KEPT[way] or Swish())
    found = explainer(network)(Tensor(IMAGE), 0).asnumpy()
    monkeypatch.setattr(rectifications, "_Dispatch", object)  # nothing watches
    np.testing.assert_array_equal(found, explainer(network)(Tensor(IMAGE), 0).asnumpy())


def test_without_a_look_at_what_runs_the_log_says_so(monkeypatch, caplog):
    monkeypatch.setattr(rectifications, "_Dispatch", object)
    GuidedBackprop(Beside(lambda x: ops.maximum(x, 0)))(Tensor(IMAGE), 0)
    assert "may miss what rectifies beside ReLU and ReLU6" in caplog.text


class OwnGradient(nn.Cell):
    def construct(self, x):
        return ops.relu(x)

    def bprop(self, x, out, dout):
        return (dout * (x > 0).astype(dout.dtype),)


class OwnMask(OwnGradient):
    def construct(self, x):
        return x * (x > 0)


class OwnFunction(_Function):
    @staticmethod
    def forward(ctx, x):
        return ops.relu(x)

    @staticmethod
    def backward(ctx, dout):
        return dout


@pytest.mark.parametrize(
    ("function", "where"),
    [
        (OwnGradient(), "layer 'part' (OwnGradient)"),
        (OwnMask(), "layer 'part' (OwnMask)"),
        (OwnFunction.apply, "Beside"),
    ],
    ids=["cell", "mask", "function"],
)
def test_a_rectifier_under_a_bprop_of_its_own_is_refused(function, where, raising):
    with raising(ValueError, "rectifier-own-gradient", rule="guided", where=where):
        GuidedBackprop(Beside(function))(Tensor(IMAGE), 0)


class ByAst(nn.Cell):
    @ms.jit
    def construct(self, x):
        return ops.relu(x)


class ByBytecode(nn.Cell):
    @ms.jit(capture_mode="bytecode")
    def construct(self, x):
        return ops.relu(x)


class ByTrace(nn.Cell):
    @ms.jit(capture_mode="trace")
    def construct(self, x):
        return ops.relu(x)


@ms.jit
def compiled_function(x):
    return ops.relu(x)


@ms.jit
def compiled_maximum(x):
    return ops.maximum(x, 0)


@pytest.mark.parametrize("explainer", [GuidedBackprop, Deconvolution])
@pytest.mark.parametrize("function", [ByAst(), compiled_function], ids=["cell", "function"])
def test_the_rules_hold_in_compiled_blocks(function, explainer):
    expected = explainer(Beside(nn.ReLU()))(Tensor(IMAGE), 0).asnumpy()
    np.testing.assert_array_equal(explainer(Beside(function))(Tensor(IMAGE), 0).asnumpy(), expected)


def test_compiled_blocks_are_looked_into(raising):
    with raising(ValueError, "rectifier-other", operator="Maximum"):
        GuidedBackprop(Beside(compiled_maximum))(Tensor(IMAGE), 0)


@pytest.mark.parametrize(
    "function", [ByBytecode(), pytest.param(ByTrace(), marks=pytest.mark.slow)], ids=["bytecode", "trace"]
)
def test_what_stays_compiled_is_refused(function, raising):
    for _ in range(2):  # the first call of a traced function runs uncompiled
        with raising(ValueError, "rectifier-compiled", rule="deconvolution"):
            Deconvolution(Beside(function))(Tensor(IMAGE), 0)


def test_a_network_that_rectifies_otherwise_alone(raising):
    class Alone(nn.Cell):
        def construct(self, x):
            return ops.maximum(x, 0).sum((1, 2, 3)).reshape(-1, 1)

    with raising(ValueError, "rectifier-other", where="Alone", operator="Maximum"):
        GuidedBackprop(Alone())(Tensor(IMAGE), 0)
