"""The CAM family against numbers worked out on paper, and against slow twins."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn, ops

from explainrun.explainers import (
    CAM,
    ISCAM,
    SSCAM,
    AblationCAM,
    EigenCAM,
    EigenGradCAM,
    FinerCAM,
    GradCAM,
    GradCAMpp,
    HiResCAM,
    LayerCAM,
    Network,
    ScoreCAM,
    ShapleyCAM,
    SmoothGradCAMpp,
    XGradCAM,
)
from explainrun.explainers.core.resize import resized
from explainrun.explainers.core.view import keyed_generator
from explainrun.explainers.network import layer_outputs, logits_from

# TwoChannels on its image: see test_maps_by_hand.py. Feature maps, and logit 0's gradients:
FIRST = np.array([[1, 2, 0, 3], [0, 1, 4, 1]], float)  # gradient 1 at (0, 0), 3 at (1, 3); sum 12
SECOND = np.array([[1, 0, 2, 0], [2, 1, 0, 1]], float)  # gradient -2 at (1, 0); sum 7
BY_HAND = {
    # weights (1 * 1 + 3 * 1) / 12 and (-2 * 2) / 7
    XGradCAM: (FIRST / 3 - SECOND * 4 / 7).clip(min=0),
    LayerCAM: [[1, 0, 0, 0], [0, 0, 0, 3]],
    HiResCAM: [[1, 0, 0, 0], [-4, 0, 0, 3]],
    # alpha 1 / (2 + 12) and 1 / (2 + 12 * 3), times the gradients 1 and 3; nothing positive in the second channel
    GradCAMpp: FIRST * (1 / 14 + 3 / 38),
}


@pytest.mark.parametrize("method", BY_HAND)
def test_worked_out_on_paper(two_channels, method):
    found = method(two_channels(), "relu")(Tensor(two_channels.IMAGE), 0).asnumpy()
    np.testing.assert_allclose(found[0, 0], BY_HAND[method], atol=1e-6)


def test_hirescam_sums_up_to_the_logit(two_channels):
    network, image = two_channels(), Tensor(two_channels.IMAGE)
    maps = HiResCAM(network, "relu")(image, [[0, 1]]).asnumpy()
    np.testing.assert_allclose(maps.sum((2, 3)), network(image).asnumpy(), atol=1e-6)


@pytest.mark.parametrize("centered", [False, True])
def test_eigencam_projects_on_the_first_eigenvector(two_channels, centered):
    """Of the 2 x 2 matrix of the channels' products, by its closed form."""
    one, two = (of - of.mean() if centered else of for of in (FIRST, SECOND))
    a, b, d = (one * one).sum(), (one * two).sum(), (two * two).sum()
    value = (a + d + np.sqrt((a - d) ** 2 + 4 * b * b)) / 2
    vector = np.array([b, value - a]) / np.hypot(b, value - a)
    expected = vector[0] * one + vector[1] * two
    expected *= np.sign((expected * (FIRST + SECOND)).sum())
    found = EigenCAM(two_channels(), "relu", centered=centered)(Tensor(two_channels.IMAGE), [[0, 1]]).asnumpy()[0]
    np.testing.assert_allclose(found[0], expected, atol=1e-5)
    assert np.array_equal(found[0], found[1])  # whatever the label
    assert (found[0].min() < 0) == centered


@pytest.mark.parametrize("centered", [False, True])
def test_eigengradcam_projects_products_on_their_first_eigenvector(two_channels, centered):
    """Of the products of feature maps and logit 0's gradients; its sign is that of their sum, the map of HiResCAM."""
    one, two = np.array([[1, 0, 0, 0], [0, 0, 0, 3]], float), np.array([[0, 0, 0, 0], [-4, 0, 0, 0]], float)
    whole = one + two
    if centered:
        one, two = one - 0.5, two + 0.5  # 8 + 14 and 2 between them: the larger eigenvalue is 11 + sqrt(13)
        vector = np.array([2, 3 + np.sqrt(13)]) / np.hypot(2, 3 + np.sqrt(13))
    else:
        vector = np.array([0, 1])  # 10 and 16, nothing between them
    expected = vector[0] * one + vector[1] * two
    expected *= np.sign((expected * whole).sum())
    found = EigenGradCAM(two_channels(), "relu", centered=centered)(Tensor(two_channels.IMAGE), 0).asnumpy()[0, 0]
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert (found[1, 0], found.min()) == (pytest.approx(found.min()), pytest.approx(expected.min(), rel=1e-5))


