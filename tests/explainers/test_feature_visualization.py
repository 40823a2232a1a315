"""Gradient ascent: steps worked out by hand, against Adam written out, and on the bundled network."""

import logging

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn, ops
from scipy.ndimage import gaussian_filter

from explainrun.configs.digit_network import DigitNetwork
from explainrun.explainers import FeatureVisualization, VisualizedFeatures, activation_maps

SHAPE = (1, 2, 4)


class Weighed(nn.Cell):
    """On images (N, 1, 2, 4): "sums" gives (N, 3), weighed sums; "squares" (N, 2, 2, 4), the image's and minus it."""

    WEIGHTS = np.array([[1, -2, 0, 3, -1, 0, 5, 0.5], [0, 0, 0, 0, 0, 0, 2, 0], [-1] * 8], np.float32)

    def __init__(self):
        super().__init__()
        self.sums = nn.Dense(8, 3, has_bias=False)
        self.sums.weight.set_data(Tensor(self.WEIGHTS))
        self.squares = nn.Identity()
        self.norm = nn.BatchNorm2d(1)
        self.calls = []

    def construct(self, x):
        self.calls.append(x.shape[0])
        x = self.norm(x)
        both = self.squares(ops.cat([x**2, -(x**2)], 1))
        return self.sums(x.reshape(x.shape[0], 8)) + 0 * both.sum((1, 2, 3))[:, None]


class Plain(Weighed):
    def __init__(self):
        super().__init__()
        self.norm = nn.Identity()


def image(seed=0):
    return np.random.default_rng(seed).normal(size=SHAPE).astype(np.float32)


def test_on_a_linear_channel_every_pixel_goes_one_rate_a_step():
    """Where the gradient does not change, the moments cancel: a step is the gradient's sign."""
    network, start = Plain(), image()
    found = FeatureVisualization(network, "sums", [2, 0], steps=3, lr=0.5)(image=start)
    for risen, activation, weights in zip(found.images, found.activations, network.WEIGHTS[[2, 0]], strict=True):
        signs = np.sign(weights).reshape(SHAPE)
        np.testing.assert_allclose(risen, start + 3 * 0.5 * signs, rtol=1e-5)
        begun = (weights * start.ravel()).sum()
        np.testing.assert_allclose(activation, begun + np.arange(4) * 0.5 * np.abs(weights).sum(), rtol=1e-5)
    assert found.channels == (2, 0)
    assert network.calls == [2] * 4  # three steps and a last look, a pass of as many as there are channels


def test_the_mean_over_places_rises():
    """The mean of a square has the gradient x / 4: the first step is its sign."""
    start = image()
    found = FeatureVisualization(Plain(), "squares", [0, 1], steps=1, lr=0.25)(image=Tensor(start[None]))
    np.testing.assert_allclose(found.images[0], start + 0.25 * np.sign(start), rtol=1e-5)
    np.testing.assert_allclose(found.images[1], start - 0.25 * np.sign(start), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found.activations[:, 0], [(start**2).mean(), -(start**2).mean()], rtol=1e-5)
    np.testing.assert_allclose(found.activations[0, 1], (found.images[0] ** 2).mean(), rtol=1e-5)


def test_it_follows_adam():
    x = image().astype(np.float64)
    start, first, second = x.astype(np.float32), 0.0, 0.0
    for step in range(1, 8):
        gradient = -x / 4
        first, second = 0.9 * first + 0.1 * gradient, 0.999 * second + 0.001 * gradient**2
        x = x + 0.3 * (first / (1 - 0.9**step)) / (np.sqrt(second / (1 - 0.999**step)) + 1e-8)
    found = FeatureVisualization(Plain(), "squares", 1, steps=7, lr=0.3)(image=start)
    np.testing.assert_allclose(found.images[0], x, rtol=1e-3, atol=1e-4)


