"""How far maps move under noise, by hand on linear networks, where input times gradient is weights times image."""

import numpy as np
import pytest
from mindspore import Tensor, nn

from explainrun.benchmarks import (
    Continuity,
    Explanation,
    LocalLipschitz,
    RelativeInputStability,
    RelativeOutputStability,
    RelativeRepresentationStability,
    Robustness,
    SensitivityAvg,
    SensitivityMax,
)
from explainrun.explainers import RISE, ConstantMap, Gradient, GuidedBackprop, InputXGradient, Network, Occlusion, View
from explainrun.explainers.core.together import attribute_together
from explainrun.runner.batches.part_sizes import recomputations

WEIGHTS = np.random.default_rng(0).normal(size=(3, 1, 2, 5))
IMAGES = np.random.default_rng(1).normal(size=(2, 1, 2, 5)).astype(np.float32)
ROWS, LABELS = np.array([0, 0, 1]), np.array([0, 2, 1])
SEVEN = [
    SensitivityMax,
    SensitivityAvg,
    LocalLipschitz,
    Continuity,
    RelativeInputStability,
    RelativeOutputStability,
    RelativeRepresentationStability,
]


class Doubled(nn.Cell):
    """A linear network behind a layer that doubles what it gets."""

    def __init__(self, linear):
        super().__init__()
        self.double, self.after, self.calls = nn.Identity(), linear, []

    def construct(self, x):
        self.calls.append(x.shape[0])
        return self.after(self.double(2 * x))


def made(kind, **options):
    return kind("double", **options) if kind is RelativeRepresentationStability else kind(**options)


def viewed(network, explainers, images=IMAGES, **options):
    needs = type(explainers[0].needs).together(explainer.needs for explainer in explainers)
    return View(Network(network, **options), images, ROWS, LABELS, needs=needs, sample_ids=np.array([7, 9]), seed=3)


def explained(view, explainers, needed=None):
    """Explanations that are each other's peers, as a run makes them."""

    def count_passes(kind, images):
        if needed is not None:
            needed[kind] = needed.get(kind, 0) + images

    found, _ = attribute_together(explainers, view)
    every = [Explanation(one, view, found[one.name].maps, count_passes=count_passes) for one in explainers]
    for explanation in every:
        explanation.peers, explanation.memory = tuple(every), every[0].memory
    return every


def draws(metric, view, row):
    """The noise (draws, H, W) of an image of one channel."""
    return np.stack([metric.noise.drawn(view, row, draw)[0] for draw in range(metric.samples)]).astype(np.float64)


def likeliest(images):
    """(N,) the class of images (N, H, W)."""
    return np.tensordot(images, WEIGHTS[:, 0], ((1, 2), (1, 2))).argmax(axis=1)


def by_hand(kind, weights, image, noise):
    """Scores of each draw, from weights and image (H, W) and noise (draws, H, W)."""
    moved, size = weights * noise, np.sqrt((noise**2).sum(axis=(1, 2)))
    length = np.sqrt((moved**2).sum(axis=(1, 2)))
    relative = np.sqrt(((noise / image) ** 2).sum(axis=(1, 2)))  # of map, image and layer alike: weights cancel out
    logits = np.sqrt((np.tensordot(noise, 2 * WEIGHTS[:, 0], ((1, 2), (1, 2))) ** 2).sum(axis=1))
    return {
        SensitivityMax: length / np.linalg.norm(weights * image),
        SensitivityAvg: length / np.linalg.norm(weights * image),
        LocalLipschitz: length / size,
        Continuity: np.abs(moved).sum(axis=(1, 2)) / size,
        RelativeInputStability: relative / relative,
        RelativeOutputStability: relative / logits,
        RelativeRepresentationStability: relative / relative,
    }[kind]


@pytest.mark.parametrize("kind", SEVEN)
def test_scores_by_hand(linear, kind):
    network = Doubled(linear(WEIGHTS))
    metric, explainer = made(kind, samples=6, radius=0.04), InputXGradient(network)
    view = viewed(network, [explainer])
    (explanation,) = explained(view, [explainer])
    scores = metric.score(explanation)
    for score, row, label in zip(scores, ROWS, LABELS, strict=True):
        noise, image = draws(metric, view, row), IMAGES[row, 0]
        of_draws = by_hand(kind, 2 * WEIGHTS[label, 0], image, noise)
        kept = likeliest(image[None] + noise) == likeliest(image[None])
        assert kept.any()
        if kind in SEVEN[4:]:
            of_draws = of_draws[kept]
        expected = of_draws.mean() if kind is SensitivityAvg else of_draws.max()
        assert score == pytest.approx(expected, rel=2e-4)
    assert (scores > 0).all()