def test_eigengradcam_has_no_map_where_a_product_is_not_finite(two_channels):
    network = two_channels()
    network.head.weight.set_data(Tensor(np.full((2, 16), np.inf, np.float32)))
    assert np.isnan(EigenGradCAM(network, "relu")(Tensor(two_channels.IMAGE), 0).asnumpy()).all()


def test_ablation_weighs_channels_by_the_share_of_the_logit_that_goes_with_them(two_channels):
    network, image = two_channels(), Tensor(two_channels.IMAGE)
    assert AblationCAM(network, "relu")(image, 1).asnumpy()[0, 0].tolist() == FIRST.tolist()  # logit 1 is its sum
    assert np.isnan(AblationCAM(network, "relu")(image, 0).asnumpy()).all()  # logit 0 is 1 - 4 + 3 = 0
    network.head.weight.set_data(-network.head.weight)
    assert not AblationCAM(network, "relu")(image, 1).asnumpy().any()  # the channel speaks against it


def test_ablation_of_two_channels_by_hand(two_channels):
    """Logit 0 without the point at (1, 0) of the second channel: 1 + 3 = 4, all of it the first's."""
    network, image = two_channels(), two_channels.IMAGE.copy()
    image[0, 0, 1, 0] = 1.5  # feature maps 1.5 and 0.5 there: logit 1 + 3 - 2 * 0.5 = 3
    found = AblationCAM(network, "relu")(Tensor(image), 0).asnumpy()[0, 0]
    first, second = FIRST.copy(), SECOND.copy()
    first[1, 0], second[1, 0] = 1.5, 0.5
    # without the first -1 is left, without the second 4: weights (3 + 1) / 3 and (3 - 4) / 3
    np.testing.assert_allclose(found, (first * 4 / 3 - second / 3).clip(min=0), atol=1e-6)


def score_cam_twin(network, image, label, maps, versions):
    """Weights by calling the network on one image at a time."""
    logits = []
    for channel in maps:
        unit = (channel - channel.min()) / (channel.max() - channel.min())
        said = [network(Tensor(one.astype(np.float32))).asnumpy()[0, label] for one in versions(image, unit)]
        logits.append(np.mean(said, dtype=np.float64))
    weights = np.exp(logits - np.max(logits))
    weights /= weights.sum()
    return (weights[:, None, None] * maps).sum(axis=0).clip(min=0)


@pytest.mark.parametrize("label", [0, 1])
def test_score_cams_against_a_slow_twin(two_channels, label):
    network, image = two_channels(), two_channels.IMAGE / 2
    maps = np.stack([image[0, 0], 2 - image[0, 0]]).clip(min=0)
    noise = iter(keyed_generator(0, 0, "SSCAM").standard_normal((2, 3, 2, 4), np.float32))
    twins = {
        ScoreCAM(network, "relu"): lambda image, unit: [image * unit],
        ISCAM(network, "relu", num_samples=3): lambda image, unit: [image * unit * of for of in (1 / 3, 1, 2)],
        SSCAM(network, "relu", num_samples=3, std=0.5): lambda image, unit: [
            image * (unit + 0.5 * one) for one in next(noise)
        ],
    }
    for explainer, versions in twins.items():
        expected = score_cam_twin(network, image, label, maps, versions)
        found = explainer(Tensor(image), label).asnumpy()[0, 0]
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6, err_msg=explainer.name)
        assert expected.max() > 0


def test_iscam_with_one_sum_is_scorecam(two_channels):
    network, image = two_channels(), Tensor(two_channels.IMAGE)
    once, score = ISCAM(network, "relu", num_samples=1)(image, 0), ScoreCAM(network, "relu")(image, 0)
    assert np.array_equal(once.asnumpy(), score.asnumpy())


class Pooled(nn.Cell):
    """Feature maps x and x squared at half the size, their means, and a dense layer; or something else in between."""

    def __init__(self, between="mean"):
        super().__init__()
        self.pool, self.maps, self.between = nn.AvgPool2d(2, 2), nn.Identity(), between
        self.head = nn.Dense(2, 3)
        self.head.weight.set_data(Tensor([[1, 0], [2, -3], [0.5, 4]], dtype=self.head.weight.dtype))
        self.head.bias.set_data(Tensor([7, 8, 9], dtype=self.head.bias.dtype))

    def construct(self, x):
        x = self.pool(x)
        x = self.maps(ops.cat((x, x * x), 1))
        x = ops.amax(x, (2, 3)) if self.between == "max" else x.mean((2, 3))
        return self.head(ops.relu(x) if self.between == "relu" else x)