def test_noise_is_the_channels_own():
    visualize = [FeatureVisualization(Plain(), "squares", channels, steps=3) for channels in ([0, 1], 1, [1, 1, 0])]
    both, alone, other = (one(SHAPE, noise=0.1) for one in visualize)
    assert np.array_equal(both.images[1], alone.images[0])
    assert np.array_equal(both.images, other.images[[2, 0]])
    first, second = FeatureVisualization(Plain(), "squares", [0, 1], steps=1, lr=1e-6)(SHAPE).images
    assert np.abs(first - second).max() > 0.1
    seeded = FeatureVisualization(Plain(), "squares", 1, steps=3, seed=1)(SHAPE, noise=0.1)
    assert not np.array_equal(seeded.images, alone.images)
    many = FeatureVisualization(Plain(), "squares", [0, 1] * 4, steps=2)(SHAPE, pass_size=3)
    assert many.images.shape == (8, *SHAPE)
    assert many.activations.shape == (8, 3)
    assert np.array_equal(many.images[0], many.images[6])
    louder = FeatureVisualization(Plain(), "squares", [0, 1], steps=1)(SHAPE, noise=0.2)
    np.testing.assert_allclose(louder.activations[:, 0], 4 * both.activations[:, 0], rtol=1e-4)


def test_values_stay_within_limits():
    start = np.zeros((2, 3, 4), np.float32)

    class Coloured(nn.Cell):
        def __init__(self):
            super().__init__()
            self.sums = nn.Identity()

        def construct(self, x):
            return self.sums(x.sum((2, 3)) * Tensor(np.array([1, -1], np.float32)))

    def risen(limits):
        return FeatureVisualization(Coloured(), "sums", [0, 1], steps=9, limits=limits)(image=start).images

    found = risen((-2, 3))
    assert (found[0, 0] == 3).all()
    assert (found[1, 1] == -2).all()
    assert not found[0, 1].any()
    assert not found[1, 0].any()
    found = risen(([-1, -4], [5, 6]))
    assert (found[0, 0] == 5).all()
    assert (found[1, 1] == -4).all()
    with pytest.raises(ValueError, match="limits must be numbers or one for each of 2 channels, got 3"):
        risen(([-1, -1, -1], 2))


def test_decay_and_blur_come_after_each_step():
    start, signs = image(), np.sign(Weighed.WEIGHTS[0]).reshape(SHAPE)
    decayed = FeatureVisualization(Plain(), "sums", 0, steps=2, decay=0.25)(image=start).images[0]
    np.testing.assert_allclose(decayed, ((start + signs) * 0.75 + signs) * 0.75, rtol=1e-4, atol=1e-6)
    soft = FeatureVisualization(Plain(), "sums", 0, steps=1, blur=0.7)(image=start).images[0]
    np.testing.assert_allclose(
        soft, gaussian_filter(start + signs, (0, 0.7, 0.7), mode="nearest"), rtol=1e-4, atol=1e-6
    )


def test_jitter_shifts_the_image_and_its_gradient_back():
    """Channel 1 sees one pixel, row 1 and column 2: shifted by at most one, its neighbours rise, and no other."""
    visualize = FeatureVisualization(Plain(), "sums", 1, steps=1, jitter=1)
    expected = np.zeros((2, 4))
    expected[1, 2] = 1
    np.testing.assert_allclose(visualize(image=np.zeros(SHAPE, np.float32)).images[0, 0], expected, rtol=1e-5)
    found = FeatureVisualization(Plain(), "sums", 1, steps=30, jitter=1)(image=np.zeros(SHAPE, np.float32))
    assert (found.images[0, 0, :, 1:] > 0).all()  # two rows: up is down
    assert not found.images[0, 0, :, 0].any()


class Closed(nn.Cell):
    """Channel 0 is the image (N, 1, 2, 4), channel 1 the image less 2.5, both cut at zero."""

    def __init__(self, cut):
        super().__init__()
        self.cut, self.last = cut, nn.Identity()

    def construct(self, x):
        return self.last(self.cut(ops.cat([x, x - 2.5], 1))).mean((2, 3))


