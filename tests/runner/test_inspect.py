"""``explainrun inspect``: what it prints, as text and JSON, and the exit codes."""

import json
import re
import shlex
import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner

from explainrun.runner.cli.inspection_report.text import duration, size
from explainrun.runner.cli.main import main
from explainrun.summary_format import (
    ExplanationBatch,
    FolderLock,
    InferenceBatch,
    Metadata,
    RunFolder,
    SampleRecord,
    Score,
    ScoresRecord,
    Segments,
    SummaryWriter,
)
from explainrun.summary_format.archive.results_file import write_archive
from explainrun.summary_format.plan_record import PlanRecord

PLAN = {
    "network": {"class": "Net", "weights and layers": "abc123"},
    "activation_fn": "Sigmoid",
    "class_names": ["a", "b"],
    "explainers": {"First": {"class": "Gradient", "layer": ["block6"], "loss": None}},
    "metrics": {"IoSR": {"class": "IoSR", "threshold": 0.5}},
    "samples": 4,
    "limit": None,
    "seed": 7,
    "device": "CPU",
    "versions": {"mindspore": "2.9"},
    "config": {"network": {"checkpoint": "net.ckpt"}, "data": {"hdf5": "digits.h5"}},
}


def write_batch(segments, batch):
    """Two samples, one question each, the second not scored."""
    ids, costs = np.array([2 * batch, 2 * batch + 1]), {"seconds": {"maps": 30.0}, "made": {"infer": 3}}
    numbers, questions = np.zeros((2, 2), np.float32), np.stack([ids, [0, 1]], axis=1)
    digests, spread = ids.astype(np.uint32), np.zeros((0, 2, 2))
    said = InferenceBatch(
        ids=ids,
        digests=digests,
        truth=np.array([[0], [1]]),
        logits=numbers,
        probabilities=numbers,
        spread=spread,
        questions=questions,
        labels_out_of_range=0 * ids,
        costs=costs,
    )
    segments.write_samples(batch, said)
    explained = ExplanationBatch(
        scores=np.array([[0.5, np.nan]]), computed=np.array([True, True]), errors=np.full(2, np.nan), costs=costs
    )
    segments.write_explained(batch, "First", explained, np.zeros((2, 2, 3), np.float32))


@pytest.fixture(autouse=True)
def width(monkeypatch):
    """Of what is printed, whatever terminal the tests have."""
    monkeypatch.setenv("COLUMNS", "100")


@pytest.fixture
def make(tmp_path):
    """Makes a run in a folder, with so many of two batches; both without samples in the event file make it whole."""

    def made(name, batches, **changes):
        plan = {**PLAN, **changes}
        run = RunFolder.create(tmp_path / name, "CPU", {"plan": plan})
        segments = Segments(run, ("First",))
        for batch in range(batches):
            write_batch(segments, batch)
        if batches == 2:
            write_archive(segments, PlanRecord.of(plan))
            with SummaryWriter(run, [Metadata(("a", "b"), ("First",), ("IoSR",)), *records(run)]):
                pass
            run.write_manifest(saliency_map=True, benchmark=True, uncertainty=False, hierarchical_occlusion=False)
            run.sweep()
        return run

    return made


def records(run):
    for sample in range(4):
        run.write_file(run.root / run.image_path(sample), b"picture")
        yield SampleRecord(sample, run.image_path(sample))
    yield ScoresRecord((Score("First", "IoSR", 0.5),))


def inspected(*arguments):
    done = CliRunner().invoke(main, ["inspect", *map(str, arguments)])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.output


def plain(*arguments):
    def refused(constant):
        raise AssertionError(constant)

    code, output = inspected(*arguments, "--json")
    return code, json.loads(output, parse_constant=refused)


KEYS = [
    "folder", "state", "finished", "running", "run", "other_runs", "shard", "began", "ended", "seconds", "writer",
    "samples", "questions", "progress", "sizes", "curve_bytes", "not_computed", "records", "pictures", "unsupported",
    "grown_from",
    "hidden", "faults",
    "costs", "plan",
]  # fmt: skip


def test_a_finished_run(make):
    run = make("run", 2)
    code, text = inspected(run.root)
    assert code == 0
    lines = text.splitlines()
    assert lines[0] == f"{run.root}: finished"
    assert ["First", "2"] in [line.split() for line in lines]  # not scored
    assert ["infer", "12", "0", "0", "0", "0.00"] in [line.split() for line in lines]
    code, told = plain(run.root)
    assert (code, list(told), told["runs"]) == (0, [*KEYS, "runs", "shards"], [{key: told[key] for key in KEYS}])
    assert (told["state"], told["samples"], told["seconds"], told["progress"]) == ("finished", 4, 120.0, None)
    assert told["not_computed"]["scores"] == {"First": {"IoSR": 2}}
    assert told["sizes"]["total"] == sum(path.stat().st_size for path in run.root.rglob("*") if path.is_file())
    assert told["plan"]["seed"] == 7


