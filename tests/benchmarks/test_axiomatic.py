"""Axioms by hand: sums of maps, shifts of the input, and pixels without a role."""

import weakref

import numpy as np
import pytest
from mindspore import Tensor, nn, ops

from explainrun.benchmarks import Completeness, Explanation, InputInvariance, NonSensitivity
from explainrun.benchmarks.core.perturbations import ImageOfView
from explainrun.explainers import (
    ConstantMap,
    Gradient,
    InputXGradient,
    IntegratedGradients,
    Network,
    Occlusion,
    RandomMap,
    View,
)
from explainrun.explainers.core.together import attribute_together
from explainrun.explainers.network.variants.shifted_input import shifted_input
from explainrun.runner.batches.part_sizes import changed_images

WEIGHTS = np.random.default_rng(0).normal(size=(3, 1, 2, 5))
IMAGES = np.random.default_rng(1).normal(size=(2, 1, 2, 5)).astype(np.float32)


def explained(network, explainers, images=IMAGES, rows=(0, 0, 1), labels=(0, 2, 1), needed=None):
    """Explanations that are each other's peers, as a run makes them."""

    def count_passes(kind, count):
        if needed is not None:
            needed[kind] = needed.get(kind, 0) + count

    needs = type(explainers[0].needs).together(explainer.needs for explainer in explainers)
    view = View(Network(network, fill=True), images, np.array(rows), np.array(labels), needs=needs, seed=3)
    assert view.logits.shape[0] == len(images)  # which runs know
    found, _ = attribute_together(explainers, view)
    every = [Explanation(one, view, found[one.name].maps, count_passes=count_passes) for one in explainers]
    for explanation in every:
        explanation.peers, explanation.memory = tuple(every), every[0].memory
    view.network.passes.drained()
    return every


class TestCompleteness:
    def test_of_linear_networks(self, linear):
        network = linear(WEIGHTS, bias=0.5)
        explainer, labels = InputXGradient(network), np.array([2, 1])
        logits = (WEIGHTS[labels] * IMAGES).sum((1, 2, 3))
        assert Completeness().evaluate(explainer, Tensor(IMAGES), labels) == pytest.approx([0, 0], abs=1e-5)
        falls = logits - 2 * WEIGHTS[labels].sum((1, 2, 3))
        scores = Completeness(2.0).evaluate(explainer, Tensor(IMAGES), labels)
        np.testing.assert_allclose(scores, np.abs(logits - falls) / np.abs(falls), rtol=1e-4)

    def test_the_residual_is_a_share(self, linear):
        network, metric = linear(WEIGHTS), Completeness()
        whole = (WEIGHTS[[2, 1]] * IMAGES).astype(np.float32)
        for factor, expected in ((1, 0), (0, 1), (3, 2), (-1, 2)):
            scores = metric.evaluate(Gradient(network), Tensor(IMAGES), [2, 1], saliency=factor * whole)
            assert scores == pytest.approx([expected] * 2, abs=2e-6)
        assert metric.higher_is_better is False

    def test_a_constant_map_may_be_complete(self, linear):
        image = np.full((1, 1, 2, 5), 0.5, np.float32)
        network = linear(np.full((2, 1, 2, 5), [[[[4.0]]], [[[2.0]]]]))
        assert Completeness().evaluate(ConstantMap(network), Tensor(image), 0) == pytest.approx([0.5])
        assert Completeness().evaluate(ConstantMap(network), Tensor(image), 1) == pytest.approx([0])

    def test_integrated_gradients_are_complete_with_their_own_baseline(self, two_channels):
        network = two_channels()
        image = np.abs(np.random.default_rng(3).normal(size=(1, 1, 2, 4))).astype(np.float32) + 0.3
        explainer = IntegratedGradients(network, 200, 0.3)
        right, wrong = (Completeness(b).evaluate(explainer, Tensor(image), 1)[0] for b in (0.3, 0.0))
        assert right < 1e-4
        assert wrong > 0.1

    def test_where_there_is_nothing_to_share_out(self, linear):
        network = linear(WEIGHTS)
        zero = np.zeros((1, 1, 2, 5), np.float32)
        assert np.isnan(Completeness().evaluate(InputXGradient(network), Tensor(zero), 0)).all()

    def test_the_baseline_is_asked_once(self, linear):
        network, needed = linear(WEIGHTS), {}
        explanations = explained(network, [Gradient(network), InputXGradient(network)], needed=needed)
        for explanation in explanations:
            for metric in (Completeness(), Completeness(), Completeness(1.0)):
                metric.score(explanation)
        assert needed == {}
        assert dict(explanations[0].view.network.passes.images) == {"uniform": 2}

    def test_options_are_checked(self):
        with pytest.raises(ValueError, match="baseline must be a"):
            Completeness("mean")


