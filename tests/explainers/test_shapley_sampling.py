"""ShapleyValueSampling and PartitionSHAP against the mean over every order of the segments, and over those allowed."""

import math
from itertools import permutations

import numpy as np
import pytest
from mindspore import Parameter, Tensor, nn, ops

from explainrun.explainers import KernelSHAP, Network, PartitionSHAP, ShapleyValueSampling, View
from explainrun.explainers.core.together import attribute_together
from explainrun.explainers.perturbation.segment_tree import SegmentTree

EIGHT = np.array([[0, 0, 1, 1, 2, 2], [0, 3, 3, 1, 2, 4], [5, 5, 3, 6, 6, 4], [5, 7, 7, 7, 6, 4]])
SIZE = EIGHT.shape
HIDE = 0.25


class Curved(nn.Cell):
    """Logits of images (N, 1, 4, 6) that are not linear; remembers how many images it ran."""

    def __init__(self):
        super().__init__()
        rng = np.random.default_rng(0)
        self.weight = Parameter(Tensor(rng.normal(size=(24, 6)).astype(np.float32) / 2))
        self.head = Parameter(Tensor(rng.normal(size=(6, 3)).astype(np.float32)))
        self.images = 0

    def construct(self, x):
        self.images += x.shape[0]
        return ops.matmul(ops.tanh(ops.matmul(x.reshape(x.shape[0], -1), self.weight)), self.head)


def into(segments):
    return lambda picture: segments


def pictures(count=1, size=SIZE):
    return np.random.default_rng(1).normal(size=(count, 1, *size)).astype(np.float32)


def game(network, image, label, segments):
    """The probability of a label with a set of segments shown, each asked once."""
    known = {}

    def says(shown):
        if shown not in known:
            there = np.isin(segments, list(shown))
            covered = np.where(there, image, np.float32(HIDE))
            known[shown] = float(nn.Softmax()(network(Tensor(covered[None]))).asnumpy()[0, label])
        return known[shown]

    return says


def gains(says, order):
    """What each segment of an order adds."""
    found = np.zeros(len(order))
    for place, segment in enumerate(order):
        before = frozenset(order[:place])
        found[segment] = says(before | {segment}) - says(before)
    return found


def orders_of(tree, group=0):
    """Every order of a group's segments in which its halves, and theirs, stay together."""
    first, second = tree.halves[group].tolist()
    if first < 0:
        return [tuple(np.flatnonzero(tree.members[group]).tolist())]
    pairs = [(one, other) for one in orders_of(tree, first) for other in orders_of(tree, second)]
    return [order for one, other in pairs for order in (one + other, other + one)]


