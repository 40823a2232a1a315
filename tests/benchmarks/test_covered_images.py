"""Covered images, and the order in which pixels are covered: those that a loop over images makes, bit for bit."""

import numpy as np
import pytest
from mindspore import nn

from explainrun.benchmarks import CoveredImage, Covering, DeletionAUC, Explanation, InsertionAUC, NaiveFaithfulness
from explainrun.benchmarks.core import map_of_question, perturbations
from explainrun.benchmarks.core.perturbations import ImageOfView
from explainrun.explainers import Gradient, Network, View

IMAGES = np.random.default_rng(0).normal(size=(2, 3, 7, 5)).astype(np.float32)


class Sees(nn.Cell):
    """Notes the images that it gets."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def construct(self, x):
        self.seen.append(x.asnumpy().copy())
        return x.sum((2, 3))


def maps(kind):
    drawn = np.random.default_rng(1).normal(size=(3, 7, 5)).astype(np.float32)
    tied = {"different": drawn, "few values": np.round(drawn), "zeros": drawn.clip(min=0), "signed zeros": drawn}[kind]
    if kind == "signed zeros":
        tied[:, 2:5] = 0.0
        tied[:, 3] = -0.0
    return tied


@pytest.mark.parametrize("kind", ["different", "few values", "zeros", "signed zeros"])
def test_order_and_covered_images(kind):
    cell, found = Sees(), maps(kind)
    rows, labels = np.array([0, 0, 1]), np.array([0, 2, 1])
    view = View(Network(cell, pass_size=4), IMAGES, rows, labels, seed=3, logits=np.zeros((2, 3), np.float32))
    images = [CoveredImage(0, 11, 0.5), CoveredImage(0, 0, 0.0), CoveredImage(7, 35, -2.0), CoveredImage(3, 30, 0.5)]
    covering = Covering(tuple(images), nn.Softmax())
    explanation = Explanation(Gradient(cell), view, found, coverings=[covering])
    probabilities = explanation.probabilities(covering)
    expected = []
    for question, row in enumerate(rows):
        saliency = found[question].reshape(-1)
        chance = view.generator(row, "pixel order").random(35)
        order = np.lexsort((chance, -saliency))
        assert np.array_equal(explanation.order(question), order)
        ranks = np.empty(35, int)
        ranks[order] = np.arange(35)
        for first, last, baseline in sorted(image for image in images if image.last > image.first):
            covered = ((ranks >= first) & (ranks < last)).reshape(7, 5)
            expected.append(np.where(covered, np.float32(baseline), IMAGES[row]))
    assert np.array_equal(np.concatenate(cell.seen), expected)
    sums = np.array(expected).sum(axis=(2, 3)).reshape(3, 3, 3)
    odds = np.exp(sums - sums.max(axis=2, keepdims=True))
    of_label = (odds / odds.sum(axis=2, keepdims=True))[np.arange(3), :, labels]
    np.testing.assert_allclose(probabilities[:, [0, 3, 2]], of_label, atol=1e-5)
    np.testing.assert_allclose(probabilities[:, 1], 1 / 3, atol=1e-6)  # the untouched image, known beforehand


def test_means_of_groups_do_not_depend_on_the_order_of_equal_pixels():
    found = maps("signed zeros")
    view = View(Network(Sees()), IMAGES, np.array([0, 0, 1]), np.array([0, 2, 1]), seed=3)
    metric = NaiveFaithfulness(3, nn.Softmax(), steps=4)
    explanation = Explanation(Gradient(view.network.cell), view, found)
    scores = metric.score(explanation)
    drops = explanation.probabilities(metric.covering((7, 5)))
    drops = drops[:, :1] - drops[:, 1:]
    for question in range(3):
        falling = found[question].reshape(-1)[explanation.order(question)].astype(np.float64)
        means = [group.mean() for group in np.split(falling, [8, 17, 26])]
        assert scores[question] == pytest.approx((1 + np.corrcoef(means, drops[question])[0, 1]) / 2, abs=1e-9)


def test_a_map_without_order_takes_no_pass():
    cell = Sees()
    view = View(Network(cell), IMAGES, np.array([0]), np.array([0]), logits=np.zeros((2, 3), np.float32))
    scores = NaiveFaithfulness(3, nn.Softmax()).score(Explanation(Gradient(cell), view, np.ones((1, 7, 5), np.float32)))
    assert np.isnan(scores).all()
    assert cell.seen == []


def test_an_image_is_removed_by_a_rule_once_and_a_map_ordered_once(monkeypatch):
    """Three questions about two images, of which four metrics of three rules make 8 kinds of copies each."""
    removers, orders = [], []
    for module, name, made in ((perturbations, "Remover", removers), (map_of_question, "order_of", orders)):
        monkeypatch.setattr(module, name, counting(getattr(module, name), made))
    cell, softmax = Sees(), nn.Softmax()
    rows, labels = np.array([0, 0, 1]), np.array([0, 2, 1])
    view = View(Network(cell, pass_size=4), IMAGES, rows, labels, seed=3, logits=np.zeros((2, 3), np.float32))
    metrics = [kind(3, softmax, steps=3, removal=removal) for kind in (InsertionAUC, DeletionAUC)
               for removal in ("mean", "blur", "value")]  # fmt: skip
    coverings = [metric.covering((7, 5)) for metric in metrics]
    explanation = Explanation(Gradient(cell), view, maps("different"), coverings=coverings)
    explanation.prepare()
    assert len(removers) == 2 * 2
    assert len(orders) == 3
    assert len(np.concatenate(cell.seen)) == 3 * 3 * 4 + 2 * 2 + 1


def counting(call, made):
    def counted(*arguments):
        made.append(arguments)
        return call(*arguments)

    return counted


def test_of_what_removes_pixels_the_last_few_are_kept():
    images = np.random.default_rng(0).normal(size=(12, 3, 7, 5)).astype(np.float32)
    view, memory = View(Network(Sees()), images, np.arange(12), np.zeros(12, int)), {}
    made = [ImageOfView(view, row, memory).remover("mean") for row in range(12)]
    assert ImageOfView(view, 11, memory).remover("mean") is made[11]
    assert ImageOfView(view, 11, memory).remover("blur") is not made[11]
    assert ImageOfView(view, 0, memory).remover("mean") is not made[0]
    assert len(memory["removers"]) == 8
