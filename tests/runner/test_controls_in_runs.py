"""Controls beside explainers in a run: records, passes, shards, other batches; and what the plan tells of both."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn

from explainrun.benchmarks import ClassSensitivity, Faithfulness, InsertionAUC, IoSR, Metric, PointingGame, Robustness
from explainrun.explainers import CenterGaussian, ConstantMap, GradCAM, Gradient, RandomMap, SobelEdges
from explainrun.runner import ImageClassificationRunner
from explainrun.runner.config.build import build_runner
from explainrun.runner.config.schema import load_config
from explainrun.summary_format import Results, merge, read_summary

CONTROLS = ("RandomMap", "CenterGaussian", "SobelEdges", "ConstantMap")


@pytest.fixture
def runner(two_channels, dataset, scenes, tmp_path):
    """Makes runners of one plan on eleven scenes, with the explainers and metrics given."""
    network = two_channels()

    def make(folder, explainers, metrics=(), samples=0, **options):
        data = dataset(list(scenes(11))), ["zero", "one"]
        options = {"pass_size": 2, "jit": "off", **options}
        made = ImageClassificationRunner(tmp_path / folder, data, network, nn.Sigmoid(), **options)
        made.register_saliency([explainer(network) for explainer in explainers], list(metrics))
        if samples:
            made.register_uncertainty(samples)
        return made

    return make


def controls():
    return [RandomMap, CenterGaussian, SobelEdges, ConstantMap]


def metrics():
    return [InsertionAUC(2, nn.Sigmoid(), steps=2), PointingGame(2, tolerance=1), IoSR(2)]


def test_what_a_run_with_controls_writes(runner, tmp_path):
    result = runner("run", [Gradient, *controls()], metrics()).run()
    results, summary = Results(tmp_path / "run"), read_summary(tmp_path / "run")
    assert summary.metadata.explainers == results.explainers == ("Gradient", *CONTROLS)
    told = [(id_, picture.label, picture.explainer) for id_, of in summary.samples.items() for picture in of.heatmaps]
    asked = [(*question, name) for question in results.questions.tolist() for name in results.explainers]
    assert sorted(told) == sorted(asked)
    for heatmap in (heatmap for of in summary.samples.values() for heatmap in of.heatmaps):
        assert (tmp_path / "run" / heatmap.path).is_file()
    for metric in ("InsertionAUC", "PointingGame", "IoSR"):
        scored = {name: result.scores.aggregate(name, metric) for name in ("Gradient", *CONTROLS)}
        assert scored["ConstantMap"].count == 0
        assert scored["ConstantMap"].unscored == len(results.questions)
        assert scored["RandomMap"].count == scored["CenterGaussian"].count > 0
    assert result.not_computed == {}
    every = len(results.questions)
    assert f"not scored in InsertionAUC, of {every} questions: {every} of ConstantMap" in result.scores.table()
    lines = result.scores.table().splitlines()
    assert (
        lines[-1]
        == f"not scored in PointingGame, IoSR, of {every} questions: 5 of 4 explainers each, {every} of ConstantMap"
    )


@pytest.mark.slow
def test_controls_take_no_pass_and_change_nothing_for_others(runner, tmp_path, nearly_fewest):
    robust = [PointingGame(2), Robustness(2, nn.Sigmoid(), samples=2), ClassSensitivity()]
    alone = runner("alone", [Gradient, GradCAM], robust, samples=3).run()
    beside = runner("beside", [RandomMap, Gradient, *controls()[1:], GradCAM], robust, samples=3).run()
    only = runner("only", controls()).run()
    assert beside.costs["made"] == alone.costs["made"]
    nearly_fewest(beside.costs, ragged=1)
    assert only.costs["made"] == only.costs["needed"] == {"network probe": 4, "infer": 6}
    first, second = (Results(tmp_path / folder) for folder in ("alone", "beside"))
    np.testing.assert_array_equal(first.uncertainty, second.uncertainty)
    for name in ("Gradient", "GradCAM"):
        np.testing.assert_array_equal(first.maps(name), second.maps(name))
        np.testing.assert_array_equal(first.scores(name, "Robustness"), second.scores(name, "Robustness"))


def test_robustness_and_class_sensitivity_see_that_controls_do_not_look(runner, tmp_path):
    """What ignores image or label is as robust, or as little sensitive to the class, as can be."""
    runner("run", controls(), [Robustness(2, nn.Sigmoid(), samples=2), ClassSensitivity()]).run()
    results = Results(tmp_path / "run")
    for name in ("RandomMap", "CenterGaussian", "ConstantMap"):
        assert set(results.scores(name, "Robustness")) == {1}
    assert results.scores("SobelEdges", "Robustness").max() < 1
    for name in ("CenterGaussian", "SobelEdges"):
        np.testing.assert_allclose(results.scores(name, "ClassSensitivity"), 0, atol=1e-12)
    assert results.scores("RandomMap", "ClassSensitivity").min() > 0
    assert np.isnan(results.scores("ConstantMap", "ClassSensitivity")).all()


def test_random_maps_are_the_same_in_other_passes_shards_and_company(runner, tmp_path):
    runner("whole", [RandomMap], metrics()).run()
    runner("beside", [Gradient, SobelEdges, RandomMap], pass_size=3).run()
    parts = [runner("parts/{shard}", [RandomMap], metrics()).run(shard=(number, 3)) for number in (3, 1, 2)]
    merge(tmp_path / "merged", [part.summary_dir for part in parts])
    whole, beside, merged = (Results(tmp_path / folder) for folder in ("whole", "beside", "merged"))
    assert whole.maps("RandomMap").tobytes() == beside.maps("RandomMap").tobytes() == merged.maps("RandomMap").tobytes()
    for metric in ("InsertionAUC", "PointingGame", "IoSR"):
        np.testing.assert_array_equal(whole.scores("RandomMap", metric), merged.scores("RandomMap", metric))
    assert len({map_.tobytes() for map_ in whole.maps("RandomMap")}) == len(whole.questions)  # each its own


def test_random_maps_of_a_run_killed_and_gone_on_with(runner, kill, tmp_path, how_runs_differ):
    runner("whole", [Gradient, *controls()], metrics()).run()
    kill(lambda: runner("run", [Gradient, *controls()], metrics()).run(), 0, 3)
    runner("run", [Gradient, *controls()], metrics()).run()
    assert how_runs_differ(tmp_path / "whole", tmp_path / "run") == []


def test_another_seed_and_another_name_draw_other_random_maps(runner, tmp_path):
    def second(network):
        return RandomMap(network, name="Second")

    runner("one", [RandomMap, second]).run()
    runner("other", [RandomMap], seed=1).run()
    one, other = Results(tmp_path / "one"), Results(tmp_path / "other")
    for found in (one.maps("Second"), other.maps("RandomMap")):
        assert not np.isclose(one.maps("RandomMap"), found).all(axis=(1, 2)).any()


def test_a_run_of_controls_in_graph_mode(runner, tmp_path):
    runner("eager", controls(), [PointingGame(2)]).run()
    try:
        ms.set_context(mode=ms.GRAPH_MODE)
        runner("graph", controls(), [PointingGame(2)]).run()
    finally:
        ms.set_context(mode=ms.PYNATIVE_MODE)
    for name in CONTROLS:
        np.testing.assert_array_equal(*(Results(tmp_path / folder).maps(name) for folder in ("eager", "graph")))


class Spread(Metric):
    """Share of the pixels above half of the map's maximum."""

    higher_is_better = False

    def score(self, explanation):
        maps = explanation.maps
        return (maps > maps.max(axis=(1, 2), keepdims=True) / 2).mean(axis=(1, 2))


