"""Faithfulness metrics by hand, against slow twins, and where they have no answer."""

from itertools import pairwise

import numpy as np
import pytest
from mindspore import Tensor, nn

from explainrun.benchmarks import Covering, DeletionAUC, Explanation, Faithfulness, InsertionAUC, NaiveFaithfulness
from explainrun.explainers import Gradient, InputXGradient, Network, View


def same(logits):
    return logits


def view_of(cell, images, labels, rows=None, **options):
    rows = np.arange(len(images)) if rows is None else np.asarray(rows)
    return View(Network(cell), images, rows, np.asarray(labels), **options)


def explained(view, maps):
    return Explanation(Gradient(view.network.cell), view, maps)


def heights(metric, explanation):
    """(Q, points) of the only curve of each question."""
    return np.array([curve.heights for (curve,) in metric.curves(explanation)])


def test_by_hand(linear):
    # The logit is the sum of the pixels .4 .3 .2 .1. Halves of the pixels, best first: 0, .7, 1; area (.35 + .85) / 2.
    image = np.array([[[[0.4, 0.3, 0.2, 0.1]]]], np.float32)
    metric = InsertionAUC(1, same, steps=2)
    view = view_of(linear(np.ones((1, 1, 1, 4))), image, [0])
    np.testing.assert_allclose(heights(metric, explained(view, image[:, 0])), [[0, 0.7, 1]], atol=1e-6)
    np.testing.assert_allclose(metric.score(explained(view, image[:, 0])), [0.6], atol=1e-6)
    np.testing.assert_allclose(metric.score(explained(view, -image[:, 0])), [0.25 * 0.3 * 2 + 0.25], atol=1e-6)


def test_last_piece_is_larger_where_steps_do_not_divide_the_pixels(linear):
    image = np.array([[[[0.4, 0.3, 0.2, 0.1, 0.0]]]], np.float32)
    [(curve,)] = InsertionAUC(1, same, steps=2).curves(
        explained(view_of(linear(np.ones((1, 1, 1, 5))), image, [0]), image[:, 0])
    )
    assert curve.across.tolist() == [0, 0.4, 1]
    np.testing.assert_allclose(curve.heights, [0, 0.7, 1], atol=1e-6)


def test_both_ends_a_baseline_and_the_normalised_curve(linear):
    image = np.array([[[[4, 0, 2]]], [[[0, 0, 8]]]], np.float32)
    view = view_of(linear(np.ones((1, 1, 1, 3)), bias=1.0), image, [0, 0])
    maps = np.array([[[3, 2, 1]], [[1, 2, 3]]], np.float32)
    found = explained(view, maps)
    assert heights(InsertionAUC(1, same, steps=3, baseline=-1.0), found).tolist() == [[-2, 3, 4, 7], [-2, 7, 8, 9]]
    curves = heights(InsertionAUC(1, same, steps=3, baseline=-1.0, normalized=True), found)
    np.testing.assert_allclose(curves, [[-2 / 7, 3 / 7, 4 / 7, 1], [-2 / 9, 7 / 9, 8 / 9, 1]])


def test_deletion_by_hand(linear):
    # The same pixels covered best first: 1, .3, 0; area (.65 + .15) / 2, and one minus that.
    image = np.array([[[[0.4, 0.3, 0.2, 0.1]]]], np.float32)
    metric = DeletionAUC(1, same, steps=2)
    view = view_of(linear(np.ones((1, 1, 1, 4))), image, [0])
    np.testing.assert_allclose(heights(metric, explained(view, image[:, 0])), [[1, 0.3, 0]], atol=1e-6)
    np.testing.assert_allclose(metric.score(explained(view, image[:, 0])), [0.6], atol=1e-6)
    np.testing.assert_allclose(metric.score(explained(view, -image[:, 0])), [0.4], atol=1e-6)
    baseline = DeletionAUC(1, same, steps=2, baseline=-0.5, normalized=True)
    np.testing.assert_allclose(heights(baseline, explained(view, image[:, 0])), [[1, -0.7, -2]], atol=1e-6)


def test_deletion_of_a_constant_answer_is_its_complement(linear):
    # Whatever is covered the probability stays 0.8: the area is 0.8, which the old package gave as 0.775.
    cell = linear(np.zeros((1, 1, 3, 7)), bias=0.8)
    image = np.random.default_rng(0).normal(size=(1, 1, 3, 7)).astype(np.float32)
    for steps in (None, 1, 5, 21):
        np.testing.assert_allclose(
            DeletionAUC(1, same, steps).score(explained(view_of(cell, image, [0]), image[:, 0])), [0.2], atol=1e-6
        )
        np.testing.assert_allclose(
            InsertionAUC(1, same, steps).score(explained(view_of(cell, image, [0]), image[:, 0])), [0.8], atol=1e-6
        )


