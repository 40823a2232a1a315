"""Metrics that ask about copies which no map changes: right on linear networks, by slow twins, and shared by all."""

import numpy as np
import pytest
from mindspore import nn
from scipy.stats import spearmanr

from explainrun.benchmarks import (
    Explanation,
    FaithfulnessCorrelation,
    FaithfulnessEstimate,
    Infidelity,
    MonotonicityCorrelation,
    SensitivityN,
)
from explainrun.benchmarks.core.explanation import WholeBatch
from explainrun.benchmarks.core.perturbations import RandomSubsets
from explainrun.benchmarks.faithfulness.infidelity import Noisy, SquaresRemoved
from explainrun.explainers import Gradient
from explainrun.explainers.perturbation.baselines import baseline_image

RNG = np.random.default_rng(5)
WEIGHTS = RNG.normal(size=(2, 1, 4, 7)).astype(np.float32)  # of two logits
IMAGES = RNG.normal(size=(2, 1, 4, 7)).astype(np.float32)
ROWS, LABELS = [0, 0, 1], [0, 1, 1]
GRADIENTS = WEIGHTS[LABELS, 0]
PARTS = GRADIENTS * IMAGES[ROWS, 0]
SUBSETS = {
    "correlation": lambda **options: FaithfulnessCorrelation(2, nn.Softmax(), answer="logit", **options),
    "sensitivity": lambda **options: SensitivityN(2, nn.Softmax(), answer="logit", **options),
    "estimate": lambda **options: FaithfulnessEstimate(2, nn.Softmax(), answer="logit", patch_size=2, **options),
    "pixels": lambda **options: FaithfulnessEstimate(2, nn.Softmax(), answer="logit", groups="pixels", **options),
    "superpixels": lambda **options: FaithfulnessEstimate(
        2, nn.Softmax(), answer="logit", groups="superpixels", segmentation=thirds, **options
    ),
}


def thirds(picture):
    return np.arange(picture.shape[1])[None] // 3 + np.zeros((picture.shape[0], 1), int)


class Bent(nn.Cell):
    """Two logits that are not linear in the pixels; counts its images."""

    def __init__(self):
        super().__init__()
        self.images = 0

    def construct(self, x):
        self.images += x.shape[0]
        return (x * x).mean((2, 3)) * x[:, 0, :1, 2] + x[:, 0, 1, :2]


@pytest.mark.parametrize("metric", SUBSETS)
def test_the_parts_of_a_linear_network_score_1_and_their_negative_minus_1(linear, explained, metric):
    for maps, expected in ((PARTS, 1), (-PARTS, -1), (3 * PARTS, 1)):
        found = explained(linear(WEIGHTS, bias=3.0), IMAGES, maps, ROWS, LABELS)
        np.testing.assert_allclose(SUBSETS[metric]().score(found), np.full(3, expected), atol=1e-6)


@pytest.mark.parametrize("removal", ["mean", "blur"])
@pytest.mark.parametrize("metric", SUBSETS)
def test_parts_are_of_what_is_put_in_place(linear, explained, metric, removal):
    left = np.stack([IMAGES[row, 0] - baseline_image(removal, IMAGES[row])[0] for row in ROWS])
    found = explained(linear(WEIGHTS), IMAGES, GRADIENTS * left, ROWS, LABELS)
    np.testing.assert_allclose(SUBSETS[metric](removal=removal).score(found), np.ones(3), atol=1e-5)


