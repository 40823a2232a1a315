"""Metrics that have maps made again, of noisy images or under random weights, in runs: shards, parts, kills."""

import numpy as np
import pytest
from mindspore import nn

from explainrun.benchmarks import METRICS, InsertionAUC
from explainrun.explainers import RISE, GradCAM, InputXGradient
from explainrun.runner import ImageClassificationRunner, PlanError
from explainrun.runner.batches import part_sizes
from explainrun.summary_format import Results, merge

SAMPLES, SIZE, NOISY, MASKS = 7, 2, 3, 6
STABLE = ("SensitivityMax", "SensitivityAvg", "LocalLipschitz", "Continuity", "RelativeInputStability",
          "RelativeOutputStability")  # fmt: skip
OPTIONS = {
    **{name: {"samples": NOISY} for name in STABLE},
    "RelativeRepresentationStability": {"layer": "conv", "samples": NOISY},
    "ModelParameterRandomization": {},
    "SmoothMPRT": {"samples": 2, "layers": 1},
    "EfficientMPRT": {"bins": 8},
    "RandomLogit": {"num_labels": 2, "similarity": "spearman"},
    "Completeness": {"baseline": 0.5},
    "InputInvariance": {},
    "NonSensitivity": {"patch_size": 1, "samples": 2},
}


@pytest.fixture
def runner(two_channels, dataset, scenes, tmp_path):
    """Makes a runner of all these metrics on one network."""
    shared = two_channels()

    def make(folder, names=tuple(OPTIONS), network=shared, **options):
        data = dataset(list(scenes(SAMPLES))), ["zero", "one"]
        settings = {"pass_size": SIZE, "jit": "off", **options}
        made = ImageClassificationRunner(tmp_path / folder, data, network, nn.Sigmoid(), **settings)
        masked = RISE(network, nn.Sigmoid(), num_masks=MASKS, grid=2)
        made.register_saliency(
            [InputXGradient(network), GradCAM(network, "relu"), masked],
            [InsertionAUC(2, nn.Sigmoid(), steps=2), *(METRICS[name](**OPTIONS[name]) for name in names)],
        )
        return made

    return make


def test_all_of_them_score_and_the_passes_made_are_those_needed(runner, tmp_path, two_channels):
    result = runner("run").run()
    for metric in OPTIONS:
        scored = [result.scores.aggregate(explainer, metric) for explainer in ("InputXGradient", "RISE")]
        assert all(of.count > of.unscored for of in scored), metric
    costs = result.costs
    as_made = {"weight order": 1, "shift trial": 4, "uniform": 1}
    assert {kind: costs["made"][kind] for kind in as_made} == as_made
    expected = {kind: -(-images // SIZE) for kind, images in costs["images"].items()}
    assert {**costs["needed"], **as_made} == {**expected, **as_made}
    questions = Results(tmp_path / "run").questions
    pictures, asked = len(set(questions[:, 0].tolist())), len(questions)
    maps = asked * (1 + NOISY + 2 + (1 + 1) * 2 + 1 + 1)  # and both labels' in RandomLogit, below
    extra = sum(len({0, 1} - set(questions[questions[:, 0] == sample][:, 1].tolist())) for sample in range(SAMPLES)
                if (questions[:, 0] == sample).any())  # fmt: skip
    assert costs["images"]["differentiate"] == maps + extra
    assert costs["images"]["noise"] == NOISY * pictures
    assert costs["images"]["activate"] == (1 + NOISY) * pictures
    masked = pictures * MASKS * (1 + NOISY + 2 + (1 + 1) * 2 + 1 + 1)
    assert costs["images"]["mask"] == masked


@pytest.mark.slow
def test_parts_and_shards_change_nothing(runner, tmp_path, how_runs_differ, monkeypatch):
    whole = runner("whole").run()
    for number in (1, 2, 3):
        runner("parts/{shard}").run(shard=(number, 3))
    merge(tmp_path / "merged", sorted((tmp_path / "parts").iterdir()))
    assert how_runs_differ(tmp_path / "whole", tmp_path / "merged") == []
    monkeypatch.setattr(part_sizes, "PASSES_A_COMMIT", 8)
    in_parts = runner("in parts").run()
    assert how_runs_differ(tmp_path / "whole", tmp_path / "in parts") == []
    assert in_parts.costs["images"] == whole.costs["images"]


@pytest.mark.long
def test_a_killed_run_ends_as_if_it_had_not_been(runner, tmp_path, kill, how_runs_differ, monkeypatch):
    monkeypatch.setattr(part_sizes, "PASSES_A_COMMIT", 8)
    runner("whole").run()
    for number in (2, 5, 11):
        kill(lambda number=number: runner(f"run {number}").run(), 0, number)
        runner(f"run {number}").run()
        assert how_runs_differ(tmp_path / "whole", tmp_path / f"run {number}") == [], number


@pytest.mark.slow
def test_graphs_of_the_network_are_not_taken_for_the_random_one(runner, tmp_path):
    names = ("ModelParameterRandomization", "InputInvariance", "EfficientMPRT")
    plain, compiled = (runner(jit, names, jit=jit).run().scores.values for jit in ("off", "on"))
    for key, values in plain.items():
        np.testing.assert_allclose(compiled[key], values, atol=2e-4, err_msg=str(key))
    assert np.nanmean(plain["InputXGradient", "ModelParameterRandomization"]) < 0.95


def test_what_a_network_does_not_allow_is_said_before_it_runs(runner, raising, tmp_path, two_channels, monkeypatch):
    class Squared(two_channels):
        def construct(self, x):
            return super().construct(x * x)

    with raising(PlanError, "shift-not-absorbed", layer="conv"):
        runner("shifted", ("InputInvariance",), Squared()).run()
    monkeypatch.setitem(OPTIONS, "RelativeRepresentationStability", {"layer": "convolution"})
    with raising(PlanError, "layer-unknown", layer="convolution"):
        runner("layer", ("RelativeRepresentationStability",)).run()
    assert not list(tmp_path.rglob("segments"))
