"""Concepts of outputs that are made of known ones, and maps against what they must sum up to."""

import logging

import mindspore as ms
import numpy as np
import pytest
from matplotlib import colormaps
from mindspore import Tensor, nn, ops
from sklearn import decomposition

from explainrun.explainers import Concepts, DeepFeatureFactorization, GradCAM, Needs, Network, View
from explainrun.explainers.concepts import deep_feature_factorization as module
from explainrun.explainers.concepts.deep_feature_factorization import Factors

VECTORS = np.array([[0, 6, 0, 2], [3, 0, 0, 1]], np.float32)
MAPS = np.array(
    [[[0, 0, 0, 0, 0], [0, 0, 1, 0.5, 0], [0, 0, 0.5, 0, 0]], [[0, 1, 0, 0, 0], [0.5, 0, 0, 0, 0], [0, 0, 0, 0, 0]]],
    np.float32,
)
MINIMA = np.array([1, 0, 4, 2], np.float32)
MADE = np.einsum("kc,khw->chw", VECTORS, MAPS) + MINIMA[:, None, None]
ROWS = np.array([[1, -2, 0.5, 3], [0, 1, 1, -1], [2, 0, 0, 0.25]], np.float32)
BIAS = np.array([0.5, -1, 3], np.float32)


class Pooled(nn.Cell):
    """Images (N, 4, 3, 5) as they are; their mean over places; one dense layer of 3 classes."""

    def __init__(self):
        super().__init__()
        self.features = nn.Identity()
        self.head = nn.Dense(4, 3)
        self.head.weight.set_data(Tensor(ROWS))
        self.head.bias.set_data(Tensor(BIAS))

    def construct(self, x):
        return self.head(self.features(x).mean((2, 3)))


class Flat(nn.Cell):
    """The same images, every place with weights of its own."""

    def __init__(self):
        super().__init__()
        self.features = nn.Identity()
        self.weights = np.random.default_rng(3).normal(size=(2, 4, 3, 5)).astype(np.float32)
        self.matrix = ms.Parameter(Tensor(self.weights.reshape(2, 60).T))

    def construct(self, x):
        return ops.matmul(self.features(x).reshape(x.shape[0], 60), self.matrix)


class Tokens(nn.Cell):
    """As ``Pooled``, but places are tokens after one that stands for the class, which speaks for class 0 too."""

    def __init__(self):
        super().__init__()
        self.features = nn.Identity()
        self.head = Pooled().head

    def construct(self, x):
        places = x.reshape(x.shape[0], 4, 15).swapaxes(1, 2)
        tokens = self.features(ops.cat([places[:, :1] * 0 + 7, places], 1))
        return self.head(tokens[:, 1:].mean(1)) + tokens[:, 0, :3] * Tensor(np.array([1, 0, 0], np.float32))


def pictures(count=3, seed=0):
    return np.random.default_rng(seed).random((count, 4, 3, 5), np.float32)


def asked(explainer, images, rows, labels):
    network = Network(explainer.network, 4, fill=True)
    return View(network, images, np.array(rows), np.array(labels), needs=explainer.needs)


def test_an_output_made_of_two_concepts_gives_them_back():
    factors = Factors.of(MADE, 2)
    np.testing.assert_allclose(factors.offset, MINIMA)
    np.testing.assert_allclose(factors.vectors, VECTORS, atol=0.05)
    np.testing.assert_allclose(factors.maps, MAPS, atol=0.01)
    assert factors.residual < 0.01
    assert factors.settled
    for more in (Factors.of(MADE, 5), Factors.of(MADE[:, :, ::-1].copy(), 5)):  # its rank is two
        np.testing.assert_allclose(more.vectors, factors.vectors, atol=0.01)


def test_concepts_are_asked_about_alone():
    network = Pooled()
    explainer = DeepFeatureFactorization(network, "features", 2)
    (found,) = explainer.factorize(Tensor(MADE[None]), nn.Softmax())
    np.testing.assert_allclose(found.vectors, VECTORS + MINIMA, atol=0.05)
    np.testing.assert_allclose(found.maps, MAPS, atol=0.01)
    np.testing.assert_allclose(found.logits, found.vectors @ ROWS.T + BIAS, rtol=1e-5)
    exponentials = np.exp(found.logits)
    np.testing.assert_allclose(found.probabilities, exponentials / exponentials.sum(1, keepdims=True), rtol=1e-4)
    assert found.top_classes.tolist() == [[2, 1], [0, 2]]  # of logits 3.5, 5, 6 and 15.5, 0, 11.75
    for classifier in ("head", network.head):
        (same,) = explainer.factorize(Tensor(MADE[None]), classifier=classifier)
        np.testing.assert_allclose(same.logits, found.logits, rtol=1e-5)
        assert same.probabilities is None


