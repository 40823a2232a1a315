"""Opening runs for comparison, and what is refused."""

import json
import re
import shutil

import numpy as np
import pytest

from explainrun.runner.comparison import BaselineError, NoRunError, UnfinishedRunError, scored_run, write_baseline
from explainrun.runner.comparison.scored_run import portable, rounded
from explainrun.summary_format import BrokenRecordError, FolderLock, Results

QUESTIONS = [[0, 0], [1, 1], [1, 2], [2, 2], [3, 0], [4, 1], [4, 2], [5, 2]]


@pytest.mark.parametrize("place", ["root", "data", "archive"])
def test_what_a_run_says(make_run, place):
    run = make_run("run")
    found = scored_run(getattr(run, place))
    assert found.name == str(getattr(run, place))
    assert found.class_names == ("cat", "dög", "owl")
    assert found.explainers == {"GradCAM": {"class": "GradCAM", "layer": "conv"}, "RISE": {"class": "RISE", "masks": 8}}
    assert list(found.metrics) == ["InsertionAUC", "Leak"]
    assert found.metrics["InsertionAUC"]["steps"] == 16
    assert found.higher_is_better == {"InsertionAUC": True, "Leak": False}
    assert found.samples.tolist() == list(range(12))
    assert found.digests.tolist() == list(range(9, 21))
    assert found.truth.tolist() == [[sample % 3] for sample in range(12)]
    assert found.questions[:8].tolist() == QUESTIONS
    assert found.predicted[:4] == ((0,), (1, 2), (2,), (0,))
    assert list(found.scores) == [(one, metric) for one in found.explainers for metric in found.metrics]
    values = Results(run.root).scores("RISE", "Leak")
    np.testing.assert_allclose(found.scores["RISE", "Leak"], values, rtol=1e-5)
    assert found.scores["RISE", "Leak"].tolist() == [float(f"{value:.6g}") for value in values]
    assert found.described["seed"] == 7
    assert found.described["versions"] == {"explainrun": "0.1.0", "mindspore": "2.9"}
    assert found.described["network"]["weights and layers"] == "abc123"
    assert found.picture("GradCAM", 3, 0) == str(run.root / run.heatmap_path("GradCAM", 3, 0))
    assert found.picture("GradCAM", 4, 1) is None
    assert found.results.map("RISE", 1, 2).shape == (3, 5)


def test_the_newest_run_of_a_folder_is_read(make_run):
    make_run("run", seed=1)
    newer = make_run("run", class_names=["x", "y", "z"])
    assert scored_run(newer.root).class_names == ("x", "y", "z")


def test_plans_of_before_say_no_direction(make_run):
    run = make_run("run", higher_is_better={})
    assert scored_run(run.root).higher_is_better == {"InsertionAUC": True, "Leak": True}


def test_labels_that_no_network_numbers_stand_for(make_run):
    run = make_run("run", nan=[4])
    found = scored_run(run.root)
    assert found.predicted[3:6] == ((0,), (), (2,))
    assert 4 not in found.questions[:, 0]
    assert [4, 1] in found.true_questions.tolist()


def test_the_most_probable_label_where_none_is_above_a_half(make_run, monkeypatch):
    low = np.array([[0.25, 0.375, 0.125], [0.25, 0.25, 0.125], [0.5, 0.0, 0.5]], np.float32)
    run = make_run("run")
    shown = np.concatenate([low, Results(run.root).probabilities[3:]])
    monkeypatch.setattr(Results, "probabilities", shown)
    assert scored_run(run.root).predicted[:4] == ((1,), (0,), (0,), (0,))


def test_places_of_questions(make_scored):
    run = make_scored(np.zeros(4), samples=[5, 3, 5, 9], labels=[2, 1, 0, 1])
    asked = np.array([[9, 1], [5, 2], [3, 0], [5, 0], [3, 1], [9, 1]])
    assert run.places(asked).tolist() == [3, 0, -1, 2, 1, 3]
    assert run.places(asked[:0]).tolist() == []
    empty = make_scored(np.zeros(4), questions=np.zeros((0, 2), int))
    assert empty.places(asked).tolist() == [-1] * 6
    assert run.true_questions.tolist() == [[3, 1], [5, 0], [5, 2], [9, 1]]


def test_scores_have_six_significant_digits():
    given = [0.12345678, 1.23456789e-05, -0.0, 123456789.0, np.nan, np.inf, 1 / 3]
    found = rounded(given)
    assert [repr(value) for value in found.tolist()] == ["0.123457", "1.23457e-05", "0.0", "123457000.0", "nan", "nan",
                                                         "0.333333"]  # fmt: skip
    np.testing.assert_array_equal(rounded(found), found)


