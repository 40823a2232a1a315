"""Nearest samples in runs: whole, in shards, resumed, forecast, of broken samples, and from configs."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from mindspore import nn

from explainrun.explainers import Gradient
from explainrun.runner import ImageClassificationRunner, PlanError
from explainrun.runner.cli.main import main
from explainrun.runner.forecast.forecast import forecast
from explainrun.summary_format import Results, find_runs, merge

POOL, COUNT = 7, 3
LABELS = np.array([[0, -1], [1, 0], [-1, 1], [7, 0]], np.int32)


def images(count):
    return np.random.default_rng(3).normal(1, 2, (count, 1, 2, 4)).astype(np.float32)


@pytest.fixture
def make(two_channels, dataset, tmp_path):
    """Makes a runner with nearest samples by the layer "relu", and a counter of the passes of its network."""

    class Counting(two_channels):
        runs = 0

        def __init__(self):
            super().__init__()
            self.unused = nn.ReLU()

        def construct(self, x):
            Counting.runs += 1
            return super().construct(x)

    def make(folder="run", pictures=None, nearest=(), **options):
        network, pictures = Counting(), images(11) if pictures is None else pictures
        rows = [(image, LABELS[place % 4]) for place, image in enumerate(pictures)]
        options = {"pass_size": 2, "jit": "off", "labels": "predicted", **options}
        data = dataset(rows), ["zero", "one"]
        runner = ImageClassificationRunner(tmp_path / folder, data, network, nn.Sigmoid(), **options)
        runner.register_saliency([Gradient(network)])
        runner.register_nearest_samples(**{"layer": "relu", "count": COUNT, "pool": POOL, **dict(nearest)})
        runner.counting = Counting
        return runner

    return make


def expected(pictures, pool=range(POOL)):
    """Ids and cosine distances (N, COUNT), from the formulas of the network's first layers."""
    features = np.stack([np.maximum(pictures, 0), np.maximum(2 - pictures, 0)], 1).mean((2, 3, 4), dtype=float)
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    distances = 1 - unit @ unit[list(pool)].T
    distances[list(pool), range(len(pool))] = np.inf
    order = np.argsort(distances, axis=1, kind="stable")[:, :COUNT]
    return np.array(pool)[order], np.take_along_axis(distances, order, 1)


def test_a_run_has_them(make, tmp_path):
    result = make().run()
    results = Results(tmp_path / "run")
    found, (ids, distances) = results.nearest_samples, expected(images(11))
    assert found.ids.tolist() == ids.tolist()
    np.testing.assert_allclose(found.distances, distances, atol=1e-6)
    assert found.predicted.tolist() == results.probabilities.argmax(axis=1)[ids].tolist()
    assert found.truth.tolist() == results.truth[ids].tolist()
    assert results.plan["nearest_samples"]["layer"] == "relu"
    assert results.plan["nearest_samples"]["resolved"]["pool"]["samples"].startswith("7 samples ")
    assert result.costs["needed"]["nearest"] == 6


@pytest.mark.parametrize("nearest", [{}, {"layer": None}], ids=["named", "chosen"])
def test_passes_are_those_counted_before(make, nearest):
    runner = make(nearest=nearest)
    found = forecast(runner.plan())
    runner.counting.runs = 0
    made = runner.run().costs["made"]
    assert made == found.passes
    assert found.estimated == []
    assert (made["nearest"], made["nearest pool"]) == (6, 2 * 4)
    assert made.get("layer choice", 0) == (not nearest.get("layer", "named"))
    assert runner.counting.runs == sum(made.values())


def test_without_a_layer_it_is_the_one_that_cams_read(make, tmp_path):
    make(nearest={"layer": None}).run()
    results = Results(tmp_path / "run")
    assert results.plan_record.chosen_layers == {"nearest samples": "dropout"}  # which drops nothing
    assert results.nearest_samples.ids.tolist() == expected(images(11))[0].tolist()
    assert make(nearest={"layer": None}).run().finished_before


