"""What a run and a config make of explainers that know their error, hold another one, or take functions."""

from functools import partial

import h5py
import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn

from explainrun.explainers import EXPLAINERS, GradCAM, Gradient, InputXGradient, IntegratedGradients, NoiseTunnel
from explainrun.runner import PlanError
from explainrun.runner.config.build import build_runner
from explainrun.runner.config.schema import load_config
from explainrun.summary_format import Results


class Cubes(nn.Cell):
    """Logits are weighed sums of cubes, whose integrated gradients one step misses by a quarter."""

    WEIGHTS = np.array([[[1, 2, 3, 0], [-1, 0, 1, 2]], [[2, 0, 1, 1], [1, -3, 0.5, 1]]], np.float32)

    def construct(self, x):
        return (x.reshape(len(x), 8) ** 3) @ Tensor(self.WEIGHTS.reshape(2, 8).T)


def test_the_archive_keeps_the_completeness_error_of_every_question(make_runner, scenes, tmp_path):
    network = Cubes()
    runner = make_runner(explainers=[IntegratedGradients(network, steps=1), Gradient(network)])
    result = runner.run()
    results = Results(tmp_path / "run")
    images = np.stack([image for image, *_ in scenes(6)])
    rows, labels = results.questions.T
    expected = -(Cubes.WEIGHTS[labels] * images[rows, 0] ** 3).sum(axis=(1, 2)) / 4
    np.testing.assert_allclose(results.errors("IntegratedGradients"), expected, atol=1e-4)
    assert np.isnan(results.errors("Gradient")).all()
    told = f"IntegratedGradients misses completeness by {np.abs(expected).mean():.2g} of a logit"
    assert told in result.summary_line()
    with h5py.File(next((tmp_path / "run").glob("*/results.h5"))) as file:
        np.testing.assert_allclose(file["explainers/IntegratedGradients/error"][:], expected, atol=1e-4)


def told(runner):
    return runner.plan().described.explainers


def cut(tokens, by):
    return tokens[:, by:]


class Cut:
    def __init__(self, by):
        self.by = by

    def __call__(self, tokens):
        return tokens[:, self.by :]


def cutting(by):
    def cut_by(tokens, *, by=by):
        return tokens[:, by:]

    return cut_by


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (lambda net: NoiseTunnel(Gradient(net)), lambda net: NoiseTunnel(InputXGradient(net))),
        (lambda net: NoiseTunnel(Gradient(net)), lambda net: NoiseTunnel(Gradient(net, loss=True))),
        (lambda net: NoiseTunnel(Gradient(net)), lambda net: NoiseTunnel(Gradient(net), "vargrad")),
        (lambda net: GradCAM(net, "relu"), lambda net: GradCAM(net, "relu", reshape=lambda tokens: tokens)),
        (lambda net: GradCAM(net, reshape=lambda of: of[:1]), lambda net: GradCAM(net, reshape=lambda of: of[1:])),
        (lambda net: GradCAM(net, reshape=partial(cut, by=1)), lambda net: GradCAM(net, reshape=partial(cut, by=2))),
        (lambda net: GradCAM(net, reshape=Cut(1)), lambda net: GradCAM(net, reshape=Cut(2))),
        (lambda net: GradCAM(net, reshape=cutting(1)), lambda net: GradCAM(net, reshape=cutting(2))),
        (IntegratedGradients, lambda net: IntegratedGradients(net, baselines=[0.0, 1.0])),
    ],
)
def test_plans_that_differ_in_an_option_are_told_apart(make_runner, two_channels, one, other):
    network = two_channels()
    assert told(make_runner(explainers=[one(network)])) == told(make_runner(explainers=[one(network)]))
    assert told(make_runner(explainers=[one(network)])) != told(make_runner(explainers=[other(network)]))


def configured(repository, tmp_path, *explainers):
    """The runner of the quickstart's config with other explainers."""
    path = repository / "configs" / "quickstart.yaml"
    loaded, problems = load_config(
        path, {"explainers": list(explainers), "limit": 1, "metrics": [], "summary_dir": str(tmp_path / "run")}
    )
    return build_runner(loaded, problems, path.parent)


