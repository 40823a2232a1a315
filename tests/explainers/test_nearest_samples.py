"""Nearest samples by hand, beside an obvious twin, and of whatever layout a layer has."""

import math

import numpy as np
import pytest
from mindspore import Tensor, nn

from explainrun.explainers import Network
from explainrun.explainers.core.automatic_layer import ChosenLayer
from explainrun.explainers.core.sample_pool import PooledSamples
from explainrun.explainers.nearest_samples import NearestSamples

SIGMOID = nn.Sigmoid()


def picture(value, row=1, column=2):
    """(1, 2, 4), zero but for one pixel: the features of "relu" are value / 8 and (14 + max(2 - value, 0)) / 8."""
    image = np.zeros((1, 2, 4), np.float32)
    image[0, row, column] = value
    return image


def pooled(pictures, truth=None):
    count = len(pictures)
    truth = np.arange(count)[:, None] if truth is None else np.array(truth)
    return PooledSamples(np.arange(count), np.stack(pictures), truth, np.zeros(count, np.uint32))


def neighbours(nearest, pool, ids, pictures):
    network = Network(nearest.network, 4, fill=True)
    compared = nearest.prepare(network, pool.first, SIGMOID)
    return nearest.among(compared, ids, nearest.features(network, np.stack(pictures)))


# Features, times 4: (4, 7) of 8, (2, 7) of 4, (8, 7) of 16 and (0, 8) of 0.
BY_HAND = {
    "euclidean": [0.5, 1.0, math.sqrt(1 + 1 / 16)],
    "cosine": [1 - 57 / math.sqrt(65 * 53), 1 - 81 / math.sqrt(65 * 113), 1 - 7 / math.sqrt(65)],
}


@pytest.mark.parametrize("distance", BY_HAND)
def test_by_hand(two_channels, distance):
    nearest = NearestSamples(two_channels(), "relu", count=3, pool=4, distance=distance)
    pool = pooled([picture(0), picture(16), picture(4, column=3), picture(8)], [[0, 1], [1, -1], [-1, -1], [0, -1]])
    found = neighbours(nearest, pool, [3, 9], [picture(8), picture(8, row=0)])
    assert found.ids.tolist() == [[2, 1, 0], [3, 2, 1]]  # of which the first is not its own
    np.testing.assert_allclose(found.distances[0], BY_HAND[distance], atol=1e-7)
    np.testing.assert_allclose(found.distances[1], [0, *BY_HAND[distance][:2]], atol=1e-7)
    assert found.predicted[0].tolist() == [0, 1, 1]  # logits (3 * 4 - 4, 4) of the second last, else (-4, value)
    assert found.truth[0].tolist() == [[-1, -1], [1, -1], [0, 1]]


def slow(features, pool, own, count, distance):
    """(id, distance) of the nearest ones, number by number."""

    def apart(one, two):
        if distance == "euclidean":
            return math.sqrt(math.fsum((a - b) ** 2 for a, b in zip(one, two, strict=True)))
        product = math.fsum(a * b for a, b in zip(one, two, strict=True))
        return 1 - product / math.sqrt(math.fsum(a * a for a in one) * math.fsum(b * b for b in two))

    found = sorted((round(apart(features, other), 9), place) for place, other in enumerate(pool) if place != own)
    return [(place, far) for far, place in found[:count]]


@pytest.mark.parametrize("distance", BY_HAND)
def test_as_an_obvious_twin(two_channels, distance):
    rng = np.random.default_rng(0)
    pictures = [rng.normal(1, 2, (1, 2, 4)).astype(np.float32) for _ in range(9)]
    pictures[5] = pictures[2]  # which is as far from all others
    nearest = NearestSamples(two_channels(), "relu", count=6, pool=7, distance=distance)
    found = neighbours(nearest, pooled(pictures[:7]), range(9), pictures)
    features = [[np.maximum(one, 0).mean(dtype=float), np.maximum(2 - one, 0).mean(dtype=float)] for one in pictures]
    for own, (ids, distances) in enumerate(zip(found.ids, found.distances, strict=True)):
        expected = slow(features[own], features[:7], own, 6, distance)
        assert ids.tolist() == [place for place, _ in expected]
        np.testing.assert_allclose(distances, [far for _, far in expected], atol=1e-6)
    assert (found.ids[2, 0], found.distances[2, 0]) == (5, 0)


def test_bits_do_not_depend_on_what_is_beside(two_channels):
    rng = np.random.default_rng(1)
    pictures = list(rng.normal(1, 2, (11, 1, 2, 4)).astype(np.float32))
    nearest = NearestSamples(two_channels(), "relu", count=3, pool=5)
    together = neighbours(nearest, pooled(pictures[:5]), range(11), pictures)
    alone = [neighbours(nearest, pooled(pictures[:5]), [own], [pictures[own]]) for own in reversed(range(11))]
    for name, table in together.tables.items():
        np.testing.assert_array_equal(table, np.concatenate([one.tables[name] for one in reversed(alone)]))