def test_paths_are_left_out(raising):
    assert portable({"a": ["/home/some one/o'neil/net.ckpt", 1.5, None, True], "b": "PosixPath('/x/y.npy')"}) == {
        "a": ["net.ckpt", 1.5, None, True],
        "b": "PosixPath('y.npy')",
    }
    assert portable("C:\\Users\\me\\x.npy") == "x.npy"
    assert portable("~/x/y") == "y"
    assert [portable(text) for text in ("conv/1", "a b", "", "layer4.1")] == ["conv/1", "a b", "", "layer4.1"]
    assert portable([float("inf"), float("nan")]) == ["inf", "nan"]
    assert portable("\ud800") == "\\ud800"
    deep = []
    for _ in range(30):
        deep = [deep]
    with raising(ValueError, "nested-too-deep", most=20):
        portable(deep)


def test_an_unfinished_run_is_refused(make_run, raising):
    run = make_run("run", finished=False)
    for place in (run.root, run.data):
        with raising(
            UnfinishedRunError,
            "run-unfinished",
            name=str(place),
            samples=re.compile("6 of 12"),
            remedy=re.compile("again"),
        ):
            scored_run(place)
    with FolderLock(run.root), raising(UnfinishedRunError, "run-unfinished", remedy=re.compile("wait")):
        scored_run(run.root)
    make_run("both")
    later = make_run("both", finished=False)
    with pytest.raises(UnfinishedRunError):
        scored_run(later.root)


def test_the_archive_of_an_unfinished_run_is_refused(make_run, tmp_path, raising):
    """It is written before the event file is whole; a copy elsewhere is as good as any."""
    run = make_run("run")
    shutil.copy(run.archive, tmp_path / "copy.h5")
    run.manifest.unlink()
    with raising(UnfinishedRunError, "run-unfinished", name=str(run.archive)):
        scored_run(run.archive)
    copied = scored_run(tmp_path / "copy.h5")
    assert len(copied.samples) == 12
    assert copied.picture("GradCAM", 3, 0) is None


def test_what_is_no_run_is_refused(make_run, tmp_path, monkeypatch, raising):
    with raising(NoRunError, "not-there", name=str(tmp_path / "nothing")):
        scored_run(tmp_path / "nothing")
    (tmp_path / "empty").mkdir()
    with raising(NoRunError, "no-run", folder=str(tmp_path / "empty")):
        scored_run(tmp_path / "empty")
    run = make_run("run")
    for name in ("manifest.json", "plan.json"):
        with raising(BaselineError, "not-a-baseline", where=str(run.data / name)):
            scored_run(run.data / name)
    (tmp_path / "list.json").write_text("[1]")
    with raising(BaselineError, "not-a-baseline"):
        scored_run(tmp_path / "list.json")
    with raising(NoRunError, "not-a-file", name="/dev/null"):
        scored_run("/dev/null")
    monkeypatch.chdir(run.data)
    assert len(scored_run(".").samples) == 12


def test_a_damaged_archive_is_refused(make_run, tmp_path, raising):
    run = make_run("run")
    data = bytearray(run.archive.read_bytes())
    data[2000] ^= 1
    run.archive.unlink()
    run.archive.write_bytes(data)
    for place in (run.root, run.archive):
        with raising(BrokenRecordError, "record-broken", path=str(run.archive), reason=re.compile("checksum")):
            scored_run(place)
    (tmp_path / "cut.h5").write_bytes(b"")
    with pytest.raises(BrokenRecordError):
        scored_run(tmp_path / "cut.h5")


def test_a_label_that_is_no_class_is_refused(make_run, monkeypatch):
    run = make_run("run")
    monkeypatch.setattr(Results, "truth", np.array([[3]] * 12))
    with pytest.raises(ValueError, match="a true label is out of range"):
        scored_run(run.root)


def test_configs_are_told_apart_by_what_plans_do_not_say(make_run):
    config = {"network": {"checkpoint": "a/net.ckpt"}, "data": {"hdf5": "/x/digits.h5"}, "summary_dir": "/x/y"}
    digests = [
        scored_run(make_run(f"run{i}", config=one).root).described["config"]
        for i, one in enumerate(
            [
                config,
                {**config, "summary_dir": "z", "seed": 3},
                {**config, "data": {"hdf5": "/y/digits.h5"}},
                {**config, "network": {"checkpoint": "a/other.ckpt"}},
                None,
                {**config, "data": {"hdf5": "/x/others.h5"}},
            ]
        )
    ]
    assert digests[0] == digests[1] == digests[2] != digests[3]
    assert digests[4] is None
    assert digests[5] not in digests[:5]
    assert "digits" not in json.dumps(digests)


def test_a_baseline_file_is_opened_by_what_it_holds(make_run, tmp_path):
    run = scored_run(make_run("run").root)
    for name in ("kept.json", "kept.txt", "kept"):
        write_baseline(run, tmp_path / name)
        assert scored_run(tmp_path / name).results is None
