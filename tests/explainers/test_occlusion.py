"""Occlusion against hand-worked maps, and against windows slid one by one."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn, ops

from explainrun.explainers import RISE, Network, Occlusion, View

IMAGE = np.arange(1, 9, dtype=np.float32).reshape(1, 1, 2, 4)
WEIGHTS = np.array([[[[1, 0, 2, 0], [0, 1, 0, -1]]], [[[0, 1, 0, 0], [0, 0, 0, 0]]]], np.float32)


def itself(logits):
    return logits


class Curved(nn.Cell):
    """Logits that are not linear in the image (N, 3, 5, 7)."""

    def __init__(self):
        super().__init__()
        rng = np.random.default_rng(0)
        self.weight = ms.Parameter(Tensor(rng.normal(size=(105, 6)).astype(np.float32)))
        self.head = ms.Parameter(Tensor(rng.normal(size=(6, 4)).astype(np.float32)))

    def construct(self, x):
        return ops.matmul(ops.tanh(ops.matmul(x.reshape(x.shape[0], -1), self.weight)), self.head)


def slow(network, image, label, window, stride, cover):
    """The mean fall over the windows that cover a pixel: every window apart, cut by the border."""
    total, times = np.zeros(image.shape[1:]), np.zeros(image.shape[1:])

    def probability(pixels):
        return nn.Softmax()(network(Tensor(pixels[None]))).asnumpy()[0, label]

    whole = probability(image)
    for c in range(0, image.shape[0] - window[0] + stride[0], stride[0]):
        for y in range(0, image.shape[1] - window[1] + stride[1], stride[1]):
            for x in range(0, image.shape[2] - window[2] + stride[2], stride[2]):
                covered = image.copy()
                where = np.s_[c : c + window[0], y : y + window[1], x : x + window[2]]
                covered[where] = np.broadcast_to(cover, image.shape)[where]
                total[where[1:]] += whole - probability(covered)
                times[where[1:]] += 1
    return total / times


def test_a_window_takes_away_what_it_covers(linear):
    pixel = Occlusion(linear(WEIGHTS), itself, window=1)
    np.testing.assert_allclose(pixel(Tensor(IMAGE), 0).asnumpy()[0, 0], [[1, 0, 6, 0], [0, 6, 0, -8]])
    square = Occlusion(linear(WEIGHTS), itself, window=2)
    np.testing.assert_allclose(square(Tensor(IMAGE), 0).asnumpy()[0, 0], [[7, 7, -2, -2], [7, 7, -2, -2]])
    sliding = Occlusion(linear(WEIGHTS), itself, window=2, stride=1)  # falls of 7, 12 and -2; the middle is under two
    np.testing.assert_allclose(sliding(Tensor(IMAGE), 0).asnumpy()[0, 0], [[7, 9.5, 5, -2]] * 2)


def test_what_covers_may_be_anything(linear):
    def fall(baseline):
        return Occlusion(linear(WEIGHTS), itself, window=1, baseline=baseline)(Tensor(IMAGE), 0).asnumpy()[0, 0]

    weights, image = WEIGHTS[0, 0], IMAGE[0, 0]
    np.testing.assert_allclose(fall(2.0), weights * (image - 2))
    np.testing.assert_allclose(fall(np.array([[1], [2]])), weights * (image - [[1], [2]]))
    np.testing.assert_allclose(fall("mean"), weights * (image - 4.5))
    np.testing.assert_allclose(fall([3.0]), weights * (image - 3))  # one a channel
    np.testing.assert_allclose(fall(IMAGE / 2), weights * image / 2)
    # Sigma 1, edges repeated: 1.3637 and 5.3637 along the rows; down the column 0.6995 of the one, 0.3005 of the other.
    assert fall("blur")[0, 0] == pytest.approx(1 - 2.5658, abs=1e-3)


@pytest.mark.parametrize(
    ("window", "stride", "cover"),
    [
        ((3, 2, 3), (3, 2, 3), 0.0),
        ((3, 3, 2), (3, 2, 2), 0.5),
        ((1, 2, 4), (1, 1, 3), -1.0),
        ((2, 5, 7), (1, 5, 7), 0.0),
    ],
)
def test_borders_and_channels_are_those_of_windows_slid_one_by_one(window, stride, cover):
    network, images = Curved(), np.random.default_rng(1).normal(size=(2, 3, 5, 7)).astype(np.float32)
    explainer = Occlusion(network, nn.Softmax(), window=window, stride=stride, baseline=cover)
    maps = explainer(Tensor(images), [[1, 3], [0, 2]]).asnumpy()
    for image, row, labels in zip(images, maps, ([1, 3], [0, 2]), strict=True):
        for map_, label in zip(row, labels, strict=True):
            np.testing.assert_allclose(map_, slow(network, image, label, window, stride, cover), atol=1e-6)


def test_all_labels_of_an_image_share_their_windows():
    network, images = Network(Curved(), 16, fill=True), np.ones((3, 3, 5, 7), np.float32)
    view = View(network, images, np.array([0, 0, 2]), np.array([1, 2, 0]), logits=np.zeros((3, 4), np.float32))
    explainer = Occlusion(network.cell, nn.Softmax(), window=2, stride=1)
    maps = explainer.attribute(view)
    assert maps.shape == (3, 5, 7)
    assert dict(network.passes.images) == {"occlude": 2 * 4 * 6}
    assert dict(network.passes.made) == {"occlude": 3}
    assert dict(explainer.images_needed(2, 3, (3, 5, 7))) == {"occlude": 2 * 4 * 6}


@pytest.mark.parametrize(
    ("side", "windows"), [((100, 224), 32 * 32), ((32, 64), 30 * 32), ((5, 7), 3 * 5), ((2, 40), 1 * 32)]
)
def test_by_default_32_windows_a_side_leave_nothing_out(linear, side, windows):
    explainer = Occlusion(linear(np.ones((2, 1, *side))), itself)
    assert dict(explainer.images_needed(1, 1, (1, *side))) == {"occlude": windows}
    if side[0] < 100:
        map_ = explainer(Tensor(np.ones((1, 1, *side), np.float32)), 0).asnumpy()
        assert map_.min() > 0.9


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"window": 2.5}, "window must be a whole number from 1, .*got 2.5"),
        ({"window": 0}, "window must be a whole number from 1, .*got 0"),
        ({"window": (1, 2, 3, 4)}, "window must be"),
        ({"stride": 2}, "stride needs a window"),
        ({"window": 2, "stride": True}, "stride must be"),
        ({"baseline": "black"}, "baseline must be a number, an array, 'mean' or 'blur', got 'black'"),
        ({"baseline": np.nan}, "baseline must be a finite number"),
        ({"window": 2, "stride": 3}, "a stride of 3 leaves out pixels between windows of 2 in width; make it smaller"),
        ({"window": (1, 5)}, "a window of 5 does not fit images of width 4; make it smaller"),
        (
            {"window": 1, "baseline": np.ones(3)},
            r"a baseline of shape \(3, 1, 1\) does not fit images of",
        ),
    ],
)
def test_what_does_not_fit_is_refused_before_any_pass(linear, options, message):
    network = linear(WEIGHTS)
    with pytest.raises(ValueError, match=message):
        Occlusion(network, itself, **options)(Tensor(IMAGE), 0)
    assert network.calls == []


def test_numpys_numbers_are_numbers(linear):
    square = Occlusion(linear(WEIGHTS), itself, window=np.int64(2), stride=np.array([2, 2]))
    np.testing.assert_allclose(square(Tensor(IMAGE), 0).asnumpy()[0, 0], [[7, 7, -2, -2], [7, 7, -2, -2]])


@pytest.mark.parametrize("explainer", [Occlusion, RISE])
def test_a_label_that_is_no_class_is_told(linear, explainer):
    options = {"window": 1} if explainer is Occlusion else {"num_masks": 9, "grid": 2}
    with pytest.raises(ValueError, match=r"targets must lie in 0\.\.1, got 2 to 2"):
        explainer(linear(WEIGHTS), itself, **options)(Tensor(IMAGE), 2)
