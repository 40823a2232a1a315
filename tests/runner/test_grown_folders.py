"""Finished runs that are scored by more metrics or take imported maps, by commands: as if made so at once."""

import json
import re
import shutil

import h5py
import numpy as np
import pytest
from click.testing import CliRunner

from explainrun.runner import PlanError
from explainrun.runner.cli.main import main
from explainrun.runner.config.build import build_runner
from explainrun.runner.config.schema import load_config
from explainrun.runner.grown_folder import folder_with_maps, scored_folder
from explainrun.summary_format import Results, find_runs, merge
from explainrun.summary_format.imported_maps.checked_index import checked_index
from explainrun.summary_format.imported_maps.map_store import MapsFileError

CONFIG = """
summary_dir: {folder}/run
network: {{factory: "network.py:make"}}
activation: sigmoid
data: {{npz: data.npz}}
class_names: [zero, one]
pass_size: 2
jit: "off"
labels: truth
explainers: [InputXGradient, RandomMap]
metrics:
  - IoSR: {{threshold: 0.5}}
{more}
"""
NETWORK = """
from pathlib import Path
from mindspore import Tensor, nn
import numpy as np

def make():
    with open(Path(__file__).parent / "made", "a") as file:
        file.write("x")
    dense = nn.Dense(8, 2)
    dense.weight.set_data(Tensor(np.linspace(-1, 1, 16, dtype=np.float32).reshape(2, 8)))
    dense.bias.set_data(Tensor(np.zeros(2, np.float32)))
    return nn.SequentialCell(nn.Flatten(), dense)
"""


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch):
    """Reads files of maps here: a process takes half a second to start."""
    monkeypatch.setattr("explainrun.summary_format.imported_maps.maps_file.index_read_apart", checked_index)


@pytest.fixture(scope="session")
def write_config():
    """Writes a config of five samples, two labels each but for one, and a box; with more lines, to a new folder."""

    def written(folder, more=""):
        folder.mkdir()
        (folder / "network.py").write_text(NETWORK)
        rng = np.random.default_rng(0)
        labels = np.array([[0, 1], [1, 0], [0, -1], [0, 1], [1, 0]])
        boxes = np.array([[[1, 0, 1, 2], [2, 0, 2, 1]]] * 5)
        np.savez(folder / "data.npz", images=rng.normal(size=(5, 1, 2, 4)).astype("f4"), labels=labels, bboxes=boxes)
        (folder / "config.yaml").write_text(CONFIG.format(folder=folder, more=more))
        return folder / "config.yaml"

    return written


@pytest.fixture
def config(write_config, tmp_path):
    return lambda more="", name="given": write_config(tmp_path / name, more)


def finished_run(path, **overrides):
    """Runs a config, and gives its summary folder."""
    loaded, problems = load_config(path, overrides)
    return build_runner(loaded, problems, path.parent).run().summary_dir


@pytest.fixture(scope="session")
def run():
    return finished_run


@pytest.fixture(scope="session")
def made_once(write_config, tmp_path_factory):
    return finished_run(write_config(tmp_path_factory.mktemp("grown") / "given"))


@pytest.fixture
def finished(made_once, tmp_path):
    """A copy of the finished run of the config; what it was made from lies elsewhere, and is to be left as it is."""
    return shutil.copytree(made_once, tmp_path / "finished")


@pytest.fixture
def maps_of(tmp_path):
    """Writes a run's maps by InputXGradient to a file, but for the first, and two for questions that it did not ask."""

    def written(folder, changed=0.0):
        results = Results(folder)
        asked = np.concatenate([results.questions[1:], [[77, 0], [2, 1]]])
        maps = results.maps("InputXGradient")[1:] + np.float32(changed)
        with h5py.File(tmp_path / "maps.h5", "w") as file:
            file["maps"] = np.concatenate([maps, np.arange(16).reshape(2, 2, 4)])
            file["sample"], file["label"], file["source"] = *asked.T, "captum"
        return tmp_path / "maps.h5"

    return written


def content(folder):
    """All that a run's archive holds, but for what it cost and where it lies."""
    with h5py.File(find_runs(folder)[-1].archive) as file:
        found = {}
        file.visititems(lambda name, item: found.update({name: item[()]} if isinstance(item, h5py.Dataset) else {}))
    found.pop("costs")
    plan = json.loads(found.pop("plan"))
    plan["summary_dir"] = plan["config"]["folder"] = None
    plan["config"]["imported"] = list(plan["config"]["imported"])
    return found, plan


