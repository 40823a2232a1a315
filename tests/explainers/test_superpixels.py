"""Segments of images, what hides them, and the pictures of an explanation, pixel by pixel."""

import logging
import warnings
from functools import partial

import numpy as np
import pytest
from mindspore import Tensor
from PIL import Image

from explainrun.explainers import LIME, KernelSHAP, SuperpixelExplanation
from explainrun.explainers.perturbation import superpixels as module
from explainrun.explainers.perturbation.superpixels import Segmentation, segment_means

HALVES = np.array([[7, 7, 7, 3, 3], [7, 7, 3, 3, 3]])


def itself(logits):
    return logits


def segmented(image, method="slic", seed=0, **options):
    found = Segmentation(method, options or None, "mine")(image, np.random.default_rng(seed))
    assert found.shape == image.shape[1:]
    assert found.dtype == np.int64
    assert sorted(set(found.ravel().tolist())) == list(range(found.max() + 1))
    return found


def blocks(channels):
    """Four even blocks of different colours, (channels, 24, 32), cut at row 9 and column 20."""
    image = np.zeros((channels, 24, 32), np.float32)
    for value, where in enumerate((np.s_[:, :9, :20], np.s_[:, :9, 20:], np.s_[:, 9:, :20], np.s_[:, 9:, 20:])):
        image[where] = np.array([value, 3 - value, value % 2 * 3, 1])[:channels, None, None]
    return image


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("slic", {"n_segments": 16, "compactness": 0.01, "enforce_connectivity": False}),
        ("quickshift", {"kernel_size": 1, "max_dist": 4, "ratio": 1.0}),
        ("felzenszwalb", {"min_size": 5, "sigma": 0.1}),
    ],
)
def test_segments_follow_the_edges_of_even_blocks(method, options, channels):
    image = blocks(channels)
    found = segmented(image, method, **options)
    for label in range(found.max() + 1):
        assert len(np.unique(image[:, found == label].T, axis=0)) == 1  # no segment reaches over an edge
    assert found.max() >= 3
    for moved in (image * 64 - 500, image / 1024 + 3):  # powers of two, so that nothing is rounded
        assert np.array_equal(segmented(moved, method, **options), found)


def test_by_default_quickshift_is_that_of_the_lime_package():
    rng = np.random.default_rng(0)
    image = np.kron(rng.random((3, 12, 14)), np.ones((1, 8, 8))).astype(np.float32)
    plain = segmented(image, "quickshift")
    assert np.array_equal(plain, segmented(image, "quickshift", kernel_size=4, max_dist=200, ratio=0.2))
    assert plain.max() > 1
    assert not np.array_equal(plain, segmented(image, "quickshift", max_dist=5))
    assert not np.array_equal(plain, segmented(image, "quickshift", ratio=0.9))


def test_of_four_channels_the_colours_decide_alone():
    image = blocks(4)
    image[3] = 1000 * np.random.default_rng(0).random((24, 32))
    assert np.array_equal(segmented(image), segmented(image[:3]))


def test_what_is_random_comes_from_the_generator(monkeypatch):
    def drawing(picture, rng=42, **options):
        return np.random.default_rng(rng).integers(0, 3, picture.shape[:2])

    monkeypatch.setattr(module, "of_scikit_image", lambda name: drawing)
    image = np.zeros((1, 20, 26), np.float32)
    assert np.array_equal(segmented(image, "quickshift", 5), segmented(image, "quickshift", 5))
    assert not np.array_equal(segmented(image, "quickshift", 5), segmented(image, "quickshift", 6))
    assert np.array_equal(segmented(image, "quickshift", 5, rng=3), segmented(image, "quickshift", 6, rng=3))


@pytest.mark.parametrize("method", module.NAMES)
@pytest.mark.parametrize("size", [(1, 1), (1, 2), (2, 4), (5, 3)])
def test_tiny_images_have_segments_too(caplog, method, size):
    for image in (np.zeros((3, *size), np.float32), np.random.default_rng(0).random((3, *size)).astype(np.float32)):
        alone = segmented(image, method).max() == 0
        assert not alone or f"mine: {method} finds a single segment in an image, so its map is constant" in caplog.text


def test_a_single_segment_is_told_once(caplog):
    whole = Segmentation(lambda picture: np.full(picture.shape[:2], 9), None, "mine")
    for _ in range(3):
        assert not whole(np.zeros((2, 3, 4), np.float32), np.random.default_rng(0)).any()
    assert len(caplog.messages) == 1


