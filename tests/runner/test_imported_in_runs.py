"""Imported maps in a run: scored as those of the method that they were copied from, known again by their content."""

import re

import h5py
import numpy as np
import pytest
from mindspore import nn

from explainrun.benchmarks import METRICS, ClassSensitivity, InsertionAUC, PointingGame, Robustness
from explainrun.explainers import GradCAM, Gradient, ImportedMaps
from explainrun.runner import ImageClassificationRunner, PlanError
from explainrun.runner.config.build import build_runner
from explainrun.runner.config.schema import load_config
from explainrun.summary_format import Results
from explainrun.summary_format.imported_maps.checked_index import checked_index


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch):
    """Reads files here: a process takes half a second to start."""
    monkeypatch.setattr("explainrun.summary_format.imported_maps.maps_file.index_read_apart", checked_index)


@pytest.fixture
def maps_of(tmp_path):
    """Writes some maps of a run's explainer to a file, in falling order."""

    def written(run, explainer="Gradient", name="maps.h5", keep=slice(None), changed=lambda maps: maps):
        results = Results(run)
        with h5py.File(tmp_path / name, "w") as file:
            file["maps"] = changed(results.maps(explainer))[keep][::-1]
            file["sample"], file["label"] = results.questions[keep][::-1].T
            file["source"] = f"our own {explainer}"
        return tmp_path / name

    return written


@pytest.fixture
def with_maps(make_runner, two_channels):
    """A runner of the plan of ``make_runner``, with imported maps beside its explainers."""

    def made(path, folder="imported", name="theirs", **options):
        network = two_channels()
        theirs = ImportedMaps(network, path, name=name)
        return make_runner(folder, explainers=[Gradient(network), GradCAM(network, "relu"), theirs], **options)

    return made


def test_are_scored_as_the_method_that_they_were_copied_from(whole, maps_of, with_maps):
    result = with_maps(maps_of(whole)).run()
    before, results = Results(whole), Results(result.summary_dir)
    np.testing.assert_array_equal(results.maps("theirs"), before.maps("Gradient"))
    for metric in results.metrics:
        np.testing.assert_array_equal(results.scores("theirs", metric), before.scores("Gradient", metric))
    assert np.nansum(results.scores("theirs", "PointingGame")) > 0
    assert not result.not_computed
    record = results.plan_record.explainers["theirs"]
    assert (record["class"], record["source"]) == ("ImportedMaps", "our own Gradient")
    assert "theirs" in str(result)


def test_no_pass_is_made_for_their_maps(whole, maps_of, with_maps):
    before, costs = Results(whole).costs["images"], Results(with_maps(maps_of(whole)).run().summary_dir).costs["images"]
    asked = before["perturb"] // 2  # two explainers
    assert costs == {**before, "perturb": before["perturb"] + asked}


def test_what_is_lacking_or_not_finite_counts_as_not_computed(whole, maps_of, with_maps):
    def spoiled(maps):
        maps = maps.copy()
        maps[2, 1, 3] = np.inf
        return maps

    result = with_maps(maps_of(whole, keep=slice(0, 5), changed=spoiled)).run()
    results = Results(result.summary_dir)
    asked = len(results.questions)
    assert asked > 5
    expected = [place < 5 and place != 2 for place in range(asked)]
    assert results.computed_maps("theirs").tolist() == expected
    assert result.not_computed == {"theirs map": asked - 4}
    for metric in results.metrics:
        assert np.isnan(results.scores("theirs", metric)[~np.array(expected)]).all()


def test_metrics_that_need_the_method_again_are_not_computed_and_others_are(
    whole, maps_of, two_channels, dataset, scenes, tmp_path
):
    network = two_channels()
    data = (dataset(list(scenes(6))), ["zero", "one"])
    runner = ImageClassificationRunner(tmp_path / "again", data, network, nn.Sigmoid(), jit="off")
    metrics = [Robustness(2, nn.Sigmoid(), samples=2), ClassSensitivity(2), PointingGame(2, tolerance=1)]
    runner.register_saliency([ImportedMaps(network, maps_of(whole), name="theirs"), Gradient(network)], metrics)
    results = Results(runner.run().summary_dir)
    assert np.isnan(results.scores("theirs", "Robustness")).all()
    assert np.isfinite(results.scores("Gradient", "Robustness")).any()
    assert np.isfinite(results.scores("theirs", "PointingGame")).any()
    both = [len(results.questions[results.questions[:, 0] == sample]) == 2 for sample, _ in results.questions.tolist()]
    scored = np.isfinite(results.scores("theirs", "ClassSensitivity"))
    of_gradient = results.scores("Gradient", "ClassSensitivity")
    assert (scored <= np.array(both)).all()  # where the file has both labels' maps
    np.testing.assert_array_equal(results.scores("theirs", "ClassSensitivity")[scored], of_gradient[scored])


