"""What a search found, as a tree and as pictures."""

import numpy as np
import pytest
from mindspore import Tensor

from explainrun.explainers import Counterfactual, draw_layers
from explainrun.explainers.hierarchical_occlusion.counterfactual import Box, Layer
from explainrun.explainers.perturbation.baselines import blurred as blurred_image
from explainrun.summary_format import original_picture


def by_hand():
    """Two windows on an image of 20 x 30 pixels, the second refined twice."""
    large = Layer(0.8, (Box(2, 3, 10, 10), Box(18, 8, 10, 10)))
    small = Layer(0.6, (Box(20, 9, 5, 5, 1), Box(18, 13, 5, 5, 1)))
    return Counterfactual(7, "found", 0.9, 0.125, 2, (large, small), (1, 20, 19, 1, 1, 9, 8))


def test_boxes_print_as_a_tree():
    found = by_hand()
    left, right = found.tree()
    assert (left.x, left.y, left.width, left.height, left.children) == (2, 3, 10, 10, ())
    assert [(node.x, node.y) for node in right.children] == [(20, 9), (18, 13)]
    assert str(found) == (
        "label 7, found: probability 0.900, blurred 0.125 (sigma 2)\n"
        "  10 x 10 at x 2, y 3\n"
        "  10 x 10 at x 18, y 8\n"
        "    5 x 5 at x 20, y 9\n"
        "    5 x 5 at x 18, y 13"
    )
    assert str(right) == "10 x 10 at x 18, y 8\n  5 x 5 at x 20, y 9\n  5 x 5 at x 18, y 13"


STATISTICS = {"mean": [0.5, 0.4, 0.3], "std": [0.2, 0.2, 0.2]}


@pytest.mark.parametrize("statistics", [{}, STATISTICS], ids=["stretched", "restored"])
@pytest.mark.parametrize("as_given", [lambda image: image, lambda image: Tensor(image[None])], ids=["array", "tensor"])
def test_pictures_show_the_image_in_boxes_and_its_blur_elsewhere(statistics, as_given):
    image = np.random.default_rng(0).uniform(-2, 3, size=(3, 20, 30)).astype(np.float32)
    original, *pictures = draw_layers(as_given(image), by_hand(), **statistics)
    assert [picture.size for picture in (original, *pictures)] == [(30, 20)] * 3
    colours = np.asarray(original)
    np.testing.assert_array_equal(colours, np.asarray(original_picture(image, **statistics)))
    blurred = blurred_image(image, 2)
    for layer, picture in zip(by_hand().layers, pictures, strict=True):
        drawn, outside = np.asarray(picture), np.ones((20, 30), bool)
        for box in layer.boxes:
            right, bottom = box.x + box.width, box.y + box.height
            inside = slice(box.y + 1, bottom - 1), slice(box.x + 1, right - 1)
            np.testing.assert_array_equal(drawn[inside], colours[inside])
            edges = [drawn[box.y, box.x : right], drawn[bottom - 1, box.x : right]]
            edges += [drawn[box.y : bottom, box.x], drawn[box.y : bottom, right - 1]]
            assert {tuple(pixel) for edge in edges for pixel in edge.tolist()} == {(255, 40, 40)}
            outside[box.y : bottom, box.x : right] = False
        if statistics:
            hidden = np.asarray(original_picture(blurred, **statistics))
        else:  # the image's range, not the blur's own
            hidden = ((blurred - image.min()) / (image.max() - image.min()) * 255).round().transpose(1, 2, 0)
        np.testing.assert_allclose(drawn[outside].astype(int), hidden[outside], atol=1)


def test_pictures_of_bytes_are_drawn_as_they_are():
    image = np.random.default_rng(0).integers(60, 200, size=(3, 20, 30)).astype(np.uint8)
    original, first, _ = draw_layers(image, by_hand())
    np.testing.assert_array_equal(np.asarray(original), image.transpose(1, 2, 0))
    np.testing.assert_array_equal(np.asarray(first)[0, 0], blurred_image(image, 2)[:, 0, 0])