class Upright(Gradient):
    """An explainer of somebody else's that is a control."""

    control = True


def test_the_plan_tells_which_explainers_are_controls_and_which_way_metrics_go(runner, tmp_path):
    def named(network):
        return RandomMap(network, name="Chance")

    faithful = Faithfulness(2, nn.Sigmoid(), metric="InsertionAUC", steps=2)
    result = runner("run", [Gradient, named, Upright, ConstantMap], [faithful, Spread(2), PointingGame(2)]).run()
    for plan in (result.plan, Results(tmp_path / "run").plan):
        assert plan["controls"] == ["Chance", "Upright", "ConstantMap"]
        assert plan["higher_is_better"] == {"InsertionAUC": True, "Spread": False, "PointingGame": True}
    assert "lower is better in Spread" in result.scores.table()
    flat, (_, best) = result.scores.column("Spread").mean(axis=0), result.scores.ranking("Spread").places[0]
    assert flat[result.scores.explainers.index(best)] == flat.min() < flat.max()
    assert runner("none", [Gradient]).plan().described.controls == ()
    robust = Faithfulness(2, nn.Sigmoid(), metric="NaiveFaithfulness"), Robustness(2, nn.Sigmoid())
    assert runner("robust", [Gradient], robust).plan().described.control_insensitive == ("Robustness",)
    robust = [Robustness(2, nn.Sigmoid(), samples=2)]
    assert runner("marks", [Gradient, RandomMap], robust).run().scores.control_insensitive == ("Robustness",)


