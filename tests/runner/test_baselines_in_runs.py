"""Methods that compare with other samples, and contrasts, in runs: shards, kills, growth, passes and what is asked."""

import numpy as np
import pytest
from mindspore import Tensor

from explainrun.explainers import Contrast, DeepLift, DeepLiftShap, ExpectedGradients, GradCAM, Gradient, NoiseTunnel
from explainrun.summary_format import Results, merge

POOL = {"pool": 3}


@pytest.fixture
def explainers(two_channels):
    network = two_channels()

    def make():
        return [
            Gradient(network),
            ExpectedGradients(network, POOL, num_samples=5),
            DeepLift(network, 0.5),
            DeepLiftShap(network, POOL),
            Contrast(Gradient(network), name="against the highest"),
            Contrast(GradCAM(network, "relu"), 1, name="against 1"),
            Contrast(ExpectedGradients(network, POOL, num_samples=5), 1, name="samples against 1"),
        ]

    return make


@pytest.fixture
def run(make_runner, explainers, scenes):
    def make(folder, count=6, **options):
        rows, how = list(scenes(12)), {key: options.pop(key) for key in ("shard", "limit") if key in options}
        options = {"pass_size": 2, "explainers": explainers(), **options}
        return make_runner(folder, rows, **options).run(**{"limit": count, **how})

    return make


@pytest.mark.slow
def test_shards_are_merged_to_the_whole(run, tmp_path, how_runs_differ):
    run("whole")
    for number in (1, 2):
        run(f"parts/{number}", shard=(number, 2))
    merge(tmp_path / "merged", [tmp_path / "parts" / str(number) for number in (1, 2)])
    assert how_runs_differ(tmp_path / "whole", tmp_path / "merged") == []


@pytest.mark.slow
@pytest.mark.parametrize("commits", [2, 5])
def test_killed_and_resumed_it_ends_as_if_it_never_was(run, kill, tmp_path, how_runs_differ, commits):
    run("whole")
    kill(lambda: run("run"), batch=0, commits=commits)
    run("run")
    assert how_runs_differ(tmp_path / "whole", tmp_path / "run") == []


@pytest.mark.slow
def test_growing_by_samples_and_by_methods(run, explainers, tmp_path, how_runs_differ):
    run("whole", count=9)
    run("grown", count=4, explainers=explainers()[:2])
    run("grown", count=4)
    run("grown", count=9)
    assert how_runs_differ(tmp_path / "whole", tmp_path / "grown") == []


def test_maps_are_those_of_direct_calls_with_the_pool_as_arrays(run, two_channels, scenes, nearly_fewest, tmp_path):
    costs = run("run", 4).costs
    results, network = Results(tmp_path / "run"), two_channels()
    images = np.stack([row[0] for row in scenes(12)])
    direct = {
        "ExpectedGradients": ExpectedGradients(network, images[:3], num_samples=5),
        "DeepLift": DeepLift(network, 0.5),
        "DeepLiftShap": DeepLiftShap(network, images[:3]),
        "against the highest": Contrast(Gradient(network)),
        "against 1": Contrast(GradCAM(network, "relu"), 1),
        "samples against 1": Contrast(ExpectedGradients(network, images[:3], num_samples=5), 1),
    }
    questions = results.questions
    assert len(questions) > 4
    for name, explainer in direct.items():
        maps = explainer(Tensor(images[:4]), [[0, 1]] * 4).asnumpy()  # ids are the places, as in the run
        expected = np.stack([maps[sample, label] for sample, label in questions])
        np.testing.assert_allclose(results.maps(name), expected, atol=1e-6 * max(1, np.abs(expected).max()))
    errors = results.errors("DeepLiftShap")
    assert np.abs(errors).max() < 1e-5
    assert np.isnan(results.errors("against the highest")).all()
    assert costs["needed"]["differentiate"] == -(-3 * len(questions) // 2)  # of the label, and of two contrasts
    nearly_fewest(costs, ragged=len(results.explainers))


def test_contrasts_are_in_the_plan(run, tmp_path):
    run("run", 1)
    plan = Results(tmp_path / "run").plan
    assert plan["explainers"]["against 1"] | {"explainer": None} == {
        "class": "Contrast", "explainer": None, "against": 1,
    }  # fmt: skip
    assert plan["explainers"]["against 1"]["explainer"]["class"] == "GradCAM"
    assert set(plan["errors"]) == {"ExpectedGradients", "DeepLift", "DeepLiftShap", "samples against 1"}


def test_a_noise_tunnel_around_them(run, two_channels, tmp_path):
    network = two_channels()
    inner = [ExpectedGradients(network, POOL, num_samples=2), DeepLiftShap(network, POOL)]
    tunnels = [NoiseTunnel(one, nt_samples=2, name=f"noisy {one.name}") for one in inner]
    costs = run("run", 2, explainers=tunnels).costs
    assert np.isfinite(Results(tmp_path / "run").maps("noisy DeepLiftShap")).all()
    assert costs["needed"]["expect"] <= costs["made"]["expect"]
    assert costs["needed"]["rescale"] <= costs["made"]["rescale"]