IMAGE = np.arange(24, dtype=np.float32).reshape(1, 1, 4, 6)  # means of squares of four: 3.5, 5.5, 7.5; 15.5, 17.5, 19.5


def test_cam_is_the_sum_of_feature_maps_by_the_labels_row():
    coarse = np.array([[3.5, 5.5, 7.5], [15.5, 17.5, 19.5]])
    explainer = CAM(Pooled(), "maps")
    found = explainer.layer_maps(Tensor(IMAGE), [[1, 2]])["maps"].asnumpy()[0]
    np.testing.assert_allclose(found[0], 2 * coarse - 3 * coarse**2, rtol=1e-5)
    np.testing.assert_allclose(found[1], 0.5 * coarse + 4 * coarse**2, rtol=1e-5)
    large = explainer(Tensor(IMAGE), 1).asnumpy()[0, 0]
    assert np.array_equal(large, resized(found[:1], (4, 6))[0])


def test_networks_that_do_not_end_in_mean_pooling_and_one_dense_layer_are_refused(two_channels, raising):
    with raising(ValueError, "mean-pooling-missing", layer="maps", head="head"):
        CAM(Pooled("max"), "maps")(Tensor(IMAGE), 1)
    with raising(ValueError, "mean-pooling-missing", why="which takes 16 features"):
        CAM(two_channels(), "relu")(Tensor(two_channels.IMAGE), 1)
    CAM(Pooled("relu"), "maps")(Tensor(IMAGE), 1)  # positive means: the same network here
    with raising(ValueError, "mean-pooling-missing", why="whose weights are not the logits' gradients"):
        CAM(Pooled("relu"), "maps")(Tensor(np.where(IMAGE < 20, -IMAGE - 40, IMAGE)), 1)
    two = Pooled()
    two.other = nn.Dense(3, 3)
    with raising(ValueError, "one-dense-layer", network="Pooled", found="has 'head', 'other'"):
        CAM(two, "maps")
    CAM(two, "maps", head="head")(Tensor(IMAGE), 1)
    with raising(ValueError, "head-not-dense", head="maps", kind="Identity"):
        CAM(two, "maps", head="maps")
    with raising(ValueError, "pooled-layers-several", given=2):
        CAM(two, ["maps", "pool"], head="head")


def test_smooth_gradcam_by_the_paper_with_the_same_noise():
    """Gradients of the twin by hand: logit 1 is the mean over places of 2 m - 3 m^2, m the means of four pixels."""

    class Curved(Pooled):
        def construct(self, x):
            features = self.maps(ops.cat((self.pool(x), self.pool(x) * self.pool(x)), 1))
            return (features**2).mean((2, 3)) @ self.head.weight.T

    samples, std = 5, 0.3
    noise = std * keyed_generator(0, 0, "SmoothGradCAMpp").standard_normal((samples, *IMAGE.shape[1:]), np.float32)

    def features(image):
        coarse = image.reshape(2, 2, 3, 2).mean(axis=(1, 3)).astype(np.float64)
        return np.stack([coarse, coarse**2])

    row, image = np.array([0.5, 4.0])[:, None, None], IMAGE / 10
    slopes = np.stack([2 * features(image[0, 0] + one[0]) * row / 6 for one in noise])
    first, second, third = ((slopes**power).mean(axis=0) for power in (1, 2, 3))
    maps = features(image[0, 0])
    alpha = second / (2 * second + maps.sum(axis=(1, 2), keepdims=True) * third)
    expected = ((alpha * first.clip(min=0)).sum(axis=(1, 2), keepdims=True) * maps).sum(axis=0).clip(min=0)
    explainer = SmoothGradCAMpp(Curved(), "maps", num_samples=samples, std=std)
    found = explainer.layer_maps(Tensor(image), 2)["maps"].asnumpy()[0, 0]
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_smooth_gradcam_without_noise_to_speak_of_is_gradcampp(two_channels):
    network, image = two_channels(), Tensor(two_channels.IMAGE + 0.1)
    smooth = SmoothGradCAMpp(network, "relu", num_samples=3, std=1e-7)(image, 0).asnumpy()
    np.testing.assert_allclose(smooth, GradCAMpp(network, "relu")(image, 0).asnumpy(), rtol=1e-5)