def test_concepts_of_images_that_have_different_numbers_of_them():
    images = np.stack([np.full((4, 3, 5), 2, np.float32), MADE, pictures(1)[0]])
    explainer = DeepFeatureFactorization(Pooled(), "features", 3)
    found = explainer.factorize(Tensor(images), nn.Sigmoid())
    assert [len(of_image.maps) for of_image in found] == [0, 2, 3]
    for of_image, image in zip(found, images, strict=True):
        (alone,) = explainer.factorize(Tensor(image[None]), nn.Sigmoid())
        np.testing.assert_array_equal(alone.vectors, of_image.vectors)
        np.testing.assert_array_equal(alone.maps, of_image.maps)
        np.testing.assert_allclose(alone.probabilities, of_image.probabilities, rtol=1e-5)
    assert found[0].residual == 0
    assert found[0].picture(images[0][:3], legend=False).size == (5, 3)


def test_before_mean_pooling_every_place_has_what_the_reconstruction_says_there():
    explainer = DeepFeatureFactorization(Pooled(), "features", 2)
    image = pictures(1, seed=4)
    factors = Factors.of(image[0], 2)
    assert 0.05 < factors.residual < 0.9  # something is left out
    rebuilt = np.einsum("kc,khw->chw", factors.vectors, factors.maps)
    for label in range(3):
        expected = np.einsum("c,chw->hw", ROWS[label], rebuilt) / 15
        map_ = explainer(Tensor(image), label).asnumpy()[0, 0]
        np.testing.assert_allclose(map_, expected, rtol=1e-4, atol=1e-6)
    (found,) = explainer.factorize(Tensor(image))
    bare = ROWS @ factors.offset + BIAS
    summed = ((found.logits - bare)[:, :, None, None] * found.maps[:, None]).sum(axis=0) / 15
    np.testing.assert_allclose(explainer(Tensor(image), [[0, 1, 2]]).asnumpy()[0], summed, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("components", [1, 2, 4, 9])
def test_on_a_linear_network_maps_sum_up_to_what_the_reconstruction_says(components):
    network, image = Flat(), pictures(1, seed=5)
    explainer = DeepFeatureFactorization(network, "features", components)
    maps = explainer(Tensor(image), [[0, 1]]).asnumpy()[0]
    factors = Factors.of(image[0], components)
    for weights, map_ in zip(network.weights, maps, strict=True):
        total, expected = 0.0, np.zeros((3, 5))
        for vector, where in zip(factors.vectors, factors.maps, strict=True):
            adds = sum(
                where[y, x] * weights[channel, y, x] * vector[channel]
                for y in range(3) for x in range(5) for channel in range(4)
            )  # fmt: skip
            total, expected = total + adds, expected + adds * where / where.sum()
        np.testing.assert_allclose(map_, expected, rtol=1e-4, atol=1e-5)
        assert map_.sum() == pytest.approx(total, rel=1e-4)
        if components >= 4:  # as many as channels: nothing is left out
            whole = (weights * (image[0] - factors.offset[:, None, None])).sum()
            assert total == pytest.approx(whole, abs=0.02 * np.abs(weights).sum() * image.max())


def test_a_map_does_not_depend_on_what_is_asked_beside_it():
    explainer, images = DeepFeatureFactorization(Flat(), "features", 3), pictures(4)
    together = explainer.attribute(asked(explainer, images, [0, 1, 1, 2, 3], [0, 0, 1, 1, 0]))
    alone = explainer.attribute(asked(explainer, images[1:2], [0], [1]))
    assert np.array_equal(alone[0], together[2])
    assert not np.array_equal(together[1], together[2])


def test_all_labels_of_an_image_share_its_concepts(monkeypatch):
    explainer, made, of = DeepFeatureFactorization(Flat(), "features", 3), [], Factors.of
    monkeypatch.setattr(Factors, "of", lambda *given: made.append(1) or of(*given))
    explainer.attribute(asked(explainer, pictures(), [0, 0, 2, 2], [0, 1, 0, 1]))
    assert len(made) == 2


def test_it_reads_the_pass_that_others_read():
    network = Flat()
    explainers = [DeepFeatureFactorization(network, "features"), GradCAM(network, "features")]
    service = Network(network, 4, fill=True)
    needs = Needs.together(explainer.needs for explainer in explainers)
    view = View(service, pictures(), np.array([0, 1, 2]), np.array([0, 1, 0]), needs=needs)
    for explainer in explainers:
        explainer.attribute(view)
    assert dict(service.passes.made) == {"differentiate": 1}
    assert explainers[0].images_needed(3, 3, (4, 3, 5)) == {}


def test_an_output_that_is_the_same_everywhere_adds_nothing():
    explainer = DeepFeatureFactorization(Pooled(), "features")
    for value in (0, 3):
        assert not explainer(Tensor(np.full((1, 4, 3, 5), value, np.float32)), 1).asnumpy().any()


def test_what_is_not_finite_has_no_map_and_no_concepts():
    class Root(Pooled):
        def construct(self, x):
            return self.head(self.features(ops.sqrt(x)).mean((2, 3)))

    network, images = Root(), pictures(2)
    network.features = nn.Identity()
    images[0, 2, 1, 3] = -1
    explainer = DeepFeatureFactorization(network, "features")
    maps = explainer(Tensor(images), 1).asnumpy()
    assert np.isnan(maps[0]).all()
    assert np.isfinite(maps[1]).all()
    bad, good = explainer.factorize(Tensor(images))
    assert len(bad.maps) == 0
    assert np.isnan(bad.residual)
    assert len(good.maps) == 4  # of five: there are four channels


def test_maps_are_brought_to_the_images_size():
    class Strided(Pooled):
        def __init__(self):
            super().__init__()
            self.features = nn.AvgPool2d(2, 2)

    images = np.random.default_rng(0).random((2, 4, 6, 10), np.float32)
    explainer = DeepFeatureFactorization(Strided(), "features")
    assert explainer(Tensor(images), 1).shape == (2, 1, 6, 10)
    assert explainer.layer_maps(Tensor(images), 1)["features"].shape == (2, 1, 3, 5)
    found = explainer.factorize(Tensor(images))[1]
    assert found.maps.shape == (4, 3, 5)
    assert found.image_maps.shape == (4, 6, 10)


def test_tokens_of_a_grid_are_places_and_others_stay():
    images = pictures(2)
    (plain, tokens) = (Pooled(), "features"), (Tokens(), "features")
    expected = DeepFeatureFactorization(*plain, 3)
    explainer = DeepFeatureFactorization(*tokens, 3, reshape=(3, 5))
    ours, theirs = (one(Tensor(images), [[0, 1], [2, 1]]).asnumpy() for one in (explainer, expected))
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)
    for one, other in zip(explainer.factorize(Tensor(images)), expected.factorize(Tensor(images)), strict=True):
        np.testing.assert_allclose(one.logits, other.logits + np.array([7, 0, 0], np.float32), rtol=1e-4)


