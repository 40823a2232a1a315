"""Expected gradients against numbers worked out on paper, and a slow twin with the same draws."""

import numpy as np
import pytest
from mindspore import Parameter, Tensor, nn, ops

from explainrun.explainers import ExpectedGradients, Network, NoiseTunnel, View
from explainrun.explainers.core.view import keyed_generator

IMAGE = np.array([[[[1, -2, 0], [3, 0.5, 2]], [[0, 1, 1], [-1, 2, 4]]]], np.float32)
OTHERS = np.random.default_rng(3).normal(size=(3, *IMAGE.shape[1:])).astype(np.float32)


class Powers(nn.Cell):
    """Logit k is the weighed sum of the image's values to the power of k + 1; counts the images of its calls."""

    WEIGHTS = np.array([[[1, 2, 3], [-1, 0, 1]], [[2, 0, 1], [1, -3, 0.5]]], np.float32)

    def __init__(self):
        super().__init__()
        self.weights = Parameter(Tensor(self.WEIGHTS))
        self.calls = []

    def construct(self, x):
        self.calls.append(len(x))
        return ops.stack([(self.weights * x**power).sum((1, 2, 3)) for power in (1, 2, 3)], 1)


def samples_of(image, sample_id, references, number, power, seed=0):
    """(S, C, H, W) distance times gradient of each sample, one by one."""
    generator = keyed_generator(seed, sample_id, "ExpectedGradients")
    which = generator.integers(len(references), size=number)
    places = generator.random(number, np.float32)
    found = []
    for one, place in zip(which, places, strict=True):
        at = references[one] + place * (image - references[one])
        found.append((image - references[one]) * power * Powers.WEIGHTS * at ** (power - 1))
    return np.array(found, np.float64)


def test_on_a_linear_network_the_place_does_not_count(linear):
    weights = np.random.default_rng(0).normal(size=(2, 2, 2, 3)).astype(np.float32)
    found = ExpectedGradients(linear(weights), OTHERS, 40)(Tensor(IMAGE), 1).asnumpy()[0, 0]
    which = keyed_generator(0, 0, "ExpectedGradients").integers(3, size=40)
    assert len(set(which.tolist())) == 3
    expected = (weights[1] * (IMAGE[0] - OTHERS[which].mean(axis=0))).sum(axis=0)
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("number", [1, 7, 130])  # more than memory holds at a time
def test_as_a_slow_twin(number):
    found = ExpectedGradients(Powers(), OTHERS, number)(Tensor(np.concatenate([IMAGE, 2 * IMAGE])), [[0, 2]] * 2)
    for row, image in enumerate((IMAGE[0], 2 * IMAGE[0])):
        for place, power in ((0, 1), (1, 3)):
            expected = samples_of(image, row, OTHERS, number, power).mean(axis=0).sum(axis=0)
            np.testing.assert_allclose(found.asnumpy()[row, place], expected, rtol=1e-4, atol=1e-4)


def test_standard_errors_as_a_slow_twin():
    network = Powers()
    rows, labels = np.array([0, 0]), np.array([1, 2])
    estimate = ExpectedGradients(network, OTHERS, 9).estimate(View(Network(network), IMAGE, rows, labels))
    for question, power in ((0, 2), (1, 3)):
        samples = samples_of(IMAGE[0], 0, OTHERS, 9, power).sum(axis=1)
        error = samples.std(axis=0, ddof=1) / 3
        np.testing.assert_allclose(estimate.errors[question], error.mean() / np.ptp(samples.mean(axis=0)), rtol=1e-4)
    one = ExpectedGradients(network, OTHERS, 1).estimate(View(Network(network), IMAGE, rows, labels))
    assert np.isnan(one.errors).all()


@pytest.mark.slow
def test_maps_sum_up_to_the_fall_of_the_logit_as_samples_get_many():
    network = Powers()
    found = ExpectedGradients(network, OTHERS, 4000)(Tensor(IMAGE), 2).asnumpy()[0, 0]
    logits = Network(network).logits(np.concatenate([IMAGE, OTHERS]))[:, 2]
    samples = samples_of(IMAGE[0], 0, OTHERS, 4000, 3).sum(axis=(1, 2, 3))
    error = samples.std() / np.sqrt(4000)
    assert abs(found.sum() - (logits[0] - logits[1:].mean())) < 4 * error
    assert error < 0.05 * abs(found.sum())