class Convolutional(nn.Cell):
    """A convolution that pads with zeros, in a network that may look at the image in ways that a bias cannot undo."""

    def __init__(self, how=""):
        super().__init__()
        rng = np.random.default_rng(5)
        self.how, self.again = how, nn.Conv2d(2, 2, 1, has_bias=False)
        self.head, self.conv = nn.Dense(20, 3), nn.Conv2d(1, 2, 3, pad_mode="same", has_bias=True)
        self.conv.weight.set_data(Tensor(rng.normal(size=(2, 1, 3, 3)).astype(np.float32)))
        self.head.weight.set_data(Tensor(rng.normal(size=(3, 20)).astype(np.float32)))

    def construct(self, x):
        if self.how == "squares":
            x = x * x
        features = self.conv(x / 4 - 1 if self.how == "scales" else x)
        if self.how == "beside":
            features = features + x
        if self.how == "twice":
            features = features + self.conv(2 * x)
        if self.how == "checks" and x.asnumpy().std(axis=(1, 2, 3)).min() == 0:
            raise ValueError("an image of one value")
        return self.head(ops.relu(features).reshape(x.shape[0], -1))


class TestInputInvariance:
    def test_by_hand(self, linear):
        network, metric = linear(WEIGHTS), InputInvariance(2.0)
        maps, labels = WEIGHTS[[2, 1]] * IMAGES, [2, 1]
        scores = metric.evaluate(InputXGradient(network), Tensor(IMAGES), labels)
        moved = 2 * np.linalg.norm(WEIGHTS[labels].reshape(2, -1), axis=1)
        np.testing.assert_allclose(scores, moved / np.linalg.norm(maps.reshape(2, -1), axis=1), rtol=1e-5)
        for ignoring in (Gradient, ConstantMap, RandomMap):
            assert metric.evaluate(ignoring(network), Tensor(IMAGES), labels).tolist() == [0, 0]
        assert (metric.higher_is_better, metric.control_sensitive) == (False, False)

    @pytest.mark.parametrize("how", ["", "scales"])
    def test_a_convolution_that_pads_absorbs_it_too(self, how, state):
        network = Convolutional(how)
        before, plain = state(network), Network(network).logits(IMAGES)
        wrapped = Network(network, fill=True, jit="on")
        compiled, labels = wrapped.logits(IMAGES), np.array([0, 1])
        gradient = Network(network).differentiate(IMAGES, labels).input_gradient
        with shifted_input(wrapped, IMAGES[0], 1.5) as other:
            np.testing.assert_allclose(other.logits(IMAGES + 1.5), plain, atol=1e-5)
            assert np.abs(other.logits(IMAGES) - plain).max() > 0.1
            found = other.differentiate(IMAGES + 1.5, labels).input_gradient
            np.testing.assert_allclose(found, gradient, atol=1e-4)
        np.testing.assert_array_equal(wrapped.logits(IMAGES), compiled)
        assert state(network) == before
        assert InputInvariance().evaluate(Gradient(network), Tensor(IMAGES), [0, 1]) == pytest.approx([0, 0], abs=1e-5)
        assert InputInvariance().evaluate(InputXGradient(network), Tensor(IMAGES), [0, 1]).min() > 0.1

    def test_a_fixed_value_for_blank_pixels_is_no_longer_blank(self):
        network = Convolutional()
        fixed, mean = (Occlusion(network, nn.Softmax(), window=1, baseline=value) for value in (0.0, "mean"))
        metric = InputInvariance()
        assert metric.evaluate(fixed, Tensor(IMAGES), [0, 1]).min() > 0.05
        assert metric.evaluate(mean, Tensor(IMAGES), [0, 1]) == pytest.approx([0, 0], abs=1e-4)

    @pytest.mark.parametrize(("how", "why"), [("squares", "apart"), ("beside", "apart"), ("twice", "runs 2 times"),
                                              ("checks", "an image of one value")])  # fmt: skip
    def test_what_no_bias_can_absorb_is_refused_before_any_map(self, raising, state, how, why):
        class Unasked(InputXGradient):
            def attribute(self, view):
                raise AssertionError("no map should have been made")

        network = Convolutional(how)
        before = state(network)
        with raising(ValueError, "shift-not-absorbed", layer="conv", shift=1.0) as caught:
            InputInvariance().evaluate(Unasked(network), Tensor(IMAGES), 0)
        assert why in str(caught.value)
        assert state(network) == before

    def test_it_costs_every_map_once_more_and_four_passes(self, linear):
        network, needed = linear(WEIGHTS), {}
        explanations = explained(network, [Gradient(network), InputXGradient(network)], needed=needed)
        metric = InputInvariance()
        together = [metric.score(explanation) for explanation in explanations]
        assert needed == {"differentiate": 3}
        made = explanations[0].view.network.passes.made
        assert dict(made) == {"weight order": 1, "shift trial": 4, "differentiate": 1}
        again = [metric.score(explanation) for explanation in explanations]
        assert made["shift trial"] == 4
        np.testing.assert_array_equal(together, again)

    def test_a_metric_lives_as_long_as_what_is_kept_for_its_peers(self, linear):
        """Or another one, which might lie at its place in memory, would be given its scores."""
        network = linear(WEIGHTS)
        one, other = explained(network, [Gradient(network), InputXGradient(network)])
        metric = InputInvariance()
        metric.score(one)
        kept = weakref.ref(metric)
        del metric
        assert kept() is not None
        assert (InputInvariance(3.0).score(other) > 2 * kept().score(other)).all()
        one.release()
        other.release()
        assert kept() is None

    def test_options_are_checked(self, raising):
        with raising(ValueError, "shift-zero"):
            InputInvariance(0)


