"""Names, permissions and leftovers of a summary folder."""

import json
import re
import stat

import pytest

from explainrun.summary_format import RunFolder, SummaryWriter, find_runs, read_manifest, remove_runs
from explainrun.summary_format.storage import durable
from explainrun.summary_format.storage.run_folder import sweep


def test_names_are_those_the_viewer_looks_for(tmp_path):
    run = RunFolder.create(tmp_path / "deep" / "summary", "Ascend")
    assert re.fullmatch(rf"events\.summary\.{run.timestamp}\.Ascend\.[A-Za-z0-9-]+_explain", run.event_file.name)
    assert run.timestamp < 2**32  # seconds: the viewer fails on milliseconds
    assert run.image_path(12_345) == f"_explain_{run.timestamp}/origin_images/12000/12345.jpg"
    assert run.heatmap_path("GradCAM", 999, 3) == f"_explain_{run.timestamp}/heatmap/GradCAM/0/999_3.png"


def test_only_the_owner_reads_and_nobody_writes(tmp_path):
    run = RunFolder.create(tmp_path / "summary", "CPU")
    with SummaryWriter(run):
        pass
    run.write_file(tmp_path / "summary" / run.heatmap_path("GradCAM", 1, 2), b"picture")
    run.write_manifest(saliency_map=True, benchmark=False, uncertainty=False, hierarchical_occlusion=False)
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in run.root.rglob("*")}
    assert {mode for path, mode in modes.items() if path.is_dir()} == {0o700}
    assert {mode for path, mode in modes.items() if path.is_file()} == {0o400}
    assert (tmp_path / "summary" / run.heatmap_path("GradCAM", 1, 2)).read_bytes() == b"picture"


def test_the_manifest_means_finished(tmp_path):
    run = RunFolder.create(tmp_path, "CPU")
    assert not run.finished
    assert read_manifest(run) is None
    run.write_manifest(saliency_map=True, benchmark=False, uncertainty=False, hierarchical_occlusion=False)
    assert run.finished
    assert (
        json.loads(run.manifest.read_text())
        == read_manifest(run)
        == {
            "saliency_map": True,
            "benchmark": False,
            "uncertainty": False,
            "hierarchical_occlusion": False,
        }
    )
    run.sweep()
    assert sorted(path.name for path in run.data.iterdir()) == ["manifest.json", "plan.json"]


def test_runs_within_a_second_stay_apart_and_are_removed_alone(tmp_path):
    runs = [RunFolder.create(tmp_path, "CPU") for _ in range(2)]
    with SummaryWriter(runs[0]):
        later = RunFolder.create(tmp_path, "CPU")
    with SummaryWriter(later):
        pass
    every = [*runs, later]
    assert len({run.timestamp for run in every}) == 3
    assert find_runs(tmp_path) == every  # with an event file or without one yet
    kept = [tmp_path / name for name in ("notes.txt", "events.summary.x_explain", "events.out.1.CPU.a_explain")]
    for path in kept:
        path.write_text("mine")
    (tmp_path / "_explain_mine").mkdir()
    remove_runs(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*(path.name for path in kept), "_explain_mine"])


def test_what_starts_that_were_killed_left_is_swept_away(tmp_path):
    run = RunFolder.create(tmp_path, "CPU")
    (tmp_path / "_explain_5" / "partial").mkdir(parents=True)
    (tmp_path / "_explain_5" / "partial" / "0").write_text("half a plan")
    (tmp_path / "_explain_6").mkdir()
    (tmp_path / "_explain_7").mkdir()
    (tmp_path / "_explain_7" / "notes.txt").write_text("mine")
    sweep(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["_explain_7", run.data.name])
    run.write_file(run.segments / "000000.samples", b"work")
    run.partial().write_text("half a file")
    (run.data / "partial").mkdir()  # as earlier versions did
    (run.data / "partial" / "0").write_text("half a file")
    run.sweep()
    assert sorted(path.name for path in run.data.iterdir()) == ["plan.json", "segments"]
    assert list(tmp_path.glob(".explainrun*")) == []
    run.write_manifest(saliency_map=True, benchmark=False, uncertainty=False, hierarchical_occlusion=False)
    run.sweep()
    assert sorted(path.name for path in run.data.iterdir()) == ["manifest.json", "plan.json"]


def test_a_file_is_whole_or_not_there(tmp_path, monkeypatch):
    run = RunFolder.create(tmp_path, "CPU")
    path = run.data / "results"
    run.write_file(path, b"first")
    monkeypatch.setattr(durable.os, "replace", lambda *_: (_ for _ in ()).throw(OSError(5, "in the middle")))
    with pytest.raises(OSError, match=rf"in the middle: '{path}'"):
        run.write_file(path, b"second")
    assert path.read_bytes() == b"first"


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[1]",
        "null",
        '{"event_file": "../../mine", "state": {}}',
        '{"event_file": 7, "state": {}}',
        '{"state": {}}',
    ],
)
def test_a_plan_file_that_is_not_ours_names_no_run(tmp_path, content):
    run = RunFolder.create(tmp_path, "CPU")
    path = run.data / "plan.json"
    path.unlink()
    path.write_text(content)
    assert run.state() is None
    assert find_runs(tmp_path) == []