class TestSegmentTree:
    def test_by_hand(self):
        """Centres at (0.5, 0) to (0.5, 3) and (2, 1.5): halved across; of 0, 1 and 4 the lower one comes away."""
        segments = np.array([[0, 1, 2, 3], [0, 1, 2, 3], [4, 4, 4, 4]])
        tree = SegmentTree.of(segments)
        groups = [set(np.flatnonzero(one).tolist()) for one in tree.members]
        assert groups[:3] == [{0, 1, 2, 3, 4}, {0, 1, 4}, {2, 3}]
        halves = [[groups[half] for half in pair] for pair in tree.halves.tolist() if pair[0] >= 0]
        assert halves == [[{0, 1, 4}, {2, 3}], [{0, 1}, {4}], [{2}, {3}], [{0}, {1}]]

    @pytest.mark.parametrize("count", [1, 2, 3, 7, 8, 13])
    def test_halves_part_their_groups_down_to_single_segments(self, count):
        tree = SegmentTree.of(np.arange(4 * 15).reshape(4, 15) * count // 60)
        assert len(tree.members) == 2 * count - 1
        assert tree.members[0].all()
        assert sorted(np.flatnonzero(one)[0] for one in tree.members if one.sum() == 1) == list(range(count))
        for members, (first, second) in zip(tree.members, tree.halves.tolist(), strict=True):
            if first < 0:
                assert members.sum() == 1
                continue
            one, other = tree.members[first], tree.members[second]
            assert np.array_equal(one ^ other, members)
            assert not (one & other).any()
            assert 0 <= one.sum() - other.sum() <= 1

    def test_coalitions_are_those_that_orders_come_past(self):
        tree = SegmentTree.of(EIGHT)
        past = {frozenset(order[:place]) for order in orders_of(tree) for place in range(9)}
        assert tree.coalitions == len(past) - 2 == 2 + 2 * 4 + 4 * 8


class TestShapleyValueSampling:
    @pytest.mark.parametrize("label", [0, 2])
    def test_means_over_its_own_orders(self, label):
        network, image = Curved(), pictures()[0]
        explainer = ShapleyValueSampling(network, nn.Softmax(), 6, into(EIGHT), hide_color=HIDE)
        view = View(Network(network), image[None], np.array([0]), np.array([label]))
        drawn, says = explainer.drawn(view, 0), game(network, image, label, EIGHT)
        each = np.array([gains(says, tuple(order)) for order in drawn.orders.tolist()])
        ((_, found),) = explainer.answers(view)
        np.testing.assert_allclose(found.weights, each.mean(axis=0), atol=1e-6)
        np.testing.assert_allclose(found.errors, each.std(axis=0, ddof=1) / math.sqrt(6), atol=1e-6)
        assert len({tuple(order) for order in drawn.orders.tolist()}) > 1
        assert all(sorted(order) == list(range(8)) for order in drawn.orders.tolist())

    @pytest.mark.slow
    def test_within_its_standard_errors_of_the_exact_values(self):
        network, image = Curved(), pictures()[0]
        says = game(network, image, 1, EIGHT)
        exact = np.mean([gains(says, order) for order in permutations(range(8))], axis=0)
        (kernel,) = KernelSHAP(network, nn.Softmax(), 300, into(EIGHT), hide_color=HIDE).explain(Tensor(image[None]), 1)
        np.testing.assert_allclose(kernel.weights, exact, atol=1e-5)
        network.images = 0
        explainer = ShapleyValueSampling(network, nn.Softmax(), 2000, into(EIGHT), hide_color=HIDE)
        (found,) = explainer.explain(Tensor(image[None]), 1)
        assert network.images <= 2**8
        off = (found.weights - exact) / found.errors
        assert np.abs(off).max() < 4
        assert 0.3 < np.sqrt((off**2).mean()) < 2
        assert found.errors.max() < 0.1 * np.ptp(exact)

    @pytest.mark.parametrize("samples", [1, 2, 5])
    def test_values_add_up_whatever_the_orders(self, samples):
        network, images = Curved(), pictures(3)
        explainer = ShapleyValueSampling(network, nn.Softmax(), samples, into(EIGHT), hide_color=HIDE)
        for image, of_image in zip(images, explainer.explain(Tensor(images), [[0, 1, 2]] * 3), strict=True):
            for found in of_image:
                says = game(network, image, found.label, EIGHT)
                fall = says(frozenset(range(8))) - says(frozenset())
                assert found.weights.sum() == pytest.approx(fall, abs=1e-6)
                assert found.local_prediction == pytest.approx(found.prediction, abs=1e-9)
                assert (found.errors is None) == (samples == 1)

    def test_estimate_gives_the_mean_standard_error_as_a_share(self):
        network, images = Curved(), pictures(2)
        explainer = ShapleyValueSampling(network, nn.Softmax(), 4, into(EIGHT), hide_color=HIDE)
        view = View(Network(network), images, np.array([0, 1]), np.array([1, 1]))
        maps, errors = explainer.estimate(view)
        for question, found in explainer.answers(view):
            assert errors[question] == pytest.approx(found.errors[EIGHT].mean() / np.ptp(found.weights))
            np.testing.assert_allclose(maps[question], found.weights[EIGHT], atol=1e-6)
        assert ShapleyValueSampling(network, nn.Softmax(), 1, into(EIGHT)).estimate(view).errors is None

    def test_a_coalition_is_asked_once(self):
        """Of two segments there are two orders, so however many are drawn four coalitions."""
        network = Curved()
        halves = (np.indices(SIZE)[1] > 2).astype(int)
        explainer = ShapleyValueSampling(network, nn.Softmax(), 50, into(halves), hide_color=HIDE)
        explainer(Tensor(pictures()), [[0, 1, 2]])
        assert network.images == 4
        network.images = 0
        ShapleyValueSampling(network, nn.Softmax(), 50, into(0 * halves))(Tensor(pictures()), 0, show=False)
        assert network.images == 2

    def test_bad_options(self, raising):
        with raising(ValueError, "not-a-whole-number", name="num_samples"):
            ShapleyValueSampling(Curved(), nn.Softmax(), 0)


class TestPartitionSHAP:
    @pytest.mark.parametrize("segments", [EIGHT, EIGHT % 5, np.arange(24).reshape(SIZE) // 9, 0 * EIGHT])
    def test_exact_owen_values(self, segments):
        network, image = Curved(), pictures()[0]
        tree, says = SegmentTree.of(segments), game(network, image, 2, segments)
        exact = np.mean([gains(says, order) for order in orders_of(tree)], axis=0)
        network.images = 0
        explainer = PartitionSHAP(network, nn.Softmax(), 200, into(segments), hide_color=HIDE)
        (found,) = explainer.explain(Tensor(image[None]), 2)
        np.testing.assert_allclose(found.weights, exact, atol=1e-6)
        assert network.images == 1 + 1 + tree.coalitions  # the untouched image, and nothing
        shapley = np.mean([gains(says, order) for order in permutations(range(segments.max() + 1))], axis=0)
        assert segments.max() < 3 or np.abs(shapley - exact).max() > 1e-4  # another value than Shapley's

    @pytest.mark.parametrize("samples", [3, 4, 11, 20, 42, 43])
    def test_values_add_up_whatever_the_budget(self, samples):
        network, image = Curved(), pictures()
        explainer = PartitionSHAP(network, nn.Softmax(), samples, into(EIGHT), hide_color=HIDE)
        for found in explainer.explain(Tensor(image), [[0, 1, 2]])[0]:
            says = game(network, image[0], found.label, EIGHT)
            assert found.weights.sum() == pytest.approx(says(frozenset(range(8))) - says(frozenset()), abs=1e-6)
            assert found.local_prediction == pytest.approx(found.prediction, abs=1e-6)

    def test_three_images_give_two_halves(self):
        """Half of what each half adds to nothing, and to the other, shared out among its four segments."""
        network, image = Curved(), pictures()[0]
        tree, says = SegmentTree.of(EIGHT), game(network, image, 1, EIGHT)
        one, other = (frozenset(np.flatnonzero(tree.members[half]).tolist()) for half in tree.halves[0])
        whole, nothing = says(frozenset(range(8))), says(frozenset())
        expected = np.zeros(8)
        for half, rest in ((one, other), (other, one)):
            expected[list(half)] = (says(half) - nothing + whole - says(rest)) / 2 / 4
        explainer = PartitionSHAP(network, nn.Softmax(), 4, into(EIGHT), hide_color=HIDE)
        (found,) = explainer.explain(Tensor(image[None]), 1)
        np.testing.assert_allclose(found.weights, expected, atol=1e-6)

    def test_the_group_that_changes_most_is_halved_first(self):
        """Of 64 pixels one matters: to find it takes a path down the tree."""

        class One(nn.Cell):
            def construct(self, x):
                return ops.stack([x[:, 0, 5, 2], ops.zeros_like(x[:, 0, 0, 0])], 1)

        pixels = np.arange(64).reshape(8, 8)
        image = np.full((1, 1, 8, 8), 2, np.float32)
        explainer = PartitionSHAP(One(), nn.Sigmoid(), 200, into(pixels), hide_color=0.0)
        found = explainer(Tensor(image), 0).asnumpy()[0, 0]
        expected = np.zeros((8, 8))
        expected[5, 2] = 1 / (1 + np.exp(-2)) - 0.5
        np.testing.assert_allclose(found, expected, atol=1e-6)
        assert SegmentTree.of(pixels).coalitions > 2000

    def test_searches_go_side_by_side_and_labels_share_them(self):
        """Seven images in passes of 16: as many images as they say, and hardly a pass that is not full."""
        network, images = Curved(), pictures(7)
        explainer = PartitionSHAP(network, nn.Softmax(), 31, into(EIGHT), hide_color=HIDE)
        service = Network(network, 16)
        rows = np.repeat(np.arange(7), 2)
        logits = Network(network).logits(images)
        view = View(service, images, rows, np.tile([0, 2], 7), logits=logits)
        maps = attribute_together([explainer], view)[0][explainer.name].maps
        assert service.passes.images == explainer.images_needed_for(view) == {"superpixel": 7 * 31}
        assert service.passes.made["superpixel"] <= -(-7 * 31 // 16) + 1
        alone = explainer(Tensor(images[[4]]), 2).asnumpy()[0, 0]
        np.testing.assert_allclose(maps[9], alone, atol=1e-7)

    def test_probabilities_that_are_not_finite_leave_no_map(self):
        class Broken(nn.Cell):
            def construct(self, x):
                pixels = x.reshape(x.shape[0], -1)
                return ops.stack([pixels.sum(1), ops.sqrt(pixels[:, 0] - 0.5)], 1)  # NaN where the first is hidden

        explainer = PartitionSHAP(Broken(), nn.Sigmoid(), 9, into(EIGHT), hide_color=0.0)
        found = explainer(Tensor(np.ones((1, 1, *SIZE), np.float32)), [[0, 1]], show=False).asnumpy()[0]
        assert np.isfinite(found[0]).all()
        assert np.isnan(found[1]).all()

    def test_bad_options(self, raising):
        with raising(ValueError, "not-a-whole-number", name="num_samples", least=3):
            PartitionSHAP(Curved(), nn.Softmax(), 2)
