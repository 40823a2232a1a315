"""DeepLIFT by hand, beside a slow twin, and complete, however a network calls its nonlinearities."""

import math

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, mint, nn, ops

from explainrun.explainers import (
    Contrast,
    DeepLift,
    DeepLiftShap,
    ExpectedGradients,
    Gradient,
    InputXGradient,
    Network,
    NoiseTunnel,
    View,
)
from explainrun.explainers.core.view import keyed_generator
from explainrun.explainers.network.backward import rescale
from explainrun.explainers.network.variants import rescaled
from explainrun.explainers.network.variants.rescaled import images_of_pairs, packed

pytestmark = pytest.mark.skipif(not hasattr(ms, "MsDispatchMode"), reason="MindSpore 2.10 shows what runs")

IMAGE = np.array([[[[3.0, 2.5, -1.0, 0.5]]]], np.float32)
REFERENCE = np.array([[[[-1.0, 2.0, 0.5, 0.5]]]], np.float32)
WEIGHTS = np.array([1, -1, 2, -3], np.float32)


class Once(nn.Cell):
    """Logit = WEIGHTS . f(2 x - 1), on images (N, 1, 1, 4)."""

    def __init__(self, function):
        super().__init__()
        self.part = function if isinstance(function, nn.Cell) else None
        self.function = function

    def construct(self, x):
        return (self.function(2 * x - 1) * Tensor(WEIGHTS)).sum((1, 2, 3)).reshape(-1, 1)


def test_one_rectifier_by_hand():
    """Inputs 5, 4, -3, 0 rise from -3, 3, 0, 0 to 5, 4, 0, 0: by 5 of 8, by 1 of 1, by nothing of -3, and by 0 of 0."""
    found = DeepLift(Once(nn.ReLU()), REFERENCE)(Tensor(IMAGE), 0).asnumpy().ravel()
    assert found.tolist() == [5, -1, 0, 0]
    assert DeepLift(Once(nn.ReLU()), REFERENCE).completeness_error(Tensor(IMAGE), 0)[1].tolist() == [[0.0]]


def test_the_example_of_the_paper():
    """Section 3.3: y = max(0, a - max(0, a - b)), the smaller one, has thresholds; at (1, 2) from (0, 0) it is 1."""

    class Smaller(nn.Cell):
        def construct(self, x):
            a, b = x[:, :, 0, 0], x[:, :, 0, 1]
            return ops.relu(a - ops.relu(a - b))

    pairs = np.array([[[[1.0, 2.0]]], [[[2.0, 1.0]]]], np.float32)
    found = DeepLift(Smaller())(Tensor(pairs), 0).asnumpy()[:, 0, 0]
    # of (2, 1): the inner one rises by 1 of a - b = 1, so that a counts 2 - 2 and b 1
    assert found.tolist() == [[1, 0], [0, 1]]


class Rectifying(nn.Cell):
    """Logit = WEIGHTS . r(r(2 r(y - 1) - x)) + WEIGHTS . y with y = r(x), r being called in one of many ways."""

    def __init__(self, rectify):
        super().__init__()
        self.first = nn.ReLU() if rectify == "mixed" else WAYS[rectify]
        self.rectify = ops.relu if rectify == "mixed" else WAYS[rectify]

    def construct(self, x):
        y = self.first(x)
        z = self.rectify(self.rectify(2 * self.rectify(y - 1) - x))
        return (z * Tensor(WEIGHTS) + y * Tensor(WEIGHTS)).sum((1, 2, 3)).reshape(-1, 1)


WAYS = {
    "shared cell": nn.ReLU(),
    "mint cell": mint.nn.ReLU(),
    "ops.relu": ops.relu,
    "ops.ReLU()": ops.ReLU(),
    "mint function": mint.nn.functional.relu,
    "maximum": lambda x: ops.maximum(x, 0),
}


def slope(function, x, reference):
    """Of the line between two rows of inputs; of the function where they are the same."""
    step = 1e-3
    plain = (function(x + step) - function(x - step)) / (2 * step)
    apart = x - reference
    return np.where(apart == 0, plain, (function(x) - function(reference)) / np.where(apart == 0, 1, apart))


def relu(x):
    return np.maximum(x, 0)


