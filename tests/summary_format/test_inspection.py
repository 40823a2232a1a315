"""What is told of a folder: numbers worked out by hand, every damage by name, and never a change or an error."""

import json
import os
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest

from explainrun.summary_format import (
    ExplanationBatch,
    FolderLock,
    Heatmap,
    InferenceBatch,
    Metadata,
    Prediction,
    RunFolder,
    SampleRecord,
    Score,
    ScoresRecord,
    SearchBatch,
    Segments,
    SummaryWriter,
    inspect_run,
)
from explainrun.summary_format.archive.results_file import write_archive
from explainrun.summary_format.inspection import inspection
from explainrun.summary_format.plan_record import PlanRecord
from explainrun.summary_format.storage.run_folder import RUN_FORMAT

NAN = float("nan")
PLAN = {
    "class_names": ["a", "b", "c"],
    "explainers": {"First": {}, "Sécond": {}},
    "metrics": {"IoSR": {}},
    "samples": 7,
    "limit": None,
}


def seconds(spent):
    return {"seconds": {"work": spent}, "made": {"infer": 1}}


def write_samples(segments, batch, first, questions, spent, logits=0.0, labels_out_of_range=0):
    """Two samples of three classes."""
    network = np.array([[logits] * 3, [0.0] * 3], np.float32)
    questions = np.array(questions, np.int64).reshape(-1, 2)
    ids, labels_out_of_range = np.array([first, first + 1]), np.array([labels_out_of_range, 0])
    truth, spread = np.full((2, 1), -1), np.zeros((0, 2, 3))
    said = InferenceBatch(
        ids=ids,
        digests=ids.astype(np.uint32),
        truth=truth,
        logits=network,
        probabilities=network,
        spread=spread,
        questions=questions,
        labels_out_of_range=labels_out_of_range,
        costs=seconds(spent),
    )
    segments.write_samples(batch, said)


def write_explained(segments, batch, name, scores, computed, spent):
    count = len(scores)
    said = ExplanationBatch(
        scores=np.array([scores], np.float64),
        computed=np.array(computed, bool),
        errors=np.full(count, NAN),
        costs=seconds(spent),
    )
    segments.write_explained(batch, name, said, np.ones((count, 2, 5), np.float32))


@pytest.fixture
def run(tmp_path):
    """Seven samples in batches of two: three batches have samples, two the first explainer, one the second."""
    made = RunFolder.create(tmp_path / "run", "CPU", {"plan": PLAN})
    fill(Segments(made, tuple(PLAN["explainers"])))
    write_event_file(made)
    return made


def fill(segments):
    write_samples(
        segments, 0, 0, [(1, 0), (1, 2)], 10.0, logits=NAN, labels_out_of_range=3
    )  # nothing is asked of sample 0
    write_samples(segments, 1, 2, [(2, 1)], 2.0)  # sample 3 has no label
    write_samples(segments, 2, 4, [(4, 1), (5, 1)], 2.0)
    write_explained(segments, 0, "First", [0.5, NAN], [True, False], 6.0)
    write_explained(segments, 1, "First", [NAN], [True], 8.0)
    write_explained(segments, 0, "Sécond", [0.5, 0.5], [True, True], 40.0)


def write_event_file(run, *more):
    pictures = [run.image_path(1), run.heatmap_path("First", 1, 0)]
    for path in pictures:
        run.write_file(run.root / path, b"picture")
    sample = SampleRecord(1, pictures[0], (), (Prediction(0, 0.75),), (Heatmap("First", 0, pictures[1]),))
    with SummaryWriter(run, (Metadata(("a", "b", "c"), ("First", "Sécond"), ("IoSR",)), sample, *more)):
        pass


@pytest.fixture
def finished(tmp_path):
    """The first batch alone, with all that belongs to it."""
    plan = {**PLAN, "samples": 2}
    made = RunFolder.create(tmp_path / "finished", "CPU", {"plan": plan})
    segments = Segments(made, tuple(PLAN["explainers"]))
    write_samples(segments, 0, 0, [(1, 0), (1, 2)], 10.0, logits=NAN, labels_out_of_range=3)
    write_explained(segments, 0, "First", [0.5, NAN], [True, False], 6.0)
    write_explained(segments, 0, "Sécond", [0.5, 0.5], [True, True], 40.0)
    write_event_file(made, ScoresRecord((Score("First", "IoSR", 0.5), Score("Sécond", "IoSR", 0.5))))
    write_archive(segments, PlanRecord.of(plan))
    made.write_manifest(saliency_map=True, benchmark=True, uncertainty=False, hierarchical_occlusion=False)
    made.sweep()
    return made