def test_an_own_function_gets_every_channel_and_its_options():
    seen = {}

    def halves(picture, *, times, **more):
        seen.update(picture=picture, times=times, more=more)
        return HALVES * times

    image = np.arange(20, dtype=np.float32).reshape(2, 2, 5) - 4
    found = segmented(image, halves, times=2, colour="red")
    assert np.array_equal(found, [[1, 1, 1, 0, 0], [1, 1, 0, 0, 0]])
    np.testing.assert_array_equal(seen["picture"], (image.transpose(1, 2, 0).astype(np.float64) + 4) / 19)
    assert (seen["times"], seen["more"]) == (2, {"colour": "red"})
    unsigned = partial(lambda _, labels: labels, labels=HALVES.astype(np.uint8))
    assert np.array_equal(segmented(image, unsigned), found)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (HALVES.T, r"int64 \(5, 2\)"),
        (HALVES * 1.0, r"float64 \(2, 5\)"),
        (HALVES > 3, r"bool \(2, 5\)"),
        (HALVES.tolist(), "list"),
        (None, "NoneType"),
    ],
)
def test_what_is_no_segmentation_is_refused(given, told):
    def mine(picture):
        return given

    with pytest.raises(ValueError, match=rf"segmentation mine must give an array of integers \(2, 5\), it gave {told}"):
        segmented(np.zeros((3, 2, 5), np.float32), mine)


def test_warnings_of_scikit_image_are_told_once(monkeypatch, caplog):
    def hasty(picture):
        warnings.warn("too hasty", RuntimeWarning, stacklevel=1)
        return HALVES

    monkeypatch.setattr(module, "of_scikit_image", lambda name: hasty)
    slic = Segmentation("slic", None, "mine")
    for _ in range(2):
        assert slic(np.zeros((3, 2, 5), np.float32), np.random.default_rng(0)).max() == 1
    assert caplog.record_tuples == [("explainrun", logging.WARNING, "mine: slic warns: too hasty")]
    with pytest.warns(RuntimeWarning, match="too hasty"):  # of the user's own function they are the user's
        segmented(np.zeros((3, 2, 5), np.float32), hasty)


def own(picture, scale):
    return HALVES


@pytest.mark.parametrize("explainer", [LIME, KernelSHAP])
@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"segmentation": "slick"}, ValueError, "no segmentation 'slick'; did you mean 'slic'"),
        (
            {"segmentation": 3},
            TypeError,
            "segmentation must be 'slic', 'quickshift', 'felzenszwalb' or a function.* int",
        ),
        ({"segmentation_options": ["ratio"]}, TypeError, "segmentation_options must be a mapping"),
        (
            {"segmentation": "quickshift", "segmentation_options": {"max_dists": 3}},
            ValueError,
            "the segmentation quickshift has no option 'max_dists'; did you mean 'max_dist'",
        ),
        (
            {"segmentation": "quickshift", "segmentation_options": {"random_seed": 3}},
            ValueError,
            "no option 'random_seed'",
        ),
        ({"segmentation": "slic", "segmentation_options": {"mask": 3}}, ValueError, "no option 'mask'"),
        (
            {"segmentation": "slic", "segmentation_options": {"n_segments": "many"}},
            ValueError,
            "segmentation_options {'n_segments': 'many'} do not work with slic: ",
        ),
        (
            {"segmentation": own, "segmentation_options": {"picture": 3}},
            ValueError,
            "the segmentation own has no option 'picture'; known: scale",
        ),
        ({"hide_color": "black"}, ValueError, "hide_color must be a number, an array, 'mean' or 'blur', got 'black'"),
        ({"hide_color": np.nan}, ValueError, "hide_color must be a finite number"),
        ({"segmentation": own, "hide_color": np.ones(5)}, ValueError, r"a baseline of shape \(5, 1, 1\) does not fit"),
        (
            {"segmentation": "slic"},
            ValueError,
            "slic segments images of 1, 3 or 4 channels, got 2; give segmentation a",
        ),
        ({"activation_fn": 3}, TypeError, "activation_fn"),
    ],
)
def test_what_does_not_fit_is_refused_before_any_pass(linear, explainer, options, error, message):
    network = linear(np.zeros((2, 2, 2, 5)))
    with pytest.raises(error, match=message):
        explainer(network, **{"activation_fn": itself, **options})(Tensor(np.zeros((1, 2, 2, 5), np.float32)), 0)
    assert network.calls == []


