"""KernelSHAP against Shapley values by their definition, over every order of the segments."""

import math
from itertools import permutations

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn, ops

from explainrun.explainers import KernelSHAP, Network, View

SEGMENTS = np.array([[0, 0, 0, 3, 3], [1, 1, 3, 3, 3], [1, 2, 2, 2, 3], [4, 4, 4, 5, 5]])
SIZE = SEGMENTS.shape
STRIPES = np.arange(20).reshape(SIZE) // 2 + 1  # ten segments


def itself(logits):
    return logits


class Curved(nn.Cell):
    """Logits of images (N, 2, 4, 5) that are not linear; remembers how many images it ran."""

    def __init__(self):
        super().__init__()
        rng = np.random.default_rng(0)
        self.weight = ms.Parameter(Tensor(rng.normal(size=(40, 6)).astype(np.float32) / 2))
        self.head = ms.Parameter(Tensor(rng.normal(size=(6, 4)).astype(np.float32)))
        self.images = 0

    def construct(self, x):
        self.images += x.shape[0]
        return ops.matmul(ops.tanh(ops.matmul(x.reshape(x.shape[0], -1), self.weight)), self.head)


def into(segments):
    return lambda picture: segments


def pictures(count=1):
    return np.random.default_rng(1).normal(size=(count, 2, *SIZE)).astype(np.float32)


def probability(network, image, label):
    return float(nn.Softmax()(network(Tensor(image[None]))).asnumpy()[0, label])


def shapley(network, image, label, segments, cover):
    """Each segment's mean gain over every order in which segments may be shown."""
    count, known = segments.max() + 1, {}

    def says(shown):
        if shown not in known:
            there = np.isin(segments, list(shown))
            known[shown] = probability(network, np.where(there, image, cover).astype(np.float32), label)
        return known[shown]

    gains = np.zeros(count)
    for order in permutations(range(count)):
        for place, segment in enumerate(order):
            before = frozenset(order[:place])
            gains[segment] += says(before | {segment}) - says(before)
    return gains / math.factorial(count)


