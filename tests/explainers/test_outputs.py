"""Networks that return their logits among other things."""

from collections import OrderedDict, namedtuple
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from mindspore import Tensor, nn

from explainrun.benchmarks import ClassSensitivity
from explainrun.explainers import (
    Gradient,
    IntegratedGradients,
    Network,
    both_classes,
)
from explainrun.explainers.network import layer_outputs, logits_from, probe

IMAGES = np.arange(2 * 6, dtype=np.float32).reshape(2, 1, 2, 3) / 10
WEIGHTS = np.array([[1, 0, 0, 0, 0, 2], [0, -1, 0, 3, 0, 0], [0, 0, 1, 0, 1, 0]], np.float32)
LOGITS = IMAGES.reshape(2, 6) @ WEIGHTS.T  # ((1.0, 0.8, 0.6), (2.8, 2.0, 1.8))

Pair = namedtuple("Pair", ["features", "scores"])


@dataclass
class Answer:
    loss: Any
    scores: Any


def in_tuple(logits, counts):
    return counts, logits


def in_list(logits, counts):
    return [logits, counts]


def in_dict(logits, counts):
    return {"counts": counts, "scores": logits}


def in_named_tuple(logits, counts):
    return Pair(counts, logits)


def in_data_class(logits, counts):
    return Answer(counts, logits)


def nested(logits, counts):
    return {"heads": [(counts, {"scores": logits})]}


def in_attributes(logits, counts):
    return SimpleNamespace(counts=counts, scores=logits)


def in_ordered_dict(logits, counts):
    return OrderedDict(counts=counts, scores=logits)


COMPILED = [in_tuple, in_list, in_dict, in_named_tuple, in_data_class, nested]
WAYS = [*COMPILED, in_attributes, in_ordered_dict]


class Returning(nn.Cell):
    """Logits of a dense layer, returned in some way beside their sum and the labels (N, 1)."""

    def __init__(self, way):
        super().__init__()
        self.flat, self.head, self.way = nn.Flatten(), nn.Dense(6, 3, Tensor(WEIGHTS), has_bias=False), way

    def construct(self, x):
        logits = self.head(self.flat(x))
        labels = logits.argmax(1).reshape(-1, 1)
        return self.way(logits, {"sum": logits.sum(), "labels": labels})


def two(logits, _counts):
    return {"main": logits, "aux": -logits}


@pytest.mark.parametrize("way", WAYS)
def test_the_only_output_that_may_be_logits_is_taken(way):
    np.testing.assert_allclose(Network(Returning(way)).logits(IMAGES), LOGITS, rtol=1e-6)


@pytest.mark.parametrize("way", WAYS)
def test_every_pass_takes_the_same_output(way):
    """Inference, gradients, a layer read and changed, dropout, the probe, and compiled passes."""
    cell = Returning(way)
    network = Network(cell, 4, fill=True)
    found = network.differentiate(IMAGES, np.array([0, 1]), ["head"])
    np.testing.assert_allclose(found.logits, LOGITS, rtol=1e-6)
    np.testing.assert_array_equal(found.input_gradient.reshape(2, 6), WEIGHTS[:2])
    np.testing.assert_allclose(layer_outputs(network, IMAGES, ["head"])["head"], LOGITS, rtol=1e-6)
    [changed] = logits_from(network, "head", [(IMAGES[0], np.float32([7, 8, 9]))], "concept")
    np.testing.assert_array_equal(changed, [[7, 8, 9]])
    np.testing.assert_allclose(probe(network, IMAGES, nn.Softmax()).answers.logits[2:], LOGITS, rtol=1e-5)
    network.prepare_dropout(IMAGES, 3)
    generators = [[np.random.default_rng((row, sample)) for sample in range(3)] for row in range(2)]
    assert network.dropout.shared
    assert network.dropout_logits(IMAGES, generators).shape == (3, 2, 3)


@pytest.mark.parametrize("way", COMPILED)
def test_compiled_passes_take_the_same_output(way):
    network = Network(Returning(way))
    network.compile(IMAGES)
    np.testing.assert_allclose(network.logits(IMAGES), LOGITS, rtol=1e-5)


@pytest.mark.parametrize(
    ("output", "sign"),
    [("main", 1), ("aux", -1), (0, 1), (1, -1), (-1, -1), (lambda said: said["aux"] * 2, -2)],
)
def test_an_index_a_key_or_a_function_picks_one_of_several(output, sign):
    network = Network(Returning(two), output=output)
    np.testing.assert_allclose(network.logits(IMAGES), sign * LOGITS, rtol=1e-6)
    gradient = network.differentiate(IMAGES, np.array([0, 1])).input_gradient
    np.testing.assert_array_equal(gradient.reshape(2, 6), sign * WEIGHTS[:2])


