"""Integrated gradients and noise tunnels against numbers worked out on paper."""

import numpy as np
import pytest
from mindspore import Parameter, Tensor, nn, ops

from explainrun.explainers import (
    GradCAM,
    Gradient,
    GuidedBackprop,
    GuidedGradCAM,
    InputXGradient,
    IntegratedGradients,
    NoiseTunnel,
    Occlusion,
)
from explainrun.explainers.core.view import keyed_generator

IMAGE = np.array([[[[1, -2, 0], [3, 0.5, 2]], [[0, 1, 1], [-1, 2, 4]]]], np.float32)


class Powers(nn.Cell):
    """Logit k is the weighed sum of the image's values to the power of k + 1."""

    WEIGHTS = np.array([[[1, 2, 3], [-1, 0, 1]], [[2, 0, 1], [1, -3, 0.5]]], np.float32)

    def __init__(self):
        super().__init__()
        self.weights = Parameter(Tensor(self.WEIGHTS))

    def construct(self, x):
        return ops.stack([(self.weights * x**power).sum((1, 2, 3)) for power in (1, 2, 3)], 1)


class TestIntegratedGradients:
    def test_exact_where_the_gradient_is_a_polynomial_of_twice_the_steps(self):
        """From 0 to x the term w x^p falls to itself: one step is exact up to squares, two up to cubes and beyond."""
        for steps, powers in ((1, (1, 2)), (2, (1, 2, 3))):
            found = IntegratedGradients(Powers(), steps=steps)(Tensor(IMAGE), [[0, 1, 2]]).asnumpy()[0]
            for power in powers:
                expected = (Powers.WEIGHTS * IMAGE[0] ** power).sum(axis=0)
                np.testing.assert_allclose(found[power - 1], expected, atol=1e-5)

    def test_completeness_error_of_one_step_by_hand(self):
        """Half way the gradient of w x^3 is 3 w x^2 / 4, so a quarter of each term is missing."""
        explainer = IntegratedGradients(Powers(), steps=1)
        _, errors = explainer.completeness_error(Tensor(IMAGE), [[0, 2, 1, 2]])
        missing = -(Powers.WEIGHTS * IMAGE[0] ** 3).sum() / 4
        np.testing.assert_allclose(errors, [[0, missing, 0, missing]], atol=1e-4)
        assert abs(missing) > 5

    def test_several_baselines_are_averaged(self):
        """From a to x the term w x^2 falls by w (x^2 - a^2)."""
        halves = np.full((2, 2, 3), 0.5, np.float32)
        explainer = IntegratedGradients(Powers(), steps=3, baselines=[1.0, halves, "mean"])
        found = explainer(Tensor(IMAGE), 1).asnumpy()[0, 0]
        means = IMAGE[0].mean(axis=(1, 2), keepdims=True)
        expected = sum((Powers.WEIGHTS * (IMAGE[0] ** 2 - of**2)).sum(axis=0) for of in (1.0, 0.5, means)) / 3
        np.testing.assert_allclose(found, expected, atol=1e-5)
        maps, errors = explainer.completeness_error(Tensor(IMAGE), 1)
        assert np.array_equal(maps.asnumpy()[0, 0], found)
        np.testing.assert_allclose(errors, 0, atol=1e-4)

    def test_on_a_linear_network_it_is_input_times_gradient(self, linear):
        rng = np.random.default_rng(0)
        network = linear(rng.normal(size=(3, 2, 4, 5)), bias=2.0)
        images = Tensor(rng.normal(size=(4, 2, 4, 5)).astype(np.float32))
        explainer = IntegratedGradients(network, steps=7)
        expected = InputXGradient(network)(images, [[0, 2]] * 4).asnumpy()
        np.testing.assert_allclose(explainer(images, [[0, 2]] * 4).asnumpy(), expected, atol=1e-6)
        np.testing.assert_allclose(explainer.completeness_error(images, [[0, 2]] * 4)[1], 0, atol=1e-5)

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ({"steps": 0}, "steps must be a whole number from 1, got 0"),
            ({"baselines": []}, "baselines must hold at least one"),
            ({"baselines": "black"}, "baselines must be a number, an array, 'mean' or 'blur', got 'black'"),
            ({"baselines": [0.0, np.nan]}, "baselines must be a finite number"),
        ],
    )
    def test_bad_options(self, options, words):
        with pytest.raises(ValueError, match=words):
            IntegratedGradients(Powers(), **options)

    def test_a_baseline_of_another_shape(self):
        explainer = IntegratedGradients(Powers(), baselines=np.zeros((2, 3, 2), np.float32))
        for call in (explainer, explainer.completeness_error):
            with pytest.raises(ValueError, match=r"a baseline of shape \(2, 3, 2\) does not fit"):
                call(Tensor(IMAGE), 0)


