"""Extremal perturbations: areas, what they find where the truth is known, and a slow twin."""

import numpy as np
import pytest
from mindspore import Tensor

from explainrun.explainers import ExtremalPerturbation, Network, View
from explainrun.explainers.core.together import attribute_together
from explainrun.explainers.optimized_masks.extremal_perturbation import area_slopes
from explainrun.explainers.optimized_masks.smooth_masks import SmoothMasks
from explainrun.explainers.perturbation.baselines import blurred
from explainrun.testing import EXPLAINER_RULES

SIZE = (10, 17)
BOX = (slice(1, 6), slice(5, 12))  # 0.21 of the image, which alone the first logit weighs; its own mirror image
FAST = {"baseline": 0.0, "step": 1, "sigma": 1.5}


@pytest.fixture
def spotting(linear):
    """Logit 0 adds the contrast of a checkerboard within a box, up to 40; logit 1 the same outside."""
    weights = np.zeros((2, 1, *SIZE))
    weights[0, 0][BOX] = board()[BOX]
    weights[1, 0] = board() - weights[0, 0]
    return linear(40 * weights / np.abs(weights).sum(axis=(1, 2, 3), keepdims=True))


def board():
    return np.where(np.add.outer(np.arange(SIZE[0]), np.arange(SIZE[1])) % 2, 1, -1).astype(np.float32)


def test_masks_lie_where_the_label_is(spotting):
    explainer = ExtremalPerturbation(spotting, areas=[0.1, 0.2, 0.4], steps=80, **FAST)
    image = Tensor(board()[None, None])
    masks = explainer.masks(image, [[0, 1]]).asnumpy()[0]
    assert masks.shape == (2, 3, *SIZE)
    assert masks.min() >= 0
    assert masks.max() <= 1
    inside = masks[..., BOX[0], BOX[1]].sum(axis=(-2, -1)) / masks.sum(axis=(-2, -1))
    assert (inside[0] > [0.75, 0.7, 0.4]).all()
    assert (inside[1] < 0.1).all()
    assert (np.diff(masks.sum(axis=(-2, -1)), axis=1) > 0).all()
    np.testing.assert_allclose(explainer(image, 0).asnumpy()[0, 0], masks[0].mean(axis=0), atol=1e-6)


@pytest.mark.slow
def test_masks_have_their_areas(spotting):
    """Mirrored steps and the whole mask, border included, count; the label's box has about the area here."""
    masks = ExtremalPerturbation(spotting, areas=[0.2], **FAST).masks(Tensor(board()[None, None]), 0).asnumpy()[0, 0]
    assert abs(masks.mean() - 0.2) < 0.02
    assert masks[0][BOX].mean() > 0.85


def test_each_question_is_about_its_own_image(spotting):
    """Two images, of which the second is turned over and negated: masks of both at once are those of each alone."""
    images = Tensor(np.stack([board(), -0.5 * board()[::-1]])[:, None])
    explainer = ExtremalPerturbation(spotting, areas=[0.2], steps=6, **FAST)
    together = explainer(images, [0, 1]).asnumpy()
    for row in range(2):
        np.testing.assert_allclose(explainer(images[row : row + 1], row).asnumpy()[0], together[row], atol=1e-5)
    assert np.abs(together[0] - together[1]).max() > 1e-2


def test_delete_hides_where_the_label_is(spotting):
    map_ = ExtremalPerturbation(spotting, 0.2, 80, "delete", **FAST)(Tensor(board()[None, None]), 0).asnumpy()[0, 0]
    assert map_[BOX].sum() / map_.sum() > 0.7


def one_mask(weights, image, label, options):
    """One mask, step by step, in the order of the paper; the gradient of a linear network is its weights."""
    smooth = SmoothMasks(image.shape[1:], options["step"], options["sigma"])
    values, velocity = np.ones((1, *smooth.grid), np.float32), 0.0
    levels = [blurred(image, options["blur"] * (7 - level) / 7) if level < 7 else image for level in range(8)]
    shown = round(options["areas"][0] * image[0].size)
    for step in range(options["steps"]):
        made = smooth.make(values)
        mask = made.values[0][smooth.image]
        slope = np.zeros(mask.shape)
        seen = weights[label][..., ::-1] if step % 2 == 0 else weights[label]  # a mirrored image, mirrored back
        for place in np.ndindex(*mask.shape):
            low = min(int(7 * mask[place]), 6)
            y, x = place
            slope[place] = (7 * (levels[low + 1] - levels[low])[:, y, x] * seen[:, y, x]).sum()
        flat = made.values[0].ravel()
        wanted, order = np.zeros(flat.size), np.argsort(flat, kind="stable")
        wanted[order[flat.size - shown :]] = 1
        pull = (300 * 1.0035**step * 2 / flat.size * (flat - wanted)).reshape(made.values[0].shape)
        pull[smooth.image] -= slope
        gradient = smooth.slopes(values, made, pull[None].astype(np.float32))
        velocity = gradient if step == 0 else 0.9 * velocity + 0.1 * gradient
        values = (values - 0.01 * velocity).clip(0, 1).astype(np.float32)
    return smooth.make(values).values[0][smooth.image]