@pytest.mark.parametrize("metric", ["correlation", "sensitivity"])
def test_random_subsets_as_by_a_loop(explained, metric):
    sizes = [5] if metric == "correlation" else [2, 9, 20]
    options = {"subset_size": 5} if metric == "correlation" else {"sizes": sizes}
    maps = RNG.normal(size=(3, 4, 7))
    cell = Bent()
    found = explained(cell, IMAGES, maps, ROWS, LABELS, seed=9)
    scores = SUBSETS[metric](samples=20, **options).score(found)
    for question, (row, label) in enumerate(zip(ROWS, LABELS, strict=True)):
        chance = found.view.generator(row, "random subsets").random((20 * len(sizes), 28))
        by_size = []
        for place, size in enumerate(sizes):
            sums, falls = [], []
            for numbers in chance[20 * place : 20 * (place + 1)]:
                lowest = np.argsort(numbers)[:size]
                copy = IMAGES[row].copy()
                copy.reshape(-1)[lowest] = 0
                sums.append(maps[question].reshape(-1)[lowest].astype(np.float32).sum(dtype=float))
                both = found.view.network.logits(np.stack([IMAGES[row], copy]))[:, label].astype(float)
                falls.append(both[0] - both[1])
            by_size.append(np.corrcoef(sums, falls)[0, 1])
        assert scores[question] == pytest.approx(np.mean(by_size), abs=1e-5)


def test_a_size_at_which_nothing_changes_is_left_out(linear, explained):
    # One pixel alone matters. A subset of one pixel of 28 seldom holds it, so here it never does; one of 14 does.
    weights = np.zeros((1, 1, 4, 7), np.float32)
    weights[0, 0, 2, 5] = 1
    found = explained(linear(weights), IMAGES[:1], weights[0] * IMAGES[0])
    alone = SensitivityN(1, nn.Sigmoid(), sizes=[1], samples=2, answer="logit")
    both = SensitivityN(1, nn.Sigmoid(), sizes=[1, 14], samples=8, answer="logit")
    assert np.isnan(alone.score(found)).all()
    assert both.score(found) == pytest.approx([1.0])


def test_monotonicity_by_a_loop_and_at_its_ends(linear, explained):
    maps = RNG.normal(size=(3, 4, 7))
    metric = MonotonicityCorrelation(2, nn.Softmax(), answer="logit", patch_size=2, samples=5)
    found = explained(Bent(), IMAGES, maps, ROWS, LABELS, seed=9)
    scores = metric.score(found)
    groups = np.array([[0, 0, 1, 1, 2, 2, 3], [0, 0, 1, 1, 2, 2, 3], [4, 4, 5, 5, 6, 6, 7], [4, 4, 5, 5, 6, 6, 7]])
    for question, (row, label) in enumerate(zip(ROWS, LABELS, strict=True)):
        drawn = found.view.generator(row, "redrawn groups").random((40, 1, 4, 7), np.float32)
        drawn = IMAGES[row].min() + np.ptp(IMAGES[row]) * drawn
        losses = []
        for group in range(8):
            copies = np.where(groups == group, drawn[5 * group : 5 * group + 5], IMAGES[row])
            said = found.view.network.logits(np.concatenate([IMAGES[[row]], copies]))[:, label].astype(float)
            losses.append(((said[0] - said[1:]) ** 2).mean())
        sums = [np.abs(maps[question])[groups == group].sum() for group in range(8)]
        assert scores[question] == pytest.approx(spearmanr(sums, losses)[0], abs=1e-9)
    # The more a pixel weighs, the more a draw in its place does: by tens, no draw turns the order around.
    weights = 10.0 ** -np.arange(6).reshape(1, 1, 2, 3)[..., ::-1, :]
    image = np.array([[[[0, 1, 0], [1, 0, 1]]]], np.float32)
    ends = explained(linear(weights), np.repeat(image, 3, axis=0), [weights[0, 0], -weights[0, 0], 1 / weights[0, 0]])
    by_pixel = MonotonicityCorrelation(1, nn.Sigmoid(), groups="pixels", answer="logit", samples=20)
    np.testing.assert_allclose(by_pixel.score(ends), [1, 1, -1], atol=1e-9)