def rewrite(path, data):
    path.unlink(missing_ok=True)
    path.write_bytes(data)


def faults(folder):
    return [(fault.file.split("/")[-1], fault.what) for fault in inspect_run(folder).faults]


def tree(root):
    return {path: (path.lstat().st_mtime_ns, path.lstat().st_size) for path in [root, *root.rglob("*")]}


def test_a_finished_run(finished):
    before = tree(finished.root)
    found = inspect_run(finished.root)
    assert tree(finished.root) == before
    assert (found.state, found.finished, found.faults, found.progress) == ("finished", True, (), None)
    assert (found.samples, found.questions, found.seconds) == (2, 2, 56.0)
    assert found.ended == finished.manifest.stat().st_mtime
    lacking = found.not_computed
    assert (lacking.outputs, lacking.unlabelled, lacking.labels_out_of_range) == (1, 0, 3)
    assert lacking.maps == {"First": 1, "Sécond": 0}
    assert lacking.scores == {"First": {"IoSR": 1}, "Sécond": {"IoSR": 0}}
    assert (found.records.records, found.records.samples, found.records.scores) == (3, 1, True)
    sizes = found.sizes
    assert (sizes.pictures, sizes.picture_files, sizes.segments) == (14, 2, 0)
    assert sizes.archive == finished.archive.stat().st_size
    assert sizes.total == sum(path.stat().st_size for path in finished.root.rglob("*") if path.is_file())


def test_how_far_a_run_is_and_how_long_it_takes_each_part_at_its_own_speed(run):
    before = tree(run.root)
    found = inspect_run(run.root)
    assert tree(run.root) == before
    progress = found.progress
    assert (found.state, found.faults) == ("unfinished", ())
    assert [(part.name, part.batches, part.samples) for part in progress.parts] == [
        ("samples", 3, 6), ("First", 2, 4), ("Sécond", 1, 2),
    ]  # fmt: skip
    assert (progress.samples, progress.samples_total, progress.batches, progress.batches_total) == (2, 7, 1, 4)
    assert (progress.parts_committed, progress.parts_total, progress.share) == (6, 12, 0.5)
    # the first batch also pays for what is done once: 4 s for 4 samples, 8 s for 2, but 40 s for 2 where it is alone
    assert [part.seconds_a_sample for part in progress.parts] == [1.0, 4.0, 20.0]
    assert progress.seconds_to_go == 1 * 1 + 3 * 4 + 5 * 20
    assert found.costs == {"seconds": {"work": 68.0}, "made": {"infer": 6}}
    lacking = found.not_computed
    assert (lacking.outputs, lacking.unlabelled, lacking.labels_out_of_range) == (1, 1, 3)
    assert (lacking.maps["First"], lacking.scores["First"]["IoSR"]) == (1, 2)
    assert found.questions == 5


def test_disk_that_the_rest_needs(run):
    found = inspect_run(run.root)
    bytes_of = [part.bytes for part in found.progress.parts]
    assert sum(bytes_of) == found.sizes.segments == sum(path.stat().st_size for path in run.segments.iterdir())
    more = bytes_of[0] / 6 * 1 + bytes_of[1] / 4 * 3 + bytes_of[2] / 2 * 5
    beside = (found.sizes.pictures + found.sizes.event_file) * more / sum(bytes_of)
    assert found.progress.bytes_to_go(found.sizes) == round(more + beside + sum(bytes_of) + more)


def test_what_nobody_can_know_is_not_told(run):
    (run.segments / "000000.Sécond.maps").unlink()
    progress = inspect_run(run.root).progress
    assert (progress.untried, progress.seconds_to_go, progress.known_seconds_to_go) == (("Sécond",), None, 13.0)
    assert (progress.samples, progress.share) == (0, 5 / 12)
    run.write_state({"plan": {**PLAN, "samples": None}})
    progress = inspect_run(run.root).progress
    assert (progress.samples_total, progress.batches_total, progress.share) == (None, None, None)
    assert progress.known_seconds_to_go is None
    run.write_state({"plan": {**PLAN, "samples": None, "limit": 6}})
    assert inspect_run(run.root).progress.batches_total == 3


