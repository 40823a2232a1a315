"""Contrasts: explainers asked about the difference of two logits."""

import numpy as np
import pytest
from mindspore import Tensor, nn

from explainrun.explainers import (
    CAM,
    EXPLAINERS,
    IDGI,
    Against,
    Contrast,
    EigenCAM,
    ExpectedGradients,
    GradCAM,
    Gradient,
    GuidedIG,
    InputXGradient,
    IntegratedGradients,
    Needs,
    Network,
    NoiseTunnel,
    Occlusion,
    View,
)
from explainrun.testing import TinyClassifier, TinyTransformer

LOGITS = np.array([[1, 5, 5, 2], [9, 0, 1, 3]], np.float32)
IMAGES = np.random.default_rng(5).normal(size=(3, 3, 12, 16)).astype(np.float32)


class Difference(nn.Cell):
    """Its one logit is the difference of two of another network's."""

    def __init__(self, network, label, other):
        super().__init__()
        self.network, self.label, self.other = network, label, other

    def construct(self, x):
        logits = self.network(x)
        return logits[:, self.label : self.label + 1] - logits[:, self.other : self.other + 1]


@pytest.mark.parametrize(
    ("other", "labels", "expected"),
    [
        (2, [0, 3], [[1, 0, -1, 0], [0, 0, -1, 1]]),
        ("highest", [0, 3], [[1, -1, 0, 0], [-1, 0, 0, 1]]),  # of equal ones the first
        ("highest", [1, 0], [[0, 1, -1, 0], [1, 0, 0, -1]]),  # the second where the label is predicted
        (3, [3, 3], [[0, 0, 0, 0], [0, 0, 0, 0]]),
    ],
)
def test_weights_by_hand(other, labels, expected):
    assert Against(other).weights(LOGITS, np.array(labels)).tolist() == expected


ARGUMENTS = {
    "Gradient": {},
    "InputXGradient": {},
    "GuidedBackprop": {},
    "Deconvolution": {},
    "IntegratedGradients": {"steps": 3},
    "GuidedIG": {"steps": 3},
    "BlurIG": {"steps": 3, "max_sigma": 2},
    "FullGrad": {},
    "ExpectedGradients": {"baselines": IMAGES[1:], "num_samples": 4},
    "DeepLift": {"baselines": 0.5},
    "DeepLiftShap": {"baselines": IMAGES[1:]},
    "GuidedGradCAM": {"layer": "features"},
    "GradCAM": {"layer": "features"},
    "GradCAMpp": {"layer": "relu"},
    "SmoothGradCAMpp": {"layer": "features"},
    "XGradCAM": {"layer": "features"},
    "LayerCAM": {"layer": ["relu", "features"]},
    "HiResCAM": {"layer": "features"},
    "EigenGradCAM": {"layer": "features"},
    "LeGrad": {},
    "AttentionRelevance": {},
}


@pytest.mark.parametrize("name", ARGUMENTS)
def test_as_for_a_network_whose_logit_is_the_difference(name):
    kind, given = EXPLAINERS[name], dict(ARGUMENTS[name])
    network = TinyTransformer() if kind.reads_attention else TinyClassifier()
    found = Contrast(kind(network, **given), against=3)(Tensor(IMAGES), [0, 1, 2]).asnumpy()[:, 0]
    if "layer" in given:
        layers = given.pop("layer")
        given["layer"] = [f"network.{layer}" for layer in ([layers] if isinstance(layers, str) else layers)]
    for row, label in enumerate((0, 1, 2)):  # all images stand there, so that random numbers are the same
        alike = kind(Difference(network, label, 3), **given)(Tensor(IMAGES), 0).asnumpy()[row, 0]
        assert np.abs(alike).max() > 0
        np.testing.assert_allclose(found[row], alike, atol=1e-5 * np.abs(alike).max())


def test_what_says_that_it_is_contrastable_is_compared():
    claiming = {name for name in EXPLAINERS if getattr(EXPLAINERS[name], "contrastable", False) is True}
    assert claiming - {"CAM", "IDGI"} <= set(ARGUMENTS)  # these have tests of their own


def test_steps_on_a_path_are_shared_out_as_for_a_network_whose_logit_is_the_difference():
    network = TinyClassifier()
    found = Contrast(IDGI(IntegratedGradients(network, steps=4)), against=3)(Tensor(IMAGES), [0, 1, 2]).asnumpy()
    for row, label in enumerate((0, 1, 2)):
        alike = IDGI(IntegratedGradients(Difference(network, label, 3), steps=4))(Tensor(IMAGES), 0).asnumpy()[row, 0]
        np.testing.assert_allclose(found[row, 0], alike, atol=1e-5 * np.abs(alike).max())


def test_passes_that_follow_one_another_still_do():
    assert Contrast(GuidedIG(TinyClassifier(), steps=5)).passes_in_turn == 5


