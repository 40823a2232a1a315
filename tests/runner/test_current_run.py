"""What an earlier run left in the folder counts only where it is the run of now."""

import re

import h5py
import numpy as np
import pytest

from explainrun.runner.up_to_date_run import RunFailedError, current_run
from explainrun.summary_format import Results, find_runs


@pytest.fixture
def project(gated_project, tmp_path):
    """A project of two batches, 64 samples and 6."""
    project = gated_project(tmp_path / "project")
    project.write_scenes(70)
    return project


@pytest.fixture
def run(project, tmp_path):
    def go(**overrides):
        return current_run(project.folder / "gate.yaml", {"summary_dir": str(tmp_path / "runs"), **overrides})

    return go


def test_a_finished_run_is_taken(run):
    first = run()
    assert (first.finished_before, first.samples) == (False, 70)
    again = run()
    assert (again.finished_before, again.scores) == (True, first.scores)


def test_a_late_sample_that_changed_is_explained(run, project, tmp_path):
    """The runner itself looks at the first batch only."""
    run()
    before = Results(tmp_path / "runs").digests
    with h5py.File(project.folder / "scenes.h5", "a") as file:
        file["images"][69, 0, 5, 7] = 0.5
    assert not run().finished_before
    changed = np.flatnonzero(Results(tmp_path / "runs").digests != before)
    assert changed.tolist() == [69]
    assert len(find_runs(tmp_path / "runs")) == 1


def test_samples_that_were_added_are_explained(run, project):
    run()
    project.write_scenes(71)
    assert run().samples == 71


def test_runs_of_other_versions_are_made_anew(run, monkeypatch):
    run()
    monkeypatch.setattr("explainrun.runner.plan.versions.version", lambda package: f"{package} of tomorrow")
    assert not run().finished_before
    assert run().finished_before


def test_runs_of_another_network_are_made_anew(run, project):
    assert run().scores.aggregate("Gradient", "IoSR").mean == 1.0
    project.looks_at(project.BAD)
    assert run().scores.aggregate("Gradient", "IoSR").mean == 0.0


def test_damaged_runs_are_made_anew(run, tmp_path):
    run()
    with find_runs(tmp_path / "runs")[0].archive.open("r+b") as file:
        file.seek(3000)
        file.write(b"damaged")
    assert not run().finished_before
    assert run().finished_before


def test_unfinished_runs_are_gone_on_with(run, kill, caplog):
    kill(run, batch=1, commits=1)
    with caplog.at_level("INFO", "explainrun"):
        assert run().samples == 70
    assert "resuming the run" in caplog.text


def test_unfinished_runs_on_other_samples_are_begun_anew(run, project, kill, tmp_path):
    kill(run, batch=1, commits=1)
    with h5py.File(project.folder / "scenes.h5", "a") as file:
        file["images"][3, 0, 5, 7] = 0.5
    assert run().samples == 70
    assert len(find_runs(tmp_path / "runs")) == 1


def test_what_is_wrong_is_one_sentence(run, project, raising):
    with raising(
        RunFailedError, "run-failed", config=re.compile("gate.yaml$"), why=re.compile("^metrics.0.: .*'IoSr'")
    ):
        run(metrics=["IoSr"])
    (project.folder / "gated_network.py").write_text("def looking():\n    return {}['weights']\n")
    with raising(RunFailedError, "run-failed", why="network: KeyError: 'weights'"):
        run()


def test_errors_of_users_code_in_a_run(run, project, monkeypatch, raising):
    path = project.folder / "gated_network.py"
    path.write_text(path.read_text().replace("return self.head", "return self.heads"))
    with raising(RunFailedError, "run-failed", why=re.compile("AttributeError.*heads.*EXPLAINRUN_TRACEBACK=1")):
        run()
    monkeypatch.setenv("EXPLAINRUN_TRACEBACK", "1")
    with pytest.raises(AttributeError, match="heads"):
        run()