def test_draws_depend_on_seed_and_sample_alone():
    network, images = Powers(), np.repeat(IMAGE, 3, axis=0)

    def maps(ids, rows, seed=0):
        view = View(
            Network(network), images, np.array(rows), np.full(len(rows), 1), sample_ids=np.array(ids), seed=seed
        )
        return ExpectedGradients(network, OTHERS, 3).attribute(view)

    np.testing.assert_array_equal(maps([4, 9, 2], [0, 1, 2]), maps([2, 4, 9], [1, 2, 0]))
    assert not np.array_equal(maps([4, 9, 2], [0])[0], maps([4, 9, 2], [1])[0])
    assert not np.array_equal(maps([4, 9, 2], [0]), maps([4, 9, 2], [0], seed=1))


@pytest.mark.parametrize("given", [0.5, "mean", "blur", [0.5, "mean"], np.full((2, 1, 1), 0.5, np.float32)])
def test_baselines_as_integrated_gradients_takes_them(given, linear):
    weights = np.random.default_rng(0).normal(size=(2, 2, 2, 3)).astype(np.float32)
    explainer = ExpectedGradients(linear(weights), given, 4)
    found, again = (explainer(Tensor(image), 1).asnumpy()[0, 0] for image in (IMAGE, IMAGE))
    np.testing.assert_array_equal(found, again)
    if isinstance(given, np.ndarray) or given == 0.5:
        np.testing.assert_allclose(found, (weights[1] * (IMAGE[0] - 0.5)).sum(axis=0), atol=1e-5)
    elif given == "mean":
        means = IMAGE[0].mean(axis=(1, 2), keepdims=True)
        np.testing.assert_allclose(found, (weights[1] * (IMAGE[0] - means)).sum(axis=0), atol=1e-5)


def test_passes_are_full_and_as_counted():
    cell = Powers()
    network, explainer = Network(cell, 4), ExpectedGradients(cell, OTHERS, 6)
    view = View(network, np.repeat(IMAGE, 2, axis=0), np.array([0, 1, 1]), np.array([0, 1, 2]))
    needed = explainer.images_needed_for(view)
    explainer.attribute(view)
    assert needed == {"expect": 18} == dict(network.passes.images)
    assert cell.calls == [4, 4, 4, 4, 2]


def test_in_a_noise_tunnel_channels_are_averaged_before_they_are_summed():
    found = NoiseTunnel(ExpectedGradients(Powers(), OTHERS, 5), nt_samples=2, stdevs=0.3)(Tensor(IMAGE), 1)
    noise = 0.3 * keyed_generator(0, 0, "NoiseTunnel").standard_normal((2, *IMAGE.shape[1:]), np.float32)
    expected = [samples_of(IMAGE[0] + one, 0, OTHERS, 5, 2).mean(axis=0).sum(axis=0) for one in noise]
    np.testing.assert_allclose(found.asnumpy()[0, 0], np.mean(expected, axis=0), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"num_samples": 0}, "not-a-whole-number"),
        ({"baselines": []}, "no-baselines"),
        ({"baselines": np.zeros((0, 2, 2, 3), np.float32)}, "no-baselines"),
        ({"baselines": {"pool": 0}}, "not-a-whole-number"),
    ],
)
def test_bad_options(options, code, raising):
    with raising(ValueError, code):
        ExpectedGradients(Powers(), **options)


@pytest.mark.parametrize("given", ["pools", [0.0, np.nan], {"pools": 3}])
def test_baselines_that_are_none(given):
    with pytest.raises(ValueError, match="baselines must be a"):
        ExpectedGradients(Powers(), given)


def test_baselines_of_another_size():
    with pytest.raises(ValueError, match=r"a baseline of shape \(2, 3, 2\) does not fit"):
        ExpectedGradients(Powers(), np.zeros((4, 2, 3, 2), np.float32))(Tensor(IMAGE), 0)


def test_without_a_dataset_a_pool_is_refused_before_any_pass(raising):
    cell = Powers()
    with raising(ValueError, "pool-without-dataset", size=20):
        ExpectedGradients(cell)(Tensor(IMAGE), 0)
    assert not cell.calls