@pytest.mark.parametrize("seed", range(6))
def test_jitter_steps_on_the_pixel_that_was_seen(seed):
    """Values tell which pixel channel 1 saw in the second step; what the first step began goes on at its own pixel."""
    start = 10 * np.arange(8, dtype=np.float32).reshape(SHAPE)
    visualize = [FeatureVisualization(Plain(), "sums", 1, steps=steps, jitter=1, seed=seed) for steps in (1, 2)]
    once, twice = (one(image=start) for one in visualize)
    seen = np.flatnonzero(2 * once.images.ravel() == twice.activations[0, 1])
    changed = np.flatnonzero(np.abs(twice.images - once.images).ravel() > 0.1)
    assert changed.tolist() == sorted({6, *seen.tolist()})


def test_where_a_relu_is_closed_the_step_goes_as_if_it_were_open(state):
    network = Closed(nn.ReLU())
    before = state(network)
    found = FeatureVisualization(network, "last", [1, 0], steps=5)(image=np.full(SHAPE, 0.25, np.float32))
    np.testing.assert_allclose(found.images, np.full((2, *SHAPE), 5.25), rtol=1e-5)
    np.testing.assert_allclose(found.activations[0], [0, 0, 0, 0.75, 1.75, 2.75], rtol=1e-4)
    np.testing.assert_allclose(found.activations[1], 0.25 + np.arange(6), rtol=1e-4)
    assert state(network) == before


def test_without_a_gradient_the_image_stays_and_a_line_says_so(caplog):
    network = Closed(lambda x: ops.maximum(x, ops.zeros_like(x)))
    with caplog.at_level(logging.WARNING, "explainrun"):
        found = FeatureVisualization(network, "last", [1, 0], steps=3)(image=np.full(SHAPE, 0.25, np.float32))
    assert (found.images[0] == 0.25).all()
    assert found.activations[0].tolist() == [0] * 4
    assert found.activations[1, -1] > found.activations[1, 0]
    (message,) = caplog.messages
    assert "channel 1 of 'last' answers to no change" in message


def test_network_is_left_as_found(state):
    class Raising(Weighed):
        passes = 100

        def construct(self, x):
            found = super().construct(x)
            self.passes -= 1
            if not self.passes:
                raise RuntimeError("in the middle")
            return found

    network = Raising()
    network.set_train(True)
    network.norm.gamma.requires_grad = False
    before = state(network)
    FeatureVisualization(network, "sums", 0, steps=2)(SHAPE)
    assert state(network) == before  # batch norm's statistics too
    network.passes = 2
    with pytest.raises(RuntimeError, match="in the middle"):
        FeatureVisualization(network, "sums", 0, steps=2)(SHAPE)
    assert state(network) == before
    with pytest.raises(ValueError, match=r"channels of 'sums' must lie in 0..2, got 3 to 3"):
        FeatureVisualization(network, "sums", 3, steps=2)(SHAPE)
    assert state(network) == before
    activation_maps(network, image()[None], "squares")
    assert state(network) == before


def test_activation_maps_of_given_images(two_channels):
    maps = activation_maps(two_channels(), Tensor(two_channels.IMAGE), "relu").asnumpy()
    pixels = two_channels.IMAGE[0, 0]
    np.testing.assert_allclose(maps, [[pixels, (2 - pixels).clip(min=0)]], atol=1e-5)
    (second,) = activation_maps(two_channels(), two_channels.IMAGE, "relu", 1).asnumpy()
    np.testing.assert_array_equal(second, maps[0, 1:])

    class Strided(nn.Cell):
        def __init__(self):
            super().__init__()
            self.pool = nn.AvgPool2d((2, 2), (2, 2))

        def construct(self, x):
            return self.pool(x).sum((2, 3))

    images = np.stack([two_channels.IMAGE[0], 2 * two_channels.IMAGE[0]])
    small = activation_maps(Strided(), images, "pool", [0]).asnumpy()
    np.testing.assert_allclose(small, [[[[1, 2]]], [[[2, 4]]]], rtol=1e-6)
    large = activation_maps(Strided(), images, "pool", [0], resize=True).asnumpy()
    np.testing.assert_allclose(large[0, 0], [[1, 1.25, 1.75, 2]] * 2, rtol=1e-6)


