"""What ``explainrun check`` says a run will take is what it takes."""

import json

import mindspore.dataset as ds
import numpy as np
import pytest
from click.testing import CliRunner
from mindspore import nn

from explainrun.benchmarks import (
    DeletionAUC,
    FaithfulnessCorrelation,
    InsertionAUC,
    PointingGame,
    Robustness,
    SensitivityN,
)
from explainrun.explainers import (
    RISE,
    AblationCAM,
    AugmentedCAM,
    ConstantMap,
    Contrast,
    DeepLiftShap,
    ExpectedGradients,
    ExtremalPerturbation,
    FinerCAM,
    GradCAM,
    Gradient,
    GuidedBackprop,
    GuidedIG,
    IntegratedGradients,
    MeaningfulPerturbation,
    NoiseTunnel,
    Occlusion,
    RandomMap,
    ScoreCAM,
)
from explainrun.runner import ImageClassificationRunner, PlanError
from explainrun.runner.batches import part_sizes
from explainrun.runner.cli.main import main
from explainrun.runner.forecast import forecast as forecasting
from explainrun.runner.forecast.forecast import forecast
from explainrun.summary_format import Results, find_runs
from explainrun.summary_format.storage.sizes import measured

ACTIVATION = nn.Sigmoid()
EXPLAINERS = {
    "Gradient": Gradient,
    "GradCAM": lambda network: GradCAM(network, "relu"),
    "GuidedBackprop": GuidedBackprop,
    "Occlusion": lambda network: Occlusion(network, ACTIVATION, window=(1, 2), stride=1),
    "RISE": lambda network: RISE(network, ACTIVATION, num_masks=7, grid=2),
    "IntegratedGradients": lambda network: IntegratedGradients(network, 3),
    "NoiseTunnel": lambda network: NoiseTunnel(Gradient(network), nt_samples=2),
    "ScoreCAM": lambda network: ScoreCAM(network, "relu"),
    "AblationCAM": lambda network: AblationCAM(network, "relu"),
    "RandomMap": RandomMap,
    "ConstantMap": ConstantMap,
    "Contrast": lambda network: Contrast(Gradient(network)),
    "Contrast of a layer": lambda network: Contrast(GradCAM(network, "relu"), 1, name="Contrast of a layer"),
    "GuidedIG": lambda network: GuidedIG(network, 5),
    "ExpectedGradients": lambda network: ExpectedGradients(network, {"pool": 3}, num_samples=2),
    "DeepLiftShap": lambda network: DeepLiftShap(network, {"pool": 2}),
    "FinerCAM": lambda network: FinerCAM(network, "relu"),
    "AugmentedCAM": lambda network: AugmentedCAM(GradCAM(network, "relu")),
    "ExtremalPerturbation": lambda network: ExtremalPerturbation(network, (0.2, 0.4, 0.6), 3),
    "MeaningfulPerturbation": lambda network: MeaningfulPerturbation(network, 3),
}
METRICS = {
    "insertion": lambda: InsertionAUC(2, ACTIVATION, steps=4),
    "deletion": lambda: DeletionAUC(2, ACTIVATION, steps=4, removal="mean"),
    "correlation": lambda: FaithfulnessCorrelation(2, ACTIVATION, subset_size=2, samples=5),
    "sensitivity_n": lambda: SensitivityN(2, ACTIVATION, sizes=[2, 3], samples=3),
    "pointing": lambda: PointingGame(2),
    "robustness": lambda: Robustness(2, ACTIVATION, samples=2, threshold=9),
}


@pytest.fixture
def registered(two_channels, dataset, scenes, tmp_path):
    """Makes a runner of explainers and metrics by name, on so many samples."""

    def make(explainers, metrics, samples=18, **options):
        network = two_channels()
        options = {"pass_size": 4, "jit": "off", **options}
        data = dataset(list(scenes(samples)))
        runner = ImageClassificationRunner(tmp_path / "run", (data, ["zero", "one"]), network, ACTIVATION, **options)
        runner.register_saliency(
            [EXPLAINERS[name](network) for name in explainers], [METRICS[one]() for one in metrics]
        )
        return runner

    return make


