"""What every registered metric keeps to. A new one is tested here by its row in the registry alone."""

from inspect import signature

import numpy as np
import pytest
from mindspore import nn

import explainrun.benchmarks
from explainrun.benchmarks import METRICS
from explainrun.explainers import Explainer, InputXGradient, Needs
from explainrun.runner import ImageClassificationRunner

OWN = [name for name in METRICS if METRICS[name].__module__.startswith("explainrun.")]
CLASSES, SIZE = 3, (4, 6)
# What constructors are given whose default does not fit so small an image, by the argument's name.
ARGUMENTS = {"num_labels": CLASSES, "tolerance": 2, "steps": 4, "samples": 2}


class Unfinished(Explainer):
    """A method whose maps hold a NaN."""

    needs = Needs.gradient()

    def attribute(self, view):
        maps = view.derivatives().input_gradient[:, 0].copy()
        maps[:, 1, 2] = np.nan
        return maps


def made(name):
    given = {**ARGUMENTS, "activation_fn": nn.Softmax()}
    parameters = signature(METRICS[name]).parameters
    return METRICS[name](**{key: value for key, value in given.items() if key in parameters})


@pytest.fixture
def rows():
    """Six samples of one label each, later ones of larger values; their boxes lie to one side."""
    images = np.random.default_rng(7).normal(0.4, 1.0, (6, 1, *SIZE)) * np.linspace(0.5, 1.5, 6)[:, None, None, None]
    return [(image, [place % CLASSES], [[2 * (place % CLASSES), 1, 2, 2]]) for place, image in enumerate(images)]


@pytest.fixture
def run(linear, dataset, tmp_path):
    """Runs one metric on some rows with a tiny network."""
    weights = np.random.default_rng(11).normal(0, 0.5, (CLASSES, 1, *SIZE))

    def result(name, rows, folder="run"):
        network = linear(weights)
        data = dataset([(np.float32(image), np.int32(labels), np.float32(boxes)) for image, labels, boxes in rows])
        names = [f"class {label}" for label in range(CLASSES)]
        runner = ImageClassificationRunner(
            tmp_path / folder, (data, names), network, nn.Softmax(), pass_size=4, jit="off"
        )
        runner.register_saliency([InputXGradient(network), Unfinished(network)], [made(name)])
        return runner.run()

    return result


@pytest.mark.parametrize("name", OWN)
class TestContract:
    def test_run(self, name, run, rows):
        """Scores are numbers, or NaN for maps that are not; and the covered images asked about are those announced."""
        result = run(name, rows)
        scored, unfinished = (result.scores.aggregate(explainer, name) for explainer in result.scores.explainers)
        assert scored.count > 0
        assert np.isfinite(scored.mean)
        assert (unfinished.count, unfinished.unscored) == (0, result.questions)
        assert result.costs["made"] == result.costs["needed"]

    def test_the_same_again_and_beside_fewer(self, name, run, rows):
        """Bit by bit: a score depends on its own image alone."""
        scores = run(name, rows).scores.column(name)
        assert np.array_equal(run(name, rows, "again").scores.column(name), scores, equal_nan=True)
        fewer = run(name, rows[:2], "fewer").scores.column(name)
        assert np.array_equal(fewer, scores[: len(fewer)], equal_nan=True)

    def test_documented(self, name, repository):
        assert f"| `{name}(" in (repository / "README.md").read_text("utf-8")
        assert METRICS[name].__doc__.split("\n")[0].endswith((".", ":", ";"))


def test_every_registered_metric_is_exported():
    assert set(OWN) <= set(explainrun.benchmarks.__all__)
