"""What every registered explainer keeps to. A new one is tested here by its row in the registry alone."""

import re
from collections import Counter
from contextlib import suppress
from inspect import signature

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn

import explainrun.explainers
from explainrun.explainers import EXPLAINERS, Explainer, Gradient, Network, OoDNet, View
from explainrun.explainers.core.explainer import attribute_together

SHAPE, CLASSES, PASS = (3, 12, 16), 4, 4
OWN = [name for name in EXPLAINERS if EXPLAINERS[name].__module__.startswith("explainrun.")]
# What constructors without a default, or with an expensive one, are given, by the argument's name.
ARGUMENTS = {
    "layer": "features",
    "num_masks": 6,
    "grid": 3,
    "num_samples": 14,
    "segmentation": lambda image: np.add.outer(2 * (np.arange(len(image)) > 4), np.arange(image.shape[1]) > 9),
    "steps": 3,
    "nt_samples": 2,
    "window": (5, 4),
}


class NetworkError(RuntimeError):
    """What the network raises when it is told to."""


class Classifier(nn.Cell):
    """Two convolutions, mean pooling, one dense layer; can be told to fail at a call, before or behind layers."""

    num_features = 6

    def __init__(self):
        super().__init__()
        rng = np.random.default_rng(5)
        self.first, self.second = nn.Conv2d(3, 5, 3, has_bias=True), nn.Conv2d(5, 6, 3, stride=2, has_bias=True)
        self.norm = nn.BatchNorm2d(5)
        self.relu, self.features, self.dropout = nn.ReLU(), nn.ReLU(), nn.Dropout(p=0.2)
        self.head = nn.Dense(6, CLASSES)
        for parameter in self.trainable_params():
            parameter.set_data(Tensor(rng.normal(0, 0.4, parameter.shape).astype(np.float32)))
        self.output_features, self.calls, self.fails_at, self.fails_behind = False, 0, None, None

    def construct(self, x):
        self.calls += 1
        if self.calls == self.fails_at:
            raise NetworkError
        x = self.features(self.second(self.relu(self.norm(self.first(x)))))
        if self.calls == self.fails_behind:
            raise NetworkError
        x = x.mean((2, 3))
        return x if self.output_features else self.head(self.dropout(x))


def made(name, network) -> Explainer:
    """The explainer of that name on a network, its arguments matched by their names."""
    given = {**ARGUMENTS, "network": network, "activation_fn": nn.Softmax()}
    parameters = signature(EXPLAINERS[name]).parameters
    if "explainer" in parameters:
        given["explainer"] = Gradient(network)
    if "ood_net" in parameters:
        given["ood_net"] = ood_net(network)
    return EXPLAINERS[name](**{key: value for key, value in given.items() if key in parameters})


def ood_net(network):
    """One whose score is largest for untouched images, so that RISEPlus has maps."""
    rng = np.random.default_rng(0)
    detector = OoDNet(network, CLASSES)
    for parameter in detector.trainable_params():
        parameter.set_data(Tensor(rng.normal(0, 0.3, parameter.shape).astype(np.float32)))
    detector.ood_head.norm.moving_mean.set_data(Tensor(np.ones(1, np.float32)))  # that of a new head has seen nothing
    assert detector.trained
    return detector


def names_a_year(text):
    """Whether a year of the 20th or 21st century stands in a text, by itself."""
    return re.search(r"\b(19|20)\d\d\b(?!\.\d)", text) is not None


@pytest.fixture
def images():
    """Five of them, which nobody may write to."""
    drawn = np.random.default_rng(3).normal(0.5, 1.0, (5, *SHAPE)).astype(np.float32)
    drawn.setflags(write=False)
    return drawn


ROWS, LABELS = np.array([0, 0, 1, 2, 3, 3, 4]), np.array([1, 3, 0, 2, 2, 0, 3])


def viewed(explainer, images, rows=ROWS, labels=LABELS, ids=None, seed=0):
    """A view as a run makes it: full passes, the logits known."""
    network = Network(explainer.network, PASS, fill=True)
    logits = Network(explainer.network, PASS, fill=True).logits(images)
    ids = np.arange(len(images)) if ids is None else ids
    return View(network, images, rows, labels, needs=explainer.needs, sample_ids=ids, seed=seed, logits=logits)


def maps_of(explainer, view):
    found, refused = attribute_together([explainer], view)
    assert not refused
    return found[explainer.name].maps