def test_methods_that_are_linear_in_the_gradient():
    network, images = TinyClassifier(), Tensor(IMAGES)
    for explainer in (
        InputXGradient(network),
        IntegratedGradients(network, steps=3, baselines=[0.0, "mean"]),
        ExpectedGradients(network, IMAGES[:2], 5),
        NoiseTunnel(InputXGradient(network), nt_samples=3, stdevs=0.1),
        CAM(network, "features"),
    ):
        found = Contrast(explainer, 2)(images, 0).asnumpy()
        expected = explainer(images, 0).asnumpy() - explainer(images, 2).asnumpy()
        np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


def test_completeness_errors_are_of_the_difference():
    network = TinyClassifier()
    explainer = Contrast(IntegratedGradients(network, steps=2), 2)
    view = View(Network(network), IMAGES, np.arange(3), np.array([0, 1, 3]), needs=explainer.needs)
    maps, errors = explainer.estimate(view)
    logits, black = Network(network).logits(IMAGES), Network(network).logits(np.zeros_like(IMAGES))
    falls = [(logits - black)[row, label] - (logits - black)[row, 2] for row, label in enumerate((0, 1, 3))]
    np.testing.assert_allclose(errors, maps.sum(axis=(1, 2)) - falls, atol=1e-4)
    assert explainer.knows_errors
    assert not Contrast(Gradient(network)).knows_errors
    assert Contrast(Gradient(network)).estimate(view).errors is None


def test_the_other_label_is_that_of_the_untouched_image_under_noise():
    """With noise this strong the highest logit of copies is now this and now that one's."""
    network = TinyClassifier()
    logits = Network(network).logits(IMAGES)
    second = np.argsort(logits, axis=1)[:, -2]
    first = logits.argmax(axis=1)
    tunnel = NoiseTunnel(InputXGradient(network), nt_samples=4, stdevs=3.0)
    found = Contrast(tunnel)(Tensor(IMAGES), first).asnumpy()
    expected = tunnel(Tensor(IMAGES), np.stack([first, second], axis=1)).asnumpy()
    expected = expected[:, :1] - expected[:, 1:]
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


def test_equal_contrasts_share_passes_and_others_do_not():
    cell = TinyClassifier()
    explainers = [
        Gradient(cell),
        Contrast(Gradient(cell), 1),
        Contrast(GradCAM(cell, "features"), 1),
        Contrast(Gradient(cell)),
    ]
    network = Network(cell)
    needs = Needs.together(explainer.needs for explainer in explainers)
    view = View(network, IMAGES, np.arange(3), np.array([0, 2, 3]), needs=needs)
    maps = [explainer.attribute(view) for explainer in explainers]
    assert dict(network.passes.made) == {"differentiate": 3, "infer": 1}
    for explainer, of_view in zip(explainers, maps, strict=True):
        np.testing.assert_array_equal(of_view, explainer(Tensor(IMAGES), [0, 2, 3]).asnumpy()[:, 0])


def test_a_layer_is_chosen_for_the_explainer_inside():
    network = TinyClassifier()
    explainer = Contrast(GradCAM(network), 1)
    assert explainer.lacks_layer
    found = explainer(Tensor(IMAGES), 0).asnumpy()
    np.testing.assert_array_equal(found, Contrast(GradCAM(network, "features"), 1)(Tensor(IMAGES), 0).asnumpy())
    assert explainer.with_layer("features").inner_layers() == set()  # its needs say them


@pytest.mark.parametrize("against", [-1, 1.0, True, "second", None])
def test_other_labels_that_are_none(against, raising):
    with raising(ValueError, "against-malformed"):
        Contrast(Gradient(TinyClassifier()), against)


def test_a_label_that_the_network_does_not_have(raising):
    with raising(ValueError, "against-out-of-range", classes=4, given=4):
        Contrast(Gradient(TinyClassifier()), 4)(Tensor(IMAGES), 0)


def test_explainers_that_explain_no_differences(raising):
    network = TinyClassifier()
    for explainer in (Gradient(network, loss=True), EigenCAM(network, "features"), Occlusion(network, nn.Softmax())):
        with raising(TypeError, "not-contrastable", kind=type(explainer).__name__):
            Contrast(explainer)
    with raising(TypeError, "explainer-kind", kind="str"):
        Contrast("Gradient")


def test_a_view_of_weighed_logits_is_asked_nothing_else():
    network = TinyClassifier()
    view = View(Network(network), IMAGES, np.arange(3), np.array([0, 2, 3])).weighed(Against(1))
    with pytest.raises(ValueError, match="take subset"):
        view.asking(np.array([0]), np.array([1]))
    with pytest.raises(ValueError, match="take subset"):
        view.with_images(np.array([0]), IMAGES[:1], np.array([0]), np.array([1]), None, Needs())
    part = view.subset(np.array([2, 0]))
    np.testing.assert_array_equal(part.targets, view.targets[[2, 0]])
    np.testing.assert_allclose(part.asked_values(part.logits[part.rows]), view.asked_values(view.logits)[[2, 0]])