def test_hierarchical_occlusion_is_a_part_and_a_shard_has_its_share(run):
    run.write_state({"plan": {**PLAN, "hierarchical_occlusion": {"class": "x"}, "shard": [2, 3], "samples": 16}})
    searched = Segments(run, ("First", "Sécond"), searching=True)
    found = inspect_run(run.root)
    assert found.progress.untried == ("hierarchical occlusion",)
    nothing = SearchBatch.nothing()
    searched.write_searched(0, SearchBatch(**{**vars(nothing), "costs": seconds(3.0)}))
    found = inspect_run(run.root)
    assert [part.name for part in found.progress.parts] == ["samples", "hierarchical occlusion", "First", "Sécond"]
    assert found.progress.parts[1].seconds_a_sample == 1.5
    assert (found.plan.shard, found.progress.samples_total) == ((2, 3), 5)


def test_every_kind_of_damage_to_a_finished_run_is_named(finished):
    events, archive = finished.event_file.read_bytes(), finished.archive.read_bytes()
    rewrite(finished.event_file, events[:-3])
    ((file, what),) = faults(finished.root)
    assert file == finished.event_file.name
    assert what.startswith("record 2 at byte ")
    assert what.endswith(": the file ends within its payload (2 sound records before it)")
    assert inspect_run(finished.root).state == "damaged"
    rewrite(finished.event_file, events[: events.rindex(b"First") - 40])
    assert faults(finished.root)[0][0] == finished.event_file.name
    finished.event_file.unlink()
    assert faults(finished.root) == [(finished.event_file.name, "it is missing")]
    rewrite(finished.event_file, b"")
    assert faults(finished.root) == [(finished.event_file.name, "it does not begin with class names and explainers")]
    rewrite(finished.event_file, events)
    rewrite(finished.archive, archive[:3000] + b"x" + archive[3001:])
    ((file, what),) = faults(finished.root)
    assert (file, what[:28]) == ("results.h5", "its checksum does not match:")
    assert list(inspect_run(finished.root).plan.explainers) == ["First", "Sécond"]  # by plan.json
    finished.archive.unlink()
    assert faults(finished.root) == [("results.h5", "it is missing")]
    rewrite(finished.archive, archive)
    rewrite(finished.manifest, b'{"saliency')
    assert faults(finished.root) == [("manifest.json", "it is not JSON")]


def test_records_and_pictures_that_are_not_there_are_missed(finished):
    write_event_file(finished)
    assert faults(finished.root) == [(finished.event_file.name, "it does not hold the scores")]
    with SummaryWriter(finished, (Metadata(("a",)), ScoresRecord((Score("First", "IoSR", 0.5),)))):
        pass
    assert faults(finished.root) == [(finished.event_file.name, "it holds 0 samples of 1")]
    write_event_file(finished, ScoresRecord((Score("First", "IoSR", 0.5),)))
    (finished.root / finished.image_path(1)).unlink()
    rewrite(finished.root / finished.heatmap_path("First", 1, 0), b"")
    assert faults(finished.root) == [
        ("1.jpg", "this picture is missing"),
        ("1_0.png", "this picture is empty"),
    ]
    (finished.root / finished.heatmap_path("First", 1, 0)).unlink()
    assert faults(finished.root) == [("1.jpg", "this picture is missing, as is 1 other")]


def test_what_may_not_be_read_is_not_taken_for_lost(finished, monkeypatch):
    stat = type(finished.archive).stat

    def forbidden(path, **options):
        if path.suffix == ".jpg":
            raise PermissionError(13, "Permission denied", str(path))
        return stat(path, **options)

    monkeypatch.setattr(type(finished.archive), "stat", forbidden)
    (fault,) = inspect_run(finished.root).faults
    assert fault.what.endswith("is out of reach (Permission denied)")
    assert fault.remedy == "make it readable and look again"
    monkeypatch.undo()
    finished.event_file.unlink()
    finished.event_file.mkdir()
    (fault,) = inspect_run(finished.root).faults
    assert (fault.what, fault.remedy) == ("it cannot be read (Is a directory)", "make it readable and look again")