def test_naive_faithfulness_by_hand(linear):
    # Covering a pixel of a sum takes that pixel away: drops 4, 1, 2 against saliency 3, 2, 1.
    image = np.array([[[[4, 1, 2]]]], np.float32)
    view = view_of(linear(np.ones((1, 1, 1, 3))), image, [0])
    metric = NaiveFaithfulness(1, same, steps=3)
    saliency = np.array([[[3, 2, 1]]], np.float32)
    r = (1 * (4 - 7 / 3) - 1 * (2 - 7 / 3)) / np.sqrt(2 * ((4 - 7 / 3) ** 2 + (1 - 7 / 3) ** 2 + (2 - 7 / 3) ** 2))
    np.testing.assert_allclose(metric.score(explained(view, saliency)), [(1 + r) / 2], rtol=1e-6)
    np.testing.assert_allclose(metric.score(explained(view, image[:, 0])), [1])
    np.testing.assert_allclose(metric.score(explained(view, -image[:, 0])), [0], atol=1e-7)
    assert np.isnan(
        NaiveFaithfulness(1, same, steps=1).score(explained(view, saliency))
    ).all()  # one group has no correlation
    flat = view_of(linear(np.zeros((1, 1, 1, 3))), image, [0])
    assert np.isnan(metric.score(explained(flat, saliency))).all()  # nor have drops that are all equal