@pytest.mark.parametrize("label", [0, 1])
def test_a_slow_twin_takes_the_same_steps(linear, label):
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(2, 2, 6, 9)).astype(np.float32)
    image = rng.normal(size=(2, 6, 9)).astype(np.float32)
    options = {"areas": [0.3], "steps": 12, "step": 2, "sigma": 3.0, "blur": 1.5}
    found = ExtremalPerturbation(linear(weights), **options)(Tensor(image[None]), label).asnumpy()[0, 0]
    np.testing.assert_allclose(found, one_mask(weights, image, label, options), atol=1e-4)


def test_values_are_compared_as_if_they_were_sorted():
    rng = np.random.default_rng(0)
    masks = rng.uniform(size=(3, 4, 5)).astype(np.float32)
    masks[1] = np.round(masks[1] * 3) / 4  # with ties
    masks[2] = 0.5
    shown = np.array([6, 7, 3])
    found = area_slopes(masks, shown)
    for mask, many, slopes in zip(masks, shown, found, strict=True):
        flat, order = mask.ravel(), np.argsort(mask.ravel(), kind="stable")
        wanted = np.zeros(20)
        wanted[order[20 - many :]] = 1
        np.testing.assert_allclose(slopes.ravel(), 2 * (flat - wanted) / 20, atol=1e-7)
        assert (slopes < 0).sum() == many


def test_passes_are_full_however_few_questions_there_are(linear):
    """5 questions of 2 areas in passes of 4: 4 masks side by side, then 6; each takes 3 steps."""
    cell = linear(np.random.default_rng(0).normal(size=(2, 1, *SIZE)))
    network, explainer = Network(cell, 4, fill=True), ExtremalPerturbation(cell, areas=[0.1, 0.2], steps=3)
    images = np.random.default_rng(1).normal(size=(3, 1, *SIZE)).astype(np.float32)
    view = View(network, images, np.array([0, 0, 1, 2, 2]), np.array([0, 1, 0, 0, 1]))
    assert explainer.images_needed_for(view) == {"optimize": 5 * 2 * 3}
    _, refused = attribute_together([explainer], view)
    assert not refused
    assert dict(network.passes.images) == {"optimize": 30}
    assert dict(network.passes.made) == {"optimize": 8}
    assert cell.calls == [4] * 8  # the last pass, of two masks, is filled up
    assert [explainer.questions_together(size) for size in (1, 4, 5)] == [1, 2, 3]


@pytest.mark.parametrize(
    ("options", "code", "values"),
    [
        ({"areas": []}, "areas-malformed", {"given": []}),
        ({"areas": 1.0}, "areas-malformed", {"given": 1.0}),
        ({"areas": [0.1, 0]}, "areas-malformed", {"given": [0.1, 0]}),
        ({"areas": "half"}, "not-a-number", {"name": "areas", "given": "half"}),
        ({"steps": 0}, "not-a-whole-number", {"name": "steps", "given": 0}),
        ({"variant": "dual"}, "option-value-unknown", {"what": "variant", "given": "dual"}),
        ({"blur": 0}, "not-above-zero", {"name": "blur", "given": 0}),
        ({"step": 1.5}, "not-a-whole-number", {"name": "step", "given": 1.5}),
        ({"sigma": -1}, "not-above-zero", {"name": "sigma", "given": -1}),
    ],
)
def test_what_options_cannot_be(linear, options, code, values, raising):
    with raising(ValueError, code, **values):
        ExtremalPerturbation(linear(np.ones((1, 1, 2, 3))), **options)


def test_a_baseline_that_does_not_fit_is_refused_before_the_first_pass(linear):
    cell = linear(np.ones((1, 1, 2, 3)))
    with pytest.raises(ValueError, match=r"a baseline of shape \(5, 1, 1\) does not fit images"):
        ExtremalPerturbation(cell, baseline=np.ones(5))(Tensor(np.ones((1, 1, 2, 3), np.float32)), 0)
    assert not cell.calls


@pytest.mark.slow
@pytest.mark.parametrize("options", [{"areas": [0.1, 0.3]}, {"variant": "delete"}, {"baseline": 0.0}], ids=str)
@pytest.mark.parametrize("rule", [one for one in EXPLAINER_RULES if one.name in ("passes", "neighbours")], ids=str)
def test_keeps_to_the_contract(rule, options):
    rule(ExtremalPerturbation, steps=4, **options)