def noise(samples, std, row=0):
    return std * keyed_generator(0, row, "NoiseTunnel").standard_normal((samples, *IMAGE.shape[1:]), np.float32)


class TestNoiseTunnel:
    """The gradient of w x^2 at x + n is 2 w (x + n), so that all moments are those of the noise."""

    @pytest.mark.parametrize("kind", ["smoothgrad", "smoothgrad_sq", "vargrad"])
    def test_moments_by_hand(self, kind):
        samples, std = 6, 0.4
        explainer = NoiseTunnel(Gradient(Powers()), kind, samples, std)
        found = explainer(Tensor(IMAGE), 1).asnumpy()[0, 0]
        slopes = (2 * Powers.WEIGHTS * (IMAGE + noise(samples, std))).astype(np.float64)
        moment = {
            "smoothgrad": slopes.mean(axis=0),
            "smoothgrad_sq": (slopes**2).mean(axis=0),
            "vargrad": slopes.var(axis=0),
        }[kind]
        np.testing.assert_allclose(found, np.abs(moment).max(axis=0), rtol=1e-4)

    def test_signs_are_kept_until_channels_are_reduced(self):
        found = NoiseTunnel(InputXGradient(Powers()), nt_samples=3, stdevs=0.2)(Tensor(IMAGE), 1).asnumpy()[0, 0]
        noisy = IMAGE + noise(3, 0.2)
        np.testing.assert_allclose(
            found, (2 * Powers.WEIGHTS * noisy**2).mean(axis=0).sum(axis=0), rtol=1e-4, atol=1e-5
        )
        assert found.min() < 0

    def test_over_integrated_gradients_and_maps_without_channels(self, two_channels):
        found = NoiseTunnel(IntegratedGradients(Powers(), steps=2), nt_samples=3, stdevs=0.2)(Tensor(IMAGE), 2)
        noisy = IMAGE + noise(3, 0.2)
        expected = (Powers.WEIGHTS * noisy**3).mean(axis=0).sum(axis=0)
        np.testing.assert_allclose(found.asnumpy()[0, 0], expected, rtol=1e-4, atol=1e-4)
        network, image = two_channels(), two_channels.IMAGE
        draws = keyed_generator(0, 0, "NoiseTunnel").standard_normal((4, 1, 2, 4), np.float32)
        copies = Tensor(image + 0.1 * draws)
        alone = GradCAM(network, "relu")(copies, 0).asnumpy()[:, 0]
        found = NoiseTunnel(GradCAM(network, "relu"), "vargrad", 4, 0.1)(Tensor(image), 0).asnumpy()[0, 0]
        np.testing.assert_allclose(found, alone.var(axis=0), atol=1e-6)

    def test_labels_of_an_image_get_the_same_noise(self):
        explainer = NoiseTunnel(Gradient(Powers()), nt_samples=2)
        together = explainer(Tensor(IMAGE), [[1, 2]]).asnumpy()[0]
        assert np.array_equal(together[0], explainer(Tensor(IMAGE), 1).asnumpy()[0, 0])
        slopes = 3 * Powers.WEIGHTS * (IMAGE + noise(2, 1.0)) ** 2
        np.testing.assert_allclose(together[1], np.abs(slopes.mean(axis=0)).max(axis=0), rtol=1e-4)

    @pytest.mark.parametrize(
        ("options", "error", "words"),
        [
            ({"nt_type": "smooth"}, ValueError, "nt_type must be one of 'smoothgrad', 'smoothgrad_sq', 'vargrad'"),
            ({"nt_samples": 0}, ValueError, "nt_samples must be a whole number from 1"),
            ({"stdevs": 0}, ValueError, "stdevs must be above 0, got 0"),
            ({"explainer": NoiseTunnel(Gradient(Powers()))}, TypeError, "explainer must not be a NoiseTunnel itself"),
            ({"explainer": "Gradient"}, TypeError, "explainer must be an explainer object, got str"),
            (
                {"explainer": Occlusion(Powers(), nn.Softmax())},
                TypeError,
                "Occlusion does not, or makes copies",
            ),
        ],
    )
    def test_bad_options(self, options, error, words):
        with pytest.raises(error, match=words):
            NoiseTunnel(**{"explainer": Gradient(Powers()), **options})


