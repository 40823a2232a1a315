"""Meaningful perturbation: what it hides where the truth is known, where it begins, and a slow twin."""

import numpy as np
import pytest
from mindspore import Tensor
from scipy.special import expit, softmax

from explainrun.explainers import MeaningfulPerturbation, Network, View
from explainrun.explainers.core.resize import resized
from explainrun.explainers.core.together import attribute_together
from explainrun.explainers.core.view import keyed_generator
from explainrun.explainers.optimized_masks.coarse_masks import CoarseMasks, variation_slopes
from explainrun.explainers.optimized_masks.meaningful_perturbation import _discs
from explainrun.explainers.perturbation.baselines import baseline_image
from explainrun.testing import EXPLAINER_RULES

SIZE = (9, 12)
BOX = (slice(1, 5), slice(7, 12))  # which alone the first logit weighs


@pytest.fixture
def spotting(linear):
    """Logit 0 is 6 on an image of ones, all from a box; logit 1 is 0."""
    weights = np.zeros((2, 1, *SIZE))
    weights[0, 0][BOX] = 6 / 20
    return linear(weights)


@pytest.mark.parametrize("score", ["softmax", "sigmoid", "logit"])
def test_the_mask_hides_where_the_label_is(spotting, score):
    """It begins with a disc, which is taken off again where the label is not, but for what blurs into the box."""
    image = Tensor(np.ones((1, 1, *SIZE), np.float32))
    explainer = MeaningfulPerturbation(spotting, 30, score, 0.0, sparsity=1e-3, smoothness=0, jitter=0)
    map_ = explainer(image, 0).asnumpy()[0, 0]
    assert map_.min() >= 0
    assert map_.max() <= 1
    assert map_[BOX].min() > 0.9
    assert map_[:, :3].max() < 0.05  # of the cells next to the box some blurs into it
    assert map_[8:].max() < 0.05


def test_what_no_part_of_an_image_is_for_is_not_hidden(spotting):
    """Hiding the image with ones like its own changes nothing: the mask begins with all shown, and stays so."""
    image = Tensor(np.ones((1, 1, *SIZE), np.float32))
    map_ = MeaningfulPerturbation(spotting, 5, baseline=1.0)(image, 0).asnumpy()[0, 0]
    assert map_.max() < 0.2


def score_of(logits, label, score):
    return {"softmax": softmax(logits)[label], "sigmoid": expit(logits[label]), "logit": logits[label]}[score]


def slope_of(weights, logits, label, score):
    """The gradient of a score with respect to the image, of a linear network."""
    if score == "softmax":
        shares = softmax(logits)
        return shares[label] * (weights[label] - np.tensordot(shares, weights, 1))
    return weights[label] * (expit(logits[label]) * expit(-logits[label]) if score == "sigmoid" else 1)


def beginning_twin(weights, image, cover, label, score, grid):
    """The smallest disc, tried one after the other, behind which 1 % of the fall is left."""
    discs = _discs(image.shape[1:])

    def said(mask):
        return score_of((weights * (image + mask * (cover - image))).sum(axis=(1, 2, 3)), label, score)

    whole, hidden = said(0), said(discs[-1])
    for disc in discs:
        if whole <= hidden or said(disc) <= hidden + 0.01 * (whole - hidden):
            return resized(1 - disc[None], grid)[0]
    raise AssertionError("the last disc hides all")


