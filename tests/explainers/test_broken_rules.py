"""Explainers that break a rule of the contract each, and are refused by its name."""

import numpy as np
import pytest
from mindspore import Tensor, nn

from explainrun.explainers import Explainer, Gradient, Needs, NoiseTunnel
from explainrun.testing import EXPLAINER_RULES, ContractError, OfNetwork, TinyClassifier, check_explainer


class Sound(Explainer):
    """The summed gradient: keeps to all rules."""

    needs = Needs.gradient()

    def attribute(self, view):
        return view.derivatives().input_gradient.sum(axis=1)


class NameLost(Sound):
    def __init__(self, network, name=None):
        super().__init__(network)


class AnyNetwork(Sound):
    def __init__(self, network):
        self.network, self.name, self._automatic = network, "AnyNetwork", {}


class MapOfImages(Sound):
    def attribute(self, view):
        return view.images.sum(axis=1)


class SmallMaps(Sound):
    def attribute(self, view):
        return super().attribute(view)[:, ::2, ::2]


class NotANumber(Sound):
    def attribute(self, view):
        maps = super().attribute(view)
        return maps / np.where(maps > maps.mean(), maps, 0) * 0


class Flat(Sound):
    def attribute(self, view):
        return super().attribute(view) * 0 + 1


class SaysNeverNegative(Sound):
    signed = False


class ReturnsAList(Sound):
    def attribute(self, view):
        return list(super().attribute(view))


class OwnCall(Sound):
    def __call__(self, inputs, targets, ret="tensor", show=None):
        return super().__call__(inputs, targets, ret, show)[:, 0]


class AnyLabel(Explainer):
    def attribute(self, view):
        return view.asked_images.sum(axis=1) * view.logits[view.rows].mean(axis=1)[:, None, None]


class LabelByIndex(AnyLabel):
    def attribute(self, view):
        return view.asked_images.sum(axis=1) * view.logits[view.rows, view.labels][:, None, None]


class GlobalNumbers(Sound):
    def attribute(self, view):
        return super().attribute(view) + np.random.normal(size=(len(view.rows), *view.size))


class SeedsGlobally(Sound):
    def attribute(self, view):
        np.random.seed(0)
        return super().attribute(view)


class FreshNumbers(Sound):
    def attribute(self, view):
        return super().attribute(view) + np.random.default_rng().normal(size=(len(view.rows), *view.size))


class Counting(Sound):
    calls = 0

    def attribute(self, view):
        self.calls += 1
        return super().attribute(view) * self.calls


class OwnGenerator(Sound):
    def __init__(self, network):
        super().__init__(network)
        self.generator = np.random.default_rng(0)

    def attribute(self, view):
        return super().attribute(view) + self.generator.normal(size=(len(view.rows), *view.size))


class OverTheBatch(Sound):
    def attribute(self, view):
        maps = super().attribute(view)
        return maps - maps.mean()


class SameNumbersByPlace(Sound):
    """Seeds a generator of its own, so that what an image gets depends on where it stands."""

    def attribute(self, view):
        return super().attribute(view) + np.random.default_rng(0).normal(size=(len(view.rows), *view.size))


class ByLabel(Sound):
    """Differentiates the label's logit, whatever is asked about."""

    needs, contrastable = Needs(), True

    def attribute(self, view):
        return view.network.differentiate(view.asked_images, view.labels, kind="own").input_gradient.sum(axis=1)

    def images_needed(self, images, questions, shape):
        return {"own": questions}


class WithAConstant(Sound):
    """As is right, but for what it adds where a sum of logits is asked about."""

    contrastable = True

    def attribute(self, view):
        return super().attribute(view) + (view.targets is not view.labels)


class InPlace(Sound):
    def attribute(self, view):
        gradient = view.derivatives().input_gradient
        return np.abs(gradient, out=gradient).sum(axis=1)


class SilentPasses(Sound):
    def attribute(self, view):
        view.network.pooled_logits(view.images, "more")
        return super().attribute(view)


class TooManyAnnounced(Sound):
    def images_needed(self, images, questions, shape):
        return {"more": questions}


class SecretControl(Explainer):
    def attribute(self, view):
        assert view.labels.max() < 4 or self.refuse()
        return view.asked_images.sum(axis=1)

    def refuse(self):
        raise ValueError("label out of 0..3")