def test_every_broken_segment_of_an_unfinished_run_is_named_and_no_other(run):
    for path in sorted(run.segments.iterdir()):
        data = path.read_bytes()
        rewrite(path, data[:-7] + bytes([data[-7] ^ 1]) + data[-6:])
        found = inspect_run(run.root)
        assert [(fault.file.split("/")[-1], fault.what) for fault in found.faults] == [
            (path.name, "the CRC of its payload does not match")
        ]
        assert (found.state, found.progress.parts_committed) == ("damaged", 5)
        assert found.faults[0].remedy == "run again to recompute it"
        rewrite(path, data)
    assert inspect_run(run.root).faults == ()


def test_maps_are_left_unread_on_request(run):
    path = run.segments / "000001.First.maps"
    rewrite(path, path.read_bytes()[:-3])
    rewrite(run.event_file, b"junk" * 5)
    assert len(inspect_run(run.root).faults) == 2
    found = inspect_run(run.root, through=False)
    assert (found.faults, found.progress.parts_committed, found.records) == ((), 6, None)


def test_an_event_file_cut_by_a_kill_is_no_damage_until_the_run_is_finished(run):
    events = run.event_file.read_bytes()
    rewrite(run.event_file, events[:-3])
    found = inspect_run(run.root)
    assert (found.state, found.records.torn, found.records.records) == ("unfinished", True, 1)
    run.event_file.unlink()
    assert inspect_run(run.root).state == "unfinished"
    rewrite(run.event_file, events[:-3] + b"xyz")
    ((file, what),) = faults(run.root)
    assert (file, what[:11]) == (run.event_file.name, "record 1 at")


def plan_file(run, state, number=RUN_FORMAT):
    return json.dumps({"format": number, "event_file": run.event_file.name, "state": state}).encode()


def test_plans_that_cannot_be_read_are_told(run, finished):
    for content, words in (
        (b"[1", "it is not the plan of a run"),
        (b"[" * 200_000, "it is not the plan of a run"),
        (plan_file(run, {"plan": 5}), "the plan is not a mapping with strings as keys"),
        (plan_file(run, {"plan": {"explainers": 5}}), "the plan does not say class_names, metrics"),
        (plan_file(run, {"plan": {**PLAN, "explainers": 5}}), "the plan's explainers must be a mapping of names"),
    ):  # fmt: skip
        rewrite(run.data / "plan.json", content)
        ((file, what),) = faults(run.root)
        assert file == "plan.json"
        assert words in what
        assert inspect_run(run.root).state == "damaged"
    (run.data / "plan.json").unlink()
    run.event_file.unlink()  # nothing but segments is left to know it by
    assert faults(run.root) == [("plan.json", "it is missing")]
    (finished.data / "plan.json").unlink()
    assert faults(finished.root) == [("plan.json", "it is missing")]
    assert inspect_run(finished.root).samples == 2  # by the archive


def test_folders_without_a_run(tmp_path):
    (tmp_path / "file").write_text("x")
    (tmp_path / "empty").mkdir()
    (tmp_path / "_explain_7").mkdir()
    (tmp_path / "_explain_7" / "notes.txt").write_text("mine")
    for name, words in (
        ("none", "No such file"), ("file", "Not a directory"), ("empty", "it holds no run"), ("", "it holds no run"),
    ):  # fmt: skip
        found = inspect_run(tmp_path / name)
        assert (found.state, found.run) == ("no run", None)
        assert words in found.faults[0].what


def test_the_newest_run_is_looked_at_and_any_by_its_data_folder(finished):
    later = RunFolder.create(finished.root, "CPU", {"plan": PLAN})
    found = inspect_run(finished.root)
    assert (found.run, found.others, found.state) == (later, (finished,), "unfinished")
    found = inspect_run(finished.data)
    assert (found.run, found.others, found.state) == (finished, (later,), "finished")
    here = os.getcwd()
    try:
        os.chdir(finished.data)
        assert inspect_run(".").finished
    finally:
        os.chdir(here)