@pytest.mark.parametrize("kind", SEVEN)
def test_a_map_that_ignores_the_image_is_best(linear, kind):
    network, metric = Doubled(linear(WEIGHTS)), made(kind, samples=3, radius=0.01)
    assert metric.evaluate(ConstantMap(network), Tensor(IMAGES), [0, 2]).tolist() == [0, 0]
    assert metric.evaluate(Gradient(network), Tensor(IMAGES), [0, 2]).tolist() == [0, 0]
    assert metric.control_sensitive is False
    assert metric.higher_is_better is False


@pytest.mark.parametrize(
    ("kind", "factor"),
    [(SensitivityMax, 1), (SensitivityAvg, 1), (LocalLipschitz, 3), (Continuity, 3), (RelativeInputStability, 1)],
)
def test_scaling_the_map(linear, kind, factor):
    class Thrice(InputXGradient):
        def attribute(self, view):
            return 3 * super().attribute(view)

    network, metric = linear(WEIGHTS), kind(samples=4)
    plain = metric.evaluate(InputXGradient(network), Tensor(IMAGES), [0, 2])
    np.testing.assert_allclose(metric.evaluate(Thrice(network), Tensor(IMAGES), [0, 2]), factor * plain, rtol=1e-5)


def test_draws_that_change_the_class_do_not_count(linear):
    """Two classes that differ by their first pixel alone: noise there decides."""
    weights = np.zeros((2, 1, 2, 5))
    weights[0, 0, 0, 0], weights[1, 0, 0, 0], weights[:, 0, 1, 4] = 1.0, -1.0, 1.0
    image = np.linspace(-1, 1, 10, dtype=np.float32).reshape(1, 1, 2, 5)
    image[0, 0, 0, 0] = 0.01
    network, metric, largest_was_left_out = linear(weights), RelativeOutputStability(samples=8, radius=0.05), 0
    for seed in range(6):
        view = View(Network(network), image, np.array([0]), np.array([0]), needs=InputXGradient.needs, seed=seed)
        (explanation,) = explained(view, [InputXGradient(network)])
        noise, map_ = draws(metric, view, 0), weights[0, 0] * image[0, 0]
        kept = image[0, 0, 0, 0] + noise[:, 0, 0] > 0
        relative = weights[0, 0] * noise / np.where(map_ == 0, 1e-6, map_)
        logits = np.tensordot(noise, weights[:, 0], ((1, 2), (1, 2)))
        of_draws = np.sqrt((relative**2).sum(axis=(1, 2)) / (logits**2).sum(axis=1))
        assert metric.score(explanation) == pytest.approx(of_draws[kept].max(), rel=1e-4)
        largest_was_left_out += of_draws[kept].max() < of_draws.max()
    assert largest_was_left_out
    image[0, 0, 0, 0] = 1e-9  # about half of the draws change the class, of one draw all or none
    alone = RelativeOutputStability(samples=1, radius=0.05)
    scores = [
        alone.score(explained(View(Network(network), image, np.array([0]), np.array([0]), needs=InputXGradient.needs,
                                   seed=seed), [InputXGradient(network)])[0])[0]
        for seed in range(6)
    ]  # fmt: skip
    assert 0 < np.isnan(scores).sum() < 6


def test_metrics_of_the_same_noise_cost_the_passes_of_one(linear):
    cell = linear(WEIGHTS)
    network = Doubled(cell)
    explainers = [Gradient(network), InputXGradient(network), RISE(network, nn.Softmax(), num_masks=10, grid=2)]
    alone = {}
    for kinds in ([SensitivityMax], SEVEN):
        view, needed = viewed(network, explainers, fill=True), {}
        explanations = explained(view, explainers, needed)
        assert view.logits.shape == (2, 3)  # which runs know
        view.network.passes.drained()
        network.calls.clear()
        metrics = [made(kind, samples=5) for kind in kinds]
        found = [[metric.score(explanation) for metric in metrics] for explanation in explanations]
        assert needed == dict(view.network.passes.images)
        assert sum(view.network.passes.made.values()) == len(network.calls)
        alone[len(kinds)] = needed, len(network.calls), found
    one, all_seven = alone[1], alone[7]
    assert one[0] == {"differentiate": 5 * 3, "mask": 5 * 2 * 10}  # a noisy image draws the masks of its own
    assert all_seven[0] == {**one[0], "noise": 5 * 2, "activate": (1 + 5) * 2}
    assert all_seven[1] == one[1] + 1 + 6
    for before, after in zip(one[2], all_seven[2], strict=True):
        np.testing.assert_array_equal(before[0], after[0])