def steady(text, folder):
    """A text without what differs from run to run and from one version of HDF5 to the next: folder, times, sizes."""
    text = text.replace(str(folder), "FOLDER")
    text = re.sub(r"_explain_\d+", "_explain_TIME", text)
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d)?", "TIME", text)
    text = re.sub(r"\d+(\.\d+)? (bytes|[kMGT]B)\b", "SIZE", text)
    text = re.sub(r"\n {11,}(?=\S)", " ", text)  # a line is broken where sizes and times let it
    return re.sub(r" {2,}|-{3,}", lambda found: found[0][:2], text)


def steady_json(text, folder):
    """The same of a JSON object, without what stands in it twice."""
    told = json.loads(steady(text, folder))
    [one] = told["runs"]
    assert one == {key: told[key] for key in one}
    varying = {"began", "ended"} & {key for key, value in told.items() if value is not None}
    sizes = {key: value and "SIZE" for key, value in told["sizes"].items() if not key.endswith("files")}
    return {**told, **dict.fromkeys(varying, "TIME"), "sizes": {**told["sizes"], **sizes}, "runs": "the same"}


@pytest.mark.parametrize("state", ["finished", "unfinished", "damaged"])
def test_the_whole_text(make, tmp_path, snapshot, state):
    run = make("run", 1 if state == "unfinished" else 2)
    if state == "damaged":
        run.archive.unlink()
    assert steady(inspected(run.root)[1], tmp_path) == snapshot(name="text")
    assert json.dumps(steady_json(inspected(run.root, "--json")[1], tmp_path), indent=1) == snapshot(name="json")


def test_an_unfinished_run(make):
    run = make("run", 1, shard=[2, 8])
    code, text = inspected(run.root)
    assert code == 3
    assert text.splitlines()[0] == f"{run.root}: unfinished, 100% done, nothing to go but joining"  # one sample
    assert "2 of 8" in text
    run = make("whole", 1)
    code, text = inspected(run.root)
    assert text.splitlines()[0] == f"{run.root}: unfinished, 50% done, about 1 min 00 s to go"
    assert ["First", "1", "of", "2", "2", "15.000", "30", "s"] in [line.split() for line in text.splitlines()]
    code, told = plain(run.root)
    assert (code, list(told), told["shards"]) == (3, [*KEYS, "runs", "shards"], [])
    assert (told["progress"]["share"], told["progress"]["seconds_to_go"]) == (0.5, 60.0)
    assert told["sizes"]["to_go"] > 0
    (run.segments / "000000.First.maps").unlink()
    _, text = inspected(run.root)
    told = "time to go unknown, since nothing of First is committed yet (the rest: 30 s)"
    assert text.splitlines()[0] == f"{run.root}: unfinished, 25% done, {told}"
    with FolderLock(run.root):
        _, text = inspected(run.root)
        assert ": running, 25% done" in text
        assert "last sign of life" in text


def test_damage_and_absence_have_one_exit_code(make, tmp_path):
    run = make("run", 2)
    run.archive.unlink()
    code, text = inspected(run.root)
    assert (code, text.splitlines()[0]) == (2, f"{run.root}: finished, damaged")
    assert "results.h5: it is missing; run with --overwrite" in " ".join(text.split())
    code, told = plain(run.root)
    assert (code, told["state"], told["finished"]) == (2, "damaged", True)
    assert [sorted(fault) for fault in told["faults"]] == [["file", "remedy", "what"]]
    code, text = inspected(tmp_path / "none")
    assert (code, text.splitlines()[0]) == (2, f"{tmp_path / 'none'}: no run")
    code, told = plain(tmp_path)  # which holds a folder that holds a run
    assert (code, [one["state"] for one in told["runs"]]) == (2, ["damaged"])