COMPARING = ("Contrast", "Contrast of a layer", "GuidedIG", "ExpectedGradients", "DeepLiftShap")
OPTIMIZED = ("FinerCAM", "AugmentedCAM", "ExtremalPerturbation", "MeaningfulPerturbation")
ALL = tuple(name for name in EXPLAINERS if name not in ("ConstantMap", *COMPARING, *OPTIMIZED))
MIXES = [
    (("Gradient",), ()),
    (("Gradient", "GradCAM", "GuidedBackprop", "RandomMap"), ("insertion", "pointing")),
    (("ConstantMap", "Occlusion"), ("insertion", "deletion")),
    (("RISE", "ScoreCAM", "AblationCAM"), ("deletion", "correlation")),
    (("Contrast", "Gradient", "Contrast of a layer"), ()),
    (("Contrast of a layer", "ScoreCAM"), ()),
    (("GuidedIG", "ExpectedGradients", "DeepLiftShap"), ()),
    (("Gradient", *OPTIMIZED), ()),
    pytest.param(ALL, ("insertion", "deletion", "correlation", "sensitivity_n", "pointing"), marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("explainers", "metrics"), MIXES)
def test_passes_are_exact(registered, explainers, metrics):
    runner = registered(explainers, metrics)
    found = forecast(runner.plan())
    result = runner.run()
    expected = result.costs["made"]
    without_order = [name for name in explainers if metrics and 0 < ordered_share(result, name) < 1]
    if without_order:
        assert set(explainers) > set(without_order)
        assert 0.9 * found.passes["perturb"] <= expected["perturb"] <= found.passes["perturb"] + 2
        expected = {**expected, "perturb": found.passes["perturb"]}
    assert found.passes == expected
    assert (found.samples, found.questions) == (result.samples, result.questions)
    assert found.estimated in ([], ["perturb"])
    assert without_order or not found.estimated


def ordered_share(result, name):
    """The share of an explainer's maps that have an order."""
    maps = Results(result.summary_dir).maps(name).reshape(result.questions, -1)
    return (maps.min(axis=1) < maps.max(axis=1)).mean()


PARTS = [
    (("RISE", "RandomMap", "IntegratedGradients", "Gradient", "GuidedIG", "Contrast"), ("insertion",)),
    (("Gradient", *OPTIMIZED), ()),
]


@pytest.mark.slow
@pytest.mark.parametrize(("explainers", "metrics"), PARTS)
def test_passes_are_exact_where_work_is_committed_in_parts(registered, monkeypatch, explainers, metrics):
    monkeypatch.setattr(part_sizes, "PASSES_A_COMMIT", 4)
    runner = registered(explainers, metrics)
    found = forecast(runner.plan())
    result = runner.run()
    assert found.passes == result.costs["made"]


def test_uncertainty_and_layers_that_are_chosen(registered):
    runner = registered(("Gradient",), ("insertion",))
    runner.register_uncertainty(3)
    found = forecast(runner.plan())
    assert found.passes == runner.run().costs["made"]


def test_what_a_metric_runs_by_itself_is_estimated(registered):
    runner = registered(("Gradient", "RISE"), ("insertion", "robustness"))
    found = forecast(runner.plan())
    made = runner.run().costs["made"]
    assert {"noise", "differentiate"} <= set(found.estimated)
    assert found.passes.keys() == made.keys()
    assert all(abs(found.passes[kind] - made[kind]) <= 1 + 0.3 * made[kind] for kind in made), (found.passes, made)


def test_samples_that_are_not_looked_at_are_estimated(registered, monkeypatch):
    monkeypatch.setattr(forecasting, "LOOKED_AT", 1)
    runner = registered(("Gradient",), ("insertion",), samples=32)  # four labels in turn: both batches are alike
    found = forecast(runner.plan())
    result = runner.run()
    assert found.samples == 32
    assert "infer" in found.estimated
    assert found.passes["infer"] == result.costs["made"]["infer"]
    assert abs(found.questions - result.questions) <= 4


def test_nothing_is_left_and_the_network_is_as_it_was(registered, state, tmp_path):
    runner = registered(("Gradient", "GuidedBackprop"), ("insertion",))
    network = runner.plan().network
    before = state(network)
    forecast(runner.plan())
    assert state(network) == before
    assert list(tmp_path.iterdir()) == []


def test_time_and_disk_are_measured(registered):
    found = forecast(registered(("Gradient", "Occlusion"), ("insertion",)).plan())
    assert found.seconds > sum(found.pass_seconds[kind] for kind in ("infer", "differentiate", "occlude", "perturb"))
    assert found.pass_seconds.keys() == found.passes.keys()
    assert 0 < found.written < found.most_written < found.free


def test_disk_is_about_what_a_run_takes(registered):
    runner = registered(("Gradient", "Occlusion"), ("insertion",))
    found = forecast(runner.plan())
    taken = measured(find_runs(runner.run().summary_dir)[-1])
    assert taken.segments == 0
    assert 0.5 < found.written / taken.total < 3  # of maps of 8 pixels, most of which is not maps


def test_samples_without_a_question_are_refused(two_channels, tmp_path, raising):
    rows = [(np.full((1, 2, 4), -9, np.float32), np.int32(-1))] * 3
    data = ds.GeneratorDataset(rows, ["image", "label"], shuffle=False, num_parallel_workers=1)
    network = two_channels()
    runner = ImageClassificationRunner(tmp_path, (data, ["a", "b"]), network, ACTIVATION, jit="off", labels="truth")
    runner.register_saliency([Gradient(network)])
    with raising(PlanError, "first-samples-unasked", samples=3):
        forecast(runner.plan())


@pytest.fixture
def checked(gated_project, tmp_path, monkeypatch):
    """``explainrun check`` on a small config."""
    project = gated_project(tmp_path / "project")
    monkeypatch.chdir(project.folder)
    return lambda *arguments: CliRunner().invoke(main, ["check", "gate.yaml", *arguments])


def test_the_command(checked):
    done = checked()
    assert done.exit_code == 0, done.output
    assert "nothing is wrong with gate.yaml" in done.stdout
    assert "24 samples, 24 questions: 5 passes of 16 images" in done.stdout
    found = json.loads(checked("--json", "--limit", "8").stdout)
    assert (found["samples"], found["folder"], found["estimated"]) == (8, "nothing", [])
    assert found["passes"] == {"infer": 1, "differentiate": 1, "network probe": 1}


def test_what_the_folder_holds_is_said(checked):
    assert CliRunner().invoke(main, ["run", "gate.yaml", "--limit", "8"]).exit_code == 0
    assert json.loads(checked("--json", "--limit", "8").stdout)["folder"] == "finished"
    assert json.loads(checked("--json").stdout)["folder"] == "a run that grows"
    done = checked("--set", "seed=3")
    assert done.exit_code == 2
    assert "another plan" in done.stderr


def test_everything_that_is_wrong_is_named(checked):
    done = checked("--set", "explainers=[GradCAN]", "--set", "metrics=[Nothing]")
    assert done.exit_code == 2
    assert "GradCAM" in done.stderr
    assert "Nothing" in done.stderr
