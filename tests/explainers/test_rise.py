"""RISE against masks made and summed one by one, against exact expectations, and against the paper's masks."""

from itertools import product

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn, ops
from scipy.ndimage import zoom

from explainrun.explainers import RISE, Network, OoDNet, RISEPlus, View
from explainrun.explainers.perturbation.rise import Masks

SIZE = (10, 12)
GRID = (2, 3)  # cells of 5 x 4 pixels


def itself(logits):
    return logits


def enlarged(cells, size):
    """A grid brought to one cell more than the image, as the paper's code does it (order 1, mirrored, half pixels)."""
    factors = [(many + 1) * -(-side // many) / many for side, many in zip(size, cells.shape, strict=True)]
    return zoom(cells.astype(np.float64), factors, order=1, mode="mirror", grid_mode=True)


def one_mask(cells, shift, size):
    return enlarged(cells, size)[shift[0] : shift[0] + size[0], shift[1] : shift[1] + size[1]]


class Curved(nn.Cell):
    """Logits of images (N, 2, 10, 12) that are not linear; with features for an OoDNet."""

    num_features = 6

    def __init__(self):
        super().__init__()
        rng = np.random.default_rng(0)
        self.output_features = False
        self.weight = ms.Parameter(Tensor(rng.normal(size=(240, 6)).astype(np.float32) / 8), name="weight")
        self.head = ms.Parameter(Tensor(rng.normal(size=(6, 4)).astype(np.float32)), name="head")

    def construct(self, x):
        features = ops.tanh(ops.matmul(x.reshape(x.shape[0], -1), self.weight))
        return features if self.output_features else ops.matmul(features, self.head)


def asked(network, images, rows=(0, 0, 1), labels=(3, 1, 1), ids=None, size=16):
    ids = np.arange(len(images)) if ids is None else np.array(ids)
    return View(Network(network, size, fill=True), images, np.array(rows), np.array(labels), sample_ids=ids, seed=5)


def pictures(count=2):
    return np.random.default_rng(1).normal(size=(count, 2, *SIZE)).astype(np.float32)


def test_it_is_the_weighted_sum_of_masks_made_one_by_one():
    network, images = Curved(), pictures()
    explainer = RISE(network, nn.Softmax(), num_masks=70, grid=GRID, probability=0.3)
    view = asked(network, images)
    maps, errors = explainer._maps_and_errors(view)
    for map_, error, row, label in zip(maps, errors, view.rows, view.labels, strict=True):
        drawn = Masks.drawn(view.generator(int(row), "RISE"), 70, GRID, 0.3, SIZE)
        values = []
        for cells, shift in zip(drawn.cells, drawn.shifts, strict=True):
            mask = one_mask(cells, shift, SIZE)
            masked = Tensor((images[row] * mask).astype(np.float32)[None])
            values.append(nn.Softmax()(network(masked)).asnumpy()[0, label] * mask / 0.3)
        np.testing.assert_allclose(map_, np.mean(values, axis=0), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(error, np.std(values, axis=0) / 70**0.5, rtol=1e-3, atol=1e-6)
    assert dict(view.network.passes.images) == {"mask": 2 * 70}
    assert dict(view.network.passes.made) == {"mask": 9}  # masks of both images side by side
    assert dict(explainer.images_needed(2, 3, (2, *SIZE))) == {"mask": 140}


def test_a_map_does_not_depend_on_what_is_asked_beside_it():
    network, images = Curved(), pictures(3)
    explainer = RISE(network, nn.Softmax(), num_masks=70, grid=GRID)
    together = explainer.attribute(asked(network, images, (0, 1, 1, 2), (0, 2, 1, 0)))
    alone = explainer.attribute(asked(network, images[1:2], (0,), (1,), ids=[1]))
    assert np.array_equal(alone[0], together[2])
    other = explainer.attribute(asked(network, images[1:2], (0,), (1,), ids=[2]))
    assert not np.array_equal(other[0], together[2])


def exact(weights, image, bias, probability):
    """The expectation on a linear network, over every grid and every shift."""
    total, chance = np.zeros(SIZE), 0.0
    for bits in product((0, 1), repeat=GRID[0] * GRID[1]):
        cells = np.array(bits).reshape(GRID)
        weight = np.prod([probability if bit else 1 - probability for bit in bits]) / 20
        large = enlarged(cells, SIZE)
        for down, right in product(range(5), range(4)):
            mask = large[down : down + SIZE[0], right : right + SIZE[1]]
            total += weight * ((weights * image * mask).sum() + bias) * mask / probability
            chance += weight
    assert chance == pytest.approx(1)
    return total


@pytest.mark.slow
def test_on_a_linear_network_it_converges_to_the_expectation(linear):
    rng = np.random.default_rng(2)
    weights, image = rng.normal(size=(1, 1, *SIZE)), rng.normal(size=(1, 1, *SIZE)).astype(np.float32)
    network, expected = linear(weights, bias=0.5), exact(weights[0], image[0], 0.5, 0.4)
    off, said = [], []
    for masks in (500, 2000, 8000):
        explainer = RISE(network, itself, num_masks=masks, grid=GRID, probability=0.4)
        found = [explainer._maps_and_errors(asked(network, image, (0,), (0,), [i], 500)) for i in range(8)]
        off.append(np.sqrt(np.mean([(maps[0] - expected) ** 2 for maps, _ in found])))
        said.append(np.sqrt(np.mean([errors[0] ** 2 for _, errors in found])))
    assert off[2] < 0.05 * np.abs(expected).max()
    np.testing.assert_allclose([off[0] / off[1], off[1] / off[2]], 2, rtol=0.25)
    np.testing.assert_allclose(said, off, rtol=0.25)


def test_masks_of_224_pixels_vary_as_those_of_the_paper():
    """Exact variance of each pixel's value, over all shifts: ours from drawn masks, the paper's from its resize."""
    size, cells = 224, 7
    unit = [enlarged(np.eye(cells)[[k]].T @ np.ones((1, 2)), (size, 2 * 3))[:, 3] for k in range(cells)]
    squares = (np.array(unit) ** 2).sum(axis=0)
    along = np.mean([squares[shift : shift + size] for shift in range(32)], axis=0)
    expected = 0.25 * np.outer(along, along)
    assert expected.max() / expected.min() == pytest.approx(1.21, abs=0.01)
    masks = Masks.drawn(np.random.default_rng(0), 3000, (cells, cells), 0.5, (size, size))
    total, second = np.zeros((size, size)), np.zeros((size, size))
    for block in masks.blocks():
        drawn = masks.pictures(block).astype(np.float64)
        total, second = total + drawn.sum(axis=0), second + (drawn**2).sum(axis=0)
    density = total / 3000
    found = second / 3000 - density**2
    assert found.mean() == pytest.approx(expected.mean(), rel=0.01)
    assert density.mean() == pytest.approx(0.5, abs=0.01)
    blocks = (found.reshape(7, 32, 7, 32).mean(axis=(1, 3)), expected.reshape(7, 32, 7, 32).mean(axis=(1, 3)))
    np.testing.assert_allclose(*blocks, rtol=0.05)


def test_the_direct_call_gives_standard_errors():
    explainer = RISE(Curved(), nn.Softmax(), num_masks=40, grid=GRID)
    maps, errors = explainer.standard_error(Tensor(pictures()), [[0, 1], [2, 2]])
    assert maps.shape == errors.shape == (2, 2, *SIZE)
    np.testing.assert_array_equal(maps.asnumpy(), explainer(Tensor(pictures()), [[0, 1], [2, 2]]).asnumpy())
    assert errors.asnumpy().min() > 0


class Bright(OoDNet):
    """Scores an image by how bright it is, for one class and for the other by nothing."""

    def construct(self, images):
        bright = ops.abs(images).mean((1, 2, 3))
        return ops.stack([bright - 5, -5 - bright], 1)


def test_masks_weigh_as_much_as_what_they_leave_looks_like_the_training_images():
    network, images = Curved(), pictures()
    explainer = RISEPlus(Bright(network, 2), network, nn.Softmax(), num_masks=50, grid=GRID)
    view = asked(network, images)
    maps = explainer.attribute(view)
    for map_, row, label in zip(maps, view.rows, view.labels, strict=True):
        masks = Masks.drawn(view.generator(int(row), "RISE"), 50, GRID, 0.5, SIZE).pictures(slice(0, 50))
        masked = (images[row] * masks[:, None]).astype(np.float32)
        weights = np.abs(masked).mean(axis=(1, 2, 3)) / np.abs(images[row]).mean()  # 0 for none, 1 for all of it
        says = nn.Softmax()(network(Tensor(masked))).asnumpy()[:, label]
        expected = ((weights * says)[:, None, None] * masks).sum(axis=0) / (0.5 * weights.sum())
        np.testing.assert_allclose(map_, expected, rtol=1e-4)
    assert dict(view.network.passes.images) == {"mask": 100, "ood": 104}
    assert dict(explainer.images_needed(2, 3, (2, *SIZE))) == {"mask": 100, "ood": 104}
    assert not network.output_features


class Dark(Bright):
    """Scores what is brighter lower."""

    def construct(self, images):
        return -super().construct(images)[:, :1]


class Whole(OoDNet):
    """Scores nothing but images of full brightness, which none behind a mask has."""

    def construct(self, images):
        full = float(np.abs(pictures(1)).mean())
        return ops.relu(ops.abs(images).mean((1, 2, 3)) - 0.999 * full)[:, None]


def test_without_any_inlier_score_there_is_no_map(caplog):
    network = Curved()
    explainer = RISEPlus(Dark(network, 2), network, nn.Softmax(), num_masks=20, grid=GRID)
    maps, errors = explainer.estimate(asked(network, pictures()))
    assert np.isnan(maps).all()
    assert np.isnan(errors).all()
    assert "RISEPlus: the OoDNet scores an image no higher than a hidden one, so it gets no map" in caplog.text
    assert "train the OoDNet for more epochs, on images such as these, or use RISE" in caplog.text


def test_where_no_masked_image_has_a_score_that_is_said_too(caplog):
    network = Curved()
    explainer = RISEPlus(Whole(network, 2), network, nn.Softmax(), num_masks=5, grid=GRID)
    maps = explainer(Tensor(pictures(1)), 0, show=False).asnumpy()
    assert np.isnan(maps).all()
    assert "scores an image behind any of its masks no higher than the hidden one, so it gets no map" in caplog.text


def test_a_picture_of_no_map_is_refused_with_what_to_do(raising):
    network, images = Curved(), Tensor(pictures())
    explainer = RISEPlus(Dark(network, 2), network, nn.Softmax(), num_masks=2, grid=GRID)
    for asked_for in ({"ret": "image"}, {"show": True}):
        with raising(ValueError, "map-no-picture", explainer="RISEPlus", count=2, label=1, image=0):
            explainer(images, 1, **asked_for)
    assert np.isnan(explainer(images, 1).asnumpy()).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_masks": 1}, "num_masks must be a whole number from 2, got 1"),
        ({"grid": (7, 1)}, "grid must be a whole number from 2, got 1"),
        ({"grid": (2, 3, 4)}, "grid must be"),
        ({"probability": 1}, "probability must lie between 0 and 1, got 1"),
        ({"grid": 11}, "a grid of 11 cells does not fit images of height 10; make it smaller"),
    ],
)
def test_what_does_not_fit_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        RISE(Curved(), nn.Softmax(), **options)(Tensor(pictures()), 0)


def test_only_an_ood_net_weighs():
    with pytest.raises(TypeError, match="ood_net must be an OoDNet, got Curved; train one on your data first"):
        RISEPlus(Curved(), Curved(), nn.Softmax())
