"""Arguments that are nearly right: ragged targets, the variance of one copy, concepts of one place, names."""

import enum

import numpy as np
import pytest
from mindspore import Tensor, nn

from explainrun.benchmarks import InsertionAUC
from explainrun.explainers import DeepFeatureFactorization, GradCAM, Gradient, IntegratedGradients, NoiseTunnel


class Name(str, enum.Enum):
    PLAIN = "plain"


def objects(*rows):
    made = np.empty(len(rows), object)
    made[:] = rows
    return made


RAGGED = [[[0, 1], [1]], ([0], [0, 1]), objects([0, 1], [1]), [Tensor([0, 1]), Tensor([1])], [0, [1]]]


@pytest.mark.parametrize("targets", RAGGED, ids=repr)
def test_targets_of_several_lengths_are_refused_before_a_pass(two_channels, raising, monkeypatch, targets):
    network = two_channels()
    monkeypatch.setattr(type(network), "construct", None)
    images = Tensor(np.concatenate([network.IMAGE] * 2))
    calls = (
        Gradient(network), GradCAM(network).layer_maps, IntegratedGradients(network).completeness_error,
        lambda *given: InsertionAUC(2, nn.Sigmoid()).evaluate(GradCAM(network), *given),
    )  # fmt: skip
    for call in calls:
        with raising(ValueError, "targets-shape", images=2, given="rows of different lengths"):
            call(images, targets)


@pytest.mark.parametrize(
    ("targets", "what"), [(np.array([0, 1], object), "ndarray of objects"), (2**70, "one of more than 64 bits"),
                          ((one for one in (0, 1)), "generator"), (np.array([True, False]), "bool")],
)  # fmt: skip
def test_targets_that_are_no_integers(two_channels, raising, targets, what):
    network = two_channels()
    with raising(TypeError, "targets-not-integers", what=what):
        Gradient(network)(Tensor(np.concatenate([network.IMAGE] * 2)), targets)


def test_the_variance_of_one_copy(two_channels, raising):
    explainer = Gradient(two_channels())
    for number in (1, np.int64(1)):
        with raising(ValueError, "variance-of-one", least=2, given=1):
            NoiseTunnel(explainer, "vargrad", number)
    assert NoiseTunnel(explainer, "vargrad", np.int64(2)).nt_samples == 2
    assert NoiseTunnel(explainer, nt_samples=1).nt_samples == 1


class OnePlace(nn.Cell):
    """Pools its images to one place."""

    def __init__(self):
        super().__init__()
        self.pool, self.flatten, self.head = nn.AvgPool2d((2, 4)), nn.Flatten(), nn.Dense(1, 2)

    def construct(self, x):
        return self.head(self.flatten(self.pool(x)))


def test_concepts_of_one_place(two_channels, raising):
    explainer = DeepFeatureFactorization(OnePlace(), "pool", n_components=1)
    for call in (lambda images: explainer(images, 0), explainer.factorize):
        with raising(ValueError, "layer-of-one-place", layer="pool", shape=(1, 1, 1, 1)):
            call(Tensor(two_channels.IMAGE))


def test_names_are_plain_texts(two_channels, raising):
    network = two_channels()
    for make in (lambda name: Gradient(network, name=name), lambda name: InsertionAUC(2, nn.Sigmoid(), name=name)):
        assert [type(make(name).name) for name in (np.str_("a"), Name.PLAIN)] == [str, str]
        assert make(Name.PLAIN).name == "plain"
        with raising(TypeError, "not-a-text", name="name", kind="bytes"):
            make(b"a")
