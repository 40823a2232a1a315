"""Robustness: how far maps move under noise, by hand on linear networks."""

from typing import ClassVar

import numpy as np
import pytest
from mindspore import Tensor, nn

from explainrun.benchmarks import Explanation, Robustness
from explainrun.benchmarks.core.family import MetricFamily
from explainrun.explainers import RISE, GradCAM, Gradient, GuidedBackprop, InputXGradient, Network, Occlusion, View
from explainrun.explainers.core.together import Estimate, attribute_together

WEIGHTS = np.random.default_rng(0).normal(size=(3, 1, 2, 5))
IMAGES = np.random.default_rng(1).normal(size=(2, 1, 2, 5)).astype(np.float32)


def itself(logits):
    return logits


def viewed(network, explainers, rows=(0, 0, 1), labels=(0, 2, 1), **options):
    needs = type(explainers[0].needs).together(explainer.needs for explainer in explainers)
    asked = np.array(rows), np.array(labels)
    return View(Network(network, **options), IMAGES, *asked, needs=needs, sample_ids=np.array([7, 9]), seed=3)


def explained(view, explainers, needed=None):
    """Explanations that are each other's peers, as a run makes them."""

    def count_passes(kind, images):
        if needed is not None:
            needed[kind] = needed.get(kind, 0) + images

    found, _ = attribute_together(explainers, view)
    nothing = Estimate(np.zeros((0, *view.size), np.float32))
    every = [Explanation(one, view, found.get(one.name, nothing).maps, count_passes=count_passes) for one in explainers]
    for explanation in every:
        explanation.peers, explanation.memory = tuple(every), every[0].memory
    return every


def test_it_is_how_far_the_map_moves_at_most(linear):
    network = linear(WEIGHTS)
    explainers, metric = [InputXGradient(network)], Robustness(3, itself, samples=4, radius=0.1, threshold=100)
    view = viewed(network, explainers)
    (explanation,) = explained(view, explainers)
    scores = metric.score(explanation)
    for score, row, label in zip(scores, view.rows, view.labels, strict=True):
        weights, image = WEIGHTS[label, 0], IMAGES[row, 0]
        moves = [np.linalg.norm(weights * metric.noise(view, row, draw, 0)[0]) for draw in range(4)]
        assert score == pytest.approx(np.exp(-max(moves) / np.linalg.norm(weights * image)), rel=1e-5)
    assert len(set(scores.tolist())) == 3


def test_a_map_that_never_moves_scores_1(linear):
    network = linear(WEIGHTS)
    assert Robustness(3, nn.Softmax()).evaluate(Gradient(network), Tensor(IMAGES), [0, 2]).tolist() == [1, 1]


def test_noise_is_uniform_and_scales_with_the_images_range(linear):
    network, metric = linear(WEIGHTS), Robustness(3, itself, radius=0.1)
    view = viewed(network, [Gradient(network)])
    noise = np.stack([metric.noise(view, 0, draw, 0) for draw in range(400)])
    reach = 0.1 * np.ptp(IMAGES[0])
    assert -reach <= noise.min() < -0.99 * reach
    assert 0.99 * reach < noise.max() <= reach
    assert noise.std() == pytest.approx(reach / 3**0.5, rel=0.02)
    larger = View(Network(network), 50 * IMAGES + 3, view.rows, view.labels, sample_ids=np.array([7, 9]), seed=3)
    np.testing.assert_allclose(metric.noise(larger, 0, 0, 0), 50 * noise[0], rtol=1e-5)
    few = {"samples": 3, "threshold": 1e9}
    scores = [
        Robustness(3, itself, radius=radius, **few).evaluate(InputXGradient(network), Tensor(50 * IMAGES), [0, 2])
        for radius in (0.1, 0.2)
    ]
    same = Robustness(3, itself, radius=0.1, **few).evaluate(InputXGradient(network), Tensor(IMAGES), [0, 2])
    np.testing.assert_allclose(scores[0], same, rtol=1e-5)
    np.testing.assert_allclose(np.log(scores[1]), 2 * np.log(scores[0]), rtol=1e-4)