@pytest.mark.parametrize("score", ["softmax", "sigmoid", "logit"])
@pytest.mark.parametrize("label", [0, 2])
def test_a_slow_twin_takes_the_same_steps(linear, score, label):
    weights = np.random.default_rng(0).normal(size=(3, 2, 7, 10))
    image = (weights[0] + weights[2]).astype(np.float32)  # of which both labels have high logits
    weights *= np.array([3, 1, 3])[:, None, None, None] / np.abs(weights).sum(axis=(1, 2, 3), keepdims=True)
    cover, coarse = baseline_image("blur", image), CoarseMasks((7, 10), 2)
    values = beginning_twin(weights, image, cover, label, score, coarse.grid).astype(float)
    shifts = keyed_generator(0, 0, "MeaningfulPerturbation").integers(0, 3, (6, 2))
    first = second = 0.0
    for step, shift in enumerate(shifts):
        mask = coarse.enlarged(values[None].astype(np.float32))[0]
        behind = np.roll(cover + mask * (image - cover), shift, (1, 2))
        slope = slope_of(weights, (weights * behind).sum(axis=(1, 2, 3)), label, score)
        by_mask = (np.roll(slope, -shift, (1, 2)) * (image - cover)).sum(axis=0)
        gradient = coarse.gathered(by_mask[None].astype(np.float32))[0] + 0.02 * np.sign(values - 1)
        gradient = gradient + 0.3 * variation_slopes(values[None].astype(np.float32), 2.5)[0]
        first, second = 0.9 * first + 0.1 * gradient, 0.999 * second + 0.001 * gradient**2
        size = np.sqrt(second / (1 - 0.999 ** (step + 1))) + 1e-8
        values = (values - 0.1 * first / (1 - 0.9 ** (step + 1)) / size).clip(0, 1)
    expected = 1 - coarse.enlarged(values[None].astype(np.float32))[0]
    explainer = MeaningfulPerturbation(
        linear(weights), 6, score, sparsity=0.02, smoothness=0.3, power=2.5, jitter=2, cell=2
    )
    found = explainer(Tensor(image[None]), label).asnumpy()[0, 0]
    np.testing.assert_allclose(found, expected, atol=1e-3)
    assert np.ptp(expected) > 0.1


def test_discs_hide_from_nothing_to_all():
    discs = _discs((9, 12))
    assert discs.shape == (35, 9, 12)
    assert discs[0].max() < 0.5
    assert discs[-1].min() > 0.99
    assert (np.diff(discs, axis=0) >= -1e-6).all()
    np.testing.assert_allclose(discs, discs[:, ::-1, ::-1], atol=1e-6)  # in the middle
    big = _discs((224, 224))  # as the authors' radii, which go up by 5 pixels
    assert 4.5 < np.sqrt((big[20].sum() - big[10].sum()) / np.pi / (20**2 - 10**2)) < 5.6


def test_passes_as_counted(spotting):
    """3 images with 35 discs each, in passes of 4; 5 questions take 6 steps side by side, four at a time."""
    network, explainer = Network(spotting, 4, fill=True), MeaningfulPerturbation(spotting, 6)
    images = np.random.default_rng(1).normal(size=(3, 1, *SIZE)).astype(np.float32)
    logits = Network(spotting, 4).logits(images)
    spotting.calls.clear()
    view = View(network, images, np.array([0, 0, 1, 2, 2]), np.array([0, 1, 0, 0, 1]), logits=logits)
    assert explainer.images_needed_for(view) == {"disc": 105, "optimize": 30}
    _, refused = attribute_together([explainer], view)
    assert not refused
    assert dict(network.passes.images) == {"disc": 105, "optimize": 30}
    assert dict(network.passes.made) == {"disc": 27, "optimize": 8}
    assert spotting.calls == [4] * 35
    assert explainer.questions_together(4) == 4


@pytest.mark.parametrize(
    ("options", "code", "values"),
    [
        ({"steps": 0}, "not-a-whole-number", {"name": "steps", "given": 0}),
        ({"score": "loss"}, "option-value-unknown", {"what": "score", "given": "loss"}),
        ({"sparsity": -1}, "number-too-small", {"name": "sparsity", "given": -1}),
        ({"smoothness": -1}, "number-too-small", {"name": "smoothness", "given": -1}),
        ({"power": 0.5}, "number-too-small", {"name": "power", "given": 0.5}),
        ({"jitter": -1}, "not-a-whole-number", {"name": "jitter", "given": -1}),
        ({"cell": 0}, "not-a-whole-number", {"name": "cell", "given": 0}),
    ],
)
def test_what_options_cannot_be(spotting, options, code, values, raising):
    with raising(ValueError, code, **values):
        MeaningfulPerturbation(spotting, **options)


@pytest.mark.parametrize("options", [{"score": "sigmoid", "jitter": 2}, {"score": "logit", "cell": 3}], ids=str)
@pytest.mark.parametrize("rule", [one for one in EXPLAINER_RULES if one.name in ("passes", "neighbours")], ids=str)
def test_keeps_to_the_contract(rule, options):
    rule(MeaningfulPerturbation, steps=3, **options)
