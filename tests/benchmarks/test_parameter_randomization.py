"""Maps under random weights: by hand on networks of literal weights, whose maps are those of the weights drawn."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn
from scipy.stats import entropy, spearmanr

from explainrun.benchmarks import (
    EfficientMPRT,
    Explanation,
    InputInvariance,
    ModelParameterRandomization,
    SmoothMPRT,
)
from explainrun.benchmarks.randomization.random_weight_maps import Randomization
from explainrun.explainers import (
    ConstantMap,
    GradCAM,
    Gradient,
    InputXGradient,
    Network,
    Occlusion,
    RandomMap,
    ScoreCAM,
    View,
)
from explainrun.explainers.core.together import attribute_together
from explainrun.explainers.network.variants import random_weights as module
from explainrun.explainers.network.variants.random_weights import (
    WeightLayer,
    count_weight_layers,
    random_weights,
    weight_layers,
)
from explainrun.runner.batches.part_sizes import recomputations

IMAGES = np.random.default_rng(1).normal(size=(2, 1, 2, 5)).astype(np.float32)
HIDDEN = np.random.default_rng(2).normal(size=(4, 10)).astype(np.float32)
HEAD = np.random.default_rng(3).normal(size=(3, 4)).astype(np.float32)


class TwoLayers(nn.Cell):
    """Linear in two layers, defined in another order than they run; what lies between has a norm of its own."""

    def __init__(self):
        super().__init__()
        self.head, self.idle = nn.Dense(4, 3, has_bias=False), nn.Dense(2, 2)
        self.hidden, self.norm = nn.Dense(10, 4), nn.BatchNorm1d(4, eps=1e-12)
        self.head.weight.set_data(Tensor(HEAD))
        self.hidden.weight.set_data(Tensor(HIDDEN))
        self.hidden.bias.set_data(Tensor(np.array([1, 2, 3, 4], np.float32)))

    def construct(self, x):
        return self.head(self.norm(self.hidden(x.reshape(x.shape[0], -1))))


def drawn(view, layer, *parameters):
    """The weights of a layer, drawn as documented."""
    numbers = view.common_generator(f"random weights {layer}")
    found = []
    for values in (np.asarray(values, np.float64) for values in parameters):
        mean, width = (0, np.sqrt((values**2).mean())) if values.ndim > 1 else (values.mean(), values.std())
        found.append(numbers.normal(mean, width, values.shape))
    return found


def random_layers(view):
    """(hidden, scale, head) of random weights."""
    hidden, _, scale, _ = drawn(view, "hidden", HIDDEN, [1, 2, 3, 4], np.ones(4), np.zeros(4))
    return hidden, scale, drawn(view, "head", HEAD)[0]


def viewed(network, explainers, images=IMAGES, rows=(0, 0, 1), labels=(0, 2, 1), **options):
    needs = type(explainers[0].needs).together(explainer.needs for explainer in explainers)
    ids = np.array([7, 9])[: len(images)]
    asked = np.array(rows), np.array(labels)
    return View(Network(network, **options), images, *asked, needs=needs, sample_ids=ids, seed=3)


def explained(view, explainers, needed=None):
    def count_passes(kind, images):
        if needed is not None:
            needed[kind] = needed.get(kind, 0) + images

    found, _ = attribute_together(explainers, view)
    every = [Explanation(one, view, found[one.name].maps, count_passes=count_passes) for one in explainers]
    for explanation in every:
        explanation.peers, explanation.memory = tuple(every), every[0].memory
    return every


def maps_of(hidden, scale, head, view):
    """(Q, 10) input times gradient of the network with these weights."""
    return (head[view.labels] * scale) @ hidden * view.images[view.rows].reshape(len(view.rows), -1)


class TestOrder:
    def test_layers_are_those_that_run_in_the_order_in_which_they_do(self):
        network = Network(TwoLayers())
        layers = weight_layers(network, IMAGES[0])
        assert layers == (WeightLayer("hidden", ("hidden", "norm")), WeightLayer("head", ("head",)))
        assert weight_layers(network, IMAGES[0]) is layers  # seen once
        assert dict(network.passes.made) == {"weight order": 1}
        assert count_weight_layers(network.cell) == 3  # without a pass it cannot be known that one is idle

    def test_parameters_of_the_network_itself_are_a_layer(self, linear):
        assert weight_layers(Network(linear(np.ones((3, 1, 2, 5)))), IMAGES[0]) == (WeightLayer("", ("",)),)

    def test_a_network_that_refuses_fixed_images_is_shown_its_own(self):
        class Picky(TwoLayers):
            def construct(self, x):
                if x.asnumpy().max() > 100 or not (x.asnumpy() == IMAGES[:1]).all():
                    raise ValueError("not one of mine")
                return super().construct(x)

        assert [layer.name for layer in weight_layers(Network(Picky()), IMAGES[0])] == ["hidden", "head"]

    def test_shared_parameters_are_the_first_ones(self):
        class Tied(nn.Cell):
            def __init__(self):
                super().__init__()
                self.second, self.first = nn.Dense(10, 10, has_bias=False), nn.Dense(10, 10)
                self.first.weight = self.second.weight

            def construct(self, x):
                return self.second(self.first(x.reshape(x.shape[0], -1)))

        network = Tied()
        layers, tied = weight_layers(Network(network), IMAGES[0]), network.first.weight.asnumpy()
        assert layers == (WeightLayer("first", ("first",)), WeightLayer("second", ("second",)))
        with random_weights(Network(network), _generator) as weights:
            weights.of(layers[:1])
            assert (network.first.weight.asnumpy() == tied).all()  # its bias alone is its own
            weights.of(layers[1:])
            assert (network.first.weight.asnumpy() != tied).all()
        assert (network.second.weight.asnumpy() == tied).all()

    def test_without_parameters_it_is_refused(self, raising):
        class Bare(nn.Cell):
            def construct(self, x):
                return x.reshape(x.shape[0], -1)

        with raising(ValueError, "no-weights", network="Bare"):
            EfficientMPRT().evaluate(InputXGradient(Bare()), Tensor(IMAGES), 0)


class TestWeights:
    def test_they_are_drawn_as_documented_and_put_back(self, state):
        network = Network(TwoLayers())
        view = View(network, IMAGES, np.array([0]), np.array([0]), seed=3)
        layers = weight_layers(network, IMAGES[0])
        before, cell = state(network.cell), network.cell
        with random_weights(network, lambda layer: view.common_generator(f"random weights {layer}")) as weights:
            other = weights.of(layers)
            hidden, scale, head = random_layers(view)
            np.testing.assert_allclose(cell.hidden.weight.asnumpy(), hidden, rtol=1e-6)
            np.testing.assert_allclose(cell.head.weight.asnumpy(), head, rtol=1e-6)
            assert (cell.norm.gamma.asnumpy() == scale).all()  # all alike, so drawn without any width
            assert (cell.norm.moving_variance.asnumpy() == 1).all()
            assert (cell.idle.weight.asnumpy().tobytes()) == before["parameters"]["idle.weight"]["value"]
            assert len(set(cell.hidden.bias.asnumpy().tolist())) == 4
            assert other.cell is cell
            assert other.passes is network.passes
        assert state(cell) == before

    def test_what_batch_norm_measured_stays(self):
        cell = TwoLayers()
        measured = np.array([1, 2, 3, 4], np.float32)
        for kept in (cell.norm.moving_mean, cell.norm.moving_variance):
            kept.set_data(Tensor(measured))
        cell.norm.beta.set_data(Tensor(measured))
        network = Network(cell)
        with random_weights(network, _generator) as weights:
            weights.of(weight_layers(network, IMAGES[0]))
            assert (cell.norm.moving_mean.asnumpy() == measured).all()
            assert (cell.norm.moving_variance.asnumpy() == measured).all()
            assert (cell.norm.beta.asnumpy() != measured).all()

    def test_what_was_compiled_holds_before_and_afterwards_but_not_within(self):
        network = Network(TwoLayers().set_train(False), fill=True, jit="on")
        logits = network.logits(IMAGES)
        assert network.graphs.refused == {}
        layers = weight_layers(network, IMAGES[0])
        with random_weights(network, _generator) as weights:
            other = weights.of(layers)
            within, plain = other.logits(IMAGES), network.cell(Tensor(IMAGES)).asnumpy()
        np.testing.assert_allclose(within, plain, rtol=1e-5)
        assert np.abs(within - logits).max() > 0.1
        np.testing.assert_array_equal(network.logits(IMAGES), logits)

    @pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
    @pytest.mark.parametrize("at", range(1, 13))
    def test_they_are_put_back_whenever_something_raises(self, state, monkeypatch, error, at):
        """Five parameters are written, then put back; one of these writes raises, before or after it is done."""
        network = Network(TwoLayers())
        layers, before = weight_layers(network, IMAGES[0]), state(network.cell)
        writes, write = [], module._write

        def interrupted(parameter, values):
            writes.append(parameter.name)
            if len(writes) == at:
                if at % 2:
                    write(parameter, values)
                raise error("now")
            write(parameter, values)

        monkeypatch.setattr(module, "_write", interrupted)
        try:
            with random_weights(network, _generator) as weights:
                weights.of(layers)
                if at > 10:
                    raise error("now")
        except error:
            pass
        else:
            pytest.fail("nothing was raised")
        assert state(network.cell) == before

    @pytest.mark.parametrize("order", ["top_down", "bottom_up", "independent"])
    def test_each_step_draws_the_layers_that_it_adds_alone(self, monkeypatch, state, order):
        """The head has one parameter, the hidden layer and what follows it four: each is drawn and put back once."""
        writes, write, network = [], module._write, TwoLayers()
        monkeypatch.setattr(module, "_write", lambda one, values: (writes.append(one.name), write(one, values)))
        before = state(network)
        ModelParameterRandomization(order).evaluate(InputXGradient(network), Tensor(IMAGES), [0, 1])
        assert len(writes) == 2 * 5
        assert {writes.count(name) for name in writes} == {2}
        assert state(network) == before

    def test_layers_that_stay_random_keep_their_weights_and_others_are_put_back(self):
        network = TwoLayers()
        layers = weight_layers(Network(network), IMAGES[0])
        learned = [cell.weight.asnumpy().tobytes() for cell in (network.hidden, network.head)]
        with random_weights(Network(network), _generator) as weights:
            seen = []
            for chosen in ((1,), (0, 1), (0,), ()):
                weights.of([layers[place] for place in chosen])
                seen.append([cell.weight.asnumpy().tobytes() for cell in (network.hidden, network.head)])
        (hidden, head), both = (seen[2][0], seen[0][1]), seen[1]
        assert seen == [[learned[0], head], both, [hidden, learned[1]], learned]
        assert both == [hidden, head]
        assert hidden != learned[0]
        assert head != learned[1]


def _generator(layer):
    return np.random.default_rng(len(layer))


class TestScores:
    @pytest.mark.parametrize("order", ["top_down", "bottom_up", "independent"])
    def test_by_hand(self, order):
        network = TwoLayers()
        explainer, metric = InputXGradient(network), ModelParameterRandomization(order)
        view = viewed(network, [explainer])
        (explanation,) = explained(view, [explainer])
        scores = metric.score(explanation)
        hidden, scale, head = random_layers(view)
        whole = maps_of(HIDDEN, np.ones(4), HEAD, view)
        of_head, of_hidden = maps_of(HIDDEN, np.ones(4), head, view), maps_of(hidden, scale, HEAD, view)
        both = maps_of(hidden, scale, head, view)
        steps = {"top_down": (of_head, both), "bottom_up": (of_hidden, both), "independent": (of_hidden, of_head)}[
            order
        ]
        expected = [[spearmanr(before, after)[0] for before, after in zip(whole, step, strict=True)] for step in steps]
        np.testing.assert_allclose(scores, np.mean(expected, axis=0), atol=1e-6)
        assert np.abs(scores).max() < 0.95

    def test_similarity_by_layer(self):
        network, seen = TwoLayers(), []
        for metric in (ModelParameterRandomization("top_down"), ModelParameterRandomization("bottom_up", "ssim")):
            found = metric.by_layer(InputXGradient(network), Tensor(IMAGES), [[0, 2], [1, 1]])
            assert list(found) == (["head", "hidden"] if metric.order == "top_down" else ["hidden", "head"])
            means = metric.evaluate(InputXGradient(network), Tensor(IMAGES), [[0, 2], [1, 1]])
            assert means.shape == (2, 2)
            np.testing.assert_array_equal(np.mean(list(found.values()), axis=0), means)
            seen.append(list(found.values())[1])
        one, other = ModelParameterRandomization(layers=1), ModelParameterRandomization("bottom_up", layers=1)
        np.testing.assert_array_equal(  # once all are random, the order does not matter
            one.evaluate(InputXGradient(network), Tensor(IMAGES), 0),
            other.evaluate(InputXGradient(network), Tensor(IMAGES), 0),
        )

    def test_a_map_that_ignores_the_weights_is_worst(self):
        network = TwoLayers()
        for metric in (
            ModelParameterRandomization(),
            ModelParameterRandomization(similarity="ssim"),
            SmoothMPRT(samples=2),
        ):
            assert metric.evaluate(RandomMap(network), Tensor(IMAGES), [0, 1]) == pytest.approx([1, 1], abs=1e-9)
            assert np.isnan(metric.evaluate(ConstantMap(network), Tensor(IMAGES), [0, 1])).all()
        assert EfficientMPRT().evaluate(RandomMap(network), Tensor(IMAGES), [0, 1]).tolist() == [0, 0]
        assert np.isnan(EfficientMPRT().evaluate(ConstantMap(network), Tensor(IMAGES), [0, 1])).all()

    def test_a_map_that_becomes_constant_counts_nothing(self, two_channels):
        class Vanishing(Gradient):
            def attribute(self, view):
                maps = super().attribute(view)
                return maps if self.kept.tobytes() == self.network.head.weight.asnumpy().tobytes() else 0 * maps

        network = two_channels()
        explainer = Vanishing(network)
        explainer.kept = network.head.weight.asnumpy()
        found = ModelParameterRandomization("independent").by_layer(explainer, Tensor(two_channels.IMAGE), 0)
        assert found["head"].tolist() == [0]
        assert abs(found["conv"][0]) > 0

    def test_explainers_share_the_passes_of_every_step(self):
        network, needed = TwoLayers(), {}
        explainers = [Gradient(network), InputXGradient(network)]
        view = viewed(network, explainers, fill=True)
        explanations = explained(view, explainers, needed)
        view.network.passes.drained()
        metric = ModelParameterRandomization()
        together = [metric.score(explanation) for explanation in explanations]
        assert needed == {"differentiate": 2 * 3}
        assert dict(view.network.passes.images) == {"weight order": 1, "differentiate": 2 * 3}
        assert dict(view.network.passes.made) == {"weight order": 1, "differentiate": 2}
        for explainer, scores in zip(explainers, together, strict=True):
            (alone,) = explained(viewed(network, [explainer], fill=True), [explainer])
            np.testing.assert_array_equal(metric.score(alone), scores)

    def test_images_that_are_not_asked_about_take_no_passes(self, two_channels):
        """Of three images one is asked about: ScoreCAM looks at a layer's output for it, under either change."""

        class Noting(ScoreCAM):
            def attribute(self, view):
                shown.append(len(view.images))
                return super().attribute(view)

        network, shown = two_channels(), []
        images = np.random.default_rng(4).normal(size=(3, 1, 2, 4)).astype(np.float32)
        for metric in (ModelParameterRandomization("independent"), InputInvariance()):
            explainer, needed = Noting(network, "relu"), {}
            view = View(Network(network, fill=True), images, np.array([1]), np.array([0]), needs=explainer.needs)
            (explanation,) = explained(view, [explainer], needed)
            assert view.logits.shape == (3, 2)  # which runs know
            view.network.passes.drained()
            metric.score(explanation)
            asked = {kind: count for kind, count in view.network.passes.images.items() if kind in needed}
            assert needed == asked
            assert needed["activate"] == (2 if isinstance(metric, ModelParameterRandomization) else 1)
        assert shown == [3, 1, 1, 3, 1]

    def test_one_that_looks_at_predictions_gets_those_of_the_random_network(self):
        network, needed = TwoLayers(), {}
        occlusion = Occlusion(network, nn.Softmax(), window=1)
        view = viewed(network, [occlusion], fill=True)
        (explanation,) = explained(view, [occlusion], needed)
        view.network.passes.drained()
        scores = ModelParameterRandomization(layers=1).score(explanation)
        assert needed == {"occlude": 2 * 10, "random weights": 2}
        assert dict(view.network.passes.images) == {**needed, "weight order": 1}
        assert np.abs(scores).max() < 0.999

    def test_weights_do_not_depend_on_batch_or_order(self):
        network = TwoLayers()
        metric = ModelParameterRandomization()
        (together,) = explained(viewed(network, [InputXGradient(network)], fill=True), [InputXGradient(network)])
        scores = metric.score(together)
        other = View(Network(network, fill=True), IMAGES[1:], np.array([0]), np.array([1]), needs=InputXGradient.needs,
                     sample_ids=np.array([9]), seed=3)  # fmt: skip
        (alone,) = explained(other, [InputXGradient(network)])
        np.testing.assert_array_equal(metric.score(alone), scores[2:])
        (reseeded,) = explained(
            View(Network(network, fill=True), IMAGES[1:], np.array([0]), np.array([1]), needs=InputXGradient.needs,
                 sample_ids=np.array([9]), seed=4), [InputXGradient(network)])  # fmt: skip
        assert metric.score(reseeded) != scores[2:]

    def test_steps_are_spread_evenly_over_the_layers(self):
        layers = [WeightLayer(name, (name,)) for name in "abcdefg"]
        for order, at_most, expected in (
            ("top_down", None, "gfedcba"), ("top_down", 3, "gda"), ("bottom_up", 3, "adg"), ("top_down", 1, "a"),
            ("independent", 9, "abcdefg"), ("bottom_up", 2, "ag"), ("independent", 2, "ag"),
        ):  # fmt: skip
            steps = Randomization(order, at_most).steps(layers)
            assert "".join(step.name for step in steps) == expected
            for step in steps:
                names = "".join(layer.name for layer in step.layers)
                ordered = "abcdefg"[::-1] if order == "top_down" else "abcdefg"
                assert names == (step.name if order == "independent" else ordered[: ordered.index(step.name) + 1])

    def test_smoothing_by_hand(self):
        """Input times gradient of a linear network is its weights times the image and the mean noise."""
        network, needed = TwoLayers(), {}
        explainer, metric = InputXGradient(network), SmoothMPRT(samples=3, radius=0.5, order="top_down")
        view = viewed(network, [explainer])
        (explanation,) = explained(view, [explainer], needed)
        scores = metric.score(explanation)
        noise = metric.randomization.smoothing
        mean = {row: np.mean([noise.drawn(view, row, draw) for draw in range(3)], axis=0) for row in (0, 1)}
        smooth = View(view.network, np.stack([IMAGES[row] + mean[row] for row in (0, 1)]), view.rows, view.labels)
        hidden, scale, head = random_layers(view)
        whole = maps_of(HIDDEN, np.ones(4), HEAD, smooth)
        steps = maps_of(HIDDEN, np.ones(4), head, smooth), maps_of(hidden, scale, head, smooth)
        expected = [[spearmanr(before, after)[0] for before, after in zip(whole, step, strict=True)] for step in steps]
        np.testing.assert_allclose(scores, np.mean(expected, axis=0), atol=1e-6)
        assert needed == {"differentiate": (1 + 2) * 3 * 3}

    def test_entropy_by_hand(self):
        network, needed = TwoLayers(), {}
        explainer, metric = InputXGradient(network), EfficientMPRT(bins=6)
        view = viewed(network, [explainer])
        (explanation,) = explained(view, [explainer], needed)
        before, after = maps_of(HIDDEN, np.ones(4), HEAD, view), maps_of(*random_layers(view), view)
        had, has = ([entropy(np.histogram(map_, 6)[0]) for map_ in maps] for maps in (before, after))
        np.testing.assert_allclose(metric.score(explanation), np.divide(has, had) - 1, atol=1e-6)
        assert needed == {"differentiate": 3}
        assert metric.higher_is_better is True

    def test_the_network_is_left_as_found_where_an_explainer_fails(self, state):
        class Failing(InputXGradient):
            def attribute(self, view):
                if self.network.head.weight.asnumpy().tobytes() != HEAD.tobytes():
                    raise ValueError("not with these weights")
                return super().attribute(view)

        network = TwoLayers()
        before = state(network)
        explainers = [Failing(network, "Failing"), InputXGradient(network)]
        failing, other = explained(viewed(network, explainers), explainers)
        metric = ModelParameterRandomization()
        with pytest.raises(ValueError, match="not with these weights"):
            metric.score(failing)
        assert np.isfinite(metric.score(other)).all()
        assert state(network) == before

    def test_a_layer_is_read_in_the_random_network_too(self, two_channels):
        network, needed = two_channels(), {}
        images = np.random.default_rng(4).normal(size=(2, 1, 2, 4)).astype(np.float32)
        explainers = [GradCAM(network, "relu"), Gradient(network)]
        view = viewed(network, explainers, images, labels=(0, 1, 1), fill=True)
        cam, _ = explained(view, explainers, needed)
        scores = ModelParameterRandomization("independent").score(cam)
        assert needed == {"differentiate": 2 * 3}
        assert (scores < 0.999).any()