def test_a_hidden_segment_has_its_mean_colour():
    image = np.arange(20, dtype=np.float32).reshape(2, 2, 5)
    segments = (HALVES == 7).astype(int)  # 1 holds the values 0, 1, 2, 5, 6; 0 holds 3, 4, 7, 8, 9
    expected = np.where(segments, 2.8, 6.2)
    np.testing.assert_allclose(segment_means(image, segments), np.stack([expected, expected + 10]), rtol=1e-6)


# Four segments in columns of an image (3, 3, 6): 0 two wide, 1 and 2 one wide, 3 two wide.
COLUMNS = np.repeat([[0, 0, 1, 2, 3, 3]], 3, axis=0)
WEIGHTS = np.array([0.5, -0.4, 0.1, -0.1])
GREY, GREEN, RED = (100, 100, 100), (0, 255, 0), (255, 0, 0)


def explanation(weights=WEIGHTS, segments=COLUMNS):
    image = np.full((3, *segments.shape), 100, np.uint8)
    return SuperpixelExplanation(1, segments, weights, 0.2, 0.9, 0.3, 0.3, image)


@pytest.mark.parametrize(
    ("options", "row"),
    [
        ({}, [1, 1, 0, 1, 0, 0]),
        ({"num_features": 1}, [1, 1, 0, 0, 0, 0]),
        ({"min_weight": 0.1}, [1, 1, 0, 0, 0, 0]),
        ({"positive_only": False, "negative_only": True}, [0, 0, -1, 0, -1, -1]),
        ({"positive_only": False, "negative_only": True, "num_features": 1, "hide_rest": True}, [0, 0, -1, 0, 0, 0]),
        ({"positive_only": False}, [1, 1, -1, 1, -1, -1]),
        ({"positive_only": False, "num_features": 3}, [1, 1, -1, 1, 0, 0]),  # of equal weights the first
        ({"positive_only": False, "min_weight": 0.1}, [1, 1, -1, 0, 0, 0]),
    ],
)
def test_the_mask_has_the_largest_weights_that_are_asked_for(options, row):
    mask = explanation().mask(**options)
    assert mask.dtype == np.int8
    np.testing.assert_array_equal(mask, [row] * 3)


def test_segments_without_weight_are_in_no_mask():
    assert not explanation(np.array([0, 0, np.nan, -0.0])).mask(positive_only=False).any()


def test_the_picture_outlines_what_speaks_for_the_label():
    picture = np.asarray(explanation().picture(num_features=1))
    np.testing.assert_array_equal(picture, [[GREY, GREEN, GREY, GREY, GREY, GREY]] * 3)  # inside, at the edge
    hidden = np.asarray(explanation().picture(num_features=1, hide_rest=True))
    np.testing.assert_array_equal(hidden, [[GREY, GREEN, *[(128, 128, 128)] * 4]] * 3)
    against = np.asarray(explanation().picture(positive_only=False, negative_only=True))
    np.testing.assert_array_equal(against, [[GREY, GREY, RED, GREY, RED, GREY]] * 3)


def test_the_picture_of_both_colours_them_too():
    picture = np.asarray(explanation().picture(positive_only=False, num_features=2))
    np.testing.assert_array_equal(picture, [[(50, 177, 50), GREEN, RED, GREY, GREY, GREY]] * 3)


def test_rows_are_rows_in_the_picture():
    segments = np.zeros((4, 6), int)
    segments[2:, 1:3] = 1
    picture = np.asarray(explanation(np.array([-1.0, 1.0]), segments).picture())
    green = [(int(y), int(x)) for y, x in np.argwhere((picture == GREEN).all(axis=2))]
    assert green == [(2, 1), (2, 2), (3, 1), (3, 2)]


def test_what_is_drawn_on_may_be_given():
    beneath = Image.new("L", (12, 6), 40)
    picture = np.asarray(explanation().picture(num_features=1, image=beneath))
    np.testing.assert_array_equal(picture[0, ::2], [(40, 40, 40)] * 3)
    assert picture.shape == (3, 6, 3)
    normalised = SuperpixelExplanation(1, COLUMNS, WEIGHTS, 0, 0, 0, 0, np.zeros((3, 3, 6), np.float32))
    assert np.asarray(normalised.picture(mean=0.4, std=0.2))[0, 0].tolist() == [102, 102, 102]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"negative_only": True}, "positive_only and negative_only are both True"),
        ({"num_features": 0}, "num_features must be a whole number from 1, got 0"),
        ({"min_weight": -0.5}, "min_weight must not be below 0, got -0.5"),
    ],
)
def test_no_picture_of_what_excludes_itself(options, message):
    for draw in (explanation().mask, explanation().picture):
        with pytest.raises(ValueError, match=message):
            draw(**options)