MADE_AGAIN = {
    "Sufficiency": {"samples": 2},
    "SensitivityMax": {"samples": 2},
    "RelativeOutputStability": {"samples": 2},
    "RelativeRepresentationStability": {"layer": "conv", "samples": 2},
    "ModelParameterRandomization": {},
    "SmoothMPRT": {"samples": 2},
    "EfficientMPRT": {},
    "InputInvariance": {},
}


def test_no_maps_are_made_again_of_what_is_imported(whole, maps_of, two_channels, dataset, scenes, tmp_path):
    network = two_channels()
    theirs, metrics = ImportedMaps(network, maps_of(whole), name="theirs"), [METRICS["Completeness"]()]
    metrics += [METRICS[name](**options) for name, options in MADE_AGAIN.items()]
    data = (dataset(list(scenes(6))), ["zero", "one"])
    runner = ImageClassificationRunner(tmp_path / "alone", data, network, nn.Sigmoid(), jit="off")
    runner.register_saliency([theirs], metrics)
    result = runner.run()
    results = Results(result.summary_dir)
    for name in MADE_AGAIN:
        assert np.isnan(results.scores("theirs", name)).all(), name
    assert np.isfinite(results.scores("theirs", "Completeness")).any()
    assert not {"noise", "random weights", "shifted", "activate"} & set(result.costs["made"])


class TestRefused:
    def test_maps_of_another_size(self, whole, maps_of, with_maps, raising):
        path = maps_of(whole, changed=lambda maps: maps.reshape(-1, 4, 2))
        with raising(PlanError, "imported-maps-of-other-size", where="theirs"):
            with_maps(path).run()

    def test_maps_for_a_class_too_many(self, whole, maps_of, with_maps, raising):
        path = maps_of(whole)
        with h5py.File(path, "a") as file:
            file["label"][0] = 2
        with raising(PlanError, "imported-maps-of-other-classes", label=2, classes=2):
            with_maps(path).run()


class TestKnownAgain:
    def test_wherever_the_file_lies(self, whole, maps_of, with_maps):
        with_maps(maps_of(whole)).run()
        moved = maps_of(whole, name="moved.h5")
        assert with_maps(moved).run().finished_before

    def test_other_content_under_the_name_is_another_plan(self, whole, maps_of, with_maps, raising):
        with_maps(maps_of(whole)).run()
        other = maps_of(whole, name="other.h5", changed=lambda maps: maps + 1)
        with raising(PlanError, "folder-holds-other-plan", differences=re.compile(r"theirs\.digest")):
            with_maps(other).run()


CONFIG = """
summary_dir: {folder}/run
network: {{factory: "{network}:make"}}
activation: sigmoid
data: {{npz: data.npz}}
class_names: [zero, one]
jit: "off"
explainers: [Gradient]
metrics: [PointingGame]
imported: {imported}
"""
NETWORK = """
from mindspore import nn
def make():
    return nn.SequentialCell(nn.Flatten(), nn.Dense(8, 2, weight_init="ones", bias_init="zeros"))
"""


@pytest.fixture
def config(tmp_path):
    def written(imported):
        (tmp_path / "network.py").write_text(NETWORK)
        images = np.random.default_rng(0).normal(size=(3, 1, 2, 4)).astype(np.float32)
        boxes = np.array([[[1, 0, 1, 2]]] * 3)
        np.savez(tmp_path / "data.npz", images=images, labels=np.array([[0], [1], [0]]), bboxes=boxes)
        with h5py.File(tmp_path / "maps.h5", "w") as file:
            file["maps"], file["sample"], file["label"] = images[:, 0], np.arange(3), [0, 1, 0]
        text = CONFIG.format(folder=tmp_path, network="network.py", imported=imported)
        (tmp_path / "config.yaml").write_text(text)
        return tmp_path / "config.yaml"

    return written


@pytest.mark.parametrize(
    ("imported", "source"), [("{theirs: maps.h5}", ""), ("{theirs: {path: maps.h5, source: an expert}}", "an expert")]
)
def test_in_a_config(config, imported, source):
    path = config(imported)
    loaded, problems = load_config(path)
    result = build_runner(loaded, problems, path.parent).run()
    results = Results(result.summary_dir)
    assert results.explainers == ("Gradient", "theirs")
    assert results.plan_record.explainers["theirs"]["source"] == source
    assert results.computed_maps("theirs").sum() == 3
    assert results.plan["config"]["folder"] == str(path.parent)


def test_what_is_wrong_in_a_config_is_said_at_once(config, raising):
    path = config("{theirs: {file: maps.h5, path: gone.h5}, ours: nothing.h5}")
    loaded, problems = load_config(path)
    with raising(PlanError, "key-unknown", key="imported.theirs.file") as caught:
        build_runner(loaded, problems, path.parent)
    assert {"imported.theirs", "imported.ours"} <= {problem.values.get("where") for problem in caught.value.problems}


def test_imported_maps_alone_are_something_to_do(config):
    path = config("{theirs: maps.h5}")
    loaded, problems = load_config(path, {"explainers": []})
    result = build_runner(loaded, problems, path.parent).run()
    assert Results(result.summary_dir).explainers == ("theirs",)
    assert InsertionAUC.needs_network
