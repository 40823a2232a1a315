"""Finer-CAM: what sets a label apart from others, against numbers worked out on paper."""

import numpy as np
import pytest
from mindspore import Tensor

from explainrun.explainers import FinerCAM, GradCAM, Needs, Network, View
from explainrun.explainers.core.together import attribute_together
from explainrun.testing import EXPLAINER_RULES

# Of TwoChannels on its image, see test_maps_by_hand.py: mean gradients of logit 0 are 1/2 and -1/4, of logit 1 they are
# 1 and 0.
FIRST = np.array([[1, 2, 0, 3], [0, 1, 4, 1]], float)
SECOND = np.array([[1, 0, 2, 0], [2, 1, 0, 1]], float)


@pytest.mark.parametrize("options", [{}, {"against": 0}, {"against": [0, 1]}, {"weighted": True}])
def test_worked_out_on_paper(two_channels, options):
    """There is one other label; whether named or not, its share is the whole."""
    found = FinerCAM(two_channels(), "relu", **options)(Tensor(two_channels.IMAGE), [[0, 1]]).asnumpy()[0]
    # 1/2 - 0.6 and -1/4 - 0 are negative; 1 - 0.6 / 2 and 0 + 0.6 / 4 are not
    np.testing.assert_allclose(found[1], 0.7 * FIRST + 0.15 * SECOND, atol=1e-6)
    if options != {"against": 0}:
        assert not found[0].any()


def test_without_a_share_it_is_gradcam(two_channels):
    network, image = two_channels(), Tensor(two_channels.IMAGE)
    found, usual = (
        one(image, [[0, 1]]).asnumpy() for one in (FinerCAM(network, "relu", gamma=0), GradCAM(network, "relu"))
    )
    np.testing.assert_allclose(found, usual, atol=1e-6)


IMAGE = np.array([[[[1, 3]], [[2, 0]], [[0, 1]]]], np.float32)  # three channels of two pixels
GRADIENTS = np.array([[1, 0, 2], [0, 2, 1], [2, 1, 0], [-1, 0, 1]], np.float32)  # of each logit, in both pixels


@pytest.fixture
def four_labels(linear):
    """Logits 6, 5, 10 and -3 of the image, whose channels sum up to 4, 2 and 1."""
    return linear(np.repeat(GRADIENTS[:, :, None, None], 2, axis=3))


def map_of(weights):
    return (np.asarray(weights)[:, None, None] * IMAGE[0]).sum(axis=0).clip(min=0)


@pytest.mark.parametrize(
    ("options", "others"),
    [
        ({}, [1, 2, 3]),
        ({"num_references": 9}, [1, 2, 3]),
        ({"num_references": 2}, [1, 2]),
        ({"num_references": 1}, [1]),  # 5 is nearer to 6 than 10 is
        ({"against": 2}, [2]),
        ({"against": [3, 0, 3]}, [3]),
    ],
)
def test_others_are_the_nearest_or_those_named(four_labels, options, others):
    found = FinerCAM(four_labels, "", gamma=0.3, **options)(Tensor(IMAGE), 0).asnumpy()[0, 0]
    np.testing.assert_allclose(found, map_of(GRADIENTS[0] - 0.3 * GRADIENTS[others].mean(axis=0)), rtol=1e-5)


def test_of_equally_near_labels_the_first_counts(linear):
    network = linear(np.array([2, 3, 1])[:, None, None, None] * np.ones((1, 1, 1, 2)))
    found = FinerCAM(network, "", gamma=1, num_references=1)(Tensor(np.ones((1, 1, 1, 2), np.float32)), 0).asnumpy()
    assert not found.any()  # 2 - 3; it were 2 - 1 of the last one


def test_probabilities_of_the_others_are_differentiated_too(four_labels):
    """Of 5 and 10: their mean by softmax is almost 10; its gradient is the numerical one."""

    def apart(image):
        logits = (GRADIENTS.astype(float) * image.sum(axis=(1, 2))).sum(axis=1)
        shares = np.exp(logits[[1, 2]]) / np.exp(logits[[1, 2]]).sum()
        return logits[0] - 0.5 * (shares * logits[[1, 2]]).sum()

    image = IMAGE[0] / 4  # of logits so near to each other that both shares count
    step = 1e-6 * np.eye(3)[:, :, None, None] * np.ones((1, 2)) / 2
    slopes = np.array([(apart(image + one) - apart(image - one)) / 2e-6 for one in step])
    found = FinerCAM(four_labels, "", against=[1, 2], gamma=0.5, weighted=True)
    expected = (slopes[:, None, None] * image).sum(axis=0).clip(min=0)
    np.testing.assert_allclose(found(Tensor(image[None]), 0).asnumpy()[0, 0], expected, rtol=1e-4)
    assert expected.any()


def test_a_label_is_not_set_apart_from_itself(four_labels):
    found = FinerCAM(four_labels, "", against=2)(Tensor(IMAGE), [[0, 2]]).asnumpy()[0]
    assert found[0].any()
    assert not found[1].any()


@pytest.mark.parametrize(
    ("options", "code", "values"),
    [
        ({"against": -1}, "not-a-whole-number", {"name": "against", "given": -1}),
        ({"against": "second"}, "against-labels", {"given": "second"}),
        ({"against": []}, "against-labels", {"given": []}),
        ({"gamma": -0.1}, "number-too-small", {"name": "gamma", "given": -0.1}),
        ({"num_references": 0}, "not-a-whole-number", {"name": "num_references", "given": 0}),
        ({"weighted": "yes"}, "not-yes-or-no", {"name": "weighted", "given": "yes"}),
    ],
)
def test_what_options_cannot_be(two_channels, options, code, values, raising):
    with raising(ValueError, code, **values):
        FinerCAM(two_channels(), "relu", **options)


def test_labels_that_the_network_lacks(four_labels, linear, raising):
    with raising(ValueError, "against-out-of-range", classes=4, given=4):
        FinerCAM(four_labels, "", against=[1, 4])(Tensor(IMAGE), 0)
    with raising(ValueError, "one-logit-alone"):
        FinerCAM(linear(np.ones((1, 3, 1, 2))), "")(Tensor(IMAGE), 0)


def test_equal_differences_share_their_passes(two_channels):
    """A differentiated image per question for each difference, whatever the layers."""
    network, cell = Network(two_channels(), 4, fill=True), two_channels()
    images = np.random.default_rng(0).normal(size=(5, 1, 2, 4)).astype(np.float32)
    rows, labels = np.array([0, 0, 1, 2, 3, 4]), np.array([0, 1, 1, 0, 1, 0])
    explainers = [FinerCAM(cell, "relu"), FinerCAM(cell, "", name="image"), FinerCAM(cell, "relu", 1, name="named")]
    needs = Needs.together(one.needs for one in explainers)
    view = View(network, images, rows, labels, needs=needs, logits=np.zeros((5, 2), np.float32))
    _, refused = attribute_together(explainers, view)
    assert not refused
    assert dict(network.passes.images) == {"differentiate": 12}
    assert dict(network.passes.made) == {"differentiate": 4}


@pytest.mark.parametrize("options", [{"against": [0, 2]}, {"weighted": True}, {"layer": ["relu", "features"]}], ids=str)
@pytest.mark.parametrize("rule", [one for one in EXPLAINER_RULES if one.name in ("passes", "neighbours")], ids=str)
def test_keeps_to_the_contract(rule, options):
    rule(FinerCAM, **options)