class TestNonSensitivity:
    """Of ten pixels the network uses those in the left two columns and the one at the lower right."""

    def network(self, linear):
        weights = WEIGHTS.copy()
        weights[..., 2:] = 0
        weights[0, 0, 1, 4] = 1
        return linear(weights)

    def test_by_hand(self, linear):
        network, metric = self.network(linear), NonSensitivity(patch_size=1, samples=3)
        ones = np.ones((2, 1, 2, 5), np.float32)
        perfect, used = ones.copy(), np.zeros((2, 5))
        used[:, :2] = used[1, 4] = 1
        perfect[:] = -2.0 * used
        assert used.sum() == 5
        for saliency, expected in ((perfect, 0), (1 - used + 0 * perfect, 1), (ones, 0.5), (0 * ones, 0.5)):
            scores = metric.evaluate(Gradient(network), Tensor(IMAGES), 0, saliency=saliency.astype(np.float32))
            assert scores.tolist() == [expected] * 2
        assert metric.evaluate(Gradient(network), Tensor(IMAGES), 1, saliency=perfect).tolist() == [0.1] * 2
        assert metric.evaluate(InputXGradient(network), Tensor(IMAGES), [[0, 1], [1, 2]]).tolist() == [[0, 0]] * 2
        assert metric.higher_is_better is False

    def test_patches_may_be_smaller_at_the_edge(self, linear):
        """Patches of 2 x 2 in 2 x 5 pixels: of three, label 0 uses the first and the last, others the first alone."""
        network, metric = self.network(linear), NonSensitivity(patch_size=2, samples=2)
        first = np.zeros((2, 1, 2, 5), np.float32)
        first[:, 0, 0, 1] = 3
        scores = metric.evaluate(Gradient(network), Tensor(IMAGES), [[0, 1], [2, 0]], saliency=np.repeat(first, 2, 1))
        assert scores == pytest.approx(np.array([[1 / 3, 0], [0, 1 / 3]]))
        assert NonSensitivity(8).evaluate(Gradient(network), Tensor(IMAGES), 0).tolist() == [0, 0]

    def test_the_threshold_is_a_share(self, linear):
        weights = np.zeros((1, 1, 2, 5))
        weights[0, 0, 0, :2] = 1, 0.01
        network, saliency = linear(weights), np.zeros((1, 1, 2, 5), np.float32)
        saliency[0, 0, 0, 0], saliency[0, 0, 1, 3] = 700, 0.3
        image = np.linspace(0, 1, 10, dtype=np.float32).reshape(1, 1, 2, 5)
        for threshold, expected in ((0.1, 0), (1e-3, 0.1)):
            metric = NonSensitivity(1, 20, threshold)
            assert metric.evaluate(Gradient(network), Tensor(image), 0, saliency=saliency) == pytest.approx([expected])

    def test_explainers_and_labels_share_the_filled_images(self, linear):
        network = self.network(linear)
        explanations = explained(network, [Gradient(network), InputXGradient(network), ConstantMap(network)])
        metrics = [NonSensitivity(1, 3, threshold) for threshold in (1e-3, 0.1)]
        coverings, view = [metric.covering((2, 5)) for metric in metrics], explanations[0].view
        assert changed_images(coverings, ImageOfView(view, 0, {})).copies == 10 * 3  # by which batches are cut
        assert explanations[0].images_needed(coverings) == (2 * 10 * 3, set())
        for explanation in explanations:
            for metric in metrics:
                assert np.isfinite(metric.score(explanation)).all()
        assert dict(view.network.passes.images) == {"perturb": 2 * 10 * 3}
        assert explanations[1].images_needed(coverings) == (0, set())

    def test_constant_maps_alone_are_asked_about(self, linear):
        network, metric = self.network(linear), NonSensitivity(1, 3)
        (explanation,) = explained(network, [ConstantMap(network)])
        assert explanation.images_needed([metric.covering((2, 5))]) == (2 * 10 * 3, set())
        assert metric.score(explanation).tolist() == [0.5, 0.6, 0.6]

    def test_options_are_checked(self, raising):
        for name, given in (("patch_size", 0), ("samples", 0)):
            with raising(ValueError, "not-a-whole-number", name=name, given=given):
                NonSensitivity(**{name: given})
        with raising(ValueError, "not-above-zero", name="threshold", given=0):
            NonSensitivity(threshold=0)
