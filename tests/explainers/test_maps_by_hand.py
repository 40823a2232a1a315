"""Gradient, InputXGradient and GradCAM against numbers worked out on paper."""

import numpy as np
import pytest
from mindspore import Tensor

from explainrun.explainers import GradCAM, Gradient, InputXGradient
from explainrun.explainers.core.resize import resized

# TwoChannels on its image x = [[1,2,0,3],[0,1,4,1]]: the rectified channels are x and 2 - x, cut at zero:
#   [[1,2,0,3],[0,1,4,1]]  and  [[1,0,2,0],[2,1,0,1]].
# Logit 0 weighs the first with 1 at (0,0) and 3 at (1,3), the second with -2 at (1,0). Back through the second
# channel's slope of -1 the weight -2 becomes +2.
INPUT_GRADIENT = [[1, 0, 0, 0], [2, 0, 0, 3]]
INPUT_X_GRADIENT = [[1, 0, 0, 0], [0, 0, 0, 3]]
# Mean weights 4/8 and -2/8: 0.5 x - 0.25 (2 - x), cut at zero.
GRAD_CAM = [[0.25, 1.0, 0.0, 1.5], [0.0, 0.25, 2.0, 0.25]]


def test_hand_worked_maps(two_channels):
    network, image = two_channels(), Tensor(two_channels.IMAGE)
    for explainer, expected in (
        (Gradient(network), INPUT_GRADIENT),
        (InputXGradient(network), INPUT_X_GRADIENT),
        (GradCAM(network, layer="relu"), GRAD_CAM),
    ):
        np.testing.assert_allclose(explainer(image, 0).asnumpy(), [[expected]], atol=1e-6, err_msg=explainer.name)


def test_gradient_is_the_largest_size_over_channels_and_input_x_gradient_their_sum(linear):
    weights = np.zeros((1, 3, 1, 2), np.float32)
    weights[0, :, 0, 0], weights[0, :, 0, 1] = (1, -5, 2), (0, 1, 1)
    image = np.zeros((1, 3, 1, 2), np.float32)
    image[0, :, 0, 0], image[0, :, 0, 1] = (10, 1, 1), (7, -2, -3)
    network = linear(weights)
    assert Gradient(network)(Tensor(image), 0).asnumpy().tolist() == [[[[5, 1]]]]
    assert InputXGradient(network)(Tensor(image), 0).asnumpy().tolist() == [[[[10 - 5 + 2, -2 - 3]]]]


def test_input_x_gradient_is_complete_on_a_linear_network(linear):
    rng = np.random.default_rng(0)
    network, images = linear(rng.normal(size=(4, 3, 5, 7))), rng.normal(size=(6, 3, 5, 7)).astype(np.float32)
    maps = InputXGradient(network)(Tensor(images), np.tile(np.arange(4), (6, 1))).asnumpy()
    np.testing.assert_allclose(maps.sum((2, 3)), network(Tensor(images)).asnumpy(), rtol=1e-4)


def test_gradcam_of_the_input_weighs_channels_by_their_mean_gradient(linear):
    weights = np.array([[[[1, 3]], [[-1, -1]], [[0, 0]]]], np.float32)
    image = np.array([[[[1, 2]], [[3, 1]], [[9, 9]]]], np.float32)
    assert GradCAM(linear(weights), "")(Tensor(image), 0).asnumpy().tolist() == [[[[0, 2 * 2 - 1]]]]


def test_upsampling_has_half_pixel_centres_and_keeps_height_and_width_apart():
    assert resized(np.array([[[0, 4]]], np.float32), (1, 4)).tolist() == [[[0, 1, 3, 4]]]
    assert resized(np.array([[[0], [4]]], np.float32), (4, 1)).tolist() == [[[0], [1], [3], [4]]]
    assert np.abs(resized(np.full((2, 3, 5), 1.1, np.float32), (7, 11)) - 1.1).max() < 1e-6
    # smaller than the map: still two neighbours a pixel, as the paper's own code and captum have it
    assert resized(np.array([[[0, 1, 2, 9, 4, 8]]], np.float32), (1, 2)).tolist() == [[[1, 4]]]
    assert resized(np.array([[[3]]], np.float32), (2, 3)).tolist() == [[[3] * 3] * 2]