@pytest.mark.parametrize("options", [{}, {"perturbation": "square"}, {"perturbation": "square", "removal": "mean"}])
def test_infidelity_of_the_gradient_of_a_linear_network_is_0(linear, explained, options):
    metric = Infidelity(2, nn.Softmax(), **options)
    found = explained(linear(WEIGHTS, bias=1.0), IMAGES, GRADIENTS, ROWS, LABELS)
    np.testing.assert_allclose(metric.score(found), np.zeros(3), atol=1e-9)
    other = explained(linear(WEIGHTS, bias=1.0), IMAGES, -GRADIENTS, ROWS, LABELS)
    assert (metric.score(other) > 0.01).all()
    scaled = Infidelity(2, nn.Softmax(), scaled=True, **options)
    other = explained(linear(WEIGHTS, bias=1.0), IMAGES, -50 * GRADIENTS, ROWS, LABELS)
    np.testing.assert_allclose(scaled.score(other), np.zeros(3), atol=1e-9)


def test_infidelity_of_noise_that_is_the_same_on_all_channels_is_exact_for_summed_maps(linear, explained):
    weights, images = RNG.normal(size=(1, 3, 4, 7)), RNG.normal(size=(1, 3, 4, 7))
    found = explained(linear(weights), images, weights.sum(axis=1))
    np.testing.assert_allclose(Infidelity(1, nn.Sigmoid()).score(found), [0], atol=1e-9)


def test_infidelity_by_hand(linear, explained):
    # Squares of one pixel: the answer falls by a pixel's part, (1, 4), of which a map of zeros but for one number says
    # nothing. Each of the two is drawn so often as the generator says.
    image, weights = np.array([[[[1.0, 2.0]]]], np.float32), np.array([[[[1.0, 2.0]]]], np.float32)
    found = explained(linear(weights), image, [[[1.0, 0.0]]])
    metric = Infidelity(1, nn.Sigmoid(), perturbation="square", samples=10)
    drawn = found.view.generator(0, "square perturbation").integers(0, [1, 2], (10, 2))[:, 1]
    assert 0 < drawn.mean() < 1
    assert metric.score(found) == pytest.approx([16 * drawn.mean()], abs=1e-5)
    parts = Infidelity(1, nn.Sigmoid(), perturbation="square", samples=10, attribution="contribution")
    np.testing.assert_allclose(parts.score(explained(linear(weights), image, [[[1.0, 4.0]]])), [0], atol=1e-9)
    assert parts.score(explained(linear(weights), image, [[[3.0, 4.0]]])) == pytest.approx([4 * (1 - drawn.mean())])


METRICS = [
    lambda: FaithfulnessCorrelation(2, nn.Softmax(), samples=6),
    lambda: FaithfulnessEstimate(2, nn.Softmax(), patch_size=2),
    lambda: MonotonicityCorrelation(2, nn.Softmax(), patch_size=2, samples=2),
    lambda: SensitivityN(2, nn.Softmax(), sizes=[2, 9], samples=3),
    lambda: Infidelity(2, nn.Softmax(), samples=5),
    lambda: Infidelity(2, nn.Softmax(), samples=5, perturbation="square"),
]
IMAGES_OF = [6, 8, 16, 6, 5, 5]  # eight patches


@pytest.mark.parametrize(("make", "copies"), list(zip(METRICS, IMAGES_OF, strict=True)), ids=range(6))
def test_all_labels_and_explainers_share_the_copies_of_an_image(explained, make, copies):
    cell, metric = Bent(), make()
    first = explained(cell, IMAGES, RNG.normal(size=(3, 4, 7)), ROWS, LABELS, logits=np.zeros((2, 2), np.float32))
    maps = RNG.normal(size=(3, 4, 7)).astype(np.float32)
    second = Explanation(Gradient(cell), first.view, maps, coverings=[metric.covering((4, 7))])
    first.whole = second.whole = WholeBatch(first.view, {})
    assert first.images_needed([metric.covering((4, 7))]) == (2 * copies, set())
    one = metric.score(first)
    assert cell.images == 2 * copies
    assert second.images_needed() == (0, set())
    other = metric.score(second)
    assert cell.images == 2 * copies
    assert not np.isclose(one, other).all()
    alone = Explanation(Gradient(cell), first.view, maps)
    np.testing.assert_array_equal(metric.score(alone), other)