def test_noise_that_moves_the_prediction_is_drawn_again(linear):
    """Three draws a picture; the prediction moves by the noise's share of the weights' length."""
    network, needed = linear(WEIGHTS), {}
    metric = Robustness(3, itself, samples=3, radius=0.1, threshold=0.8)
    explainers = [InputXGradient(network)]
    view = viewed(network, explainers, (0, 1), (0, 1))
    (explanation,) = explained(view, explainers, needed)
    scores = metric.score(explanation)
    tried, kept = 0, {}
    for row in (0, 1):
        for draw in range(3):
            for attempt in range(4):
                tried += 1
                kept[row, draw] = noise = metric.noise(view, row, draw, attempt)
                if np.linalg.norm((WEIGHTS * noise).sum(axis=(1, 2, 3))) <= 0.8:
                    break
    assert 6 < tried < 24
    assert needed == {"noise": tried, "differentiate": 6}
    assert view.network.passes.images["noise"] == tried
    for score, row, label in zip(scores, (0, 1), (0, 1), strict=True):
        moved = max(np.linalg.norm(WEIGHTS[label, 0] * kept[row, draw][0]) for draw in range(3))
        assert score == pytest.approx(np.exp(-moved / np.linalg.norm(WEIGHTS[label, 0] * IMAGES[row, 0])), rel=1e-5)


def test_explainers_share_the_passes_on_noisy_images(two_channels):
    network = two_channels()
    explainers = [Gradient(network), InputXGradient(network), GradCAM(network, "relu"), GuidedBackprop(network)]
    metric = Robustness(2, nn.Sigmoid(), samples=5, threshold=9)
    images = np.random.default_rng(4).normal(size=(3, 1, 2, 4)).astype(np.float32)
    needs = type(explainers[0].needs).together(explainer.needs for explainer in explainers)
    rows, labels, needed = np.array([0, 0, 1, 2]), np.array([0, 1, 0, 1]), {}
    view = View(Network(network, 4, fill=True), images, rows, labels, needs=needs, logits=np.zeros((3, 2), np.float32))
    explanations = explained(view, explainers, needed)
    view.network.passes.drained()
    together = [metric.score(explanation) for explanation in explanations]
    assert needed == {"noise": 15, "differentiate": 20, "guided": 20}
    assert dict(view.network.passes.made) == {"noise": 4, "differentiate": 5, "guided": 5}
    for explainer, scores in zip(explainers, together, strict=True):
        (alone,) = explained(view, [explainer])
        np.testing.assert_array_equal(metric.score(alone), scores)
        assert ((scores > 0) & (scores < 1)).any()


def test_explainers_with_passes_of_their_own_draw_the_same_masks_on_noisy_images(linear):
    network, needed = linear(WEIGHTS), {}
    rise = RISE(network, itself, num_masks=30, grid=2)
    view = viewed(network, [rise], fill=True)
    (explanation,) = explained(view, [rise], needed)
    metric = Robustness(3, itself, samples=20, radius=1e-6, threshold=9)
    assert metric.score(explanation).min() > 0.999  # other masks alone would move the map further
    assert needed == {"noise": 40, "mask": 40 * 30}
    assert view.network.passes.images["mask"] == 60 + 1200
    assert view.network.passes.made["mask"] == 4 + 75


def test_occlusion_asks_nothing_twice(linear):
    network, needed = linear(WEIGHTS), {}
    occlusion = Occlusion(network, itself, window=1)
    view = viewed(network, [occlusion], fill=True)
    (explanation,) = explained(view, [occlusion], needed)
    metric = Robustness(3, itself, samples=2, threshold=1e9)
    assert metric.score(explanation).min() > 0
    assert needed == {"noise": 4, "occlude": 4 * 10}
    assert dict(view.network.passes.images) == {"infer": 2, "occlude": 20 + 40, "noise": 4}


def test_what_has_no_length_or_number_is_not_scored(linear):
    class Nothing(Gradient):
        def attribute(self, view):
            maps = super().attribute(view) * 0
            maps[view.labels == 2] = np.nan
            maps[view.labels == 1] += 1
            return maps

    network = linear(WEIGHTS)
    scores = Robustness(3, nn.Softmax(), samples=2).evaluate(Nothing(network), Tensor(IMAGES), [[0, 2], [1, 1]])
    np.testing.assert_array_equal(scores, [[np.nan, np.nan], [1, 1]])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"samples": 0}, "samples must be a whole number from 1"),
        ({"radius": 0}, "radius must be above 0"),
    ],
)
def test_options_are_checked(options, message):
    with pytest.raises(ValueError, match=message):
        Robustness(3, nn.Softmax(), **options)


def test_beating_controls_says_nothing_in_a_family_either():
    class Stability(MetricFamily):
        members: ClassVar = {"Robustness": Robustness}

    assert Stability(2, "Robustness", activation_fn=nn.Sigmoid()).control_sensitive is False