def slow_naive(cell, image, label, map_, steps, order):
    """One group at a time, correlation by NumPy."""
    softmax = nn.Softmax()
    pixels = map_.size
    whole = softmax(cell(Tensor(image[None]))).asnumpy()[0, label]
    saliency, drops = [], []
    for i in range(steps):
        group = order[i * pixels // steps : (i + 1) * pixels // steps]
        covered = image.copy()
        for pixel in group:
            covered[:, pixel // map_.shape[1], pixel % map_.shape[1]] = 0
        saliency.append(np.mean([map_.ravel()[pixel] for pixel in group]))
        drops.append(whole - softmax(cell(Tensor(covered[None]))).asnumpy()[0, label])
    return (1 + np.corrcoef(saliency, drops)[0, 1]) / 2


def slow_deletion(cell, image, label, map_, steps, order):
    return 1 - slow(cell, image, label, map_, steps, order, deletes=True)


def slow(cell, image, label, map_, steps, order, deletes=False):
    """One image at a time, one mask at a time."""
    height, width = map_.shape
    points = []
    for i in range(steps + 1):
        shown = np.zeros((height, width), bool)
        for pixel in order[: i * height * width // steps]:
            shown[pixel // width, pixel % width] = True
        shown ^= deletes
        probability = nn.Softmax()(cell(Tensor(np.where(shown, image, 0)[None].astype(np.float32)))).asnumpy()[0, label]
        points.append((i * height * width // steps / (height * width), probability))
    return sum((b[0] - a[0]) * (a[1] + b[1]) / 2 for a, b in pairwise(points))


@pytest.mark.parametrize("steps", [None, 2, 7, 35, 100])
@pytest.mark.parametrize(
    ("metric", "twin"), [(InsertionAUC, slow), (DeletionAUC, slow_deletion), (NaiveFaithfulness, slow_naive)]
)
def test_slow_twins(linear, steps, metric, twin):
    rng = np.random.default_rng(3)
    images = rng.normal(size=(4, 3, 5, 7)).astype(np.float32)
    cell = linear(rng.normal(size=(6, 3, 5, 7)))
    rows, labels = np.array([0, 0, 1, 3, 3, 3]), np.array([2, 5, 0, 1, 2, 3])
    maps = rng.normal(size=(6, 5, 7)).astype(np.float32)
    found = metric(6, nn.Softmax(), steps=steps).score(explained(view_of(cell, images, labels, rows), maps))
    pieces = min(steps or 5, 35)
    for found_one, row, label, map_ in zip(found, rows, labels, maps, strict=True):
        order = np.argsort(-map_.ravel())
        assert found_one == pytest.approx(twin(cell, images[row], label, map_, pieces, order), abs=1e-5)


def test_equal_pixels_fall_in_the_samples_own_order(linear):
    rng = np.random.default_rng(0)
    images = rng.normal(size=(2, 1, 4, 6)).astype(np.float32)
    cell = linear(rng.normal(size=(2, 1, 4, 6)))
    maps = np.zeros((2, 4, 6), np.float32)
    maps[:, 0, 0] = 1
    metric = InsertionAUC(2, nn.Sigmoid(), steps=6)
    both = metric.score(explained(view_of(cell, images, [0, 1], sample_ids=np.array([7, 9])), maps))
    alone = metric.score(explained(view_of(cell, images[1:], [1], sample_ids=np.array([9])), maps[1:]))
    assert alone[0] == both[1]
    reseeded = view_of(cell, images[1:], [1], sample_ids=np.array([9]), seed=1)
    assert metric.score(explained(reseeded, maps[1:]))[0] != both[1]


@pytest.mark.parametrize("metric", [InsertionAUC, DeletionAUC, NaiveFaithfulness])
def test_what_cannot_be_ranked_is_not_scored_and_costs_no_pass(linear, metric):
    cell = linear(np.ones((1, 1, 2, 3)))
    images = np.ones((3, 1, 2, 3), np.float32)
    maps = np.stack([np.full((2, 3), 0.7), [[0, 1, np.nan], [0, 0, 0]], [[0, 1, np.inf], [0, 0, 0]]]).astype(np.float32)
    assert np.isnan(metric(1, same).score(explained(view_of(cell, images, [0, 0, 0]), maps))).all()
    assert cell.calls == []


def test_needs_its_curve_once_and_the_ends_no_more_than_once(linear):
    cell = linear(np.ones((2, 1, 4, 9)))
    images = np.random.default_rng(0).normal(size=(3, 1, 4, 9)).astype(np.float32)
    view = view_of(cell, images, [0, 1, 0, 1], [0, 0, 1, 2])
    metric, maps = InsertionAUC(2, same, steps=6), np.random.default_rng(1).normal(size=(2, 4, 4, 9)).astype(np.float32)
    for of_explainer in maps:
        metric.score(explained(view, of_explainer))
    # two explainers, four questions, five inner points each; one covered image; three whole images
    assert dict(view.network.passes.images) == {"perturb": 2 * 4 * 5 + 1, "infer": 3}
    DeletionAUC(2, same, steps=6).score(explained(view, maps[0]))
    NaiveFaithfulness(2, same, steps=6).score(explained(view, maps[0]))
    assert dict(view.network.passes.images) == {"perturb": 2 * 4 * 5 + 1 + 4 * 5 + 4 * 6, "infer": 3}


class Scaled(InsertionAUC):
    """Makes its activation each time it is asked."""

    def __init__(self, factor):
        super().__init__(1, same, steps=3)
        self.factor = factor

    def covering(self, size):
        return Covering(super().covering(size).images, lambda logits: logits * self.factor)


def test_an_activation_made_anew_is_not_taken_for_another(linear):
    image = np.array([[[[0.4, 0.3, 0.2, 0.1]]]], np.float32)
    view = view_of(linear(np.ones((1, 1, 1, 4))), image, [0])
    alone = [Scaled(factor).score(explained(view, image[:, 0]))[0] for factor in (1.0, 0.5)]
    metrics = [Scaled(1.0), Scaled(0.5)]
    coverings = [metric.covering((1, 4)) for metric in metrics]
    together = Explanation(Gradient(view.network.cell), view, image[:, 0], coverings=coverings)
    assert [metric.score(together)[0] for metric in metrics] == alone
    assert alone[0] == pytest.approx(2 * alone[1])


def test_direct_call(linear):
    rng = np.random.default_rng(5)
    cell, images = linear(rng.normal(size=(3, 1, 4, 6))), Tensor(rng.normal(size=(2, 1, 4, 6)).astype(np.float32))
    metric = Faithfulness(3, nn.Softmax(), metric="InsertionAUC", steps=4)
    explainer = InputXGradient(cell)
    several = metric.evaluate(explainer, images, [[0, 2], [1, 2]])
    assert several.shape == (2, 2)
    assert metric.evaluate(explainer, images, [2, 2]).tolist() == several[:, 1].tolist()
    assert metric.evaluate(explainer, images, 2, saliency=explainer(images, 2)).tolist() == several[:, 1].tolist()
    good, bad = (metric.evaluate(explainer, images, 2, saliency=sign * explainer(images, 2)) for sign in (1, -1))
    assert (good > bad).all()


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: Faithfulness(3, nn.Softmax(), metric="InsertionAUK"), ValueError, "did you mean 'InsertionAUC'"),
        (lambda: InsertionAUC(0, nn.Softmax()), ValueError, "num_labels must be a whole number from 1, got 0"),
        (lambda: InsertionAUC(2, "softmax"), TypeError, "activation_fn must be a Cell or a function, got str"),
        (lambda: InsertionAUC(2, same, steps=0), ValueError, "steps must be a whole number from 1, got 0"),
        (lambda: InsertionAUC(2, same, baseline=np.nan), ValueError, "baseline must be a finite number, got nan"),
    ],
)
def test_bad_options(make, error, words):
    with pytest.raises(error, match=words):
        make()


def test_bad_calls(linear):
    explainer, images = Gradient(linear(np.ones((1, 1, 2, 3)))), Tensor(np.ones((1, 1, 2, 3), np.float32))
    metric = InsertionAUC(1, same)
    with pytest.raises(TypeError, match="explainer must be an Explainer, got str"):
        metric.evaluate("Gradient", images, 0)
    with pytest.raises(ValueError, match=r"saliency must have shape \(1, 1, 2, 3\), got \(1, 1, 3, 2\)"):
        metric.evaluate(explainer, images, 0, saliency=np.ones((1, 1, 3, 2)))
