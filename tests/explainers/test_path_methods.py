"""GuidedIG, BlurIG and IDGI against numbers worked out on paper and slow twins."""

import math
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from mindspore import Parameter, Tensor, nn, ops
from scipy.ndimage import gaussian_filter

from explainrun.explainers import (
    IDGI,
    BlurIG,
    Gradient,
    GuidedIG,
    InputXGradient,
    IntegratedGradients,
    Network,
    NoiseTunnel,
    View,
)
from explainrun.explainers.batched_search import side_by_side
from explainrun.explainers.core.together import attribute_together
from explainrun.explainers.gradients import blur_ig
from explainrun.explainers.gradients.blur_ig import blurred

SHAPE = (2, 3, 5)


class Curved(nn.Cell):
    """Logits of images (N, 2, 3, 5) that are not linear; counts its calls and its images."""

    def __init__(self):
        super().__init__()
        rng = np.random.default_rng(0)
        self.weight = Parameter(Tensor(rng.normal(size=(30, 7)).astype(np.float32) / 2))
        self.head = Parameter(Tensor(rng.normal(size=(7, 3)).astype(np.float32)))
        self.calls = self.images = 0

    def construct(self, x):
        self.calls, self.images = self.calls + 1, self.images + x.shape[0]
        return ops.matmul(ops.tanh(ops.matmul(x.reshape(x.shape[0], -1), self.weight)), self.head)

    def slopes(self, image, label):
        """The gradient of a logit in float64, and the logit."""
        weight, head = (one.asnumpy().astype(np.float64) for one in (self.weight, self.head))
        hidden = np.tanh(np.asarray(image, np.float64).reshape(-1) @ weight)
        return (weight @ ((1 - hidden**2) * head[:, label])).reshape(np.shape(image)), float(hidden @ head[:, label])


class SquareAndLine(nn.Cell):
    """One logit, a^2 + 3 b, of images (N, 1, 1, 2) with the pixels a and b."""

    def construct(self, x):
        a, b = x[:, 0, 0, 0], x[:, 0, 0, 1]
        return (a * a + 3 * b).reshape(-1, 1)


A_AND_B = np.array([[[[2, 1]]]], np.float32)


def pictures(count, seed=1):
    return np.random.default_rng(seed).normal(size=(count, *SHAPE)).astype(np.float32)


def direct(explainer, images, targets, **options):
    return explainer(Tensor(images), targets, **options).asnumpy()


METHODS = {
    "IntegratedGradients": lambda network: IntegratedGradients(network, 5, [0.0, "mean"]),
    "GuidedIG": lambda network: GuidedIG(network, 5, 0.3, 0.4, [0.0, "mean"]),
    "BlurIG": lambda network: BlurIG(network, 5, 2.0),
}


class TestGuidedIG:
    def test_by_hand(self):
        """Of a distance of 3 each step takes 1.5: first a alone, whose gradient is 0; then the rest of a and b."""
        explainer = GuidedIG(SquareAndLine(), steps=2, fraction=0.5, max_dist=1.0)
        maps, errors = explainer.completeness_error(Tensor(A_AND_B), 0)
        np.testing.assert_allclose(maps.asnumpy()[0, 0], [[0.5 * 3, 3]], atol=1e-6)
        np.testing.assert_allclose(errors, [[1.5 + 3 - 7]], atol=1e-6)

    def test_without_slack_it_is_the_straight_way(self):
        """At 0, 1/4, 1/2 and 3/4 of the way the gradient of a^2 is 0, 1, 2 and 3."""
        found = direct(GuidedIG(SquareAndLine(), steps=4, max_dist=0.0), A_AND_B, 0)[0, 0]
        np.testing.assert_allclose(found, [[2 * (0 + 1 + 2 + 3) / 4, 3]], atol=1e-6)

    @pytest.mark.parametrize("fraction", [0.1, 0.25, 1.0])
    @pytest.mark.parametrize("slack", [0.02, 0.3, 1.0])
    def test_as_a_slow_twin(self, fraction, slack):
        network, image = Curved(), pictures(1)
        cover = np.full(SHAPE, -0.5)
        cover[0] = image[0, 0]  # where baseline and image are the same, nothing moves
        found = direct(GuidedIG(network, 6, fraction, slack, cover), image, 1)[0, 0]
        expected = guided_twin(network, cover.astype(np.float32), image[0], 1, 6, fraction, slack)
        np.testing.assert_allclose(found, expected.sum(axis=0), atol=1e-5)
        assert np.abs(expected).max() > 0.1

    def test_completeness_error_falls_as_steps_grow(self):
        errors = [
            np.abs(GuidedIG(Curved(), steps).completeness_error(Tensor(pictures(4)), 2)[1]).max() for steps in (4, 64)
        ]
        assert errors[1] < errors[0] / 5

    def test_an_image_that_is_the_baseline_has_a_map_of_zeros(self):
        assert not direct(GuidedIG(Curved(), 3, baselines=0.25), np.full((1, *SHAPE), 0.25, np.float32), 0).any()

    def test_a_gradient_that_is_not_finite_leaves_no_map(self):
        class Broken(nn.Cell):
            def construct(self, x):
                return ops.sqrt(x.reshape(x.shape[0], -1)).sum(1, keepdims=True)  # its slope at 0 is infinite

        assert np.isnan(direct(GuidedIG(Broken(), 4), np.ones((1, *SHAPE), np.float32), 0)).all()

    @pytest.mark.parametrize(
        ("options", "code"),
        [
            ({"fraction": 0.0}, "fraction-of-none"),
            ({"fraction": 1.1}, "not-a-share"),
            ({"max_dist": -0.1}, "not-a-share"),
            ({"steps": 0}, "not-a-whole-number"),
        ],
    )
    def test_bad_options(self, options, code, raising):
        with raising(ValueError, code):
            GuidedIG(Curved(), **options)


