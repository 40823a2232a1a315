"""``explainrun baseline``: what it writes, what it leaves, and its exit codes."""

import os
import socket
import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner

from explainrun.runner.cli.main import main
from explainrun.runner.comparison import read_baseline
from explainrun.summary_format import ExplanationBatch, InferenceBatch, RunFolder, Segments
from explainrun.summary_format.archive.results_file import write_archive
from explainrun.summary_format.plan_record import PlanRecord
from explainrun.summary_format.storage import durable

PLAN = {
    "class_names": ["a", "b"],
    "explainers": {"First": {}},
    "metrics": {"IoSR": {"threshold": 0.5}},
    "higher_is_better": {"IoSR": True},
    "samples": 3,
    "seed": 7,
    "config": None,
}


@pytest.fixture
def make(tmp_path):
    def made(name, scores=(0.25, 0.5, 1.0), *, finished=True, **changes):
        plan = {**PLAN, **changes}
        run = RunFolder.create(tmp_path / name, "CPU", {"plan": plan})
        segments, ids, numbers = Segments(run, ("First",)), np.arange(3), np.zeros((3, 2), np.float32)
        questions = np.stack([ids, 0 * ids], axis=1)
        spread, digests = np.zeros((0, 3, 2)), ids.astype(np.uint32)
        said = InferenceBatch(
            ids=ids,
            digests=digests,
            truth=0 * questions[:, :1],
            logits=numbers,
            probabilities=numbers,
            spread=spread,
            questions=questions,
            labels_out_of_range=0 * ids,
            costs={},
        )
        segments.write_samples(0, said)
        if finished:
            table = np.array([scores]) if plan["metrics"] else np.zeros((0, 3))
            explained = ExplanationBatch(scores=table, computed=np.ones(3, bool), errors=np.full(3, np.nan), costs={})
            segments.write_explained(0, "First", explained, np.zeros((3, 2, 3), np.float32))
            write_archive(segments, PlanRecord.of(plan))
            run.write_manifest(saliency_map=True, benchmark=True, uncertainty=False, hierarchical_occlusion=False)
            run.sweep()
        return run.root

    return made


def called(*arguments):
    done = CliRunner().invoke(main, ["baseline", *map(str, arguments)])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.stdout, done.stderr


def test_a_baseline_is_written(make, tmp_path):
    file = tmp_path / "kept.json"
    code, out, err = called(make("run"), "-o", file)
    assert (code, err) == (0, "")
    assert out == f"{file}: 3 samples, 3 questions, 1 row of scores, {file.stat().st_size} bytes\n"
    assert read_baseline(file).scores["First", "IoSR"].tolist() == [0.25, 0.5, 1.0]


def test_nothing_changed(make, tmp_path):
    run, file = make("run"), tmp_path / "kept.json"
    called(run, "-o", file)
    before = file.stat()
    for flags in ([], ["--update"]):
        assert called(run, "-o", file, *flags) == (0, f"nothing changed, {file} stays as it is\n", "")
    file.write_text(file.read_text().replace("\n", "\n\n"))
    laid_out_otherwise = file.read_bytes()
    assert called(run, "-o", file, "--update")[0] == 0
    assert file.read_bytes() == laid_out_otherwise
    assert file.stat().st_ino == before.st_ino


def test_another_one_is_replaced_when_asked_for(make, tmp_path):
    one, two, file = make("one"), make("two", (0.25, 0.75, 1.0), seed=8), tmp_path / "kept.json"
    called(one, "-o", file)
    before = file.read_bytes()
    code, out, err = called(two, "-o", file)
    assert (code, out) == (2, "")
    assert err == f"explainrun: {file} holds another baseline; --update replaces it and shows what changes\n"
    assert file.read_bytes() == before
    code, out, err = called(two, "-o", file, "--update")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[2].split() == ["First", "IoSR", "0.583333", "0.666667", "+0.08333", "1", "0", "0"]
    assert lines[3:6] == ["", "seed was 7, is 8", ""]
    assert lines[6].startswith(f"{file}: 3 samples")
    assert read_baseline(file).described["seed"] == 8


@pytest.mark.parametrize("text", ["", "{}", "<<<<<<< HEAD\n", '{"format": "explainrun baseline", "version": 2}'])
def test_what_is_no_baseline_is_left(make, tmp_path, text):
    file = tmp_path / "kept.json"
    file.write_text(text)
    for flags in ([], ["--update"]):
        code, _, err = called(make("run"), "-o", file, *flags)
        assert code == 2
        assert err.endswith("it is left as it is: name another file, or remove this one\n")
        assert file.read_text() == text


def test_what_cannot_be_kept(make, tmp_path):
    file = tmp_path / "kept.json"
    called(make("run"), "-o", tmp_path / "other.json")
    for run, words in (
        (tmp_path / "nothing", "there is no "),
        (make("open", finished=False), "open is not finished: 0 of 3 samples are through; run it again"),
        (tmp_path / "other.json", "is a baseline already"),
        (make("bare", metrics={}, higher_is_better={}), "has no scores to keep"),
    ):
        code, out, err = called(run, "-o", file)
        assert (code, out) == (2, "")
        assert err.startswith("explainrun: ")
        assert words in err
        assert not file.exists()
    archive = next(make("broken").glob("_explain_*/results.h5"))
    archive.unlink()
    archive.write_bytes(b"explainrun results")
    code, _, err = called(tmp_path / "broken", "-o", file)
    assert code == 2
    assert "checksum" in err
    code, _, err = called(make("fine"), "-o", tmp_path / "missing" / "kept.json")
    assert code == 2
    assert f"there is no folder {tmp_path / 'missing'} to write kept.json to" in err
    assert called(tmp_path / "fine", "-o", tmp_path)[0] == 2