def test_dots_lead_further_in():
    cell = Returning(lambda logits, _: {"heads": [logits, -logits], "a.b": 2 * logits})
    for output, factor in (("heads.0", 1), ("heads.1", -1), ("a.b", 2)):
        np.testing.assert_allclose(Network(cell, output=output).logits(IMAGES), factor * LOGITS, rtol=1e-6)


def test_several_are_refused_by_their_names(raising):
    with raising(ValueError, "output-ambiguous", names=["main", "aux"]):
        Network(Returning(two)).logits(IMAGES)
    with raising(ValueError, "output-ambiguous", names=["0.x", "1"]):
        Gradient(Returning(lambda logits, _: ({"x": logits}, logits)))(Tensor(IMAGES), 0)
    with raising(ValueError, "output-ambiguous", names=["heads.0", "heads.1"]):
        Network(Returning(lambda logits, _: {"heads": [logits, logits]}), output="heads").logits(IMAGES)


@pytest.mark.parametrize("output", ["main2", 2, -3, "main.0"])
def test_an_output_that_there_is_not_is_refused(output, raising):
    with raising(ValueError, "output-missing", output=output, returned="dict of main (2, 3), aux (2, 3)"):
        Network(Returning(two), output=output).logits(IMAGES)


@pytest.mark.parametrize(
    ("way", "returned"),
    [
        (lambda logits, _: (logits[:, 0], logits.sum()), "tuple of 0 (2,), 1 ()"),
        (lambda _, counts: counts["labels"], "shape (2, 1) of int64"),
        (lambda logits, _: logits.mean(0, keep_dims=True), "shape (1, 3) for 2 images"),
        (lambda logits, _: "text", "str"),
        (lambda logits, _: None, "NoneType"),
        (lambda logits, _: {}, "dict"),
    ],
)
def test_nothing_that_may_be_logits_is_refused(way, returned, raising):
    with raising(ValueError, "output-no-logits", returned=returned):
        Network(Returning(way)).logits(IMAGES)


@pytest.mark.parametrize("output", [True, 1.5, ["main"]])
def test_what_picks_nothing_is_refused(output, raising):
    with raising(ValueError, "output-unknown", given=output):
        Gradient(Returning(two))(Tensor(IMAGES), 0, output=output)


def test_an_object_that_holds_itself():
    def way(logits, _):
        held = SimpleNamespace(scores=logits)
        held.itself = held
        return held

    np.testing.assert_allclose(Network(Returning(way)).logits(IMAGES), LOGITS, rtol=1e-6)


def test_direct_calls_take_an_output():
    cell, images = Returning(two), Tensor(IMAGES)
    for output, sign in (("main", 1), ("aux", -1)):
        maps = Gradient(cell)(images, 1, output=output)
        np.testing.assert_array_equal(maps.asnumpy()[0, 0], np.abs(WEIGHTS[1].reshape(2, 3)))
        completed, _ = IntegratedGradients(cell, steps=4).completeness_error(images, 1, output=output)
        np.testing.assert_allclose(completed.asnumpy()[0, 0], sign * (WEIGHTS[1] * IMAGES[0].ravel()).reshape(2, 3))
        score = ClassSensitivity().evaluate(Gradient(cell), images, output=output)
        assert np.isfinite(score).all()


def test_one_logit_of_two_classes():
    """Sigmoids of (-z, z) are 1 - p and p."""
    cell = Returning(lambda logits, _: logits[:, :1])
    for network in (Network(cell, output=both_classes), Network(cell, classes=2)):
        found = network.logits(IMAGES)
        np.testing.assert_allclose(found, np.stack([-LOGITS[:, 0], LOGITS[:, 0]], axis=1), rtol=1e-6)
        probabilities = network.activated(found, nn.Sigmoid())
        np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)
        gradients = network.differentiate(IMAGES, np.array([0, 1])).input_gradient
        np.testing.assert_array_equal(gradients.reshape(2, 6), [-WEIGHTS[0], WEIGHTS[0]])
    assert Network(cell, classes=1).logits(IMAGES).shape == (2, 1)
    assert Network(Returning(two), output=0, classes=2).logits(IMAGES).shape == (2, 3)