@pytest.mark.parametrize("name", OWN)
class TestContract:
    def test_shape_type_and_range(self, name, images):
        explainer = made(name, Classifier())
        labels = np.array([[1, 3], [0, 2], [2, 2], [3, 0], [1, 0]])
        maps = explainer(Tensor(images), Tensor(labels, ms.int32), show=False)
        assert maps.shape == (5, 2, *SHAPE[1:])
        assert maps.dtype == ms.float32
        assert np.isfinite(maps.asnumpy()).all()
        assert np.array_equal(maps.asnumpy()[2, 0], maps.asnumpy()[2, 1])  # a label asked twice
        assert (np.ptp(maps.asnumpy(), axis=(2, 3)).max() > 0) == (name != "ConstantMap")
        assert explainer(Tensor(images[:2]), 1, show=False).shape == (2, 1, *SHAPE[1:])

    def test_deterministic_under_the_seed(self, name, images):
        explainer = made(name, Classifier())
        first, again = (maps_of(explainer, viewed(explainer, images, seed=4)) for _ in range(2))
        assert np.array_equal(first, again)

    def test_one_by_one_in_any_order_and_beside_other_labels(self, name, images):
        """Bit by bit, with the samples' own ids."""
        explainer, ids = made(name, Classifier()), np.array([7, 3, 9, 11, 20])
        together = maps_of(explainer, viewed(explainer, images, ids=ids))
        for place, (row, label) in enumerate(zip(ROWS, LABELS, strict=True)):
            alone = viewed(explainer, images[[row]], np.array([0]), np.array([label]), ids[[row]])
            assert np.array_equal(maps_of(explainer, alone)[0], together[place])
        order = np.random.default_rng(1).permutation(len(ROWS))
        shuffled = viewed(explainer, images, ROWS[order], LABELS[order], ids)
        assert np.array_equal(maps_of(explainer, shuffled), together[order])

    def test_passes_made_are_those_needed(self, name, images):
        explainer = made(name, Classifier())
        view, needed = viewed(explainer, images), Counter()
        kinds = {"plain": "differentiate"}
        for rule in explainer.needs.layers:
            needed[kinds.get(rule, rule)] += -(-len(ROWS) // PASS)
        if explainer.needs.outputs:
            needed["activate"] += -(-len(images) // PASS)
        for kind, count in explainer.images_needed_for(view).items():
            needed[kind] += -(-count // PASS)
        found, _ = attribute_together([explainer], view)
        assert len(found) == 1
        assert view.network.passes.made == needed
        assert bool(view.network.passes.made) != explainer.control  # controls do not look at the network

    def test_network_is_left_as_it_was_found(self, name, images, state):
        network = Classifier()
        network.set_train(True)
        network.head.set_train(False)
        network.first.weight.requires_grad = False
        explainer = made(name, network)
        network(Tensor(images))
        before = state(network)
        explainer(Tensor(images), 1, show=False)
        assert state(network) == before
        after = network.calls
        for fails_at, fails_behind in ((1, None), (None, 1), (2, None), (None, 3)):
            network.fails_at, network.fails_behind = after + (fails_at or -1), after + (fails_behind or -1)
            with suppress(NetworkError):  # not every explainer calls it so often
                explainer(Tensor(images), 1, show=False)
            assert state(network) == before
            assert fails_at != 1 or network.calls == after + 1
            network.calls = after

    def test_label_that_does_not_exist(self, name, images):
        network = Classifier()
        with pytest.raises(ValueError, match=r"0\.\.3|4|7"):
            made(name, network)(Tensor(images[:1]), 7, show=False)

    def test_other_networks_are_refused(self, name):
        with pytest.raises(TypeError):
            made(name, "resnet50")

    def test_documented(self, name, repository):
        assert f"`{name}(" in (repository / "README.md").read_text("utf-8")
        text = EXPLAINERS[name].__doc__
        assert text.split("\n")[0].endswith((".", ":", ";"))
        assert names_a_year(text)  # the paper's


@pytest.mark.parametrize("text", ["Roberts (1963).", "A paper of 1951, on chance.", "Somebody et al. 2027"])
def test_a_year_is_a_year_whichever_century(text):
    assert names_a_year(text)


@pytest.mark.parametrize("text", ["", "20180 masks", "size (1, 1024)", "arXiv 2007.14000", "layer2018"])
def test_other_numbers_are_no_years(text):
    assert not names_a_year(text)


def test_every_registered_explainer_is_exported():
    assert set(OWN) <= set(explainrun.explainers.__all__)