@pytest.mark.parametrize("update", [(), ("--update",)])
def test_what_a_killed_one_left_goes_with_the_next(make, tmp_path, update):
    run, file, left = make("run"), tmp_path / "kept.json", tmp_path / ".kept.json.explainrun-0123456789abcdef"
    for _ in range(2):  # the second changes nothing
        left.write_text("half")
        assert called(run, "-o", file, *update)[0] == 0
        assert sorted(os.listdir(tmp_path)) == ["kept.json", "run"]


@pytest.mark.parametrize("name", ["-", "/dev/stdout", "/dev/fd/1"])
def test_to_standard_output(make, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    run = make("run", class_names=["\u00fc", "b"])
    assert called(run, "-o", "kept.json")[0] == 0
    code, out, err = called(run, "-o", name)
    assert (code, out.encode()) == (0, (tmp_path / "kept.json").read_bytes())
    assert err == f"explainrun: standard output: 3 samples, 3 questions, 1 row of scores, {len(out.encode()):,} bytes\n"
    assert sorted(os.listdir(tmp_path)) == ["kept.json", "run"]


def test_to_what_takes_it_whatever_was_there(make, tmp_path):
    code, out, err = called(make("run"), "-o", os.devnull)
    assert (code, out, err.startswith(f"explainrun: {os.devnull}: 3 samples")) == (0, "", True)
    read, write = os.pipe()
    try:
        assert called(tmp_path / "run", "-o", f"/dev/fd/{write}")[0] == 0  # as a shell's >(...)
        assert os.read(read, 100).startswith(b'{\n "format"')
    finally:
        os.close(read)
        os.close(write)


def test_to_what_may_never_take_it(make, tmp_path):
    run, pipe, link, file = make("run"), tmp_path / "pipe", tmp_path / "link", tmp_path / "file"
    os.mkfifo(pipe)
    link.symlink_to(pipe)
    file.write_text("")
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(str(tmp_path / "socket"))
    sock.close()
    for place, said in (
        (pipe, "is a pipe; name a file"), (link, "is a pipe"),
        ("/dev/zero", "is a device"), (tmp_path / "socket", "is a socket"),
        (file / "kept.json", "cannot be written: Not a directory"), (tmp_path / ("n" * 256), "File name too long"),
    ):  # fmt: skip
        code, out, err = called(run, "-o", place)
        assert (code, out, err.startswith(f"explainrun: {place} ")) == (2, "", True), err
        assert said in err


def test_a_full_disk(make, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    run = make("run")
    monkeypatch.setattr(durable.os, "write", full)
    code, out, err = called(run, "-o", tmp_path / "kept.json")
    assert (code, out) == (3, "")
    assert "the baseline is not written" in err
    assert "No space left on device" in err
    assert sorted(os.listdir(tmp_path)) == ["run"]


@pytest.mark.slow
def test_without_mindspore(make, tmp_path):
    run, file = make("run", class_names=["ü", "b"]), tmp_path / "kept.json"
    code = (
        "import sys; from explainrun.runner.cli.main import main\n"
        f"main(['baseline', {str(run)!r}, '-o', {str(file)!r}], standalone_mode=False)\n"
        "print([name for name in sys.modules if name.split('.')[0] == 'mindspore'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1] == "[]", done.stderr
    assert read_baseline(file).class_names == ("ü", "b")
    make("run", (0.0, 0.0, 0.0), class_names=["ü", "ö"])
    ascii_only = {**os.environ, "PYTHONIOENCODING": "ascii"}
    command = [sys.executable, "-m", "explainrun", "baseline", str(run), "-o", str(file), "--update"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=ascii_only)
    assert done.returncode == 0, done.stderr
    assert "label 1 was 'b', is '\\xf6'" in done.stdout


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
@pytest.mark.long
def test_standard_output_that_takes_nothing(make, tmp_path):
    """1 would say that explanations got worse."""
    run, file = make("run"), tmp_path / "kept.json"
    for done in ("is written", "stays as it is"):
        with open("/dev/full", "w") as full:
            command = [sys.executable, "-m", "explainrun", "baseline", run, "-o", file]
            told = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
        assert (told.returncode, told.stderr.count("\n")) == (3, 1), told.stderr
        assert f"{file} {done}, but standard output takes nothing: [Errno 28]" in told.stderr
        assert read_baseline(file).scores["First", "IoSR"].tolist() == [0.25, 0.5, 1.0]


def test_scores_on_any_standard_output(make):
    """``explainrun scores`` likewise: a class name that it cannot encode, and nothing taken at all."""
    run = make("run", class_names=["d\xf6g", "b"])
    command = [sys.executable, "-m", "explainrun", "scores", run, "--label-table", "IoSR"]
    ascii_only = {**os.environ, "PYTHONIOENCODING": "ascii"}
    told = subprocess.run(command, env=ascii_only, capture_output=True, text=True, check=False)
    assert (told.returncode, told.stderr) == (0, "")
    assert "d\\xf6g" in told.stdout
    told = subprocess.run(["bash", "-c", '"$@" >&-', "bash", *command], capture_output=True, text=True, check=False)
    assert (told.returncode, told.stderr) == (2, "explainrun: standard output takes nothing: it is closed\n")
