"""Runs of networks that return their logits among other things."""

import socket

import numpy as np
import pytest
from mindspore import nn

from explainrun.explainers import GradCAM, Gradient
from explainrun.runner import ImageClassificationRunner, PlanError, explain
from explainrun.summary_format import Results


class Heads(nn.Cell):
    """Logits, and twice those of the other class, of two channels."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def construct(self, x):
        logits = self.network(x)
        return {"main": logits, "aux": -2 * logits}


class Single(nn.Cell):
    """The main head alone, beside a loss."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def construct(self, x):
        logits = self.network(x)
        return logits, logits.sum()


@pytest.fixture
def runner(two_channels, dataset, tmp_path):
    """Makes runners of one network that has two heads."""
    cell = Heads(two_channels())

    def make(folder="run", cell=cell, names=("zero", "one"), activation=None, **options):
        rng = np.random.default_rng(0)
        rows = [(rng.normal(size=(1, 2, 4)).astype(np.float32), np.array([i % 2], np.int32)) for i in range(6)]
        data = dataset(rows), list(names)
        folder, activation = tmp_path / folder, activation or nn.Sigmoid()
        made = ImageClassificationRunner(folder, data, cell, activation, pass_size=4, **options)
        made.register_saliency([Gradient(cell), GradCAM(cell, "network.relu")])
        return made

    return make


def test_a_run_explains_the_output_that_is_chosen(runner, tmp_path):
    for output, jit in (("main", "off"), (1, "on")):
        runner(f"of {output}", output=output, jit=jit).run()
    main, aux = (Results(tmp_path / f"of {output}") for output in ("main", 1))
    np.testing.assert_allclose(aux.logits, -2 * main.logits, rtol=1e-5)
    pair = next(pair for pair in main.questions.tolist() if pair in aux.questions.tolist())
    first, second = (of.maps("Gradient")[of.questions.tolist().index(pair)] for of in (main, aux))
    np.testing.assert_allclose(second, 2 * first, rtol=1e-5)


def test_a_run_of_several_outputs_is_refused_before_anything_is_written(runner, tmp_path, raising):
    with raising(PlanError, "output-ambiguous", names=["main", "aux"]):
        runner().run()
    with raising(PlanError, "output-missing", output="third"):
        runner(output="third").run()
    assert not (tmp_path / "run").exists()


def picked(returned):
    return returned["aux"]


def other(returned):
    return returned["main"]


def test_the_output_is_part_of_the_plan(runner, raising):
    runner(output=picked).run(limit=4)
    assert runner(output=picked).run(limit=4).finished_before
    with raising(PlanError, "folder-holds-other-plan"):
        runner(output=other).run(limit=4)
    with raising(PlanError, "folder-holds-other-plan"):
        runner(output="aux").run(limit=4)


def test_a_run_stopped_after_its_first_batch_resumes_with_its_output(runner, kill, tmp_path):
    kill(lambda: runner(output="aux").run(), 0, 1)
    runner(output="aux").run()
    runner("whole", output="aux").run()
    np.testing.assert_array_equal(Results(tmp_path / "run").logits, Results(tmp_path / "whole").logits)


def test_an_output_that_cannot_be_described_is_refused(runner, raising):
    with socket.socket() as held, raising(PlanError, "not-recognisable", what="output"):
        runner(output=lambda returned: returned["aux"] if held else returned["main"]).run()


def test_what_is_alone_needs_no_choice(runner, two_channels, tmp_path):
    runner(cell=Single(two_channels())).run()
    assert Results(tmp_path / "run").logits.shape == (6, 2)


class OneLogit(nn.Cell):
    def __init__(self, network):
        super().__init__()
        self.network = network

    def construct(self, x):
        return self.network(x)[:, :1]


def test_both_classes_of_one_logit_are_explained(runner, two_channels, tmp_path):
    cell = OneLogit(two_channels())
    runner("one", cell=cell, names=["tumour"]).run()
    runner("two", cell=cell, names=["healthy", "tumour"]).run()
    one, two = Results(tmp_path / "one"), Results(tmp_path / "two")
    np.testing.assert_allclose(two.logits, np.concatenate([-one.logits, one.logits], axis=1), rtol=1e-6)
    np.testing.assert_allclose(two.probabilities[:, 1:], one.probabilities, rtol=1e-6)
    np.testing.assert_allclose(two.probabilities.sum(axis=1), 1, rtol=1e-6)
    assert {label for _, label in two.questions.tolist()} == {0, 1}


def test_pictures_are_explained_by_the_output_that_is_chosen(two_channels, raising):
    cell = Heads(two_channels())
    image = np.ones((1, 2, 4), np.float32)
    assert explain(cell, image, "Gradient", output="aux", activation_fn="sigmoid") is not None
    with raising(PlanError, "output-ambiguous", names=["main", "aux"]):
        explain(cell, image, "Gradient")
