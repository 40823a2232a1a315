"""Metrics that break a rule of the contract each, and are refused by its name."""

import numpy as np
import pytest
from mindspore import nn

from explainrun.benchmarks import CoveredImage, Covering, CurveMetric, CurvePoints, Metric
from explainrun.explainers import Gradient
from explainrun.testing import METRIC_RULES, ContractError, check_metric


class Sound(Metric):
    """The share of positive pixels: keeps to all rules, and is made without any argument."""

    def score(self, explanation):
        return np.where(explanation.rankable, (explanation.maps > 0).mean(axis=(1, 2)), np.nan)


class NameLost(Sound):
    def __init__(self, name=None):
        super().__init__()


class OtherLabels(Sound):
    def __init__(self, num_labels):
        super().__init__(num_labels + 1)


class SecretBoxes(Metric):
    def score(self, explanation):
        inside = np.where(explanation.masks, explanation.maps, 0.0).mean(axis=(1, 2))
        return np.where(explanation.rankable, inside, np.nan)


class OnlyWithBoxes(SecretBoxes):
    def score(self, explanation):
        return np.where(explanation.masks.any(axis=(1, 2)), super().score(explanation), np.nan)


class SecretPasses(Sound):
    needs_network = False

    def score(self, explanation):
        explanation.view.network.uniform_logits(0.0, explanation.view.images.shape[1:])
        return super().score(explanation)


class SecretExplainer(Sound):
    needs_network = False

    def score(self, explanation):
        return super().score(explanation) + len(getattr(explanation.explainer, "name", ""))


class OneNumber(Sound):
    def score(self, explanation):
        return super().score(explanation).mean(keepdims=True)


class Whole(Sound):
    def score(self, explanation):
        return np.ones(len(explanation.maps), int)


class Nothing(Sound):
    def score(self, explanation):
        return super().score(explanation) * np.nan


class Infinite(Sound):
    def score(self, explanation):
        scores = super().score(explanation)
        scores[0] = np.inf
        return scores


class OwnEvaluate(Sound):
    def evaluate(self, explainer, inputs, targets, saliency=None, mask=None):
        return super().evaluate(explainer, inputs, targets, saliency, mask).mean()


class NumbersForAnything(Metric):
    def score(self, explanation):
        return (explanation.maps > 0).mean(axis=(1, 2))


class GlobalNumbers(Sound):
    def score(self, explanation):
        return super().score(explanation) + np.random.random(len(explanation.maps))


class FreshNumbers(Sound):
    def score(self, explanation):
        return super().score(explanation) + np.random.default_rng().random(len(explanation.maps))


class BestSoFar(Sound):
    best = 0.0

    def score(self, explanation):
        scores = super().score(explanation) - self.best
        self.best = np.nanmax(explanation.maps)
        return scores


class OverTheBatch(Sound):
    def score(self, explanation):
        scores = super().score(explanation)
        return scores - scores.mean()


class Levels(CurveMetric):
    """Share of pixels above each of three levels: keeps to all rules."""

    curve_names = ("above",)

    def __init__(self, curves=False):
        super().__init__()
        self.keeps_curves = curves

    def curves(self, explanation):
        levels = np.array([0.0, 0.1, 0.2])
        heights = (explanation.maps[:, None] > levels[:, None, None]).mean(axis=(2, 3))
        found = zip(heights, explanation.rankable, strict=True)
        return [(CurvePoints(levels, mine),) if ordered else None for mine, ordered in found]

    def of_curves(self, *curves):
        return curves[0].area


class Forgetful(Levels):
    def __init__(self, curves=False):
        super().__init__()


class Insistent(Levels):
    def __init__(self, curves=True):
        super().__init__(True)


class Misnamed(Levels):
    curve_names = ("above", "below")


class Lessened(Levels):
    def scores_and_curves(self, explanation):
        scores, curves = super().scores_and_curves(explanation)
        return scores, curves[1:]


class OtherScores(Levels):
    def of_curves(self, *curves):
        return curves[0].area + self.keeps_curves


