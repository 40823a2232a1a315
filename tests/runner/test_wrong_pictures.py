"""A picture that is not the one that the run wrote is found by its checksum, even where it is a sound picture."""

import re
import shutil

import pytest
from click.testing import CliRunner

from explainrun.runner.cli.main import main
from explainrun.summary_format import ExplanationBatch, MergeError, Results, find_runs, inspect_run, merge
from explainrun.summary_format.archive.picture_checksums import checksum

WRONG = "this picture is different from what the run wrote"


def put(path, content):
    path.unlink(missing_ok=True)
    path.write_bytes(content)


def of_another_question(run):
    """As two writers at one name would leave it."""
    first, second = (run.data / "heatmap" / "Gradient" / "0" / name for name in ("1_1.png", "0_0.png"))
    put(second, first.read_bytes())
    return second


def of_another_explainer(run):
    first, second = (run.data / "heatmap" / name / "0" / "0_0.png" for name in ("Gradient", "GradCAM"))
    put(second, first.read_bytes())
    return second


def of_another_sample(run):
    first, second = (run.data / "origin_images" / "0" / name for name in ("1.jpg", "0.jpg"))
    put(second, first.read_bytes())
    return second


def cut(run):
    path = run.data / "origin_images" / "0" / "2.jpg"
    put(path, path.read_bytes()[:-1])
    return path


def one_bit(run):
    path = run.data / "heatmap" / "GradCAM" / "0" / "0_0.png"
    data = bytearray(path.read_bytes())
    data[-20] ^= 1
    put(path, data)
    return path


def a_link_to_another(run):
    path = run.data / "heatmap" / "Gradient" / "0" / "0_0.png"
    path.unlink()
    path.symlink_to("1_1.png")
    return path


WAYS = [of_another_question, of_another_explainer, of_another_sample, cut, one_bit, a_link_to_another]


def copied(folder):
    """The run in a copy of a folder."""
    copy = folder.with_name("copy")
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(folder, copy)
    [run] = find_runs(copy)
    return run


def test_of_a_finished_run_it_is_named(make_runner, tmp_path):
    make_runner().run()
    sound = inspect_run(copied(tmp_path / "run").root)
    assert (sound.state, sound.faults, sound.verified) == ("finished", (), True)
    assert sound.pictures == len([*sound.run.data.rglob("*.png"), *sound.run.data.rglob("*.jpg")])
    for make_wrong in WAYS:
        run = copied(tmp_path / "run")
        path = make_wrong(run)
        [fault] = inspect_run(run.root).faults
        assert (fault.what, fault.file) == (WRONG, str(path.relative_to(run.root)))
    done = CliRunner().invoke(main, ["inspect", str(run.root)])
    assert done.exit_code == 2
    assert WRONG in " ".join(done.stdout.split())


def test_how_many_are_wrong_is_told(make_runner, tmp_path):
    make_runner().run()
    [run] = find_runs(tmp_path / "run")
    first = min(path for path in run.data.rglob("0_0.png"))
    for path in run.data.rglob("*.png"):
        put(path, b"another")
    first.unlink()
    faults = {fault.what for fault in inspect_run(run.root).faults}
    others = len(list(run.data.rglob("*.png"))) - 1
    assert faults == {"this picture is missing", f"{WRONG}, as are {others} others"}


@pytest.mark.slow
def test_of_an_unfinished_run_it_is_named_and_computed_again(
    make_runner, whole, kill, tmp_path, how_runs_differ, caplog
):
    kill(make_runner().run, 1, 2)
    assert inspect_run(tmp_path / "run").faults == ()
    for make_wrong in WAYS:
        run = copied(tmp_path / "run")
        path = make_wrong(run)
        [fault] = inspect_run(run.root).faults
        assert (fault.what, fault.remedy) == (WRONG, "run again to recompute it")
        assert fault.file == str(path.relative_to(run.root))
        assert inspect_run(run.root, through=False).faults == ()
        caplog.clear()
        make_runner("copy").run()
        assert "belongs to 1 picture that is different from what the run wrote, such as" in caplog.text
        assert how_runs_differ(whole, run.root) == []
        assert not any(path.is_symlink() for path in run.data.rglob("*"))


def test_what_is_no_file_is_missing(make_runner, kill, tmp_path):
    kill(make_runner().run, 1, 2)
    [run] = find_runs(tmp_path / "run")
    path = of_another_question(run)
    path.unlink()
    path.mkdir()
    assert [fault.what for fault in inspect_run(run.root).faults] == ["this picture is missing"]


def test_a_shard_with_one_is_not_merged(make_runner, tmp_path, raising):
    shards = [make_runner("parts/{shard}").run(shard=(number, 2)).summary_dir for number in (1, 2)]
    [run] = find_runs(shards[0])
    pictures = sorted(run.data.rglob("*.png"))
    put(pictures[0], pictures[-1].read_bytes() + b"x")
    with raising(MergeError, "shard-pictures-lost", folder=str(shards[0]), count=1, how=re.compile("different from")):
        merge(tmp_path / "merged", shards)
    assert not (tmp_path / "merged").exists()


@pytest.mark.parametrize("merged", [False, True])
def test_checksums_are_those_of_the_files(make_runner, tmp_path, merged):
    if merged:
        merge(tmp_path / "run", [make_runner("{shard}").run(shard=(number, 2)).summary_dir for number in (1, 2)])
    else:
        make_runner().run()
    [run] = find_runs(tmp_path / "run")
    results = Results(run.root)
    for sample_id, found in zip(results.samples, results.sample_pictures, strict=True):
        path = run.root / run.image_path(sample_id)
        assert found == (checksum(path.read_bytes()) if path.exists() else 0)
    for name in results.explainers:
        for question, found in zip(results.questions, results.map_pictures(name), strict=True):
            assert found == checksum((run.root / run.heatmap_path(name, *question)).read_bytes())


def test_checksums_of_an_unfinished_run_are_read(make_runner, kill, tmp_path):
    kill(make_runner().run)
    unfinished = Results(tmp_path / "run")
    make_runner().run()
    finished = Results(tmp_path / "run")
    assert unfinished.sample_pictures.tolist() == finished.sample_pictures.tolist()
    assert unfinished.map_pictures("GradCAM").tolist() == finished.map_pictures("GradCAM").tolist()


def test_beside_a_shard_without_checksums_those_of_the_others_are_left_out(make_runner, tmp_path, monkeypatch):
    shards = [make_runner("parts/{shard}").run(shard=(1, 2)).summary_dir]
    with monkeypatch.context() as patch:
        patch.setattr(ExplanationBatch, "pictured", lambda self, _: self)
        shards.append(make_runner("parts/{shard}").run(shard=(2, 2)).summary_dir)
    assert merge(tmp_path / "run", shards).sample_pictures is None
    found = inspect_run(tmp_path / "run")
    assert (found.state, found.faults, found.verified) == ("finished", (), False)