def guided_twin(network, start, end, label, steps, fraction, slack):
    """The path value by value."""
    start, end = start.astype(np.float64).ravel(), end.astype(np.float64).ravel()
    here, found, total = start.copy(), np.zeros(len(start)), np.abs(end - start).sum()
    for step in range(1, steps + 1):
        slopes = network.slopes(np.float32(here).reshape(SHAPE), label)[0].ravel()
        low, high = max(step / steps - slack, 0), min(step / steps + slack, 1)
        before, goal = here.copy(), total * (1 - step / steps)
        for i in range(len(here)):
            if end[i] != start[i] and (here[i] - start[i]) / (end[i] - start[i]) < low:
                here[i] = start[i] + low * (end[i] - start[i])
        while np.abs(end - here).sum() > goal + 1e-9:
            room = [abs(start[i] + high * (end[i] - start[i]) - here[i]) for i in range(len(here))]
            sizes = [abs(slopes[i]) if room[i] > 1e-12 else math.inf for i in range(len(here))]
            threshold = sorted(sizes)[int(fraction * (len(here) - 1))]
            moving = [i for i in range(len(here)) if sizes[i] <= threshold and sizes[i] < math.inf]
            part = min(1.0, (np.abs(end - here).sum() - goal) / sum(room[i] for i in moving))
            for i in moving:
                here[i] += part * room[i] * np.sign(end[i] - start[i])
        found += (here - before) * slopes
    return found.reshape(SHAPE)