def test_an_explainer_around_another_in_a_config(repository, tmp_path):
    inner = {"IntegratedGradients": {"steps": 3, "baselines": ["blur", 0.5]}}
    around = {"NoiseTunnel": {"explainer": inner, "nt_samples": 2}}
    runner = configured(repository, tmp_path, around, {"NoiseTunnel": {"explainer": "Gradient", "name": "SmoothGrad"}})
    around, plain = runner.plan().explainers
    assert (around.name, around.nt_samples, around.explainer.steps) == ("NoiseTunnel", 2, 3)
    assert around.explainer.baselines == ("blur", 0.5)
    assert around.network is around.explainer.network is runner.plan().network
    assert (plain.name, type(plain.explainer)) == ("SmoothGrad", Gradient)
    assert runner.plan().described.explainers["NoiseTunnel"]["explainer"]["baselines"] == ["blur", 0.5]


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"NoiseTunnel": {}}, "explainers[0]: NoiseTunnel needs the option 'explainer'"),
        ({"NoiseTunnel": {"explainer": "Gradeint"}}, "explainers[0]: no explainer 'Gradeint'; did you mean 'Gradient'"),
        ({"NoiseTunnel": {"explainer": {"Gradient": {"los": 1}}}}, "explainers[0]: Gradient has no option 'los'; did"),
        ({"NoiseTunnel": {"explainer": "Occlusion"}}, "explainer must read gradients of the images it is given"),
        pytest.param(
            {"CAM": {"layer": "block6"}},
            "CAM needs a network that ends in 'block6', the mean over its places",
            marks=pytest.mark.slow,
        ),
        ({"ScoreCAM": {"layer": "blok6"}}, "explainers[0]: DigitNetwork has no layer 'blok6'; did you mean 'block6'"),
        ({"ScoreCAM": {"layer": "head"}}, "ScoreCAM needs a layer of shape (N, channels, h, w), 'head' is"),
        pytest.param(
            {"SmoothGradCAMpp": {"layer": "head"}},
            "needs a layer of shape (N, channels, h, w), 'head' is",
            marks=pytest.mark.slow,
        ),
        ({"EigenCAM": {"layer": "block6", "centered": "no"}}, "centered must be True or False, got 'no'"),
        ({"GradCAM": {"layer": "block6", "reshape": 7}}, "reshape must be the grid (height, width) of the tokens"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_config_is_told_before_anything_is_written(repository, tmp_path, entry, words):
    with pytest.raises(PlanError) as caught:
        configured(repository, tmp_path, entry).run()
    assert words in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_the_config_of_all_explainers_has_them_all(repository, tmp_path):
    """But CAM, whose network ends in mean pooling, which the bundled one does not, those of attention, and controls."""
    path = repository / "configs" / "explainers.yaml"
    loaded, problems = load_config(path, {"limit": 1, "summary_dir": str(tmp_path / "run")})
    runner = build_runner(loaded, problems, path.parent)
    named = {type(explainer).__name__ for explainer in runner.plan(1).explainers}
    own = {name for name in EXPLAINERS if EXPLAINERS[name].__module__.startswith("explainrun.")}
    other = {name for name in own if EXPLAINERS[name].control or EXPLAINERS[name].reads_attention}
    assert named == own - other - {"CAM"}


@pytest.mark.parametrize("name", ["ScoreCAM", "SmoothGradCAMpp", "IntegratedGradients", "NoiseTunnel", "GradCAM"])
def test_graph_mode_is_refused_before_anything_is_written(make_runner, two_channels, tmp_path, name, raising):
    network = two_channels()
    explainer = {
        "IntegratedGradients": IntegratedGradients,
        "NoiseTunnel": lambda network: NoiseTunnel(Gradient(network)),
    }.get(name, lambda network: EXPLAINERS[name](network, "relu"))(network)
    runner = make_runner(explainers=[explainer])
    try:
        ms.set_context(mode=ms.GRAPH_MODE)
        with raising(PlanError, "graph-mode"):
            runner.run()
    finally:
        ms.set_context(mode=ms.PYNATIVE_MODE)
    assert not (tmp_path / "run").exists()