class Nowhere(Levels):
    def curves(self, explanation):
        found = super().curves(explanation)
        return [one and (CurvePoints(one[0].across * np.nan, one[0].heights),) for one in found]

    def of_curves(self, *curves):
        return curves[0].heights.mean()


class InPlace(Sound):
    def score(self, explanation):
        np.abs(explanation.maps, out=explanation.maps)
        return np.where(explanation.rankable, explanation.maps.mean(axis=(1, 2)), np.nan)


class SilentPasses(Sound):
    def score(self, explanation):
        explanation.view.network.pooled_logits(explanation.view.images)
        return super().score(explanation)


class CoversOthers(Sound):
    """Asks about another image than its covering says."""

    def __init__(self, activation_fn):
        super().__init__()
        self.activation_fn = activation_fn

    def covering(self, size):
        return Covering((CoveredImage(0, 4, 0.0),), self.activation_fn)

    def score(self, explanation):
        return explanation.probabilities(Covering((CoveredImage(0, 6, 0.0),), self.activation_fn))[:, 0]


class LeftInInference(Sound):
    def score(self, explanation):
        explanation.explainer.network.set_train(False)
        return super().score(explanation)


BROKEN = {
    "constructor": [NameLost, OtherLabels],
    "boxes": [SecretBoxes, OnlyWithBoxes],
    "network needed": [SecretPasses, SecretExplainer],
    "scores": [OneNumber, Whole, Nothing, Infinite],
    "direct call": [OwnEvaluate],
    "not finite": [NumbersForAnything],
    "random numbers": [GlobalNumbers, FreshNumbers],
    "no state": [BestSoFar],
    "neighbours": [OverTheBatch],
    "curves": [Forgetful, Insistent, Misnamed, Lessened, OtherScores, Nowhere],
    "shared arrays": [InPlace],
    "passes": [SilentPasses, CoversOthers],
    "network": [LeftInInference],
}


@pytest.mark.slow
@pytest.mark.parametrize(("rule", "kind"), [(rule, kind) for rule, kinds in BROKEN.items() for kind in kinds])
def test_a_broken_rule_is_named(rule, kind):
    with pytest.raises(ContractError) as caught:
        check_metric(kind)
    assert caught.value.rule == rule
    for part in (kind.__name__, repr(rule), caught.value.expected, caught.value.found, caught.value.fix):
        assert part in str(caught.value)


def test_every_rule_has_a_class_that_breaks_it():
    assert [rule.name for rule in METRIC_RULES] == list(BROKEN)


def test_one_that_keeps_to_all_of_them():
    check_metric(Sound)
    assert (Sound().num_labels, Sound(3).num_labels, Sound(name="other").name) == (None, 3, "other")


def test_one_that_keeps_its_curves():
    check_metric(Levels)


def test_one_that_says_that_it_needs_no_network_does_without():
    check_metric(type("OfMaps", (Sound,), {"needs_network": False}))


def test_one_that_says_that_it_needs_boxes_gets_masks():
    check_metric(type("OpenBoxes", (SecretBoxes,), {"needs_boxes": True}))


def test_an_error_that_has_nothing_to_do_with_masks_is_one_of_its_scores():
    class Fails(Sound):
        def score(self, explanation):
            raise KeyError("the weights")

    with pytest.raises(ContractError, match="KeyError: 'the weights'") as caught:
        check_metric(Fails)
    assert (caught.value.rule, type(caught.value.__cause__)) == ("scores", KeyError)


class Weighted(Sound):
    def __init__(self, num_labels, activation_fn, weight):
        super().__init__(num_labels)
        assert (num_labels, type(activation_fn)) == (4, nn.Softmax)
        self.weight = weight


def test_arguments_are_filled_in_by_their_names_and_others_asked_for():
    with pytest.raises(TypeError, match=r"Weighted needs weight; give it, as in weight=\.\.\."):
        check_metric(Weighted)
    check_metric(Weighted, weight=2.0)


@pytest.mark.parametrize("what", [Sound(), Gradient, "Sound"])
def test_other_things_are_refused(what):
    with pytest.raises(TypeError, match="must be a subclass of Metric, got"):
        check_metric(what)