@pytest.mark.parametrize("method", [GradCAM, LayerCAM, HiResCAM, ScoreCAM, AblationCAM])
def test_several_layers_are_fused_by_their_largest_values(two_channels, method):
    network, image = two_channels(), Tensor(two_channels.IMAGE)
    conv, relu = (method(network, layer)(image, 1).asnumpy() for layer in ("conv", "relu"))
    fused = method(network, ["conv", "relu"])(image, 1).asnumpy()
    np.testing.assert_allclose(fused, (conv / np.abs(conv).max() + relu / np.abs(relu).max()) / 2, rtol=1e-5)
    assert list(method(network, ["conv", "relu"]).layer_maps(image, 1)) == ["conv", "relu"]


class Tokens(nn.Cell):
    """Feature maps as tokens, after two that stand for no place; then the same dense layer on their mean."""

    def __init__(self, as_tokens):
        super().__init__()
        rng = np.random.default_rng(0)
        self.conv = nn.Conv2d(1, 4, 2, stride=2, pad_mode="valid")
        self.conv.weight.set_data(Tensor(rng.normal(size=(4, 1, 2, 2)).astype(np.float32)))
        self.head = nn.Dense(4, 3, weight_init=Tensor(rng.normal(size=(3, 4)).astype(np.float32)), has_bias=False)
        self.relu, self.layer, self.as_tokens = nn.ReLU(), nn.Identity(), as_tokens

    def construct(self, x):
        x = self.relu(self.conv(x)) ** 2
        if not self.as_tokens:
            x = self.layer(x)
            return self.head((x**2).mean((2, 3)))
        tokens = x.reshape(x.shape[0], x.shape[1], -1).swapaxes(1, 2)
        tokens = self.layer(ops.cat((ops.zeros_like(tokens[:, :2]) + 3, tokens), 1))
        return self.head((tokens[:, 2:] ** 2).mean(1))


FAMILY = [GradCAM, GradCAMpp, XGradCAM, LayerCAM, HiResCAM, EigenCAM, ScoreCAM, SSCAM, ISCAM, AblationCAM]


@pytest.mark.parametrize("method", [*FAMILY, SmoothGradCAMpp, EigenGradCAM, FinerCAM, ShapleyCAM])
def test_tokens_on_a_grid_are_feature_maps(method):
    image = Tensor(np.random.default_rng(1).normal(size=(2, 1, 4, 6)).astype(np.float32))
    of_maps = method(Tokens(as_tokens=False), "layer").layer_maps(image, [[0, 2], [1, 0]])["layer"].asnumpy()
    for reshape in ((2, 3), [2, 3], lambda tokens: tokens[:, 2:].swapaxes(1, 2).reshape(len(tokens), 4, 2, 3)):
        explainer = method(Tokens(as_tokens=True), "layer", reshape=reshape)
        of_tokens = explainer.layer_maps(image, [[0, 2], [1, 0]])["layer"].asnumpy()
        np.testing.assert_allclose(of_tokens, of_maps, rtol=1e-4, atol=1e-5 * np.abs(of_maps).max())


def test_what_reshape_cannot_be():
    network, image = Tokens(as_tokens=True), Tensor(np.ones((1, 1, 4, 6), np.float32))
    for reshape in (6, "2x3", (2, 3, 1), (2, 0), (2, 2.5)):
        with pytest.raises(ValueError, match="reshape must be"):
            GradCAM(network, "layer", reshape=reshape)
    with pytest.raises(ValueError, match=r"reshape \(3, 3\) needs a layer of shape .* with 9 tokens and fewer others"):
        GradCAM(network, "layer", reshape=(3, 3))(image, 0)
    with pytest.raises(
        ValueError, match=r"reshape \(1, 2\) needs a layer of .* than one row has, 'layer' is \(1, 8, 4\)"
    ):
        GradCAM(network, "layer", reshape=(1, 2))(image, 0)
    with pytest.raises(TypeError, match=r"layer must be a layer's name, such as 'layer4', .*, got Identity"):
        GradCAM(network, network.layer)
    with pytest.raises(
        ValueError, match=r"'layer' gives \(1, 8, 4\), .*; reshape brings tokens .* perhaps reshape=\(2, 3\)"
    ):
        GradCAM(network, "layer")(image, 0)
    for reshape, words in (
        (lambda tokens: None, "reshape must give an array of 1 grids for 'layer', it gives NoneType"),
        (lambda tokens: tokens[:, 2:].reshape(2, 4, 1, 3), r"it gives shape \(2, 4, 1, 3\)"),
        (lambda tokens: tokens[:, 9], "reshape fails on what 'layer' gives, .*: IndexError"),
    ):
        with pytest.raises(ValueError, match=words):
            GradCAM(network, "layer", reshape=reshape)(image, 0)


