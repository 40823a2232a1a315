"""Similarity to the map of another label, and similarities of maps, by hand and beside slow twins."""

import numpy as np
import pytest
from mindspore import Tensor
from scipy.stats import spearmanr
from skimage.metrics import structural_similarity

from explainrun.benchmarks import RandomLogit
from explainrun.benchmarks.randomization.similarity import similarities, structural_similarities
from explainrun.explainers import ConstantMap, Gradient, InputXGradient, Network, SobelEdges, View
from explainrun.summary_format.rank_correlation import rank_correlations

WEIGHTS = np.random.default_rng(0).normal(size=(3, 1, 2, 5))
IMAGES = np.random.default_rng(1).normal(size=(2, 1, 2, 5)).astype(np.float32)


def test_by_hand(linear):
    network, metric = linear(WEIGHTS), RandomLogit(3, "spearman")
    labels = np.array([[0, 2], [1, 0]])
    scores = metric.evaluate(InputXGradient(network), Tensor(IMAGES), labels)
    view = View(Network(network), IMAGES, np.repeat([0, 1], 2), labels.reshape(-1))
    others = np.reshape([label for _, label in metric._others(view)], (2, 2))
    assert (others != labels).all()
    assert metric.higher_is_better is False
    for row in (0, 1):
        for place in (0, 1):
            maps = [WEIGHTS[label, 0] * IMAGES[row, 0] for label in (labels[row, place], others[row, place])]
            assert scores[row, place] == pytest.approx(spearmanr(maps[0].ravel(), maps[1].ravel())[0], abs=1e-6)


def test_the_other_label_is_any_other_one_and_the_samples_own(linear):
    network, metric = linear(WEIGHTS), RandomLogit(3)
    images = np.zeros((60, 1, 2, 5), np.float32)
    rows, labels = np.repeat(np.arange(60), 3), np.tile([0, 1, 2], 60)
    view = View(Network(network), images, rows, labels, seed=5)
    others = metric._others(view)
    for label in range(3):
        drawn = [other for (_, other), asked in zip(others, labels, strict=True) if asked == label]
        assert set(drawn) == {0, 1, 2} - {label}
        assert 15 <= drawn.count((label + 1) % 3) <= 45
    turned = View(Network(network), images[:2], np.array([1, 0]), np.array([2, 1]), sample_ids=np.array([4, 8]), seed=5)
    assert [label for _, label in metric._others(turned)] == [others[8 * 3 + 2][1], others[4 * 3 + 1][1]]


def test_maps_that_ignore_the_label_are_worst(linear):
    network = linear(WEIGHTS)
    for similarity in ("ssim", "spearman"):
        metric = RandomLogit(3, similarity)
        assert metric.evaluate(SobelEdges(network), Tensor(IMAGES), [0, 1]) == pytest.approx([1, 1], abs=1e-9)
        assert np.isnan(metric.evaluate(ConstantMap(network), Tensor(IMAGES), [0, 1])).all()
        assert np.isnan(RandomLogit(1, similarity).evaluate(Gradient(linear(WEIGHTS[:1])), Tensor(IMAGES), 0)).all()


def test_reversed_maps_give_the_opposite(linear):
    weights = np.stack([WEIGHTS[0], -WEIGHTS[0]])
    network = linear(weights)
    scores = RandomLogit(2, "spearman").evaluate(InputXGradient(network), Tensor(IMAGES), [0, 1])
    assert scores == pytest.approx([-1, -1], abs=1e-9)


@pytest.mark.parametrize("size", [(2, 5), (3, 9), (8, 11), (20, 7), (1, 4)])
def test_beside_other_implementations(size):
    rng = np.random.default_rng(3)
    first, second = (rng.normal(size=(4, *size)).astype(np.float32) for _ in range(2))
    second[1], second[2] = 5 * first[1] + 3, -first[2]
    side = min(7, *(length - 1 + length % 2 for length in size))
    stretched = [(m - m.min((1, 2), keepdims=True)) / np.ptp(m, (1, 2), keepdims=True) for m in (first, second)]
    found = structural_similarities(first, second)
    if side > 1:
        expected = [
            structural_similarity(*(m.astype(float) for m in pair), win_size=side, data_range=1.0)
            for pair in zip(*stretched, strict=True)
        ]
        np.testing.assert_allclose(found, expected, atol=1e-6)
    assert found[1] == pytest.approx(1, abs=1e-5)
    ranks = rank_correlations(first, second)
    expected = [spearmanr(one.ravel(), two.ravel())[0] for one, two in zip(first, second, strict=True)]
    np.testing.assert_allclose(ranks, expected, atol=1e-12)
    assert ranks[1:3] == pytest.approx([1, -1])


def test_what_has_no_order():
    rising = np.arange(10, dtype=np.float32).reshape(1, 2, 5)
    flat, odd = np.ones_like(rising), np.where(rising == 3, np.nan, rising)
    for similarity in (rank_correlations, structural_similarities):
        assert similarities(similarity, rising, flat).tolist() == [0]
        for before, after in ((flat, rising), (flat, flat), (odd, rising), (rising, odd)):
            assert np.isnan(similarities(similarity, before, after)).all()


def test_options_are_checked(raising):
    with raising(ValueError, "option-value-unknown", what="similarity", given="cosine"):
        RandomLogit(3, "cosine")