def test_options_are_checked(raising):
    with raising(ValueError, "option-value-unknown", what="order", given="sideways"):
        ModelParameterRandomization("sideways")
    with raising(ValueError, "option-value-unknown", what="similarity", given="pearson"):
        SmoothMPRT(similarity="pearson")
    with raising(ValueError, "not-a-whole-number", name="layers", given=0):
        ModelParameterRandomization(layers=0)
    with raising(ValueError, "not-a-whole-number", name="bins", given=1):
        EfficientMPRT(bins=1)
    with raising(ValueError, "not-above-zero", name="radius", given=0):
        SmoothMPRT(radius=0)


def test_parts_are_cut_by_the_layers_that_there_are():
    network = TwoLayers()
    assert recomputations([ModelParameterRandomization()], network) == 3
    assert recomputations([ModelParameterRandomization(layers=2), EfficientMPRT()], network) == 2 + 1
    assert recomputations([SmoothMPRT(samples=5)], network) == (3 + 1) * 5


def test_half_precision_is_put_back_bit_for_bit(state):
    network = TwoLayers()
    for parameter in network.get_parameters():
        parameter.set_dtype(ms.bfloat16)
    before = {one.name: one.astype(ms.float32).asnumpy().tobytes() for one in network.get_parameters()}
    wrapped = Network(network)
    layers = (WeightLayer("hidden", ("hidden", "norm")), WeightLayer("head", ("head",)))
    with random_weights(wrapped, _generator) as weights:
        weights.of(layers)
        assert network.head.weight.dtype == ms.bfloat16
        assert network.head.weight.astype(ms.float32).asnumpy().tobytes() != before["head.weight"]
    assert {one.name: one.astype(ms.float32).asnumpy().tobytes() for one in network.get_parameters()} == before
    assert network.head.weight.dtype == ms.bfloat16