def assert_same(folder, other):
    (found, plan), (others, other_plan) = content(folder), content(other)
    assert found.keys() == others.keys()
    for name in found:
        np.testing.assert_array_equal(found[name], others[name])
    assert list(plan.items()) == list(other_plan.items())  # in the same order, as files have it
    pictures = [
        {path.relative_to(find_runs(one)[-1].data): path.read_bytes() for path in find_runs(one)[-1].data.rglob("*.*g")}
        for one in (folder, other)
    ]
    assert pictures[0] == pictures[1]


def passes(folder):
    """By kind, those of all starts of a run; but for those by which each start knows the network again."""
    return {kind: times for kind, times in Results(folder).costs["made"].items() if kind != "network probe"}


def times_made(path):
    return len((path.parent / "made").read_text())


class TestScore:
    def test_loads_no_network_and_makes_no_pass_where_metrics_need_none(self, config, run):
        path = config()
        folder = run(path)
        before, made = Results(folder).costs["made"], times_made(path)
        added = ["PointingGame", "IoSR", "RelevanceMass", "Sparseness"]
        result = scored_folder(folder, added, {"IoSR.name": "Narrow", "IoSR.threshold": 0.75})
        assert Results(folder).costs["made"] == before
        assert times_made(path) == made
        at_once = "  - PointingGame\n  - IoSR: {name: Narrow, threshold: 0.75}\n  - RelevanceMass\n  - Sparseness"
        assert_same(folder, run(config(at_once, "at once")))
        assert result.scores.metrics == ("IoSR", "PointingGame", "Narrow", "RelevanceMass", "Sparseness")
        assert [one.finished for one in find_runs(folder)] == [True]

    def test_metrics_that_look_at_the_network_and_are_there_are_not_asked_again(self, config, run):
        path = config("  - RandomLogit\n  - EfficientMPRT\n  - RelativeInputStability: {samples: 2}\n"
                      "  - RelativeRepresentationStability: {layer: '1', samples: 2}")  # fmt: skip
        folder = run(path)
        before, made = passes(folder), times_made(path)
        result = scored_folder(folder, ["PointingGame"], {})
        assert (passes(folder), times_made(path)) == (before, made)
        assert result.scores.metrics[-1] == "PointingGame"

    def test_partners_are_normalised_as_when_the_run_was_made(self, config, run):
        path = config("  - Focus: {partners: partners.npz}\nmean: 127\nstd: 64")
        pixels = np.arange(48, dtype=np.uint8).reshape(6, 1, 2, 4)
        np.savez(path.parent / "partners.npz", images=pixels, labels=np.arange(6) % 2)
        folder = run(path)
        assert scored_folder(folder, ["PointingGame"], {}).scores.metrics == ("IoSR", "Focus", "PointingGame")
        assert scored_folder(folder, ["Focus"], {"Focus.partners": "partners.npz"}).finished_before

    def test_asks_the_network_where_a_metric_does(self, config, run):
        path = config()
        folder = run(path)
        before = Results(folder).costs["images"]
        scored_folder(folder, ["InsertionAUC"], {"InsertionAUC.steps": 2})
        costs = Results(folder).costs["images"]
        assert costs["perturb"] > 0
        assert costs["differentiate"] == before["differentiate"]
        assert_same(folder, run(config("  - InsertionAUC: {steps: 2}", "at once")))

    def test_keeps_the_curves_of_a_new_metric_and_of_those_that_are_there(self, config, run, raising):
        srg = "  - SRG: {steps: 2, curves: true}"
        folder = run(config(srg))
        scored_folder(folder, ["InsertionAUC"], {"InsertionAUC.steps": 2, "InsertionAUC.curves": True})
        scored_folder(folder, ["PointingGame"], {})
        at_once = f"{srg}\n  - InsertionAUC: {{steps: 2, curves: true}}\n  - PointingGame"
        assert_same(folder, run(config(at_once, "at once")))
        scored_folder(folder, ["DeletionAUC"], {"DeletionAUC.steps": 2})
        with raising(PlanError, "metric-without-curves", metric="DeletionAUC"):
            scored_folder(folder, ["DeletionAUC"], {"DeletionAUC.steps": 2, "DeletionAUC.curves": True})

    def test_of_what_is_scored_already_does_nothing(self, config, run):
        path = config()
        folder = run(path)
        assert scored_folder(folder, ["IoSR"], {"IoSR.threshold": 0.5}).finished_before
        assert scored_folder(folder, ["IoSR"], {}).finished_before  # by default the same
        (path.parent / "data.npz").unlink()
        assert scored_folder(folder, ["IoSR"], {}).finished_before

    def test_the_archive_is_checked_once(self, finished, checks, maps_of):
        scored_folder(finished, ["PointingGame"], {})
        assert list(checks.values()) == [1]
        maps = maps_of(finished)
        for finished_before in (False, True):
            checks.clear()
            assert folder_with_maps(finished, maps, "captum").finished_before == finished_before
            assert list(checks.values()) == [1]

    def test_other_data_is_refused(self, config, run, raising):
        path = config()
        folder = run(path)
        with np.load(path.parent / "data.npz") as file:
            arrays = dict(file)
        arrays["images"][1] += 1
        np.savez(path.parent / "data.npz", **arrays)
        with raising(PlanError, "folder-holds-other-data"):
            scored_folder(folder, ["PointingGame"], {})
        assert Results(folder).metrics == ("IoSR",)

    @pytest.mark.parametrize(
        ("names", "settings", "code", "values"),
        [
            (["PointingGames"], {}, "name-unknown", {"name": "PointingGames"}),
            (["PointingGame"], {"PointingGame.tolerence": 3}, "option-unknown", {"option": "tolerence"}),
            (["PointingGame"], {"PointingGame.tolerance": -3}, "value-refused", {}),
            (["PointingGame"], {"IoSR.threshold": 0.2}, "set-of-no-metric", {"name": "IoSR"}),
            (["PointingGame"], {"PointingGame": 0.2}, "set-of-no-metric", {}),
            (["IoSR"], {"IoSR.threshold": 0.25}, "metric-of-other-options", {"metric": "IoSR"}),
        ],
        ids=str,
    )
    def test_what_is_wrong(self, finished, raising, names, settings, code, values):
        with raising(PlanError, code, **values):
            scored_folder(finished, names, settings)


