"""Hierarchical occlusion: answers by hand, bit for bit together and alone, and what is refused."""

import math

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn, ops

from explainrun.explainers import HierarchicalOcclusion, Network
from explainrun.explainers.batched_search import passes_needed
from explainrun.explainers.perturbation.baselines import blurred as blurred_image

SIZE = (8, 12)  # windows of 4 at x 0, 2, 4, 6, 8 and y 0, 2, 4; inside them windows of 2 at 0, 1, 2
BY_HAND = {"window_sides": (4, 2), "strides": (2, 1)}
FIRST, INNER = 15, 9  # how many windows of each


def ones_at(*dots):
    """An image that is 1 in its first channel at dots (y, x), 0 elsewhere; blurred, a lone dot is 0.16."""
    image = np.zeros((3, *SIZE), np.float32)
    for y, x in dots:
        image[0, y, x] = 1
    return image


def weighing(linear, *labels, bias=0.0):
    """A network whose every logit weighs the first channel's pixels: {(y, x): weight} a label."""
    weights = np.zeros((len(labels), 3, *SIZE), np.float32)
    for of_label, dots in zip(weights, labels, strict=True):
        for (y, x), weight in dots.items():
            of_label[0, y, x] = weight
    return linear(weights, bias)


def boxes(found):
    return [[(b.x, b.y, b.width, b.height, b.parent) for b in layer.boxes] for layer in found.layers]


def searched(cell, image, label=0, activation=None, **options):
    return HierarchicalOcclusion(cell, activation or nn.Sigmoid(), **{**BY_HAND, **options}).search(image, label)


def test_one_dot_is_found_in_the_top_left_of_the_windows_that_show_it(linear):
    found = searched(weighing(linear, {}, {(5, 9): 10}, bias=-5), ones_at((5, 9)), label=1)
    assert boxes(found) == [[(6, 2, 4, 4, -1)], [(8, 4, 2, 2, 0)]]  # x 8 and y 4 would show it too
    assert (found.label, found.outcome, found.sigma, found.rounds) == (1, "found", 1, (1, FIRST, INNER))
    shown = 1 / (1 + math.exp(-5))
    blurred = blurred_image(ones_at((5, 9)), 1)[0, 5, 9]
    assert [layer.probability for layer in found.layers] == pytest.approx([shown, shown])
    assert (found.probability, found.blurred_probability) == pytest.approx(
        (shown, 1 / (1 + math.exp(5 - 10 * blurred)))
    )


def test_windows_flush_with_the_border_end_each_row(linear):
    found = searched(weighing(linear, {(7, 11): 10}, bias=-5), ones_at((7, 11)), strides=(3, 3))
    assert boxes(found) == [[(8, 4, 4, 4, -1)], [(10, 6, 2, 2, 0)]]
    assert found.rounds == (1, 3 * 4, 2 * 2)  # y 0, 3, 4 and x 0, 3, 6, 8; inside 0 and 2


def test_while_a_window_is_refined_the_others_stay_as_they_are(linear):
    dots = {(1, 10): 4, (5, 1): 6}
    found = searched(weighing(linear, dots, bias=-9), ones_at(*dots))
    assert boxes(found) == [[(0, 2, 4, 4, -1), (8, 0, 4, 4, -1)], [(0, 4, 2, 2, 0), (9, 0, 2, 2, 1)]]
    assert found.rounds == (1, FIRST, FIRST - 1, 1, INNER, 1, INNER)


def test_what_another_window_shows_stays_shown(linear):
    """All three dots in a row are needed; the middle one lies in both windows.

    The first needs only the left dot, since the second, still whole, shows the middle one; the second then needs both.
    Of the two its right one comes first: blurred, the middle one is the brighter.
    """
    dots = {(5, 2): 5, (5, 5): 4, (5, 7): 4}
    found = searched(weighing(linear, dots, bias=-12), ones_at(*dots))
    assert boxes(found) == [
        [(2, 2, 4, 4, -1), (4, 2, 4, 4, -1)],
        [(2, 4, 2, 2, 0), (6, 4, 2, 2, 1), (4, 4, 2, 2, 1)],
    ]