class TestLoss:
    def test_gradient_of_the_cross_entropy_by_hand(self, linear):
        """The softmax of the logits less the label's 1, times the weights."""
        weights = np.array([[[[1, -2, 0]]], [[[0.5, 1, 1]]], [[[-1, 0, 2]]]], np.float32)
        image = np.array([[[[0.3, -0.2, 0.5]]]], np.float32)
        logits = (weights[:, 0, 0] * image[0, 0, 0]).sum(axis=1)
        probabilities = np.exp(logits) / np.exp(logits).sum()
        slope = (probabilities - [0, 1, 0]) @ weights[:, 0, 0]
        network = linear(weights)
        found = Gradient(network, loss=True)(Tensor(image), 1).asnumpy()[0, 0, 0]
        np.testing.assert_allclose(found, np.abs(slope), atol=1e-6)
        assert not np.allclose(found, Gradient(network)(Tensor(image), 1).asnumpy()[0, 0, 0], rtol=0.1)

    def test_normalized_maps_reach_from_0_to_1(self, linear):
        weights = np.array([[[[3, -1, 2], [5, 1, 1]]], [[[2, 2, 2], [2, 2, 2]]]], np.float32)
        network, image = linear(weights), Tensor(np.ones((1, 1, 2, 3), np.float32))
        found = Gradient(network, normalize=True)(image, [[0, 1]]).asnumpy()[0]
        assert found[0].tolist() == [[0.5, 0, 0.25], [1, 0, 0]]
        assert not found[1].any()


def test_maps_that_are_not_finite_stay_so_when_normalized(linear):
    weights = np.array([[[[3, np.nan, 2]]]], np.float32)
    found = Gradient(linear(weights), normalize=True)(Tensor(np.ones((1, 1, 1, 3), np.float32)), 0, show=False)
    assert np.isnan(found.asnumpy()).any()


def test_new_options_are_named(linear):
    network = linear(np.ones((1, 1, 1, 2)))
    assert Gradient(network, "mine").name == GradCAM(network, "", "mine").name == "mine"
    for options in ({"loss": "false"}, {"normalize": 1}):
        with pytest.raises(ValueError, match="must be True or False, got"):
            Gradient(network, **options)


def test_guided_gradcam_by_hand(two_channels):
    """Guided: of logit 0's slopes only those through the first channel are positive, 1 at (0, 0) and 3 at (1, 3)."""
    network, image = two_channels(), Tensor(two_channels.IMAGE)
    guided = GuidedBackprop(network)(image, 0).asnumpy()[0, 0]
    assert guided.tolist() == [[1, 0, 0, 0], [0, 0, 0, 3]]
    found = GuidedGradCAM(network, "relu")(image, 0).asnumpy()[0, 0]
    np.testing.assert_allclose(found, [[0.25, 0, 0, 0], [0, 0, 0, 0.75]], atol=1e-6)  # GradCAM has 0.25 at both
    maps = GuidedGradCAM(network, "relu").layer_maps(image, 0)["relu"].asnumpy()
    assert np.array_equal(maps, GradCAM(network, "relu").layer_maps(image, 0)["relu"].asnumpy())
