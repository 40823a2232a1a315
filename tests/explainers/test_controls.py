"""Controls against numbers worked out on paper, and random maps that are the same whatever they are asked beside."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor

from explainrun.benchmarks import ClassSensitivity, InsertionAUC, IoSR, PointingGame, Robustness
from explainrun.explainers import (
    EXPLAINERS,
    CenterGaussian,
    ConstantMap,
    Gradient,
    Network,
    NoiseTunnel,
    RandomMap,
    SobelEdges,
    View,
)
from explainrun.explainers.core.view import keyed_generator

CONTROLS = (RandomMap, CenterGaussian, SobelEdges, ConstantMap)
# An 8 in the corner. The filters' weights are (1, 2, 1) across and (-1, 0, 1) along, over 8; pixels at the border stand
# outside once more. Along x the corner's row has left -8 thrice, right of it likewise, then nothing:
#   gx = [[-3, -3, 0], [-1, -1, 0]], and along y  gy = [[-3, -1, 0], [-3, -1, 0]].
CORNER = [[8, 0, 0], [0, 0, 0]]
CORNER_EDGES = np.sqrt([[18, 10, 0], [10, 2, 0]])
# An 8 inside of 3 x 5: gx is 1 and -1 beside it, in its own row twice that; gy likewise above and below.
DOT = [[0, 0, 0, 0, 0], [0, 0, 0, 8, 0], [0, 0, 0, 0, 0]]
DOT_EDGES = [[0, 0, 2**0.5, 2, 2**0.5], [0, 0, 2, 0, 2], [0, 0, 2**0.5, 2, 2**0.5]]
# exp(-(u^2 + v^2) / (2 / 16)) on 2 x 4: u is 3/8 and 1/8 of the width off the centre, v a quarter of the height.
GAUSSIAN = [[0.1969117, 0.5352614, 0.5352614, 0.1969117]] * 2  # exp(-13/8), exp(-5/8)


def edges(linear, *channels):
    """The map of one image, its channels given."""
    image = np.array([channels], np.float32)
    return SobelEdges(linear(np.ones((2, *image.shape[1:]))))(Tensor(image), 1).asnumpy()[0, 0]


@pytest.mark.parametrize(("picture", "expected"), [(CORNER, CORNER_EDGES), (DOT, DOT_EDGES)])
def test_edges_by_hand(linear, picture, expected):
    np.testing.assert_allclose(edges(linear, picture), expected, rtol=1e-6, atol=1e-6)


def test_a_slope_of_one_a_pixel_gives_one_and_a_flat_image_nothing_up_to_its_frame(linear):
    slope = np.add.outer([0, 0, 0], [5, 6, 7, 8, 9])
    assert edges(linear, slope).tolist() == [[0.5, 1, 1, 1, 0.5]] * 3  # at the frame half of it is seen
    assert edges(linear, slope.T).tolist() == [[0.5] * 3, [1] * 3, [1] * 3, [1] * 3, [0.5] * 3]
    assert edges(linear, np.full((3, 5), 7.0)).tolist() == np.zeros((3, 5)).tolist()


def test_edges_are_the_root_mean_square_of_the_channels(linear):
    flat, dot = np.full((3, 5), 4), np.array(DOT)
    alone = edges(linear, dot)
    np.testing.assert_array_equal(edges(linear, dot, dot, dot), alone)
    np.testing.assert_array_equal(edges(linear, dot, -dot), alone)  # no edge in their mean
    np.testing.assert_allclose(edges(linear, flat, dot, flat, flat), alone / 2, rtol=1e-6)  # and none between channels


def test_the_gaussian_by_hand(linear):
    network = linear(np.ones((2, 1, 2, 4)))
    found = CenterGaussian(network)(Tensor(np.zeros((1, 1, 2, 4), np.float32)), 1).asnumpy()[0, 0]
    np.testing.assert_allclose(found, GAUSSIAN, rtol=1e-6)
    twice = CenterGaussian(network, 0.5)(Tensor(np.zeros((1, 1, 2, 4), np.float32)), 1).asnumpy()[0, 0]
    np.testing.assert_allclose(twice, np.array(GAUSSIAN) ** 0.25, rtol=1e-6)


def test_the_gaussian_is_stretched_as_the_image_is_and_covers_as_much_of_any(linear):
    cell, one = linear(np.ones((2, 1, 61, 101))), np.ones(1, int)
    tall, wide = (
        CenterGaussian(cell).drawn(View(Network(cell), np.zeros((2, 1, *size), np.float32), one, one))
        for size in ((101, 61), (61, 101))
    )
    np.testing.assert_array_equal(tall[0], wide[0].T)
    np.testing.assert_array_equal(wide[0], wide[0, ::-1, ::-1])
    assert wide[0, 30, 50] == wide.max() == 1
    assert (wide > 0.5).mean() == pytest.approx(np.pi * 2 * np.log(2) / 16, abs=0.005)  # 27 %


def test_the_narrowest_gaussian_still_has_an_order_in_the_corners(linear):
    network = linear(np.ones((2, 1, 224, 320)))
    narrow = CenterGaussian(network, 0.1)(Tensor(np.zeros((1, 1, 224, 320), np.float32)), 1).asnumpy()[0, 0]
    assert 0 < narrow[0, 0] < narrow[0, 1] < narrow[1, 1]


@pytest.mark.parametrize("sigma", [0.09, 1.01, 0, -0.25, float("nan"), "wide", True, None])
def test_a_sigma_that_does_not_do(linear, sigma):
    with pytest.raises(ValueError, match="sigma must"):
        CenterGaussian(linear(np.ones((2, 1, 2, 4))), sigma)


def test_the_constant_map_has_no_order_and_metrics_that_need_one_leave_it_unscored(linear):
    network, images = linear(np.ones((3, 1, 2, 4))), Tensor(np.ones((2, 1, 2, 4), np.float32))
    explainer, box = ConstantMap(network), np.zeros((2, 1, 2, 4), bool)
    box[..., 2:] = True
    assert explainer(images, [2, 0]).asnumpy().tolist() == np.ones((2, 1, 2, 4)).tolist()
    insertion = InsertionAUC(3, ms.nn.Sigmoid(), steps=2)
    for metric, told in ((insertion, {}), (PointingGame(3), {"mask": box}), (IoSR(3), {"mask": box})):
        assert np.isnan(metric.evaluate(explainer, images, [2, 0], **told)).all()
    assert np.isnan(ClassSensitivity().evaluate(explainer, images)).all()
    assert Robustness(3, ms.nn.Sigmoid(), samples=2).evaluate(explainer, images, [2, 0]).tolist() == [1, 1]


def random_maps(network, ids, rows, labels, seed=0, name=None, size=(2, 4)):
    view = View(
        Network(network),
        np.zeros((len(ids), 1, *size), np.float32),
        np.array(rows),
        np.array(labels),
        sample_ids=np.array(ids),
        seed=seed,
    )
    return RandomMap(network, name=name).attribute(view)


def test_random_maps_hang_on_seed_sample_label_and_name_alone(linear):
    network = linear(np.ones((3, 1, 2, 4)))
    found = random_maps(network, [7, 4], [0, 1, 1], [2, 0, 2])
    keys = (7, "RandomMap of label 2"), (4, "RandomMap of label 0"), (4, "RandomMap of label 2")
    drawn = [keyed_generator(0, *key).random((2, 4), np.float32) for key in keys]
    np.testing.assert_array_equal(found, drawn)
    np.testing.assert_array_equal(random_maps(network, [9, 4, 7], [1, 2, 1], [2, 2, 0]), found[[2, 0, 1]])
    others = [
        random_maps(network, [7], [0], [2], seed=1),
        random_maps(network, [7], [0], [2], name="Other"),
        random_maps(network, [7], [0], [1]),
        random_maps(network, [8], [0], [2]),
    ]
    assert len({maps.tobytes() for maps in (found[:1], *others)}) == 5


def test_random_maps_are_uniform_and_have_nothing_to_do_with_each_other(linear):
    maps = random_maps(linear(np.ones((3, 1, 100, 150))), [7, 4], [0, 1, 1], [2, 0, 2], size=(100, 150))
    assert maps.dtype == np.float32
    assert maps.min() >= 0
    assert maps.max() < 1
    # 15,000 draws each: the mean is off by 0.0024 in one standard error, the variance by 0.0006, a correlation by 0.008
    for of in maps:
        assert of.mean() == pytest.approx(1 / 2, abs=0.01)
        assert of.var() == pytest.approx(1 / 12, abs=0.003)
        assert abs(np.corrcoef(of[:, 1:].ravel(), of[:, :-1].ravel())[0, 1]) < 0.03
    assert np.abs(np.corrcoef(maps.reshape(3, -1))[np.triu_indices(3, 1)]).max() < 0.03


@pytest.mark.parametrize("control", [CenterGaussian, SobelEdges, ConstantMap])
def test_the_label_plays_no_role_but_in_random_maps(linear, control):
    images = np.random.default_rng(0).normal(size=(2, 1, 3, 5)).astype(np.float32)
    maps = control(linear(np.ones((3, 1, 3, 5))))(Tensor(images), np.array([[0, 2], [1, 0]])).asnumpy()
    np.testing.assert_array_equal(maps[:, 0], maps[:, 1])
    assert np.array_equal(maps[0], maps[1]) == (control is not SobelEdges)


@pytest.mark.parametrize("control", CONTROLS)
def test_nothing_passes_through_the_network_where_logits_are_known(linear, control):
    network = linear(np.ones((3, 1, 2, 4)))
    passes, logits = Network(network), np.zeros((2, 3), np.float32)
    view = View(passes, np.ones((2, 1, 2, 4), np.float32), np.array([1, 0]), np.array([2, 0]), logits=logits)
    explainer = control(network)
    assert explainer.attribute(view).shape == (2, 2, 4)
    assert (explainer.needs.layers, explainer.needs.outputs, explainer.images_needed(2, 2, (1, 2, 4))) == (
        {},
        set(),
        {},
    )
    assert not passes.passes.made
    assert network.calls == []


@pytest.mark.parametrize("control", CONTROLS)
def test_controls_run_in_graph_mode_and_give_noise_nothing_to_pass_through(linear, control):
    explainer, image = control(linear(np.ones((3, 1, 2, 4)))), Tensor(np.eye(2, 4, dtype=np.float32)[None, None])
    before = explainer(image, 1).asnumpy()
    try:
        ms.set_context(mode=ms.GRAPH_MODE)
        np.testing.assert_array_equal(explainer(image, 1).asnumpy(), before)
    finally:
        ms.set_context(mode=ms.PYNATIVE_MODE)
    with pytest.raises(TypeError, match="explainer must read gradients"):
        NoiseTunnel(explainer)


def test_controls_are_told_from_methods(linear):
    assert {name for name in EXPLAINERS if EXPLAINERS[name].control} == {kind.__name__ for kind in CONTROLS}
    assert not Gradient(linear(np.ones((2, 1, 2, 4)))).control


@pytest.mark.parametrize("control", CONTROLS)
def test_labels_that_the_network_has_not_are_refused(linear, control):
    image = Tensor(np.ones((1, 1, 2, 3), np.float32))
    with pytest.raises(ValueError, match="2"):
        control(linear(np.ones((2, 1, 2, 3))))(image, 2)