def test_shards_and_limits_have_the_pool_of_the_whole(make, tmp_path, how_runs_differ):
    make("whole").run()
    for number in (1, 2, 3):
        make(f"parts/{number}").run(shard=(number, 3))
    merge(tmp_path / "merged", [tmp_path / "parts" / str(number) for number in (1, 2, 3)])
    assert how_runs_differ(tmp_path / "whole", tmp_path / "merged") == []
    make("first").run(limit=2)
    whole, first = (Results(tmp_path / folder).nearest_samples.tables for folder in ("whole", "first"))
    for name, table in whole.items():
        np.testing.assert_array_equal(table[:2], first[name])


@pytest.mark.parametrize(("batch", "commits"), [(0, 1), (1, 1), (1, 2), (None, 0)])
def test_a_killed_run_ends_as_a_whole_one(make, tmp_path, how_runs_differ, kill, batch, commits):
    make("whole").run()
    kill(make("run").run, batch, commits)
    if batch == 1:  # whose samples are committed with the first of its commits, and complete with the second
        assert (
            Results(tmp_path / "run").nearest_samples.ids.tolist()
            == expected(images(11))[0][: 5 + 3 * commits].tolist()
        )
    make("run").run()
    assert how_runs_differ(tmp_path / "whole", tmp_path / "run") == []


def test_broken_samples_are_near_to_none(make, tmp_path):
    pictures = images(11)
    pictures[[1, 9]] = np.nan
    make(pictures=pictures, skip_broken=True).run()
    found, sound = Results(tmp_path / "run").nearest_samples, [0, *range(2, 9), 10]
    ids, _ = expected(np.nan_to_num(pictures), [0, 2, 3, 4, 5, 6, 7])
    assert found.ids[sound].tolist() == ids[sound].tolist()
    assert (found.ids[[1, 9]] == -1).all()
    assert np.isnan(found.distances[[1, 9]]).all()


def test_a_pool_beyond_the_dataset_is_refused_before_anything_is_written(make, raising, tmp_path):
    with raising(PlanError, "nearest-pool-too-large", size=7, found=5):
        make(pictures=images(5)).run()
    assert find_runs(tmp_path / "run") == []


def test_a_layer_that_does_not_run_is_refused_before_anything_is_written(make, tmp_path):
    with pytest.raises(PlanError, match="nearest samples: layer 'unused' did not run"):
        make(nearest={"layer": "unused"}).run()
    assert find_runs(tmp_path / "run") == []


def test_they_are_registered_once(make, raising):
    with raising(ValueError, "nearest-samples-registered"):
        make().register_nearest_samples()


def test_from_a_config_to_the_page(gated_project, tmp_path):
    """A run of a config has them; the command that scores it without its network keeps them."""
    project = gated_project(tmp_path / "project")
    config = project.folder / "gate.yaml"
    config.write_text(config.read_text() + "nearest_samples: {layer: flatten, count: 2, pool: 4}\n")
    folder = tmp_path / "gate"

    def command(*arguments):
        done = CliRunner().invoke(main, list(map(str, arguments)))
        assert done.exit_code == 0, done.output
        return done.output

    command("run", config, "--summary-dir", folder)
    before = Results(folder).nearest_samples
    # Scenes of a class are all alike, so the first others of it come first.
    assert before.ids[:5].tolist() == [[2, 1], [3, 0], [0, 1], [1, 0], [0, 2]]
    assert "nearest       samples (class=NearestSamples" in command("inspect", folder)
    made = project.runs
    command("score", folder, "--metric", "Sparseness")
    assert project.runs == made
    after = Results(folder)
    assert after.metrics[-1] == "Sparseness"
    for name, table in after.nearest_samples.tables.items():
        np.testing.assert_array_equal(table, before.tables[name])
    grown = json.loads(command("inspect", folder, "--json"))["grown_from"]
    assert grown["nearest_samples"] is True