def test_gradcam_of_several_layers_averages_maps_of_equal_height(two_channels):
    # conv: gradients reach x and 2 - x as [[1,0,0,0],[0,0,0,3]] and [[0,0,0,0],[-2,0,0,0]]; the same mean weights, but
    # the feature maps are not cut: 0.5 x - 0.25 (2 - x) = 0.75 x - 0.5, at most 2.5.
    network, image = two_channels(), Tensor(two_channels.IMAGE)
    conv = np.maximum(0.75 * two_channels.IMAGE[0, 0] - 0.5, 0)
    np.testing.assert_allclose(GradCAM(network, "conv")(image, 0).asnumpy()[0, 0], conv, atol=1e-6)
    fused = GradCAM(network, ["relu", "conv"])(image, 0).asnumpy()[0, 0]
    np.testing.assert_allclose(fused, (np.array(GRAD_CAM) / 2 + conv / 2.5) / 2, atol=1e-6)
    with pytest.raises(ValueError, match="layer must name at least one layer"):
        GradCAM(network, [])


@pytest.mark.parametrize(
    ("targets", "shape"),
    [(1, (3, 1, 2, 4)), ([0, 1, 0], (3, 1, 2, 4)), (np.array([[0, 1]] * 3), (3, 2, 2, 4))],
)
def test_targets_of_every_kind(two_channels, targets, shape):
    images = Tensor(np.repeat(two_channels.IMAGE, 3, axis=0) * np.array([1, 2, 3], np.float32).reshape(3, 1, 1, 1))
    explainer = Gradient(two_channels())
    maps = explainer(images, targets)
    assert maps.shape == shape
    assert maps.dtype == images.dtype
    np.testing.assert_array_equal(maps.asnumpy(), explainer(images, Tensor(np.int32(targets))).asnumpy())
    labels = np.broadcast_to(np.reshape(targets, (-1, 1)) if np.ndim(targets) < 2 else targets, (3, shape[1]))
    for i in range(3):
        for j, label in enumerate(labels[i]):
            alone = explainer(images[i : i + 1], int(label)).asnumpy()
            np.testing.assert_array_equal(maps.asnumpy()[i, j], alone[0, 0])


@pytest.mark.parametrize(
    ("targets", "error", "words"),
    [
        (2, ValueError, "targets must lie in 0..1, got 2 to 2"),
        (-1, ValueError, "must not be negative"),
        (0.5, TypeError, "targets must be integers, got float64"),
        ([0, 1], ValueError, r"must be an int, \(1,\) or \(1, labels\) for 1 image, got shape \(2,\)"),
    ],
)
def test_bad_targets(two_channels, targets, error, words):
    with pytest.raises(error, match=words):
        Gradient(two_channels())(Tensor(two_channels.IMAGE), targets)


def test_bad_layers_and_inputs(two_channels):
    network = two_channels()
    with pytest.raises(ValueError, match="TwoChannels has no layer 'rleu'; did you mean 'relu'"):
        GradCAM(network, layer="rleu")
    with pytest.raises(ValueError, match=r"needs a layer of shape \(N, channels, h, w\), 'head' is \(1, 2\)"):
        GradCAM(network, layer="head")(Tensor(two_channels.IMAGE), 0)
    with pytest.raises(ValueError, match=r"inputs must be images of shape \(N, C, H, W\), got shape \(1, 2, 4\)"):
        Gradient(network)(Tensor(two_channels.IMAGE[0]), 0)
    with pytest.raises(TypeError, match=r"network must be a mindspore\.nn\.Cell, got str"):
        Gradient("network")
    with pytest.raises(ValueError, match="ret must be 'tensor' or 'image', got 'picture'"):
        Gradient(network)(Tensor(two_channels.IMAGE), 0, ret="picture")