def test_other_noise_is_drawn_apart(linear):
    network, needed = linear(WEIGHTS), {}
    view = viewed(network, [InputXGradient(network)])
    (explanation,) = explained(view, [InputXGradient(network)], needed)
    for options in ({"samples": 2}, {"samples": 2, "radius": 0.1}, {"samples": 3}, {"samples": 2}):
        SensitivityMax(**options).score(explanation)
    assert needed == {"differentiate": (2 + 2 + 3) * 3}


def test_one_that_looks_at_predictions_asks_nothing_twice(linear):
    network, needed = linear(WEIGHTS), {}
    occlusion = Occlusion(network, nn.Softmax(), window=1)
    view = viewed(network, [occlusion], fill=True)
    (explanation,) = explained(view, [occlusion], needed)
    view.network.passes.drained()
    for metric in (SensitivityMax(samples=2), RelativeOutputStability(samples=2)):
        metric.score(explanation)
    assert needed == {"occlude": 4 * 10, "noise": 4} == dict(view.network.passes.images)


def test_one_who_refuses_noisy_images_is_named_for_every_metric(linear):
    class Refusing(InputXGradient):
        def attribute(self, view):
            if not any((view.images[0] == image).all() for image in IMAGES):
                raise ValueError("no noisy images, please")
            return super().attribute(view)

    network = linear(WEIGHTS)
    explainers = [Refusing(network, "Refusing"), InputXGradient(network)]
    refusing, other = explained(viewed(network, explainers), explainers)
    for metric in (SensitivityMax(samples=2), LocalLipschitz(samples=2)):
        with pytest.raises(ValueError, match="no noisy images, please"):
            metric.score(refusing)
        assert (metric.score(other) > 0).all()


def test_what_cannot_be_scored(linear):
    network, flat = linear(WEIGHTS), np.full((1, 1, 2, 5), 3, np.float32)
    zero = np.zeros((1, 1, 2, 5), np.float32)
    for kind, of_zero, of_flat in ((SensitivityMax, np.nan, 0), (LocalLipschitz, 0, np.nan), (Continuity, 0, np.nan)):
        metric = kind(samples=2)
        scores = metric.evaluate(ConstantMap(network), Tensor(IMAGES[:1]), 0, saliency=zero)
        ones = metric.evaluate(ConstantMap(network), Tensor(IMAGES[:1]), 0)
        on_flat = metric.evaluate(ConstantMap(network), Tensor(flat), 0)
        assert ones.tolist() == [0]
        np.testing.assert_array_equal(on_flat, [of_flat])
        if kind is SensitivityMax:
            np.testing.assert_array_equal(scores, [of_zero])


def test_maps_of_guided_passes_are_shared_too(two_channels):
    network, needed = two_channels(), {}
    images = np.random.default_rng(4).normal(size=(2, 1, 2, 4)).astype(np.float32)
    explainers = [Gradient(network), GuidedBackprop(network)]
    needs = type(explainers[0].needs).together(explainer.needs for explainer in explainers)
    view = View(Network(network, 4, fill=True), images, np.array([0, 1, 1]), np.array([0, 0, 1]), needs=needs)
    explanations = explained(view, explainers, needed)
    for explanation in explanations:
        for kind in (SensitivityMax, SensitivityAvg, Continuity):
            kind(samples=4).score(explanation)
    assert needed == {"differentiate": 4 * 3, "guided": 4 * 3}


def test_options_are_checked(raising, linear):
    for kind in SEVEN:
        with raising(ValueError, "not-a-whole-number", name="samples", given=0):
            made(kind, samples=0)
        with raising(ValueError, "not-above-zero", name="radius", given=0):
            made(kind, radius=0)
    with raising(TypeError, "not-a-text", name="layer"):
        RelativeRepresentationStability(3)
    network = linear(WEIGHTS)
    with raising(ValueError, "layer-unknown", layer="double"):
        RelativeRepresentationStability("double").evaluate(Gradient(network), Tensor(IMAGES), 0)


def test_parts_are_cut_by_maps_that_are_made_once(linear):
    same, other = [SensitivityMax(), LocalLipschitz(), Continuity(samples=10)], SensitivityAvg(samples=4)
    network = linear(WEIGHTS)
    assert recomputations(same, network) == 10
    assert recomputations([*same, other], network) == 14
    assert recomputations([*same, Robustness(3, nn.Softmax(), samples=7), Robustness(3, nn.Softmax())], network) == 27