def test_pictures():
    images = np.array([[[[-1, 0, 1, 9]]], [[[-4, 0, 1, 0.5]]]], np.float32)
    found = VisualizedFeatures("conv", (0, 1), images, np.zeros((2, 3), np.float32))
    first, second = (np.asarray(picture)[0, :, 0].tolist() for picture in found.pictures(0.5, 0.25))
    assert first == [64, 128, 191, 255]  # 0.25, 0.5, 0.75, and white
    assert second == [0, 128, 191, 159]
    assert np.asarray(found.pictures(127.5, [63.75])[1])[0, :, 0].tolist() == [0, 128, 191, 159]
    assert np.asarray(found.pictures()[1])[0, :, 0].tolist() == [0, 204, 255, 230]


@pytest.mark.slow
def test_channels_of_the_bundled_network_rise(repository):
    network = DigitNetwork()
    ms.load_checkpoint(str(repository / "configs" / "digit_network.ckpt"), network)
    found = FeatureVisualization(network, "block6", [0, 3])((3, 32, 40), pass_size=2)
    assert (found.activations[:, -1] > 20 * found.activations[:, 0]).all()


@pytest.mark.parametrize(
    ("options", "given", "message"),
    [
        ({"layer": "sum"}, {}, "did you mean 'sums'"),
        ({"channels": []}, {}, "channels must name at least one"),
        ({"channels": -1}, {}, "channels must be a whole number from 0, got -1"),
        ({"channels": [0, 1.5]}, {}, "channels must be a whole number from 0, got 1.5"),
        ({"steps": 0}, {}, "steps must be"),
        ({"lr": 0}, {}, "lr must be above 0"),
        ({"limits": (2, 1)}, {}, r"limits must be \(low, high\), low below high"),
        ({"limits": (1, [2, np.inf])}, {}, "limits must be"),
        ({"limits": 3}, {}, "limits must be"),
        ({"jitter": -1}, {}, "jitter must be"),
        ({"decay": 1}, {}, "decay must lie in 0..1"),
        ({"blur": -1}, {}, "blur be at least 0"),
        ({}, {}, "give either the shape"),
        ({}, {"shape": SHAPE, "image": image()}, "give either the shape"),
        ({}, {"shape": (2, 4)}, r"shape must be \(C, H, W\), got \(2, 4\)"),
        ({}, {"image": image()[0]}, r"must have shape \(C, H, W\)"),
        ({}, {"image": image() * np.nan}, "NaN or infinity"),
        ({"layer": "norm"}, {"shape": SHAPE, "noise": 0}, "noise must be above 0"),
    ],
)
def test_what_does_not_fit_is_refused(options, given, message):
    with pytest.raises(ValueError, match=message):
        FeatureVisualization(**{"network": Plain(), "layer": "sums", "channels": 0, **options})(**given)


def test_layers_that_have_no_channels_are_refused(two_channels):
    class Odd(nn.Cell):
        def __init__(self):
            super().__init__()
            self.tokens, self.idle = nn.Identity(), nn.Identity()

        def construct(self, x):
            return self.tokens(x[:, 0]).sum(2)

    for layer, message in (("tokens", "must give"), ("idle", "did not run in the forward pass")):
        with pytest.raises(ValueError, match=message):
            FeatureVisualization(Odd(), layer, 0)(SHAPE)
        with pytest.raises(ValueError, match=message):
            activation_maps(Odd(), image()[None], layer)
    with pytest.raises(ValueError, match=r"channels of 'relu' must lie in 0..1, got 2 to 2"):
        activation_maps(two_channels(), two_channels.IMAGE, "relu", 2)
    ms.set_context(mode=ms.GRAPH_MODE)
    try:
        with pytest.raises(ValueError, match="the gradient of a layer needs PyNative mode"):
            FeatureVisualization(Plain(), "sums", 0)(SHAPE)
    finally:
        ms.set_context(mode=ms.PYNATIVE_MODE)