def test_a_window_that_is_no_longer_needed_has_no_children(linear):
    """The windows of layer 1 cannot part the strong dot from its counterweight, those of layer 2 can."""
    dots = {(5, 4): 8, (5, 5): -3, (5, 10): 4}
    found = searched(weighing(linear, dots, bias=-6), ones_at(*dots))
    assert boxes(found) == [[(2, 2, 4, 4, -1), (8, 2, 4, 4, -1)], [(3, 4, 2, 2, 0)]]
    assert found.rounds == (1, FIRST, FIRST - 1, 1, INNER, 1)


def levels(logits):
    """0, then 0.5 from a logit of 2, 0.75 from one of 5."""
    return (logits > 2).astype(ms.float32) * 0.5 + (logits > 5).astype(ms.float32) * 0.25


def test_a_probability_that_equals_the_threshold_reaches_it_but_does_not_exceed_it(linear):
    dots = {(1, 10): 4, (5, 1): 4}
    cell = weighing(linear, dots)
    found = searched(cell, ones_at(*dots), activation=levels)
    assert boxes(found) == [[(8, 0, 4, 4, -1)], [(9, 0, 2, 2, 0)]]  # either reaches it; the topmost came first
    with pytest.raises(ValueError, match=r"label 0 has probability 0\.5 on the untouched image, it must exceed the"):
        searched(cell, ones_at((1, 10)), activation=levels)


def test_layers_that_miss_the_threshold_are_cut_off(linear):
    cell = weighing(linear, {(1, 1): 10}, bias=-5)
    found = searched(cell, ones_at((1, 1)), window_sides=(4, 3, 1), strides=(2, 1, 2))  # of 3 pixels 0 and 2
    assert boxes(found) == [[(0, 0, 4, 4, -1)], [(0, 0, 3, 3, 0)]]
    found = searched(cell, ones_at((1, 1)), window_sides=(4, 1), strides=(2, 2))  # of 4 pixels 0, 2, 3
    assert (found.outcome, boxes(found)) == ("found", [[(0, 0, 4, 4, -1)]])
    found = searched(cell, ones_at((1, 1)), window_sides=(1,), strides=(5,))
    assert (found.outcome, found.layers) == ("not reached", ())
    assert found.rounds == (1, *range(12, 0, -1))  # y 0, 5, 7 and x 0, 5, 10, 11


class Root(nn.Cell):
    """NaN unless the dot at (5, 9) is shown."""

    def construct(self, x):
        return ops.sqrt(x[:, :1, 5, 9] - 0.9)


def test_a_probability_that_is_no_number_is_never_the_best():
    found = searched(Root(), ones_at((5, 9)))
    assert boxes(found) == [[(6, 2, 4, 4, -1)], [(8, 4, 2, 2, 0)]]
    assert math.isnan(found.blurred_probability)
    assert found.rounds == (1, FIRST, INNER)
    found = searched(Root(), ones_at((5, 9)), window_sides=(1,), strides=(2,))
    assert (found.outcome, found.layers) == ("not reached", ())


def test_questions_that_need_no_search(linear):
    cell = weighing(linear, {(5, 9): 1}, {(5, 9): -1}, bias=0.5)
    explainer, network = HierarchicalOcclusion(cell, nn.Sigmoid(), **BY_HAND), Network(cell)
    images, probabilities = np.stack([ones_at((1, 1)), ones_at((5, 9))]), np.array([0.5, 0.82], np.float32)
    below, suffices = explainer.search_all(
        network, images, np.array([0, 1]), np.array([1, 0]), probabilities
    ).counterfactuals
    assert (suffices.outcome, suffices.layers, suffices.rounds) == ("blur suffices", (), (1,))
    assert suffices.blurred_probability == pytest.approx(1 / (1 + math.exp(-0.66)), abs=1e-3)
    assert (below.outcome, below.layers, below.rounds, below.label) == ("below threshold", (), (), 1)
    assert math.isnan(below.blurred_probability)
    assert dict(network.passes.made) == {"search": 1}
    assert dict(network.passes.images) == {"search": 1}
    of_none = explainer.search_all(network, images, np.zeros(0, int), np.zeros(0, int), probabilities[:0])
    assert of_none == ([], 0)