class LooksAllTheSame(Sound):
    control = True


class LeftInInference(Sound):
    def attribute(self, view):
        maps = super().attribute(view)
        self.network.norm.set_train(False)
        return maps


class LeftTraining(Sound):
    def attribute(self, view):
        maps = super().attribute(view)
        self.network.set_train(True)
        return maps


class Freezes(Sound):
    def __init__(self, network):
        super().__init__(network)
        for parameter in network.get_parameters():
            parameter.requires_grad = False


class CatchesAll(Sound):
    def attribute(self, view):
        try:
            return super().attribute(view)
        except RuntimeError:
            return np.zeros((len(view.rows), *view.size), np.float32)


BROKEN = {
    "constructor": [NameLost, AnyNetwork],
    "maps": [MapOfImages, SmallMaps, NotANumber, Flat, SaysNeverNegative, ReturnsAList],
    "direct call": [OwnCall],
    "labels": [AnyLabel, LabelByIndex],
    "random numbers": [GlobalNumbers, SeedsGlobally, FreshNumbers],
    "no state": [Counting, OwnGenerator],
    "neighbours": [OverTheBatch, SameNumbersByPlace],
    "contrast": [ByLabel, WithAConstant],
    "shared arrays": [InPlace],
    "passes": [SilentPasses, TooManyAnnounced],
    "control": [SecretControl, LooksAllTheSame],
    "network": [LeftInInference, LeftTraining, Freezes],
    "failures": [CatchesAll],
}


@pytest.mark.parametrize(("rule", "kind"), [(rule, kind) for rule, kinds in BROKEN.items() for kind in kinds])
def test_a_broken_rule_is_named(rule, kind):
    with pytest.raises(ContractError) as caught:
        check_explainer(kind)
    assert caught.value.rule == rule
    for part in (kind.__name__, repr(rule), caught.value.expected, caught.value.found, caught.value.fix):
        assert part in str(caught.value)


def test_every_rule_has_a_class_that_breaks_it():
    assert [rule.name for rule in EXPLAINER_RULES] == list(BROKEN)


def test_one_that_keeps_to_all_of_them():
    check_explainer(Sound)


def test_an_error_that_nobody_expects_is_named_and_kept():
    class Fails(Sound):
        def attribute(self, view):
            raise KeyError("the weights")

    with pytest.raises(ContractError, match="KeyError: 'the weights'") as caught:
        check_explainer(Fails)
    assert (caught.value.rule, type(caught.value.__cause__)) == ("maps", KeyError)


class Weighted(Sound):
    def __init__(self, network, activation_fn, weights, layer, num_labels, *, power=1.0):
        super().__init__(network)
        assert (type(activation_fn), layer, num_labels) == (nn.Softmax, "features", 4)
        self.weights, self.power = weights, power

    def attribute(self, view):
        return super().attribute(view) * self.weights**self.power


def test_arguments_are_filled_in_by_their_names_and_others_asked_for():
    with pytest.raises(TypeError, match=r"Weighted needs weights; give it, as in weights=\.\.\."):
        check_explainer(Weighted)
    check_explainer(Weighted, weights=2.0)
    check_explainer(Weighted, weights=2.0, power=2.0)


@pytest.mark.parametrize("what", [Sound(TinyClassifier()), "Sound", dict])
def test_other_things_are_refused(what):
    with pytest.raises(TypeError, match="must be a subclass of Explainer, got"):
        check_explainer(what)


def test_an_argument_may_belong_to_the_network():
    check_explainer(NoiseTunnel, explainer=OfNetwork(Gradient), nt_samples=2)


class Square(nn.Cell):
    """Two classes from images (N, 1, 2, 4) alone."""

    def __init__(self):
        super().__init__()
        self.flatten, self.head = nn.Flatten(), nn.Dense(8, 2)

    def construct(self, x):
        return self.head(self.flatten(x) ** 2)


def test_a_network_and_images_of_their_own(state):
    network, images = Square(), np.arange(24, dtype=np.float32).reshape(3, 1, 2, 4) - 7
    network(Tensor(images))
    before = state(network)
    check_explainer(Sound, network=network, images=images)
    with pytest.raises(ContractError, match="'no state'"):
        check_explainer(Counting, network=network, images=images)
    assert state(network) == before