def test_each_network_is_asked_once_and_again_where_another_run_opens_it(two_channels):
    nearest, pool = NearestSamples(two_channels(), "relu", count=1, pool=2), pooled([picture(8), picture(4)])
    first = Network(nearest.network)
    before = nearest.prepare(first, pool.first, SIGMOID)
    nearest.network.conv.weight.set_data(-nearest.network.conv.weight)
    assert nearest.prepare(first, pool.first, SIGMOID) is before
    assert dict(first.passes.made) == {"nearest pool": 2}
    assert (nearest.prepare(Network(nearest.network), pool.first, SIGMOID).features != before.features).any()


def test_what_cannot_be_compared(two_channels):
    nearest = NearestSamples(two_channels(), "relu", count=2, pool=3)
    compared = nearest.prepare(Network(nearest.network), pooled([picture(8), picture(4), picture(0)]).first, SIGMOID)
    found = nearest.among(compared, [7, 8], np.array([[0.0, 0.0], [np.nan, 1.0]]))
    assert [found.ids.tolist(), found.predicted.tolist(), found.truth.tolist()] == [
        [[-1, -1]] * 2, [[-1, -1]] * 2, [[[-1], [-1]]] * 2
    ]  # fmt: skip
    assert np.isnan(found.distances).all()
    few = nearest._compared(np.array([[np.nan, 1.0], [0.0, 0.0], [3.0, 4.0]]))
    found = nearest.among(type(compared)(compared.samples, few, compared.predicted), [7], np.array([[6.0, 8.0]]))
    assert found.ids.tolist() == [[2, -1]]
    np.testing.assert_array_equal(found.distances, [[0, np.nan]])


LAYOUTS = {
    "first": lambda x: x,
    "last": lambda x: x.transpose(0, 2, 3, 1),
    "tokens": lambda x: x.reshape(x.shape[0], 3, 8).transpose(0, 2, 1),
    "features": lambda x: x.mean((2, 3)),
    "flat": lambda x: x.reshape(x.shape[0], 3, 2, 2, 2),
}


class Laid(nn.Cell):
    """Gives (N, 3, 2, 4) in one of several layouts."""

    def __init__(self, layout):
        super().__init__()
        self.laid = LAYOUTS[layout]

    def construct(self, x):
        return self.laid(x)


class Laying(nn.Cell):
    def __init__(self, layout):
        super().__init__()
        self.inner, self.head = Laid(layout), nn.Dense(24, 2)
        self.head.weight.set_data(Tensor(np.ones((2, 24), np.float32)))

    def construct(self, x):
        self.inner(x)
        return self.head(x.reshape(x.shape[0], 24))


def laid(layout, images, grid=None):
    nearest = NearestSamples(Laying(layout), "inner", count=1, pool=2)
    nearest = nearest if grid is None else nearest.reading(ChosenLayer("inner", grid))
    return nearest.features(Network(nearest.network), images)


@pytest.mark.parametrize("layout", ["first", "last", "tokens", "features"])
def test_features_are_means_over_places(layout):
    images = np.random.default_rng(2).normal(size=(3, 3, 2, 4)).astype(np.float32)
    np.testing.assert_allclose(laid(layout, images), images.mean((2, 3)), atol=1e-6)


def test_of_a_chosen_layer_the_tokens_on_its_grid_count():
    images = np.random.default_rng(2).normal(size=(3, 3, 2, 4)).astype(np.float32)
    expected = images.reshape(3, 3, 8)[:, :, 2:].mean(2)  # the first two tokens are none of 2 x 3
    np.testing.assert_allclose(laid("tokens", images, (2, 3)), expected, atol=1e-6)


@pytest.mark.parametrize(("layout", "grid"), [("flat", None), ("tokens", (5, 4))])
def test_other_outputs_are_refused(layout, grid, raising):
    with raising(ValueError, "nearest-layer-shape", layer="inner"):
        laid(layout, np.zeros((1, 3, 2, 4), np.float32), grid)


@pytest.mark.parametrize(
    ("options", "code", "values"),
    [
        ({"layer": "rleu"}, "layer-unknown", {"layer": "rleu"}),
        ({"count": 20}, "nearest-count", {"most": 19, "given": 20}),
        ({"count": 3, "pool": 3}, "nearest-count", {"most": 2, "given": 3}),
        ({"count": 0}, "not-a-whole-number", {"name": "count"}),
        ({"pool": 2.5}, "not-a-whole-number", {"name": "pool"}),
        ({"distance": "cosin"}, "option-value-unknown", {"given": "cosin"}),
    ],
)
def test_options_are_checked(two_channels, raising, options, code, values):
    with raising(ValueError, code, **values):
        NearestSamples(two_channels(), **options)