def test_a_function_that_reshapes_needs_a_classifier():
    def grid(values):
        return values[:, 1:].swapaxes(1, 2).reshape(len(values), 4, 3, 5)

    explainer = DeepFeatureFactorization(Tokens(), "features", 3, reshape=grid)
    with pytest.raises(ValueError, match="cannot be undone"):
        explainer.factorize(Tensor(pictures()))
    expected = DeepFeatureFactorization(Pooled(), "features", 3).factorize(Tensor(pictures()))
    for one, other in zip(explainer.factorize(Tensor(pictures()), classifier="head"), expected, strict=True):
        np.testing.assert_allclose(one.logits, other.logits, rtol=1e-4)


def test_a_factorization_that_does_not_come_to_rest_is_told_once(monkeypatch, caplog):
    monkeypatch.setattr(module, "_STEPS", 2)
    explainer = DeepFeatureFactorization(Pooled(), "features", 3)
    with caplog.at_level(logging.WARNING, "explainrun"):
        assert not any(concepts.settled for concepts in explainer.factorize(Tensor(pictures())))
        assert np.isfinite(explainer(Tensor(pictures()), 1).asnumpy()).all()
    assert len(caplog.messages) == 1
    assert "'features' into 3 concepts has not come to rest after 2 steps" in caplog.messages[0]


def test_a_concept_that_comes_out_empty_is_left_out(monkeypatch):
    class Emptied(decomposition.NMF):
        def fit_transform(self, values):
            vectors = super().fit_transform(values)
            self.components_[0] = 0
            return vectors

    monkeypatch.setattr(decomposition, "NMF", Emptied)
    factors = Factors.of(MADE, 2)
    assert len(factors.maps) == len(factors.vectors) == 1
    assert np.isfinite(factors.attributed(np.ones((4, 3, 5), np.float32))).all()