def test_shards_are_counted_and_what_to_do_next_is_said(make, tmp_path):
    job = tmp_path / "job"
    make("job/shard-1", 2, shard=[1, 4])
    make("job/shard-2", 1, shard=[2, 4])
    make("job/again", 2, shard=[1, 4])
    (job / "notes").mkdir()
    code, text = inspected(job)
    assert code == 3
    lines = text.splitlines()
    assert [line.split()[0] for line in lines[2:5]] == [str(job / name) for name in ("again", "shard-1", "shard-2")]
    assert lines[4].split()[1:6] == ["2", "of", "4", "unfinished", "100%"]
    assert lines[-1].startswith("shards of 4: 3-4 missing; 2 unfinished; 1 doubled. Next: run those")
    code, told = plain(job)
    assert (code, list(told)) == (3, ["state", "finished", "running", "runs", "shards"])
    assert (told["state"], told["finished"]) == ("unfinished", False)
    (shards,) = told["shards"]
    assert (shards["of"], shards["missing"], shards["unfinished"], shards["doubled"]) == (4, [3, 4], [2], [1])


def test_when_all_shards_are_finished_they_are_to_be_merged(make, tmp_path):
    first, second = (make(f"the job/{number}", 2, shard=[number, 2]).root for number in (1, 2))
    code, text = inspected(tmp_path / "the job")
    assert code == 0
    merge = f"explainrun merge OUT {shlex.quote(str(first))} {shlex.quote(str(second))}"
    assert text.splitlines()[-1] == f"shards of 2: all finished. Next: {merge}"
    code, text = inspected(first)
    assert (code, "merge" in text) == (0, False)  # alone it is finished
    assert inspected(first, tmp_path)[0] == 2  # with a folder without runs
    make("the job/again", 2, shard=[1, 2])
    code, text = inspected(tmp_path / "the job")
    assert text.splitlines()[-1] == f"shards of 2: all finished, 1 doubled. Next: {merge}"
    make("single/1", 2, shard=[1, 2])
    code, text = inspected(tmp_path / "single")
    assert (code, text.splitlines()[-1][:27]) == (3, "shards of 2: 2 missing. Nex")
    make("other/2", 2, shard=[2, 2], seed=8)  # of another run
    code, text = inspected(first, tmp_path / "other" / "2")
    assert (code, text.count(" missing. Next: ")) == (3, 2)
    assert text.endswith(f"{first} and {tmp_path / 'other' / '2'} belong to different runs: seed was 7, is 8\n")


def test_several_folders_are_rows_and_the_worst_counts(make):
    whole, half = make("whole", 2).root, make("half", 1).root
    assert inspected(whole, half)[0] == 3
    (half / "events.summary.5.CPU.a_explain").write_text("an older run, of which nothing else is left")
    code, told = plain(whole, half)
    assert (code, [one["state"] for one in told["runs"]]) == (3, ["finished", "unfinished"])
    assert told["runs"][1]["other_runs"] == ["_explain_5"]
    _, text = inspected(half)
    assert "_explain_5; name the data folder" in text


def test_odd_plans_are_told(make):
    run = make("odd", 1, explainers={"First": 3, "\ud800": {}})
    code, text = inspected(run.root)
    assert (code, "the plan's explainers must be a mapping of names to options" in " ".join(text.split())) == (2, True)
    run = make("run", 1, samples=10**400, mean=float("nan"), note="\ud800")
    code, told = plain(run.root)
    assert (code, told["plan"]["mean"], told["progress"]["samples_total"]) == (3, None, None)
    (run.root / f"events.summary.{10**19}.CPU.a_explain").write_bytes(b"")
    code, text = inspected(run.root)
    assert (code, f"begun {10**19} s after 1970" in text) == (2, True)


def test_numbers_in_words():
    assert [duration(number) for number in (0.04, 9.96, 61, 3599.7, 7_260, 200_000)] == [
        "0.0 s", "10 s", "1 min 01 s", "1 h 00 min", "2 h 01 min", "2.3 days",
    ]  # fmt: skip
    assert [size(number) for number in (0, 999, 1000, 99_949, 5_200_000, 3.1e12, 4e15)] == [
        "0 bytes", "999 bytes", "1.0 kB", "100 kB", "5.2 MB", "3.1 TB", "4000.0 TB",
    ]  # fmt: skip


def test_no_network_library_is_loaded(make):
    run = make("run", 1)
    code = (
        "import sys\n"
        "from explainrun.runner.cli.main import main\n"
        "try: main(['inspect', *sys.argv[1:]])\n"
        "except SystemExit as end: print(end.code, 'mindspore' in sys.modules)\n"
    )
    for options in ([], ["--json"]):
        command = [sys.executable, "-c", code, str(run.root), *options]
        told = subprocess.run(command, capture_output=True, text=True, check=True)
        assert told.stdout.splitlines()[-1] == "3 False", told.stderr