class Twice(nn.Cell):
    """One ReLU that runs twice, the first run going round the second, as many networks share one."""

    def __init__(self):
        super().__init__()
        self.relu = nn.ReLU()
        self.pick = Tensor([[1, 2], [-1, 3]], ms.float32)

    def construct(self, x):
        first = self.relu(x - 1)
        second = self.relu(first * 2 + x)
        return ops.cat(((first + second).sum((1, 2, 3)).reshape(-1, 1), second.mean((2, 3))), 1) @ ops.pad(
            self.pick, (0, 0, 0, 1)
        )


def test_of_a_layer_that_runs_twice_the_last_run_is_read_and_replaced():
    """Logit 1 is 2 (sum of first + second) + 3 (mean of second's first channel), second (2 (x - 1) + x) where x > 1."""
    image = np.array([[[[2, 1, 0], [0.5, 3, 0]], [[0, 0, 2], [1, 0, 4]]]], np.float32)
    first = (image[0] - 1).clip(min=0)
    second = (2 * first + image[0]).clip(min=0)
    whole = 2 * (first + second).sum() + 3 * second[0].mean()
    without = [whole - 2 * second[0].sum() - 3 * second[0].mean(), whole - 2 * second[1].sum()]
    weights = [(whole - one) / whole for one in without]
    found = AblationCAM(Twice(), "relu")(Tensor(image), 1).asnumpy()[0, 0]
    np.testing.assert_allclose(found, weights[0] * second[0] + weights[1] * second[1], rtol=1e-5)


def test_feature_maps_with_channels_last_are_ablated_by_channel():
    """As many rows as channels, so that nothing but their places tells them apart."""

    class ChannelsLast(nn.Cell):
        def __init__(self, last):
            super().__init__()
            self.layer, self.last = nn.Identity(), last
            self.weights = Tensor(np.random.default_rng(3).normal(size=(24, 2)).astype(np.float32))

        def construct(self, x):
            x = self.layer(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2) if self.last else self.layer(x)
            return x.reshape(len(x), 24) @ self.weights

    image = Tensor(np.random.default_rng(1).normal(size=(1, 2, 2, 6)).astype(np.float32))
    usual = AblationCAM(ChannelsLast(last=False), "layer")(image, 1).asnumpy()
    turned = AblationCAM(ChannelsLast(last=True), "layer", reshape=lambda of: of.transpose(0, 3, 1, 2))
    np.testing.assert_allclose(turned(image, 1).asnumpy(), usual, rtol=1e-5)
    assert usual.any()


@pytest.mark.parametrize("size", [1e-24, 1.0, 1e18])
def test_second_order_weights_keep_their_range(linear, size):
    """Powers of the gradient leave the range of float32; the map is the activation times 1 / (2 + sum * gradient)."""
    weights = np.array([[[[2.0, 1.0, 0.5]]]], np.float32) * np.float32(size)
    image = np.array([[[[1.0, 3.0, 2.0]]]], np.float32)
    found = GradCAMpp(linear(weights), "")(Tensor(image), 0).asnumpy()[0, 0, 0]
    slope = weights[0, 0, 0].astype(np.float64)
    np.testing.assert_allclose(found, (slope / (2 + 6 * slope)).sum() * image[0, 0, 0], rtol=1e-5)


def test_a_layer_is_replaced_whatever_comes_before_it(two_channels):
    """Rows of different images in one pass, and the network's own pass unharmed afterwards."""
    network = Network(two_channels(), 4)
    images = np.random.default_rng(0).normal(size=(6, 1, 2, 4)).astype(np.float32)
    outputs = layer_outputs(network, images, ["relu", ""])
    assert np.array_equal(outputs[""], images)
    whole = np.concatenate(
        list(logits_from(network, "relu", zip(images[::-1], outputs["relu"], strict=True), "ablate"))
    )
    np.testing.assert_allclose(whole, network.logits(images), rtol=1e-6)
    assert dict(network.passes.made) == {"activate": 2, "ablate": 2, "infer": 2}
    for layer, words in (
        ("head", "must be read before it can give"),
        ("relu", r"gives shape \(4, 2, 2, 4\), it cannot give"),
    ):
        with pytest.raises(ValueError, match=words):
            list(logits_from(network, layer, zip(images, outputs["relu"][:, :1], strict=True), "ablate"))