@pytest.mark.parametrize(("paths", "size"), [(1, 4), (3, 4), (4, 4), (7, 4), (9, 4), (21, 4), (5, 1), (12, 16)])
@pytest.mark.parametrize("steps", [1, 3, 8])
def test_paths_go_side_by_side_in_full_passes(paths, size, steps):
    groups = list(side_by_side(paths, steps, size))
    passes = [one for group in groups for one in group]
    assert Counter(np.concatenate(passes).tolist()) == dict.fromkeys(range(paths), steps)
    assert all(len(set(one.tolist())) == len(one) <= size for one in passes)  # a path takes one step at a time
    assert len(passes) == (steps if paths < size else -(-paths * steps // size))
    assert all(len(set(np.concatenate(group).tolist())) < 2 * size for group in groups)


@pytest.mark.parametrize("wrap", [lambda method: method, IDGI], ids=["itself", "IDGI"])
@pytest.mark.parametrize("method", METHODS)
def test_passes_are_those_that_it_says(method, wrap):
    """Seven questions on five images, four images a pass."""
    network = Curved()
    explainer, images = wrap(METHODS[method](network)), pictures(5)
    rows, labels = np.array([0, 0, 1, 2, 3, 4, 4]), np.array([0, 2, 1, 1, 0, 1, 2])
    service = Network(network, 4, fill=True)
    logits = Network(network, 4, fill=True).logits(images)
    network.calls = 0
    view = View(service, images, rows, labels, needs=explainer.needs, logits=logits)
    needed = {kind: -(-count // 4) for kind, count in explainer.images_needed_for(view).items()}
    maps = attribute_together([explainer], view)[0][explainer.name].maps
    assert service.passes.made == needed
    assert network.calls == sum(needed.values())
    alone = [direct(explainer, images[[row]], int(label))[0, 0] for row, label in zip(rows, labels, strict=True)]
    np.testing.assert_allclose(maps, alone, atol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_a_noise_tunnel_counts_the_passes_of_its_copies(method):
    network = Curved()
    inner = METHODS[method](network)
    images, rows, labels = pictures(2), np.array([0, 1]), np.array([2, 0])
    for one in (inner, IDGI(inner)):
        tunnel = NoiseTunnel(one, nt_samples=3, stdevs=1e-4)
        service = Network(network, 4)
        view = View(service, images, rows, labels, needs=tunnel.needs)
        maps = tunnel.attribute(view)
        assert service.passes.images == tunnel.images_needed_for(view)
        np.testing.assert_allclose(maps, [direct(one, images, labels)[i, 0] for i in (0, 1)], atol=1e-2)


class TestBlurIG:
    @pytest.mark.parametrize("sigma", [0.0, 0.01, 0.3, 1.0, 4.2, 60.0])
    def test_blur_is_scipys(self, sigma):
        image = pictures(1)[0]
        expected = gaussian_filter(image.astype(np.float64), (0, sigma, sigma), mode="constant")
        np.testing.assert_allclose(blurred(image, sigma), expected, atol=1e-14)

    @pytest.mark.parametrize("sqrt", [False, True])
    def test_as_a_slow_twin(self, sqrt):
        network, image, steps, most = Curved(), pictures(1), 5, 2.5
        found = direct(BlurIG(network, steps, most, 0.01, sqrt), image, 1)[0, 0]
        places = [i * most / steps for i in range(steps + 1)]
        sigmas = [math.sqrt(place) for place in places] if sqrt else places
        expected = np.zeros(SHAPE)
        whole = image[0].astype(np.float64)
        for sigma, following in pairwise(sigmas):
            here, there = (gaussian_filter(whole, (0, of, of), mode="constant") for of in (sigma, sigma + 0.01))
            expected -= (following - sigma) * (there - here) / 0.01 * network.slopes(np.float32(here), 1)[0]
        np.testing.assert_allclose(found, expected.sum(axis=0), atol=1e-5)
        assert np.abs(expected).max() > 0.1

    def test_completeness_error_falls_as_steps_grow(self):
        images = Tensor(pictures(4))
        errors = [np.abs(BlurIG(Curved(), steps, 3.0).completeness_error(images, 2)[1]).max() for steps in (4, 64)]
        assert errors[1] < errors[0] / 5

    def test_an_image_is_blurred_twice_a_step_whatever_passes_and_labels(self, monkeypatch):
        """At the step's deviation and beside it, once for all labels; and once more for what the error begins from."""
        images, seen = pictures(2), []
        monkeypatch.setattr(blur_ig, "blurred", lambda image, sigma: seen.append(sigma) or blurred(image, sigma))
        explainer, rows, labels = BlurIG(Curved(), 5, 2.5), np.array([0, 0, 1, 1]), np.array([0, 2, 1, 2])
        view = View(Network(explainer.network, 3), images, rows, labels, needs=explainer.needs)
        maps, _ = explainer.estimate(view)
        assert len(seen) == 2 * 5 * 2 + 2
        for question, (row, label) in enumerate(zip(rows, labels, strict=True)):
            alone = direct(explainer, images[row : row + 1], label)[0, 0]
            np.testing.assert_allclose(maps[question], alone, atol=1e-6 * np.abs(alone).max())

    def test_it_sums_up_to_the_fall_to_the_blurred_image(self, linear):
        """On a linear network, whose gradient is the same everywhere, but for steps of the derivative."""
        rng = np.random.default_rng(3)
        network, image = linear(rng.normal(size=(2, *SHAPE)), bias=1.0), pictures(1)
        maps, errors = BlurIG(network, 400, 1.5, 1e-4).completeness_error(Tensor(image), 1)
        fall = network(Tensor(image - np.float32(blurred(image[0], 1.5)))).asnumpy()[0, 1] - 1.0
        assert maps.asnumpy().sum() == pytest.approx(fall, abs=0.02)
        np.testing.assert_allclose(errors, maps.asnumpy().sum() - fall, atol=1e-4)

    @pytest.mark.parametrize(
        ("options", "code"),
        [
            ({"max_sigma": 0}, "not-above-zero"),
            ({"grad_step": -1.0}, "not-above-zero"),
            ({"sqrt": 1}, "not-yes-or-no"),
            ({"steps": 2.0}, "not-a-whole-number"),
        ],
    )
    def test_bad_options(self, options, code, raising):
        with raising(ValueError, code):
            BlurIG(Curved(), **options)


def shared_out(slopes, logits):
    """What the steps between places with these slopes, and these logits with that of the image, share out."""
    return sum(
        slope**2 * (after - before) / (slope**2).sum()
        for slope, (before, after) in zip(slopes, pairwise(logits), strict=False)
    )


class TestIDGI:
    def test_by_hand(self):
        """Of the steps of the straight way, the first gives 1 + 1.5 to b alone; the second 3 + 1.5 by 4 : 9."""
        explainer = IDGI(IntegratedGradients(SquareAndLine(), steps=2))
        maps, errors = explainer.completeness_error(Tensor(A_AND_B), 0)
        np.testing.assert_allclose(maps.asnumpy()[0, 0], [[4.5 * 4 / 13, 2.5 + 4.5 * 9 / 13]], atol=1e-6)
        np.testing.assert_allclose(errors, [[0]], atol=1e-6)

    def test_the_straight_way_as_a_slow_twin(self):
        network, image, steps = Curved(), pictures(1), 4
        found = direct(IDGI(IntegratedGradients(network, steps, [0.5, "mean"])), image, 1)[0, 0]
        expected = np.zeros(SHAPE)
        for cover in (np.full(SHAPE, 0.5), np.broadcast_to(image[0].mean(axis=(1, 2), keepdims=True), SHAPE)):
            way = [network.slopes(cover + i / steps * (image[0] - cover), 1) for i in range(steps + 1)]
            expected += shared_out(*zip(*way, strict=True)) / 2
        np.testing.assert_allclose(found, expected.sum(axis=0), atol=1e-5)

    def test_the_way_out_of_the_blur_as_a_slow_twin(self):
        network, image, steps = Curved(), pictures(1), 4
        found = direct(IDGI(BlurIG(network, steps, 2.0)), image, 2)[0, 0]
        way = [network.slopes(blurred(image[0], i * 2.0 / steps), 2) for i in range(steps, -1, -1)]
        np.testing.assert_allclose(found, shared_out(*zip(*way, strict=True)).sum(axis=0), atol=1e-5)

    def test_without_slack_the_guided_way_is_the_straight_one(self):
        network, images = Curved(), pictures(3)
        straight, guided = IntegratedGradients(network, 5), GuidedIG(network, 5, max_dist=0.0)
        found = direct(IDGI(guided), images, [[0, 2]] * 3)
        np.testing.assert_allclose(found, direct(IDGI(straight), images, [[0, 2]] * 3), atol=1e-5)

    @pytest.mark.parametrize("method", METHODS)
    @pytest.mark.parametrize("seed", range(3))
    def test_sums_are_complete_whatever_the_steps(self, method, seed):
        network, images = Curved(), pictures(4, seed)
        maps, errors = IDGI(METHODS[method](network)).completeness_error(Tensor(images), [[0, 1, 2]] * 4)
        np.testing.assert_allclose(errors, 0, atol=1e-5)
        assert np.abs(METHODS[method](network).completeness_error(Tensor(images), [[0, 1, 2]] * 4)[1]).max() > 1e-3
        assert np.isfinite(maps.asnumpy()).all()

    def test_steps_without_a_gradient_are_missing(self):
        class Behind(nn.Cell):
            """Nothing until a pixel is larger than 1."""

            def construct(self, x):
                return ops.relu(x.reshape(x.shape[0], -1).sum(1, keepdims=True) - 1)

        image = np.full((1, 1, 1, 2), 1.5, np.float32)  # sums of 0, 0.75, 1.5 and 2.25 on the way to 3
        maps, errors = IDGI(IntegratedGradients(Behind(), steps=4)).completeness_error(Tensor(image), 0)
        np.testing.assert_allclose(maps.asnumpy()[0, 0], [[0.75, 0.75]], atol=1e-6)
        np.testing.assert_allclose(errors, [[-0.5]], atol=1e-6)

    @pytest.mark.parametrize("other", [Gradient, InputXGradient, lambda network: IDGI(IntegratedGradients(network))])
    def test_it_follows_path_methods_alone(self, other, raising):
        with raising(TypeError, "not-a-path-method"):
            IDGI(other(Curved()))

    def test_it_refuses_what_its_explainer_does(self):
        explainer = IDGI(IntegratedGradients(Curved(), baselines=np.zeros((2, 5, 3), np.float32)))
        with pytest.raises(ValueError, match="does not fit"):
            direct(explainer, pictures(1), 0)