@pytest.mark.parametrize(("label", "hide"), [(0, 0.5), (3, None)])
@pytest.mark.parametrize("segments", [SEGMENTS, SEGMENTS // 2, SEGMENTS // 3, np.zeros(SIZE, int)])
def test_where_every_coalition_is_asked_the_values_are_exact(label, hide, segments):
    network, image, count = Curved(), pictures()[0], segments.max() + 1
    explainer = KernelSHAP(network, nn.Softmax(), 2**6 - 2, into(segments), hide_color=hide)
    (found,) = explainer.explain(Tensor(image[None]), label)
    assert network.images == 2**count
    means = np.stack([[channel[segments == s].mean() for s in range(count)] for channel in image])[:, segments]
    expected = shapley(network, image, label, segments, means if hide is None else 0.5)
    np.testing.assert_allclose(found.weights, expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(found.segments, segments)


@pytest.mark.parametrize("samples", [14, 31, 62, 63, None])
def test_values_add_up_to_what_showing_everything_does(samples):
    network, image = Curved(), pictures()
    explainer = KernelSHAP(network, nn.Softmax(), samples, into(SEGMENTS), hide_color="mean")
    for (found,) in (explainer.explain(Tensor(image), label) for label in range(4)):
        covered = np.broadcast_to(image[0].mean(axis=(1, 2), keepdims=True), image[0].shape).astype(np.float32)
        whole, nothing = (probability(network, one, found.label) for one in (image[0], covered))
        assert found.weights.sum() == pytest.approx(whole - nothing, abs=1e-6)
        assert found.intercept == pytest.approx(nothing, abs=1e-6)
        assert found.prediction == pytest.approx(whole, abs=1e-6)
        assert found.local_prediction == pytest.approx(found.prediction, abs=1e-12)


def constrained(shown, counts, values):
    """Weighted least squares under the constraint on the sum, by Lagrange's multiplier."""
    nothing, whole = values[1], values[0] - values[1]
    rows, targets = shown[2:].astype(float), values[2:] - nothing
    count = rows.shape[1]
    system = np.ones((count + 1, count + 1))
    system[:count, :count], system[count, count] = rows.T @ (counts[2:, None] * rows), 0
    return np.linalg.solve(system, np.append(rows.T @ (counts[2:] * targets), whole))[:count]


@pytest.mark.parametrize("samples", [20, 57, 300, 1022])
def test_some_coalitions_are_fitted_as_lagrange_would(samples):
    explainer = KernelSHAP(Curved(), itself, samples)
    drawn = explainer.coalitions(np.random.default_rng(4), 10)
    values = np.random.default_rng(5).normal(size=len(drawn.shown))
    found = explainer.fitted(drawn)(values)
    np.testing.assert_allclose(found.weights, constrained(*drawn, values), rtol=1e-9, atol=1e-12)
    rows, counts, targets = drawn.shown[2:], drawn.weights[2:], values[2:]
    left = counts @ (targets - values[1] - rows @ found.weights) ** 2
    score = 1 - left / (counts @ (targets - np.average(targets, weights=counts)) ** 2)
    assert found.score == pytest.approx(score)


def test_with_more_coalitions_values_come_nearer():
    network, image = Curved(), pictures()
    exact = KernelSHAP(network, nn.Softmax(), 1022, into(STRIPES))(Tensor(image), 2).asnumpy()[0, 0]
    off = []
    for samples in (40, 160, 640):
        explainer = KernelSHAP(network, nn.Softmax(), samples, into(STRIPES))
        apart = []
        for sample in range(12):
            view = View(Network(network), image, np.array([0]), np.array([2]), sample_ids=np.array([sample]))
            apart.append(explainer.attribute(view)[0] - exact)
        off.append(np.sqrt(np.mean(np.square(apart))))
    assert off[0] < 0.3 * np.abs(exact).max()
    assert off[1] < 0.6 * off[0]
    assert off[2] < 0.6 * off[1]


@pytest.mark.parametrize("segments", range(1, 13))
def test_what_is_asked_and_how_much_it_counts(segments):
    sizes = range(1, segments)
    by_size = {size: (segments - 1) / (size * (segments - size)) for size in sizes}
    every = 2**segments - 2
    for most in {2, 3, 2 * segments, 2 * segments + 1, 60, max(2, every - 1), max(2, every), every + 2, 5000}:
        explainer = KernelSHAP(Curved(), itself, most)
        shown, counts = explainer.coalitions(np.random.default_rng(most), segments)
        assert shown[0].all()
        assert not shown[1].any()
        rows, counts = shown[2:], counts[2:]
        assert len(np.unique(rows, axis=0)) == len(rows)  # none twice
        assert min(most, every) - 1 <= len(rows) <= most
        assert len(shown) == explainer._images_of(segments)
        assert {row.tobytes() for row in rows} == {row.tobytes() for row in ~rows}  # complements are there
        assert counts.sum() == pytest.approx(sum(by_size.values()))
        if every <= most:
            kernel = [by_size[size] / math.comb(segments, size) for size in rows.sum(axis=1).tolist()]
            np.testing.assert_allclose(counts, kernel)


def test_sizes_are_asked_in_full_from_the_outside_in():
    explainer = KernelSHAP(Curved(), itself, 500)
    shown, counts = explainer.coalitions(np.random.default_rng(0), 12)
    many = shown[2:].sum(axis=1)
    assert [(many == size).sum() for size in (1, 11, 2, 10)] == [12, 12, 66, 66]  # 3 and 9 have 440
    assert len(many) == 500
    np.testing.assert_allclose(counts[2:][many == 1], 1 / 12)  # (12 - 1) / (12 * 1 * 11)
    np.testing.assert_allclose(counts[2:][many == 10], 11 / (66 * 20))
    inner = counts[2:][(many > 2) & (many < 10)]
    assert inner.sum() == pytest.approx(sum(11 / (size * (12 - size)) for size in range(3, 10)))


def test_drawn_coalitions_follow_the_kernel():
    """Of 20 segments none but the outermost are asked in full; how often sizes and segments are drawn, on average."""
    explainer, sizes, segments = KernelSHAP(Curved(), itself, 200), np.zeros(21), np.zeros(20)
    for seed in range(60):
        shown, counts = explainer.coalitions(np.random.default_rng(seed), 20)
        np.add.at(sizes, shown[2:].sum(axis=1), counts[2:] / 60)
        segments += counts[2:] @ shown[2:] / 60
    expected = [19 / (size * (20 - size)) for size in range(1, 20)]
    np.testing.assert_allclose(sizes[1:20], expected, rtol=0.15)
    np.testing.assert_allclose(segments, sum(expected) / 2)  # by symmetry, exactly


def test_too_few_coalitions_give_no_map(caplog):
    explainer = KernelSHAP(Curved(), nn.Softmax(), 8, into(SEGMENTS))
    assert np.isnan(explainer(Tensor(pictures()), 1).asnumpy()).all()
    assert "KernelSHAP: 8 coalitions do not determine the values of 6 segments, so an image gets no map" in caplog.text
    with pytest.raises(ValueError, match="num_samples must be a whole number from 2, got 1"):
        KernelSHAP(Curved(), nn.Softmax(), 1)


def test_images_are_asked_as_often_as_their_segments_need():
    images = np.stack([pictures()[0], np.zeros((2, *SIZE), np.float32)])

    def more_or_less(picture):
        return STRIPES if picture.any() else SEGMENTS // 3

    network = Curved()
    explainer = KernelSHAP(network, nn.Softmax(), 50, more_or_less)
    view = View(Network(network, 16, fill=True), images, np.array([0, 0, 1]), np.array([1, 2, 1]))
    explainer.attribute(view)
    assert dict(view.network.passes.images) == {"superpixel": 52 + 4}
    assert dict(view.network.passes.made) == {"superpixel": 4}
    assert dict(explainer.images_needed_for(view)) == {"superpixel": 56}
    assert explainer.images_needed(2, 3, (2, *SIZE))["superpixel"] >= 56


def test_drawn_coalitions_count_as_often_as_they_were_drawn(linear):
    """Of 7 segments sizes 1 and 6 are asked in full; the rest of the kernel falls to the draws, by their number."""
    explainer = KernelSHAP(linear(np.ones((1, 1, 2, 7))), nn.Softmax(), num_samples=14 + 30)
    shares = []
    for seed in range(20):
        shown, weights = explainer.coalitions(np.random.default_rng(seed), 7)
        sizes = shown.sum(axis=1)
        drawn = weights[(sizes > 1) & (sizes < 6)]
        np.testing.assert_allclose(weights[(sizes == 1) | (sizes == 6)].sum(), 2 * 6 / (1 * 6))
        np.testing.assert_allclose(drawn.sum(), 2 * 6 / (2 * 5) + 2 * 6 / (3 * 4))
        times = drawn / drawn.min()
        np.testing.assert_allclose(times, np.round(times), atol=1e-6)
        shares.append(times.max())
    assert max(shares) > 1