class TestImport:
    def test_is_a_run_made_with_the_maps_at_once(self, config, run, maps_of):
        path = config()
        folder = run(path)
        maps = maps_of(folder)
        before, made = passes(folder), times_made(path)
        result = folder_with_maps(folder, maps, "captum")
        assert times_made(path) == made + 1
        assert result.not_computed == {"captum map": 1}
        assert_same(folder, run(config(f"imported: {{captum: {maps}}}", "at once")))
        results = Results(folder)
        np.testing.assert_array_equal(
            results.scores("captum", "IoSR")[1:], results.scores("InputXGradient", "IoSR")[1:]
        )
        assert passes(folder) == before

    def test_the_file_is_not_needed_afterwards(self, finished, config, run, maps_of):
        folder = finished
        maps = maps_of(folder)
        folder_with_maps(folder, maps, "captum", source="a person")
        moved = maps.rename(maps.with_name("moved.h5"))
        scored_folder(folder, ["InsertionAUC"], {"InsertionAUC.steps": 2})
        scored_folder(folder, ["PointingGame"], {})
        more = "  - InsertionAUC: {steps: 2}\n  - PointingGame\nimported: {captum: {path: %s, source: a person}}"
        assert_same(folder, run(config(more % moved, "at once")))
        assert folder_with_maps(folder, moved, "captum", source="a person").finished_before

    def test_while_it_is_there_its_maps_for_other_labels_are_used(self, finished, config, run, maps_of):
        """Sample 2 has one label, and ClassSensitivity asks for the other one too."""
        folder = finished
        maps = maps_of(folder)
        folder_with_maps(folder, maps, "captum")
        scored_folder(folder, ["ClassSensitivity"], {})
        results = Results(folder)
        of_two = np.flatnonzero(results.questions[:, 0] == 2)
        assert np.isfinite(results.scores("captum", "ClassSensitivity")[of_two]).all()
        assert_same(folder, run(config(f"  - ClassSensitivity\nimported: {{captum: {maps}}}", "at once")))

    def test_what_is_wrong(self, finished, maps_of, raising):
        folder = finished
        maps = maps_of(folder)
        with raising(PlanError, "explainer-name-taken", name="RandomMap"):
            folder_with_maps(folder, maps, "RandomMap")
        with raising(PlanError, "name-no-folder"):
            folder_with_maps(folder, maps, "a/b")
        with h5py.File(maps, "a") as file:
            file["label"][-1] = 2
        with raising(PlanError, "imported-maps-of-other-classes", label=2, classes=2):
            folder_with_maps(folder, maps, "captum")
        with h5py.File(maps, "a") as file:
            file["label"][-1], wide = 1, file["maps"][...].reshape(-1, 4, 2)
            del file["maps"]
            file["maps"] = wide
        with raising(PlanError, "imported-maps-of-other-size"):
            folder_with_maps(folder, maps, "captum")
        with h5py.File(maps, "a") as file:
            file["sample"][...] += 100
        with raising(PlanError, "imported-nothing-asked", questions=9, sample=100):
            folder_with_maps(folder, maps, "captum")
        maps.write_bytes(b"nothing")
        with raising(MapsFileError, "maps-file-not-hdf5"):
            folder_with_maps(folder, maps, "captum")
        assert Results(folder).explainers == ("InputXGradient", "RandomMap")

    def test_other_maps_of_the_same_name_are_refused(self, finished, maps_of, raising):
        folder = finished
        folder_with_maps(folder, maps_of(folder), "captum")
        with raising(PlanError, "explainer-name-taken", name="captum", what="other imported maps"):
            folder_with_maps(folder, maps_of(folder, changed=1), "captum")

    def test_a_killed_one_is_resumed(self, finished, config, run, maps_of, kill):
        folder = finished
        maps = maps_of(folder)
        kill(lambda: folder_with_maps(folder, maps, "captum"))
        assert [one.finished for one in find_runs(folder)] == [True, False]
        folder_with_maps(folder, maps, "captum")
        assert_same(folder, run(config(f"imported: {{captum: {maps}}}", "at once")))