def test_network_is_left_as_found_when_it_raises(state):
    class Raising(Pooled):
        passes = 100

        def construct(self, x):
            self.passes -= 1
            if not self.passes:
                raise RuntimeError("in the middle")
            return super().construct(x)

    network = Raising()
    network.set_train(True)
    before = state(network)
    explainer = DeepFeatureFactorization(network, "features")
    for classifier in (None, "head"):
        explainer.factorize(Tensor(pictures()), classifier=classifier)
        assert state(network) == before
    for passes, call in (
        (1, lambda: explainer.factorize(Tensor(pictures()))),
        (2, lambda: explainer.factorize(Tensor(pictures()))),  # while a concept stands everywhere
        (1, lambda: explainer(Tensor(pictures()), 1)),
    ):
        network.passes = passes
        with pytest.raises(RuntimeError, match="in the middle"):
            call()
        assert state(network) == before


LITERAL = Concepts(
    vectors=np.zeros((2, 4), np.float32),
    maps=np.array([[[0, 1, 0.5]], [[0, 0.25, 0.75]]], np.float32),
    logits=np.array([[0, 3, 1], [2, 2, -1]], np.float32),
    probabilities=None,
    residual=0.1,
    settled=True,
    size=(1, 3),
)


def test_a_place_has_the_colour_of_its_strongest_concept():
    image = np.array([[[10, 20, 200]]], np.uint8)
    picture = np.asarray(LITERAL.picture(image, legend=False))
    red, green = 255 * colormaps["gist_rainbow"]([0, 0.5])[:, :3]
    expected = [0.3 * 10 + 0 * red, 0.3 * 20 + 0.7 * red, 0.3 * 200 + 0.7 * 0.75 * green]
    np.testing.assert_allclose(picture[0], expected, atol=1)
    assert (
        np.asarray(LITERAL.picture(image, image_weight=1, legend=False))[0] == [[10] * 3, [20] * 3, [200] * 3]
    ).all()


def test_the_image_stands_at_its_left():
    image = np.array([[[10, 20, 200]]], np.uint8)
    beside = np.asarray(LITERAL.picture(image, legend=False, hstack=True))
    assert beside[0, :3].tolist() == [[10] * 3, [20] * 3, [200] * 3]
    assert np.array_equal(beside[:, 3:], np.asarray(LITERAL.picture(image, legend=False)))
    assert LITERAL.picture(image, hstack=True).width > 850  # 400 are each image's


def test_the_legend_names_the_top_classes():
    assert LITERAL.labels(["cat", "$dog", "_"]) == ["$dog 3.00, _ 1.00", "cat 2.00, $dog 2.00"]
    assert LITERAL.labels()[0] == "1 3.00, 2 1.00"
    picture = LITERAL.picture(np.zeros((1, 3, 1, 3), np.float32), ["cat", "$dog", "_"])
    assert picture.mode == "RGB"
    assert picture.width > 450  # 400 are the image's, what is right of them the legend's


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: DeepFeatureFactorization(Pooled(), ["features", "head"]), ValueError, "reads one layer, got 2"),
        (lambda: DeepFeatureFactorization(Pooled(), "feature"), ValueError, "did you mean 'features'"),
        (lambda: DeepFeatureFactorization(Pooled(), "features", 0), ValueError, "n_components must be a whole number"),
        (lambda: DeepFeatureFactorization(Pooled(), "features", top_k=0), ValueError, "top_k must be a whole number"),
        (lambda: DeepFeatureFactorization(Pooled(), "head")(Tensor(pictures()), 0), ValueError, "reshape brings"),
        (
            lambda: DeepFeatureFactorization(Pooled(), "features").factorize(Tensor(pictures()), classifier=3),
            TypeError,
            "must be a mindspore.nn.Cell, got int",
        ),
        (lambda: LITERAL.picture(np.zeros((3, 2, 3))), ValueError, r"of an image of size \(1, 3\)"),
        (lambda: LITERAL.picture(np.zeros((3, 1, 3)), image_weight=2), ValueError, "image_weight must lie in 0..1"),
        (lambda: LITERAL.picture(np.zeros((3, 1, 3)), hstack="yes"), ValueError, "hstack must be True or False"),
        (lambda: LITERAL.labels(["cat"]), ValueError, "a name for each of 3 classes, got 1"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
