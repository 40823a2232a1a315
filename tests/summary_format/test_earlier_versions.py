"""Folders that an earlier version wrote: finished ones are as good as ever, unfinished ones are refused in words."""

import json
import shutil

import h5py
import numpy as np
import pytest

from explainrun.summary_format import MergeError, Results, find_runs, inspect_run, merge, read_summary
from explainrun.summary_format.storage import run_folder

REFUSED = (
    "version of Explainrun began this run, and this one cannot resume it; finish it with that version, or replace it: "
    "overwrite (--overwrite)"
)


def test_a_finished_run_is_read(earlier):
    results = Results(earlier / "whole")
    assert results.finished
    assert (results.samples.tolist(), results.explainers) == (list(range(8)), ("Gradient", "InputXGradient"))
    assert results.maps("Gradient").shape == (13, 6, 8)
    assert np.isfinite(results.scores("InputXGradient", "InsertionAUC")).all()
    assert len(results.uncertainty) == 3
    assert len(results.outcomes) == 13
    assert results.sample_pictures is None
    assert results.map_pictures("Gradient") is None
    assert list(read_summary(earlier / "whole").samples) == list(range(8))


@pytest.mark.parametrize("name", ["whole", "parts/shard-2-of-3"])
def test_a_finished_run_is_inspected_but_for_its_pictures(earlier, name):
    found = inspect_run(earlier / name)
    assert (found.state, found.faults, found.verified) == ("finished", (), False)
    assert found.pictures == len(list((earlier / name).rglob("*.png")) + list((earlier / name).rglob("*.jpg")))
    picture = next((earlier / name).rglob("*.png"))
    picture.unlink()
    assert [fault.what for fault in inspect_run(earlier / name).faults] == ["this picture is missing"]


def test_shards_are_merged_without_checksums_of_pictures(earlier, tmp_path, how_runs_differ, monkeypatch):
    monkeypatch.setattr(run_folder.socket, "gethostname", lambda: "host")  # which is in the event file's name
    merged = merge(tmp_path / "merged", (earlier / "parts").iterdir())
    assert how_runs_differ(earlier / "whole", tmp_path / "merged") == []
    assert merged.sample_pictures is None
    found = inspect_run(tmp_path / "merged")
    assert (found.state, found.faults, found.verified) == ("finished", (), False)


def test_archives_with_texts_of_variable_length_are_read_and_merged(schema_2, tmp_path, how_runs_differ, monkeypatch):
    for folder in (schema_2 / "whole", *(schema_2 / "parts").iterdir()):
        with h5py.File(find_runs(folder)[0].archive) as file:
            assert (file.attrs["schema_version"], file["plan"].dtype.kind) == (2, "O")
    results = Results(schema_2 / "whole")
    assert (results.class_names, results.explainers) == (("left", "right"), ("Gradient", "InputXGradient"))
    assert (results.plan_record.own_samples, results.plan["seed"], results.costs["made"]["infer"] > 0) == (2, 0, True)
    found = inspect_run(schema_2 / "whole")
    assert (found.state, found.faults, found.verified) == ("finished", (), True)
    monkeypatch.setattr(run_folder.socket, "gethostname", lambda: "host")  # which is in the event file's name
    merged = merge(tmp_path / "merged", (schema_2 / "parts").iterdir())
    assert how_runs_differ(schema_2 / "whole", tmp_path / "merged") == []
    assert merged.plan == {**results.plan, "summary_dir": str(tmp_path / "merged")}
    with h5py.File(find_runs(tmp_path / "merged")[0].archive) as file:
        assert (file.attrs["schema_version"], file["plan"].dtype.kind) == (3, "S")


def test_an_unfinished_run_is_refused(earlier, tmp_path):
    for place in (earlier / "unfinished", find_runs(earlier / "unfinished")[0].data):
        with pytest.raises(ValueError, match="an earlier version of Explainrun began this run") as refused:
            Results(place)
        assert str(refused.value).endswith(f": an earlier {REFUSED}")
        found = inspect_run(place)
        assert (found.state, found.faults) == ("unfinished", ())
        assert found.unsupported == f"an earlier {REFUSED}"
        assert list(found.plan.explainers) == ["Gradient", "InputXGradient"]


def test_an_unfinished_shard_is_refused_at_a_merge(earlier, tmp_path):
    shards = sorted((earlier / "parts").iterdir())
    shutil.move(earlier / "unfinished", earlier / "parts" / "shard-2")
    shutil.rmtree(shards[1])
    with pytest.raises(MergeError) as refused:
        merge(tmp_path / "merged", [shards[0], earlier / "parts" / "shard-2", shards[2]])
    problem = refused.value.problems[0]
    assert (problem.code, problem.values) == (
        "shard-of-other-version", {"folder": str(earlier / "parts" / "shard-2"), "why": f"an earlier {REFUSED}"}
    )  # fmt: skip
    assert not refused.value.waiting


def test_runs_whose_pictures_were_drawn_otherwise_are_neither_resumed_nor_merged_with_others(format_2, tmp_path):
    assert inspect_run(format_2 / "unfinished").unsupported == f"an earlier {REFUSED}"
    old = format_2 / "parts" / "shard-1-of-2"
    assert (inspect_run(old).state, inspect_run(old).faults) == ("finished", ())
    new = tmp_path / "new"
    shutil.copytree(old, new)
    plan = find_runs(new)[0].data / "plan.json"
    plan.write_text(json.dumps({**json.loads(plan.read_text()), "format": run_folder.RUN_FORMAT}))
    for shards in ([old, new], [new, old]):
        with pytest.raises(MergeError) as refused:
            merge(tmp_path / "merged", shards)
        found = {problem.code: problem.values for problem in refused.value.problems}
        assert found["shards-of-two-formats"] == {"older": str(old), "newer": str(new)}
    with pytest.raises(MergeError) as refused:
        merge(tmp_path / "merged", [old, old])
    assert "shards-of-two-formats" not in [problem.code for problem in refused.value.problems]


def test_an_unfinished_run_of_a_newer_version_is_refused_too(earlier):
    [run] = find_runs(earlier / "unfinished")
    plan = run.data / "plan.json"
    content = {**json.loads(plan.read_text()), "format": run_folder.RUN_FORMAT + 1}
    plan.write_text(json.dumps(content))
    with pytest.raises(ValueError, match="a newer version of Explainrun began this run"):
        Results(run.root)
    assert inspect_run(run.root).unsupported == f"a newer {REFUSED}"
    plan.write_text(json.dumps({**content, "format": "x"}))  # of no version
    assert inspect_run(run.root).state == "damaged"