class TestFolders:
    def test_without_a_run(self, tmp_path, raising):
        with raising(PlanError, "folder-holds-no-run"):
            scored_folder(tmp_path, ["IoSR"], {})

    def test_of_a_run_that_a_script_made(self, whole, maps_of, raising, tmp_path):
        with raising(PlanError, "run-without-config"):
            scored_folder(whole, ["IoSR"], {})
        with h5py.File(tmp_path / "maps.h5", "w") as file:
            file["maps"], file["sample"], file["label"] = np.zeros((1, 2, 4)), [0], [0]
        with raising(PlanError, "run-without-config", instead=re.compile("register ImportedMaps")):
            folder_with_maps(whole, tmp_path / "maps.h5", "theirs")

    def test_of_a_run_that_is_not_finished(self, config, run, kill, raising):
        path = config()
        kill(lambda: run(path))
        with raising(PlanError, "folder-holds-unfinished-run"):
            scored_folder(path.parent / "run", ["PointingGame"], {})

    def test_that_were_moved(self, config, run, raising, tmp_path):
        path = config()
        folder = shutil.move(run(path), tmp_path / "elsewhere")
        scored_folder(folder, ["PointingGame"], {})
        moved = path.parent.rename(tmp_path / "moved")
        with raising(PlanError, "file-failed", where="data"):
            scored_folder(folder, ["IoSR"], {"IoSR.name": "Again"})
        scored_folder(folder, ["IoSR"], {"IoSR.name": "Again"}, moved)
        assert Results(folder).metrics == ("IoSR", "PointingGame", "Again")

    def test_of_shards(self, config, run, tmp_path):
        path = config()
        loaded, problems = load_config(path, {"summary_dir": str(tmp_path / "shards" / "{shard}")})
        for number in (1, 2):
            runner = build_runner(loaded, problems, path.parent)
            scored_folder(runner.run(shard=(number, 2)).summary_dir, ["PointingGame"], {})
        merge(tmp_path / "shards")
        assert_same(tmp_path / "shards", run(config("  - PointingGame", "at once")))


class TestCommands:
    def call(self, *arguments):
        return CliRunner().invoke(main, list(map(str, arguments)))

    def test_both(self, finished, maps_of):
        folder = finished
        maps = maps_of(folder)
        done = self.call("score", folder, "--metric", "PointingGame", "--set", "PointingGame.tolerance=2")
        assert (done.exit_code, "PointingGame" in done.stdout) == (0, True)
        done = self.call("import", folder, maps, "--name", "captum", "--source", "captum 0.9")
        assert (done.exit_code, "captum" in done.stdout) == (0, True)
        record = Results(folder).plan_record
        assert record.explainers["captum"]["source"] == "captum 0.9"
        assert record.metrics["PointingGame"]["tolerance"] == 2

    def test_bad_input(self, finished, tmp_path):
        folder = finished
        (tmp_path / "maps.h5").write_bytes(b"\x89HDF\r\n\x1a\n")
        assert self.call("score", folder, "--metric", "PointingGam").exit_code == 2
        assert self.call("score", folder).exit_code == 2
        assert self.call("import", folder, tmp_path / "maps.h5", "--name", "captum").exit_code == 2
        assert self.call("import", folder, tmp_path / "gone.h5", "--name", "captum").exit_code == 2