def configured(repository, tmp_path, config, **changes):
    path = repository / "configs" / config
    return build_runner(*load_config(path, {"summary_dir": str(tmp_path / "run"), **changes}), path.parent)


@pytest.mark.parametrize("limit", [1, pytest.param(2, marks=pytest.mark.long)])
@pytest.mark.long
def test_the_ranking_has_all_controls_beside_gradient_explainers_and_runs(repository, tmp_path, limit, nearly_fewest):
    fewer = {"explainers.2.IntegratedGradients.steps": 2, "explainers.3.NoiseTunnel.nt_samples": 2}
    steps = {f"metrics.{place}.{name}.steps": 2 for place, name in enumerate(("InsertionAUC", "DeletionAUC"))}
    made = configured(repository, tmp_path, "ranking.yaml", **fewer, **steps)
    assert made.plan().described.controls == CONTROLS
    assert made.plan().sample_count == 200
    result = made.run(limit=limit)
    assert len(result.scores.explainers) == 13
    nearly_fewest(result.costs, ragged=len(result.scores.explainers))
    unscored = {name for name in result.scores.explainers if not result.scores.aggregate(name, "InsertionAUC").count}
    assert unscored == {"ConstantMap"}


@pytest.mark.slow
def test_gradient_explainers_beat_a_random_map_in_localization(repository, tmp_path):
    few = {"explainers": ["GuidedBackprop", {"GradCAM": {"layer": "block6"}}, "RandomMap"]}
    runner = configured(repository, tmp_path, "ranking.yaml", metrics=["PointingGame", "IoSR"], **few)
    scores = runner.run(limit=10).scores
    for metric in ("PointingGame", "IoSR"):
        assert scores.ranking(metric).unbeaten == {"GuidedBackprop": (), "GradCAM": ()}


@pytest.mark.long
def test_every_gradient_explainer_beats_the_controls_in_localization(repository, tmp_path):
    fewer = {"explainers.2.IntegratedGradients.steps": 8, "explainers.3.NoiseTunnel.nt_samples": 4}
    runner = configured(repository, tmp_path, "ranking.yaml", metrics=["PointingGame", "IoSR"], **fewer)
    scores = runner.run(limit=20).scores
    for metric in ("PointingGame", "IoSR"):
        unbeaten = scores.ranking(metric).unbeaten
        assert len(unbeaten) == 9
        assert not any("RandomMap" in controls for controls in unbeaten.values()), unbeaten
    assert not any(scores.ranking("IoSR").unbeaten.values())


def test_the_quickstart_has_chance_beside_its_explainers(repository, tmp_path):
    described = configured(repository, tmp_path, "quickstart.yaml").plan().described
    assert tuple(described.explainers)[-1:] == described.controls == ("RandomMap",)


def test_options_of_controls_in_a_config(repository, tmp_path):
    explainers = [{"CenterGaussian": {"sigma": 0.4}}, {"RandomMap": {"name": "Again"}}]
    wide, again = configured(repository, tmp_path, "quickstart.yaml", explainers=explainers).plan().explainers
    assert (wide.sigma, again.name) == (0.4, "Again")