class Rough(nn.Cell):
    """Logits rise with the contrast between neighbours, along x and along y, which a blur takes away."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 2, 3, pad_mode="valid")
        kernels = np.zeros((2, 3, 3, 3), np.float32)
        kernels[0, :, 1], kernels[1, :, :, 1] = [-0.3, 0.7, -0.4], [-0.4, 0.7, -0.3]
        self.conv.weight.set_data(Tensor(kernels))

    def construct(self, x):
        return ops.relu(self.conv(x)).mean((2, 3)) * 30 - 3


def test_together_is_bit_for_bit_one_by_one(state):
    cell = Rough()
    cell.set_train(True)
    images = np.random.default_rng(0).normal(size=(3, 3, 56, 80)).astype(np.float32) * [[[[0.3]]], [[[0.4]]], [[[0.5]]]]
    images, rows, labels = images.astype(np.float32), np.array([0, 1, 1, 2]), np.array([0, 0, 1, 1])
    network = Network(cell, fill=True)
    asked = rows, labels, network.activated(network.logits(images), nn.Sigmoid())[rows, labels]
    explainer, before = HierarchicalOcclusion(cell, nn.Sigmoid()), state(cell)
    together, needed = explainer.search_all(network, images, *asked)
    assert [found.outcome for found in together] == ["found"] * 4
    assert max(len(found.layers[0].boxes) for found in together) > 2
    shared = passes_needed([found.rounds[:2] for found in (together[0], together[1], together[3])], 16)
    assert needed == shared + passes_needed([found.rounds[2:] for found in together], 16)
    assert network.passes.made["search"] == needed
    assert network.passes.images["search"] == sum(map(sum, (found.rounds for found in together))) - sum(
        together[2].rounds[:2]
    )
    for i, found in enumerate(together):
        alone = explainer.search_all(Network(cell, fill=True), images, *(of_each[i : i + 1] for of_each in asked))
        assert alone.counterfactuals == [found]
    assert state(cell) == before


def test_passes_are_as_few_as_can_be(linear):
    """Two searches of 1, 15, 9 and 1, 15, 14, 1, 9, 1, 9 images.

    Passes: 1 + 1, 15 + 1, 14, which is all that labels share; then 9 + 7 and, of the second alone, 7, 1, 9, 1, 9.
    """
    one, two = {(5, 9): 14}, {(1, 10): 4, (5, 1): 6}
    cell = weighing(linear, one, two, bias=-9)
    images, probabilities = np.stack([ones_at(*one), ones_at(*two)]), np.array([0.99, 0.73], np.float32)
    network, explainer = Network(cell), HierarchicalOcclusion(cell, nn.Sigmoid(), **BY_HAND)
    found, needed = explainer.search_all(network, images, np.array([0, 1]), np.array([0, 1]), probabilities)
    assert [answer.rounds for answer in found] == [(1, 15, 9), (1, 15, 14, 1, 9, 1, 9)]
    assert cell.calls == [2, 16, 14, 16, 7, 1, 9, 1, 9]
    assert dict(network.passes.made) == {"search": needed}
    assert dict(network.passes.images) == {"search": 25 + 50}
    assert boxes(explainer.search(Tensor(images[1:]), 1)) == boxes(found[1])


class Compilable(nn.Cell):
    """Logit 1 is ten times the dot at (5, 9), less 5."""

    def construct(self, x):
        dot = x[:, 0, 5:6, 9]
        return ops.cat((dot, dot * 10 - 5), axis=1)


def test_graph_mode_gives_the_same(state):
    cell = Compilable()
    expected = searched(cell, ones_at((5, 9)), label=1)
    ms.set_context(mode=ms.GRAPH_MODE)
    try:
        before = state(cell)
        found = searched(cell, ones_at((5, 9)), label=1)
        assert state(cell) == before
    finally:
        ms.set_context(mode=ms.PYNATIVE_MODE)
    assert boxes(found) == boxes(expected) == [[(6, 2, 4, 4, -1)], [(8, 4, 2, 2, 0)]]
    assert found.layers[1].probability == pytest.approx(expected.layers[1].probability)


def test_windows_and_blur_follow_the_short_side(linear):
    explainer = HierarchicalOcclusion(linear(np.ones((1, 3, 1, 1))), nn.Sigmoid())
    assert explainer.sigma((448, 224)) == 9
    assert explainer.sigma((56, 400)) == 2
    assert explainer.sigma((62, 63)) == 2
    assert explainer.sigma((63, 64)) == 3
    assert explainer.sigma((8, 12)) == 1
    assert explainer._layers(56) == [(28, 5)]
    assert explainer._layers(113) == [(56, 11), (28, 5)]
    assert explainer._layers(500) == [(250, 50), (125, 25), (62, 12)]
    configured = HierarchicalOcclusion(explainer.network, nn.Sigmoid(), window_sides=[9, 4], blur=7)
    assert configured._layers(56) == [(9, 1), (4, 1)]
    assert configured.sigma((224, 448)) == 7


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threshold": 1.0}, "threshold must lie above 0 and below 1, got 1.0"),
        ({"threshold": math.nan}, "threshold must be a finite number, got nan"),
        ({"window_sides": (28, 28)}, r"window_sides must fall from layer to layer, got \[28, 28\]"),
        ({"window_sides": (28.0,)}, r"window_sides must be whole pixels, at least 1, got \[28.0\]"),
        ({"window_sides": 28}, "window_sides must be a list with one number per layer, got 28"),
        ({"window_sides": ()}, r"window_sides must be a list with one number per layer, got \(\)"),
        ({"window_sides": (28, 14), "strides": (5,)}, r"strides must give one number per layer, got \[5\] .*; give 2"),
        ({"strides": (0,)}, r"strides must be whole pixels, at least 1, got \[0\]"),
        ({"blur": 0}, r"blur must be whole pixels, at least 1, got \[0\]"),
    ],
)
def test_options_out_of_range_are_refused(linear, options, message):
    with pytest.raises(ValueError, match=message):
        HierarchicalOcclusion(linear(np.ones((1, 3, 1, 1))), nn.Sigmoid(), **options)


def test_images_that_cannot_be_searched_are_refused(linear):
    cell = linear(np.ones((1, 3, 55, 80)))
    explainer = HierarchicalOcclusion(cell, nn.Sigmoid())
    explainer.check((3, 56, 80))
    with pytest.raises(ValueError, match=r"three channels \(3, H, W\), got \(1, 56, 80\)"):
        explainer.check((1, 56, 80))
    with pytest.raises(ValueError, match="at least 56 x 56 pixels, got 55 x 80; resize them, or set window_sides"):
        explainer.search(np.ones((3, 55, 80), np.float32), 0)
    with pytest.raises(ValueError, match="at least 56 x 56 pixels"):
        explainer.search_all(Network(cell), np.ones((2, 3, 55, 80), np.float32), *np.zeros((3, 1), int))
    with pytest.raises(ValueError, match=r"at most the images' short side, which is 55, got \[56\]"):
        HierarchicalOcclusion(cell, nn.Sigmoid(), window_sides=[56]).check((3, 55, 80))
    with pytest.raises(ValueError, match=r"got \[5, 5\] for window sides \[28\]; give 1"):
        HierarchicalOcclusion(cell, nn.Sigmoid(), strides=[5, 5]).check((3, 56, 80))


def test_questions_that_cannot_be_asked_are_refused(linear):
    cell = weighing(linear, {(5, 9): 10}, bias=-5)
    with pytest.raises(ValueError, match=r"label must lie in 0\.\.0, got 1"):
        searched(cell, ones_at((5, 9)), label=1)
    with pytest.raises(ValueError, match=r"label 0 has probability 0\.006693 on .* threshold 0\.5; ask about"):
        searched(cell, ones_at((5, 8)))
    with pytest.raises(ValueError, match=r"\(C, H, W\) or \(1, C, H, W\), got \(2, 3, 8, 12\)"):
        searched(cell, np.stack([ones_at((5, 9))] * 2))
    with pytest.raises(TypeError, match="must be a Tensor or an array, got list"):
        searched(cell, ones_at((5, 9)).tolist())
    with pytest.raises(TypeError, match="must be an object, got the class"):
        HierarchicalOcclusion(cell, nn.Sigmoid)