def test_copies_pass_once_whatever_is_read_off_the_answers(explained):
    answers = {
        answer: FaithfulnessCorrelation(2, nn.Softmax(), samples=6, answer=answer)
        for answer in ("logit", "probability")
    }
    cell, maps = Bent(), RNG.normal(size=(3, 4, 7))
    apart = {}
    for answer, metric in answers.items():
        apart[answer] = metric.score(explained(cell, IMAGES, maps, ROWS, LABELS))
    found = explained(cell, IMAGES, maps, ROWS, LABELS)
    coverings = [metric.covering((4, 7)) for metric in answers.values()]
    together = Explanation(found.explainer, found.view, found.maps, coverings=coverings)
    assert found.view.logits.shape == (2, 2)
    assert together.images_needed() == (2 * 6, set())
    cell.images = 0
    for answer, metric in answers.items():
        np.testing.assert_array_equal(metric.score(together), apart[answer])
    assert cell.images == 2 * 6
    assert not np.isclose(apart["logit"], apart["probability"]).any()


@pytest.mark.parametrize(
    ("make", "kind", "method"),
    [
        (METRICS[0], RandomSubsets, "masks"),
        (METRICS[3], RandomSubsets, "masks"),
        (METRICS[4], Noisy, "block"),
        (METRICS[5], SquaresRemoved, "block"),
    ],
)
def test_questions_about_an_image_look_at_its_copies_together(explained, monkeypatch, make, kind, method):
    """Once for the network, and once for the two questions about the first image and the one about the second."""
    made, make_again = [], getattr(kind, method)
    monkeypatch.setattr(kind, method, lambda self, image: (made.append(image.row), make_again(self, image))[1])
    maps = RNG.normal(size=(3, 4, 7))
    scores = make().score(explained(Bent(), IMAGES, maps, ROWS, LABELS))
    assert made == [0, 1, 0, 1]
    for question in range(3):
        alone = explained(Bent(), IMAGES, maps[[question]], [ROWS[question]], [LABELS[question]])
        np.testing.assert_array_equal(make().score(alone), scores[[question]])


@pytest.mark.parametrize("make", METRICS, ids=range(6))
def test_a_map_without_order_has_no_score(explained, make):
    maps = RNG.normal(size=(3, 4, 7))
    maps[1], maps[2, 0, 0] = 2.0, np.nan
    found = explained(Bent(), IMAGES, maps, ROWS, LABELS)
    assert np.isnan(make().score(found)).tolist() == [False, True, True]


def test_refused(raising, linear, explained):
    softmax = nn.Softmax()
    for make, code in (
        (lambda: Infidelity(2, softmax, perturbation="normal"), "option-value-unknown"),
        (lambda: Infidelity(2, softmax, attribution="contribution"), "contribution-without-square"),
        (lambda: Infidelity(2, softmax, radius=0), "not-above-zero"),
        (lambda: SensitivityN(2, softmax, sizes=[0]), "not-a-whole-number"),
        (lambda: SensitivityN(2, softmax, samples=1), "not-a-whole-number"),
        (lambda: FaithfulnessCorrelation(2, softmax, answer="odds"), "option-value-unknown"),
    ):
        with raising(ValueError, code):
            make()
    metric = SensitivityN(2, softmax, sizes=[28])
    for refuse in (lambda: metric.covering((4, 7)), lambda: metric.check_images((1, 4, 7))):
        with raising(ValueError, "subset-too-large", given=28):
            refuse()
    metric.check_images((1, 4, 8))
