"""Runs whose gradients, layers' outputs and tails are graphs: the numbers of runs without, whole, killed or sharded."""

from collections import Counter

import numpy as np
import pytest
from mindspore import nn

from explainrun.explainers import AblationCAM, GradCAM, Gradient, IntegratedGradients
from explainrun.explainers.network.graphs import library, programs
from explainrun.runner import ImageClassificationRunner
from explainrun.summary_format import Results, merge

# Each kind of pass is tried once in a run, by one pass as it is and one of the graph; a tail by two of each, after one
# that reads its layer.
TRIALS = {"shared gradient": 2, "gradient of the image alone": 2, "outputs": 2, "tail": 4}
COMPILED = ("infer", "differentiate", "integrate", "baseline", "activate", "ablate")


@pytest.fixture
def run(two_channels, dataset, scenes, tmp_path, monkeypatch):
    """Runs one plan on batches of twelve samples and of two, whose passes are ragged."""
    monkeypatch.setattr(library, "PAYS_IN_RUNS", 0)
    network = two_channels()

    def run_with(folder="run", shard=None, **options):
        data = dataset(list(scenes(14))), ["zero", "one"]
        settings = {"pass_size": 3, **options}
        runner = ImageClassificationRunner(tmp_path / folder, data, network, nn.Sigmoid(), **settings)
        integrated = IntegratedGradients(network, steps=3)
        runner.register_saliency(
            [Gradient(network), GradCAM(network, "relu"), integrated, AblationCAM(network, "relu")]
        )
        return runner.run(shard=shard)

    return run_with


@pytest.fixture
def graph_passes(monkeypatch):
    """How often the graphs of each kind run from now on."""
    counted = Counter()
    for kind in (programs.GradientProgram, programs.OutputProgram, programs.TailProgram):

        def counting(self, *given, kind=kind, call=kind.__call__):
            counted[kind.__name__] += 1
            return call(self, *given)

        monkeypatch.setattr(kind, "__call__", counting)
    return counted


def test_a_run_with_graphs_gives_what_one_without_gives(run, graph_passes, tmp_path):
    plain, graphs = run("plain", jit="off"), run("graphs")
    compiled = {kind: graphs.costs["made"][kind] for kind in COMPILED}
    # Of the passes that try a graph one is the graph's.
    assert graphs.costs["compiled"] == {**compiled, "compile": 1, "graph trial": len(TRIALS)}
    assert (plain.costs["compiled"], plain.costs["refused"], graphs.costs["refused"]) == ({}, {}, {})
    assert graphs.costs["made"].pop("graph trial") == graphs.costs["needed"].pop("graph trial") == sum(TRIALS.values())
    assert graphs.costs["made"].pop("compile") == 2
    assert graphs.costs["made"] == plain.costs["made"]
    made = graphs.costs["made"]
    assert graph_passes == {  # all passes of these kinds, and those that tried the graph
        "GradientProgram": made["differentiate"] + made["integrate"] + 2,
        "OutputProgram": made["activate"] + 1,
        "TailProgram": made["ablate"] + 2,
    }
    found, expected = Results(tmp_path / "graphs"), Results(tmp_path / "plain")
    np.testing.assert_array_equal(found.questions, expected.questions)
    for name in expected.explainers:
        for sample, label in expected.questions.tolist():
            one, other = (of.map(name, sample, label) for of in (found, expected))
            assert np.abs(one - other).max() <= 1e-5 * np.abs(other).max(), (name, sample, label)
            assert np.ptp(other) > 0 or name != "Gradient"


@pytest.mark.long
def test_killed_it_ends_as_if_it_had_not_been_and_merged_as_if_never_split(run, kill, tmp_path, how_runs_differ):
    run("whole")
    kill(run, 0, 3)
    run()
    assert how_runs_differ(tmp_path / "whole", tmp_path / "run") == []
    shards = [run(f"shard {number}", shard=(number, 2)) for number in (2, 1)]
    merge(tmp_path / "merged", [shard.summary_dir for shard in shards])
    both = sum((Counter(shard.costs["compiled"]) for shard in shards), Counter())
    assert Results(tmp_path / "merged").costs["compiled"] == both
    assert both["ablate"] > 0
    assert how_runs_differ(tmp_path / "whole", tmp_path / "merged") == []
