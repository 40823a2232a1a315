"""What a plan no longer names is hidden, comes back without passes, and goes when it shall."""

import json

import pytest
from click.testing import CliRunner

from explainrun.runner.cli.main import main
from explainrun.summary_format import Results, find_runs, inspect_run

WIDE = {"explainers": ("Gradient", "GradCAM"), "metrics": ("PointingGame", "InsertionAUC"), "count": 8, "masks": 3}


def hidden(folder):
    """What inspecting says of the archives beside a run, in words."""
    return [str(one.surplus) for one in inspect_run(folder).hidden]


def test_hidden_and_named_again_without_passes(grow, counting, more, tmp_path, how_runs_differ):
    wide = grow(**WIDE)()
    runs, narrow = counting(grow())
    assert (runs, more(narrow, wide)) == (4, {"network probe": 4})
    assert hidden(tmp_path / "run") == ["explainer GradCAM; metric InsertionAUC; uncertainty; 3 samples"]
    results = Results(tmp_path / "run")
    assert (results.explainers, results.metrics, len(results.samples)) == (("Gradient",), ("PointingGame",), 5)
    grow("narrow")()
    apart = how_runs_differ(tmp_path / "narrow", tmp_path / "run")
    assert {one.split("/")[1].split()[0] for one in apart} == {"earlier"}  # which lies beside the archive
    runs, again = counting(grow(**WIDE))
    assert (runs, more(again, narrow)) == (4, {"network probe": 4})
    grow("wide", **WIDE)()
    assert how_runs_differ(tmp_path / "wide", tmp_path / "run") == []
    assert hidden(tmp_path / "run") == []


def test_each_archive_is_checked_once(grow, killed_at, checks, tmp_path):
    """The one that a run grows out of, and those beside it: of a run, of one that is resumed, and once more at rest."""
    grow(**WIDE)()
    assert not checks  # of a run that was just written
    grow()()  # which hides the first
    assert list(checks.values()) == [1]
    more = grow(explainers=("Gradient", "RISE"))
    for run, archives in ((lambda: killed_at(more, None), 2), (more, 2), (more, 2)):
        checks.clear()
        run()
        assert list(checks.values()) == [1] * archives
    assert hidden(tmp_path / "run") == ["explainer GradCAM; metric InsertionAUC; uncertainty; 3 samples"]


@pytest.mark.slow
def test_what_is_hidden_stays_through_further_growth(grow, more, tmp_path, how_runs_differ):
    grow(**WIDE)()
    grow()()
    last = grow(explainers=("Gradient", "Occlusion"), metrics=("PointingGame", "IoSR"))()
    assert hidden(tmp_path / "run") == ["explainer GradCAM; metric InsertionAUC; uncertainty; 3 samples"]
    plan = {**WIDE, "explainers": ("Gradient", "Occlusion", "GradCAM"), "labels": "truth and confident"}
    result = grow(**plan)()
    assert more(result, last).keys() == {"network probe", "occlude", "perturb"}  # of new samples, and new maps
    assert hidden(tmp_path / "run") == ["metric IoSR"]
    grow("whole", **plan)()
    assert not [one for one in how_runs_differ(tmp_path / "whole", tmp_path / "run") if "/earlier" not in one]


@pytest.mark.slow
def test_hidden_under_other_options_is_not_taken(grow, more, tmp_path):
    grow(**WIDE)()
    narrow = grow()()
    result = grow(masks=4)()
    assert more(result, narrow).keys() == {"network probe", "dropout"}  # where it acts is known
    assert hidden(tmp_path / "run") == ["explainer GradCAM; metric InsertionAUC; uncertainty; 3 samples"]


@pytest.mark.slow
def test_pruned(grow, counting, tmp_path, how_runs_differ):
    grow(**WIDE)()
    grow()()
    runs, result = counting(lambda: grow()(prune=True))
    assert result.finished_before
    assert runs == 4
    assert hidden(tmp_path / "run") == []
    grow("narrow")()
    assert how_runs_differ(tmp_path / "narrow", tmp_path / "run") == []
    grow(**WIDE)()
    grow(explainers=("GradCAM",))(prune=True)  # at the end of what hides it
    assert hidden(tmp_path / "run") == []


@pytest.mark.slow
def test_an_overwriting_run_leaves_nothing_hidden(grow, tmp_path, how_runs_differ):
    grow(**WIDE)()
    grow()()
    grow()(overwrite=True)
    grow("narrow")()
    assert how_runs_differ(tmp_path / "narrow", tmp_path / "run") == []


def test_inspect_says_what_is_hidden_and_what_it_grew_from(grow, tmp_path):
    grow(**WIDE)()
    [first] = find_runs(tmp_path / "run")
    grow()()
    said = CliRunner().invoke(main, ["inspect", str(tmp_path / "run")])
    assert said.exit_code == 0
    assert "explainer GradCAM; metric InsertionAUC; uncertainty; 3 samples (" in " ".join(said.stdout.split())
    told = " ".join(said.stdout.split())
    assert "8 samples; explainers Gradient, GradCAM; metrics PointingGame, InsertionAUC; uncertainty" in told
    found = json.loads(CliRunner().invoke(main, ["inspect", "--json", str(tmp_path / "run")]).stdout)
    assert found["grown_from"] == {
        "began": first.timestamp,
        "finished": True,
        "samples": 8,
        "explainers": ["Gradient", "GradCAM"],
        "metrics": ["PointingGame", "InsertionAUC"],
        "uncertainty": True,
        "hierarchical_occlusion": False,
        "nearest_samples": False,
    }
    [beside] = found["hidden"]
    assert beside.pop("bytes") > 0
    assert beside == {
        "archive": f"{first.timestamp}.h5",
        "explainers": ["GradCAM"],
        "metrics": ["InsertionAUC"],
        "curves": [],
        "uncertainty": True,
        "hierarchical_occlusion": False,
        "nearest_samples": False,
        "samples": 3,
    }


@pytest.mark.slow
@pytest.mark.parametrize("again", ["prune", "overwrite"])
def test_a_damaged_hidden_archive_is_a_fault(grow, tmp_path, again):
    grow(**WIDE)()
    grow()()
    [path] = find_runs(tmp_path / "run")[-1].earlier.iterdir()
    damage(path)
    [fault] = inspect_run(tmp_path / "run").faults
    assert (fault.file.endswith(f"earlier/{path.name}"), "--prune" in fault.remedy) == (True, True)
    grow()(**{again: True})
    assert inspect_run(tmp_path / "run").faults == ()


def damage(path):
    """Change a byte of a file, but of no other that is a link to it."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.unlink()
    path.write_bytes(data)