def test_a_run_that_ends_while_one_looks_is_looked_at_again(run, monkeypatch):
    look, plan = inspection.committed, {**PLAN, "samples": 2}

    def meanwhile(*arguments, **options):
        for path in run.segments.iterdir():
            if not path.name.startswith("000000"):
                path.unlink()
        write_archive(Segments(run, tuple(PLAN["explainers"])), PlanRecord.of(plan))
        write_event_file(run, ScoresRecord((Score("First", "IoSR", 0.5),)))
        run.write_manifest(saliency_map=True, benchmark=True, uncertainty=False, hierarchical_occlusion=False)
        run.sweep()
        return look(*arguments, **options)

    monkeypatch.setattr(inspection, "committed", meanwhile)
    found = inspect_run(run.root)
    assert (found.state, found.samples) == ("finished", 2)


HOLDS = """
import sys
from pathlib import Path
from explainrun.summary_format import FolderLock
with FolderLock(Path(sys.argv[1])):
    print("holds", flush=True)
    sys.stdin.read()
"""


def test_who_writes_is_told_and_not_disturbed(run):
    assert inspect_run(run.root).writer is None
    command = [sys.executable, "-c", HOLDS, str(run.root)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "holds\n"
        os.utime(run.root / ".explainrun.lock", (1, 1))  # a process that stands still keeps the kernel's lock
        found = inspect_run(run.root)
        assert (found.running, found.writer.pid, found.writer.host) == (True, process.pid, socket.gethostname())
        process.send_signal(signal.SIGKILL)
        process.wait()
    found = inspect_run(run.root)
    assert (found.running, found.writer.pid) == (False, process.pid)


def test_a_process_that_looks_at_its_own_folder_keeps_its_lock(run):
    with FolderLock(run.root):
        found = inspect_run(run.root)
        assert (found.running, found.writer.pid) == (True, os.getpid())
        code = "import sys; from pathlib import Path\n"
        code += "from explainrun.summary_format.storage.lock_holder import holder_of\n"
        code += "print(holder_of(Path(sys.argv[1])).alive)"
        told = subprocess.run([sys.executable, "-c", code, run.root], capture_output=True, text=True, check=True)
        assert told.stdout == "True\n"


def test_locks_of_other_hosts_and_garbage(run):
    lock = run.root / ".explainrun.lock"
    for content, age, expected in (
        (b'{"host": "elsewhere", "pid": 5}', 0, ("elsewhere", 5, True)),
        (b'{"host": "elsewhere", "pid": 5}', 70, ("elsewhere", 5, False)),
        (b"\xff garbage", 70, (None, None, False)),
        (b"[" * 4000, 70, (None, None, False)),
        (b'{"host": 5, "pid": "x"}', 70, (None, None, False)),
    ):
        rewrite(lock, content)
        os.utime(lock, (time.time() - age,) * 2)
        writer = inspect_run(run.root).writer
        assert (writer.host, writer.pid, writer.alive) == expected
    lock.unlink()
    lock.mkdir()
    assert not inspect_run(run.root).running


def test_a_run_that_begins_is_unfinished(tmp_path):
    with FolderLock(tmp_path / "new"):
        found = inspect_run(tmp_path / "new")
        assert (found.state, found.run, found.faults) == ("unfinished", None, ())
    assert inspect_run(tmp_path / "new").state == "no run"


def test_whatever_lies_in_a_folder_nothing_is_raised(run, finished):
    for kept in (run, finished):
        for path in [path for path in kept.root.rglob("*") if path.is_file()]:
            data = path.read_bytes()
            for other in (b"", data[: len(data) // 2], b"\x00" * 100, b"\xff" * len(data), b"{}", b'"', b"[" * 200_000):
                rewrite(path, other)
                assert inspect_run(kept.root).state in ("finished", "unfinished", "damaged", "no run")
            path.unlink()
            path.mkdir()
            assert inspect_run(kept.root).state in ("finished", "unfinished", "damaged", "no run")
            path.rmdir()
            path.write_bytes(data)
        assert inspect_run(kept.root).faults == ()


def test_foreign_segments_with_sound_checksums_are_told(run):
    rewrite(run.segments / "000000.First.maps", (run.segments / "000000.samples").read_bytes())
    ((file, what),) = faults(run.root)
    assert file == "000000.First.maps"
    assert what == "scores is missing"


def test_no_network_library_is_loaded(run):
    code = "import sys; from explainrun.summary_format import inspect_run; print(inspect_run(sys.argv[1]).state)\n"
    code += "print('mindspore' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", code, run.root], capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["unfinished", "False"]