@pytest.mark.parametrize("way", [*WAYS, "mixed"])
def test_every_way_to_call_a_rectifier(way):
    x, x0 = IMAGE.ravel().astype(float), REFERENCE.ravel().astype(float)
    y, y0 = relu(x), relu(x0)
    u, u0 = 2 * relu(y - 1) - x, 2 * relu(y0 - 1) - x0
    to_u = WEIGHTS * slope(relu, relu(u), relu(u0)) * slope(relu, u, u0)
    to_y = WEIGHTS + 2 * to_u * slope(relu, y - 1, y0 - 1)
    expected = (x - x0) * (to_y * slope(relu, x, x0) - to_u)
    found = DeepLift(Rectifying(way), REFERENCE)(Tensor(IMAGE), 0).asnumpy().ravel()
    np.testing.assert_allclose(found, expected, atol=1e-5)


class Function(nn.Cell):
    """A function as a cell without parameters."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def construct(self, x):
        return self.function(x)


class OwnGradient(nn.Cell):
    """A rectifier that has a gradient of its own."""

    def construct(self, x):
        return ops.relu(x)

    def bprop(self, x, out, dout):
        return (dout * (x > 0).astype(dout.dtype),)


CURVES = {
    "sigmoid": (nn.Sigmoid(), lambda x: 1 / (1 + np.exp(-x))),
    "ops.sigmoid": (ops.sigmoid, lambda x: 1 / (1 + np.exp(-x))),
    "mint.sigmoid": (mint.sigmoid, lambda x: 1 / (1 + np.exp(-x))),
    "tanh": (nn.Tanh(), np.tanh),
    "SiLU": (nn.SiLU(), lambda x: x / (1 + np.exp(-x))),
    "hardswish": (nn.HSwish(), lambda x: x * np.clip(x + 3, 0, 6) / 6),
    "hardsigmoid": (nn.HSigmoid(), lambda x: np.clip(x + 3, 0, 6) / 6),
    "ReLU6": (nn.ReLU6(), lambda x: np.clip(x, 0, 6)),
    "ops.relu6": (ops.relu6, lambda x: np.clip(x, 0, 6)),
    "leaky": (nn.LeakyReLU(0.2), lambda x: np.maximum(x, 0.2 * x)),
    "ELU": (nn.ELU(), lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0)))),
    "softplus": (nn.Softplus() if hasattr(nn, "Softplus") else Function(ops.softplus), lambda x: np.log1p(np.exp(x))),
    "exp": (ops.exp, np.exp),
    "square": (ops.square, np.square),
    "root": (lambda x: ops.sqrt(x + 20.0), lambda x: np.sqrt(x + 20)),
    "quotient": (lambda x: ops.reciprocal(x + 20.0), lambda x: 1 / (x + 20)),
    "power": (lambda x: ops.pow(x + 20.0, 1.5), lambda x: (x + 20) ** 1.5),
    "PReLU": (nn.PReLU(1, 0.25), lambda x: np.maximum(x, 0.25 * x)),
    "exact GELU": (nn.GELU(approximate=False), lambda x: x * (1 + np.vectorize(math.erf)(x / np.sqrt(2))) / 2),
    "x times its sigmoid": (Function(lambda x: x * ops.sigmoid(x)), lambda x: x / (1 + np.exp(-x))),
    "methods of tensors": (
        Function(lambda x: x.clamp(0, 4) + 1 / (x * x + 1)),
        lambda x: np.clip(x, 0, 4) + 1 / (x * x + 1),
    ),
    "several in a row": (nn.SequentialCell(nn.Tanh(), nn.ReLU6()), lambda x: np.maximum(np.tanh(x), 0)),
}


@pytest.mark.parametrize("way", CURVES)
def test_functions_of_single_values(way):
    cell, function = CURVES[way]
    x, x0 = (2 * of.ravel().astype(float) - 1 for of in (IMAGE * 1.3, REFERENCE))
    expected = WEIGHTS * (x - x0) / 2 * 2 * slope(function, x, x0)
    found = DeepLift(Once(cell), REFERENCE)(Tensor(IMAGE * np.float32(1.3)), 0).asnumpy().ravel()
    np.testing.assert_allclose(found, expected, atol=5e-5 * np.abs(expected).max())


class Pooling(nn.Cell):
    """Convolution, rectifier, maxima over windows that overlap, dense layer, on images (N, 2, 7, 9)."""

    def __init__(self, seed=0, pool=None):
        super().__init__()
        rng = np.random.default_rng(seed)
        self.conv = nn.Conv2d(2, 3, 3, pad_mode="valid", has_bias=True)
        self.kernel = rng.normal(size=(3, 2, 3, 3)).astype(np.float32)
        self.offset = rng.normal(size=3).astype(np.float32)
        self.conv.weight.set_data(Tensor(self.kernel))
        self.conv.bias.set_data(Tensor(self.offset))
        self.relu, self.pool = nn.ReLU(), pool or nn.MaxPool2d(3, 2)
        self.rows = rng.normal(size=(2, 18)).astype(np.float32)
        self.head = nn.Dense(18, 2)
        self.head.weight.set_data(Tensor(self.rows))

    def construct(self, x):
        x = self.pool(self.relu(self.conv(x)))
        return self.head(x.reshape(x.shape[0], -1))


def pictures(count, seed=1):
    return np.random.default_rng(seed).normal(size=(count, 2, 7, 9)).astype(np.float32)


def twin(network, image, reference, label):
    """The map, place by place and window by window."""
    before, before0 = convolved(network, image), convolved(network, reference)
    seen, seen0 = relu(before), relu(before0)
    back = np.zeros_like(seen)
    for channel, row, column in np.ndindex(3, 2, 3):
        window = (channel, slice(2 * row, 2 * row + 3), slice(2 * column, 2 * column + 3))
        weight = network.rows[label].reshape(3, 2, 3)[channel, row, column]
        largest, largest0 = seen[window].max(), seen0[window].max()
        for values, share in ((seen, max(largest, largest0) - largest0), (seen0, largest - max(largest, largest0))):
            place = np.unravel_index(values[window].argmax(), (3, 3))
            at = (channel, 2 * row + place[0], 2 * column + place[1])
            apart = seen[at] - seen0[at]
            if apart:
                back[at] += weight * share / apart
            elif values is seen:
                back[at] += weight
    back *= slope(relu, before, before0)
    found = np.zeros_like(image, dtype=float)
    for channel, row, column in np.ndindex(*back.shape):
        found[:, row : row + 3, column : column + 3] += back[channel, row, column] * network.kernel[channel]
    return (found * (image.astype(float) - reference)).sum(axis=0)


def convolved(network, image):
    image = image.astype(float)
    found = np.zeros((3, 5, 7))
    for channel, row, column in np.ndindex(*found.shape):
        patch = image[:, row : row + 3, column : column + 3]
        found[channel, row, column] = (patch * network.kernel[channel]).sum() + network.offset[channel]
    return found


def test_overlapping_maxima_as_a_slow_twin():
    network, images, references = Pooling(), pictures(2), pictures(3, seed=4)
    found = DeepLiftShap(network, references)(Tensor(images), [[0, 1]] * 2).asnumpy()
    for row, label in np.ndindex(2, 2):
        expected = np.mean([twin(network, images[row], reference, label) for reference in references], axis=0)
        np.testing.assert_allclose(found[row, label], expected, atol=1e-5 * np.abs(expected).max())


POOLS = {
    "max": nn.MaxPool2d(3, 2),
    "padded max": lambda x: nn.MaxPool2d(3, 2, pad_mode="same")(x)[:, :, :2, :3],
    "mean": nn.AvgPool2d(3, 2),
    "largest of places": lambda x: ops.amax(x, (2, 3), keepdims=True).broadcast_to((x.shape[0], 3, 2, 3)),
    "smallest of places": lambda x: ops.amin(-x, (2, 3), keepdims=True).broadcast_to((x.shape[0], 3, 2, 3)),
    "adaptive mean": nn.AdaptiveAvgPool2d((2, 3)),
    "sigmoid, max": lambda x: nn.MaxPool2d(3, 2)(ops.sigmoid(x)),
}


@pytest.mark.parametrize("pool", POOLS)
def test_complete(pool):
    network, images, references = Pooling(2, POOLS[pool]), pictures(5), pictures(2, seed=4)
    for explainer in (DeepLift(network), DeepLift(network, "blur"), DeepLiftShap(network, references)):
        maps, errors = explainer.completeness_error(Tensor(images), [[0, 1]] * 5)
        logits = np.abs(Network(network).logits(images)).max()
        assert np.abs(errors).max() <= 1e-5 * logits
        assert np.abs(maps.asnumpy()).max() > 0.01


def test_without_bias_from_black_it_is_input_times_gradient():
    network = Pooling()
    network.conv.bias.set_data(Tensor(np.zeros(3, np.float32)))
    images = Tensor(pictures(4))
    expected = InputXGradient(network)(images, 1).asnumpy()
    np.testing.assert_allclose(DeepLift(network)(images, 1).asnumpy(), expected, atol=1e-5 * np.abs(expected).max())


def test_on_a_linear_network(linear):
    weights = np.random.default_rng(0).normal(size=(3, 2, 7, 9)).astype(np.float32)
    images, references = pictures(2), pictures(3, seed=4)
    found = DeepLiftShap(linear(weights, bias=2.0), references)(Tensor(images), 1).asnumpy()[:, 0]
    expected = (weights[1] * (images - references.mean(axis=0))).sum(axis=1)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_where_image_and_baseline_are_the_same_it_is_the_plain_gradient():
    network, image = Pooling(), pictures(1)
    view = View(Network(network), image, np.array([0]), np.array([1]))
    pairs = DeepLift(network, image)._pairs(view)
    (found,) = rescaled.rescaled_by_pass(view.network, pairs, view.targets)
    expected = view.network.differentiate(image, np.array([1])).input_gradient
    np.testing.assert_allclose(found.multipliers, expected, atol=1e-6)
    assert not DeepLift(network, image)(Tensor(image), 1).asnumpy().any()


def test_baselines_of_each_image():
    network, images = Pooling(), pictures(3)
    means = images.mean(axis=(2, 3), keepdims=True)
    found = DeepLift(network, ["mean", 0.25])(Tensor(images), 0).asnumpy()
    alone = [DeepLift(network, means[row])(Tensor(images[[row]]), 0).asnumpy()[0] for row in range(3)]
    expected = (np.array(alone) + DeepLift(network, 0.25)(Tensor(images), 0).asnumpy()) / 2
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


def test_a_contrast_is_the_difference_of_maps():
    network, images = Pooling(), Tensor(pictures(3))
    explainer = DeepLiftShap(network, pictures(2, seed=4))
    found = Contrast(explainer, 1)(images, 0).asnumpy()
    expected = explainer(images, 0).asnumpy() - explainer(images, 1).asnumpy()
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


def test_under_noise():
    network, image = Pooling(), pictures(1)
    found = NoiseTunnel(DeepLift(network, 0.5), nt_samples=3, stdevs=0.2)(Tensor(image), 1).asnumpy()
    noise = 0.2 * keyed_generator(0, 0, "NoiseTunnel").standard_normal((3, 2, 7, 9), np.float32)
    expected = DeepLift(network, 0.5)(Tensor(image + noise), 1).asnumpy().mean(axis=0)
    np.testing.assert_allclose(found[0], expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize(
    ("keys", "size", "expected", "images"),
    [
        ("", 4, [], 0),
        ("a", 1, [1], 2),
        ("aa", 1, [1, 1], 4),
        ("aaa", 4, [3], 4),
        ("aaaa", 4, [3, 1], 6),
        ("aab", 4, [2, 1], 6),  # a row stays free, since a pair needs two
        ("aabbb", 5, [3, 2], 8),
        ("abab", 8, [4], 8),
    ],
)
def test_pairs_fill_passes(keys, size, expected, images):
    parts = list(packed(keys, size))
    assert [len(keys[part]) for part in parts] == expected
    assert "".join(keys[part] for part in parts) == keys
    assert images_of_pairs(keys, size) == images


class Counting(Pooling):
    """Remembers how many images its calls had."""

    def __init__(self):
        super().__init__()
        self.calls = []

    def construct(self, x):
        self.calls.append(x.shape[0])
        return super().construct(x)


@pytest.mark.parametrize(
    ("baselines", "calls"),
    [(0.0, [4, 4, 3]), ("mean", [3, 3, 4, 3]), (pictures(2, seed=4), [4, 4, 3, 4, 4, 3])],
)
def test_passes_are_full_and_as_counted(baselines, calls):
    """Eight questions on five images: three to a pass with a baseline that they share, or their own image's."""
    cell = Counting()
    rows, labels = np.array([0, 0, 1, 1, 2, 3, 4, 4]), np.array([0, 1, 0, 1, 0, 1, 0, 1])
    network, explainer = Network(cell, 4), DeepLift(cell, baselines)
    view = View(network, pictures(5), rows, labels)
    needed = explainer.images_needed_for(view)["rescale"]
    explainer.attribute(view)
    assert cell.calls == calls
    assert network.passes.made["rescale"] == -(-needed // 4) == len(calls)


class ByBytecode(nn.Cell):
    @ms.jit(capture_mode="bytecode")
    def construct(self, x):
        return ops.relu(x)


class ByAst(nn.Cell):
    @ms.jit
    def construct(self, x):
        return ops.relu(x)


REFUSED = {
    "gate": (lambda x: x * ops.sigmoid(x), "Mul", "multiplies"),
    "gate of a mean": (Function(lambda x: x * ops.sigmoid(x.mean((2, 3), keep_dims=True))), "Mul", "multiplies"),
    "own gradient inside": (nn.SequentialCell(OwnGradient()), "ReLU", "has a gradient of its own"),
    "softmax": (nn.Softmax(), "Softmax", "is neither linear"),
    "own gradient": (OwnGradient(), "ReLU", "has a gradient of its own"),
    "layer normalisation": (nn.LayerNorm((4,)), "LayerNorm", "is neither linear"),
    "quotient": (lambda x: x / (ops.abs(x) + 1), "Div", "multiplies"),
    "below the line": (lambda x: Tensor([3.0]) / (x + 20), "Div", "is neither linear"),
    "larger of two": (lambda x: ops.maximum(x, x[..., ::-1]), "Maximum", "is neither linear"),
    "sorted": (lambda x: ops.sort(x)[0], "Sort", "is neither linear"),
    "mask": (lambda x: x * (x > 0), "Greater", "is neither linear"),
    "method of tensors": (lambda x: x.clamp(0, 6), "ClampScalar", "is neither linear"),
    "rows mixed": (lambda x: ops.relu(x.reshape(1, -1)).reshape(-1, 1, 1, 4), "ReLU", "holds rows"),
}


@pytest.mark.parametrize("way", REFUSED)
def test_what_the_rule_is_not_defined_for_is_refused_by_name(way, raising, state):
    function, operator, why = REFUSED[way]
    network = Once(function)
    network(Tensor(IMAGE))
    before = state(network)
    with raising(ValueError, "rescale-undefined") as caught:
        DeepLift(network)(Tensor(IMAGE), 0)
    values = caught.value.args[0].values
    assert values["where"].startswith("layer 'part" if isinstance(function, nn.Cell) else "Once")
    assert operator in values["operator"]
    assert values["why"].startswith(why)
    assert state(network) == before
    assert np.isfinite(Gradient(network)(Tensor(IMAGE), 0).asnumpy()).all()


def test_what_no_one_sees_shows_in_the_sum(monkeypatch, raising):
    """Here because the rule takes something for linear that is not."""
    monkeypatch.setattr(rescale, "_SUMS", {*rescale._SUMS, "clampscalar"})
    with raising(ValueError, "rescale-incomplete", network="Once"):
        DeepLift(Once(lambda x: x.clamp(0, 6)))(Tensor(IMAGE), 0)


def test_compiled_blocks(raising):
    expected = DeepLift(Once(nn.ReLU()), REFERENCE)(Tensor(IMAGE), 0).asnumpy()
    np.testing.assert_array_equal(DeepLift(Once(ByAst()), REFERENCE)(Tensor(IMAGE), 0).asnumpy(), expected)
    with raising(ValueError, "rescale-compiled"):
        DeepLift(Once(ByBytecode()), REFERENCE)(Tensor(IMAGE), 0)


def test_the_rule_is_gone_afterwards(state):
    network = Pooling()
    image = Tensor(pictures(1))
    network(image)
    before, plain = state(network), Gradient(network)(image, 0).asnumpy()
    DeepLift(network, 0.5)(image, 0)
    with pytest.raises(ValueError, match="targets must lie in"):
        DeepLift(network)(image, 2)
    assert state(network) == before
    np.testing.assert_array_equal(Gradient(network)(image, 0).asnumpy(), plain)


def test_earlier_versions_are_refused(monkeypatch, raising):
    monkeypatch.setattr(rescaled, "Dispatch", object)
    with raising(ValueError, "rescale-unseen", version=ms.__version__):
        DeepLift(Pooling())(Tensor(pictures(1)), 0)


def test_a_pool_needs_a_dataset(raising):
    for explainer in (DeepLiftShap(Pooling()), DeepLift(Pooling(), "pool"), ExpectedGradients(Pooling())):
        with raising(ValueError, "pool-without-dataset", size=20):
            explainer(Tensor(pictures(1)), 0)
