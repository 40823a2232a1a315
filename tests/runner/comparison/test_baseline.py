"""Baseline files: what was put in comes out, and what was not written by us is told."""

import json
import os
import re
import shutil
import socket
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest

from explainrun.runner.comparison import BaselineError, baseline_text, read_baseline, scored_run, write_baseline
from explainrun.runner.comparison.scored_run import rounded
from explainrun.summary_format.storage import durable


@pytest.fixture
def run(make_run):
    return make_run("run", nan=[4])


@pytest.fixture
def kept(run, tmp_path):
    write_baseline(scored_run(run.root), tmp_path / "kept.json")
    return tmp_path / "kept.json"


def test_what_was_put_in_comes_out(run, kept):
    before, after = scored_run(run.root), read_baseline(kept)
    assert after.name == str(kept)
    for name in ("class_names", "explainers", "metrics", "higher_is_better", "described", "predicted"):
        assert getattr(after, name) == getattr(before, name)
    assert list(after.described) == list(before.described)
    assert (list(after.explainers), list(after.metrics)) == (list(before.explainers), list(before.metrics))
    for name in ("samples", "digests", "truth", "questions"):
        np.testing.assert_array_equal(getattr(after, name), getattr(before, name))
    assert list(after.scores) == list(before.scores)
    for row, scores in before.scores.items():
        np.testing.assert_array_equal(after.scores[row], scores)
    assert (after.results, after.folder, after.picture("GradCAM", 3, 0)) == (None, None, None)
    assert baseline_text(after) == kept.read_text("utf-8")


def test_the_same_run_gives_the_same_bytes(run, kept, tmp_path):
    shutil.copytree(run.root, tmp_path / "elsewhere")
    for place in (run.root, run.archive, tmp_path / "elsewhere"):
        write_baseline(scored_run(place), tmp_path / "again.json")
        assert (tmp_path / "again.json").read_bytes() == kept.read_bytes()


def test_laid_out_for_reviewers(kept):
    lines = kept.read_text("utf-8").splitlines()
    assert lines[1:3] == [' "format": "explainrun baseline",', ' "version": 1,']
    assert ' "class_names": ["cat", "dög", "owl"],' in lines
    assert '  "GradCAM": {"class": "GradCAM", "layer": "conv"},' in lines
    assert '  [1,"0000000a",[1],[1,2],[1,2]],' in lines
    assert '  [4,"0000000d",[1],[],[]],' in lines
    means = lines[lines.index(' "means_of_true_labels": {') + 1]
    assert re.fullmatch(r'  "GradCAM": \{"InsertionAUC": 0\.\d{1,6}, "Leak": 0\.\d{1,6}\},', means)
    rows = [line for line in lines if re.match(r'   "(InsertionAUC|Leak)": \[', line)]
    assert len(rows) == 4
    assert all(row.count(",") >= 13 for row in rows)  # 14 questions
    assert not set(" e") & set(rows[0].split("[")[1])


def test_nothing_of_the_machine(run, kept, tmp_path):
    text = kept.read_text("utf-8")
    for word in (str(tmp_path), "somebody", "/data", socket.gethostname() + "_", "_explain", str(run.timestamp)):
        assert word not in text


def big(make_scored, values):
    explainers, metrics = ([f"{kind}{i}" for i in range(5)] for kind in ("Explainer", "Metric"))
    ids = np.arange(500) * 97
    run = make_scored(values.reshape(500, 5, 5), explainers, metrics, samples=ids)
    run = replace(run, digests=np.random.default_rng(0).integers(1 << 32, size=500))
    return replace(run, scores={row: rounded(scores) for row, scores in run.scores.items()})


@pytest.mark.parametrize("scale", [1.0, -1.0, 1.2e-5])
def test_a_baseline_of_500_questions_5_explainers_and_5_metrics_is_small(make_scored, scale):
    """Scores of as many digits as there are, with a sign, or so small that they need an exponent."""
    values = np.random.default_rng(1).uniform(0.1, 1.0, 12_500) * scale
    text = baseline_text(big(make_scored, values))
    numbers = re.findall(r"-?\d+\.?\d*(?:e-\d\d)?", "".join(re.findall(r'"Metric\d": \[(.*)\]', text)))
    assert len(numbers) == 12_500
    assert sum(len(re.sub(r"e.*|\D", "", number).lstrip("0")) >= 6 for number in numbers) > 11_000
    assert len(text.encode()) < 200_000


def test_a_link_stays_one_and_the_users_mask_counts(run, tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link.json").symlink_to(tmp_path / "real" / "kept.json")
    before = os.umask(0o022)
    try:
        write_baseline(scored_run(run.root), tmp_path / "link.json")
    finally:
        os.umask(before)
    assert (tmp_path / "link.json").is_symlink()
    assert (tmp_path / "real" / "kept.json").stat().st_mode & 0o777 == 0o644
    assert os.listdir(tmp_path / "real") == ["kept.json"]


@pytest.mark.parametrize("call", ["write", "fsync", "replace"])
def test_a_fault_leaves_the_old_file(run, kept, monkeypatch, call):
    before = kept.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    other = replace(scored_run(run.root), class_names=("x", "y", "z"))
    with monkeypatch.context() as patch:
        patch.setattr(durable.os, call, full)
        with pytest.raises(OSError, match="No space left"):
            write_baseline(other, kept)
    assert kept.read_bytes() == before
    assert sorted(path.name for path in kept.parent.iterdir()) == ["kept.json", "run"]
    write_baseline(other, kept)
    assert read_baseline(kept).class_names == ("x", "y", "z")


def test_written_aside_and_durable_before_it_gets_its_name(run, kept, monkeypatch):
    calls = []
    for name in ("fsync", "replace"):
        real = getattr(os, name)
        monkeypatch.setattr(
            durable.os, name, lambda *given, name=name, real=real: (calls.append(name), real(*given))[1]
        )
    write_baseline(scored_run(run.root), kept)
    assert calls == ["fsync", "replace", "fsync"]


def edited(kept, change):
    content = json.loads(kept.read_text("utf-8"))
    change(content)
    kept.write_text(json.dumps(content), "utf-8")


def at(*keys, value=None, drop=False):
    def change(content):
        for key in keys[:-1]:
            content = content[key]
        if drop:
            del content[keys[-1]]
        else:
            content[keys[-1]] = value

    return change


ROW = ("scores", "RISE", "Leak")


@pytest.mark.parametrize(
    ("change", "code", "values"),
    [
        (at("format", value="x"), "not-a-baseline", {}),
        (at("format", drop=True), "not-a-baseline", {}),
        (at("version", value=2), "baseline-newer", {"version": 2, "known": 1}),
        (at("version", value=0), "baseline-version", {"given": "0"}),
        (at("version", value=True), "baseline-version", {"given": "True"}),
        (at("version", value="1"), "baseline-version", {"given": "1"}),
        (
            at("class_names", value="abc"),
            "baseline-malformed",
            {"place": "class_names", "said": "must be a list of strings"},
        ),
        (at("class_names", value=["a", 1, "c"]), "baseline-malformed", {"place": "class_names"}),
        (at("class_names", value=["a", "\ud800", "c"]), "baseline-malformed", {"place": "class_names"}),
        (
            at("class_names", value=["a", "b"]),
            "baseline-labels",
            {"sample": 1, "column": "predicted", "given": "[1, 2]", "classes": 2},
        ),
        (at("explainers", value=[]), "baseline-malformed", {"place": "explainers"}),
        (at("explainers", drop=True), "baseline-lacks", {"keys": ["explainers"]}),
        (at("explainers", "RISE", value=3), "baseline-malformed", {"place": "explainers"}),
        (
            at("explainers", "../x", value={}),
            "baseline-malformed",
            {"place": "explainers", "said": re.compile(r"'\.\./x'")},
        ),
        (at("explainers", "New", value={}), "baseline-keys", {"place": "scores", "how": "lacks New"}),
        (at("explainers", "RISE", drop=True), "baseline-keys", {"place": "scores", "how": "also holds RISE"}),
        (at("metrics", "New", value={}), "baseline-keys", {"place": "higher_is_better", "how": "lacks New"}),
        (at("controls", value=["Gone"]), "baseline-controls", {}),
        (at("controls", value="RISE"), "baseline-malformed", {"place": "controls"}),
        (at("higher_is_better", "Leak", value=1), "baseline-malformed", {"place": "higher_is_better"}),
        (at("higher_is_better", "Leak", drop=True), "baseline-keys", {"how": "lacks Leak"}),
        (at("run", value=[]), "baseline-malformed", {"place": "run"}),
        (at("made_by", drop=True), "baseline-lacks", {"keys": ["made_by"]}),
        (at("sample_columns", value=["id"]), "baseline-columns", {}),
        (at("samples", value={}), "baseline-malformed", {"place": "samples"}),
        (at("samples", 3, value=[3, "0000000c", [0]]), "baseline-malformed", {"place": "samples.3.3"}),
        (at("samples", 3, value=[3, "0000000c", [0], [0], [0], [0]]), "baseline-malformed", {"place": "samples.3"}),
        (at("samples", 3, 0, value=2), "baseline-id", {"place": 3, "given": 2}),
        (at("samples", 3, 0, value=7), "baseline-id", {"place": 4, "given": 4}),
        (at("samples", 0, 0, value=-1), "baseline-malformed", {"place": "samples.0.0"}),
        (at("samples", 11, 0, value=1 << 63), "baseline-malformed", {"place": "samples.11.0"}),
        (
            at("samples", 3, 0, value=3.0),
            "baseline-malformed",
            {"place": "samples.3.0", "said": "should be a valid integer"},
        ),
        (at("samples", 0, 0, value=False), "baseline-malformed", {"place": "samples.0.0"}),
        (at("samples", 3, 1, value="xyz"), "baseline-malformed", {"place": "samples.3.1"}),
        (at("samples", 3, 1, value="0000000c\n"), "baseline-malformed", {"place": "samples.3.1"}),
        (at("samples", 3, 1, value=7), "baseline-malformed", {"place": "samples.3.1"}),
        (
            at("samples", 3, 2, value=[3]),
            "baseline-labels",
            {"sample": 3, "column": "truth", "given": "[3]", "classes": 3},
        ),
        (at("samples", 3, 2, value=[-1]), "baseline-malformed", {"place": "samples.3.2.0"}),
        (at("samples", 3, 2, value=[1, 1]), "baseline-labels", {"sample": 3, "column": "truth"}),
        (at("samples", 3, 4, value=[1, 0]), "baseline-labels", {"sample": 3, "column": "asked"}),
        (
            at("samples", 3, 4, value=[0, 1]),
            "baseline-score-count",
            {"place": "scores.GradCAM.InsertionAUC", "scores": 14, "questions": 15},
        ),
        (at("samples", 3, 3, value="0"), "baseline-malformed", {"place": "samples.3.3"}),
        (at("samples", 3, 3, value=[0.0]), "baseline-malformed", {"place": "samples.3.3.0"}),
        (at("samples", 3, 3, value=[True]), "baseline-malformed", {"place": "samples.3.3.0"}),
        (at("scores", value=None), "baseline-malformed", {"place": "scores"}),
        (at("scores", "RISE", drop=True), "baseline-keys", {"place": "scores", "how": "lacks RISE"}),
        (at("scores", "RISE", "More", value=[]), "baseline-keys", {"place": "scores.RISE", "how": "also holds More"}),
        (at(*ROW, value="x"), "baseline-malformed", {"place": "scores.RISE.Leak"}),
        (at(*ROW, value=[0.5]), "baseline-score-count", {"place": "scores.RISE.Leak", "scores": 1, "questions": 14}),
        (
            at(*ROW, 3, value="0.5"),
            "baseline-malformed",
            {"place": "scores.RISE.Leak.3", "said": "should be a valid number"},
        ),
        (at(*ROW, 3, value=True), "baseline-malformed", {"place": "scores.RISE.Leak.3"}),
        (at(*ROW, 3, value=[0.5]), "baseline-malformed", {"place": "scores.RISE.Leak.3"}),
        (at(*ROW, 3, value=float("nan")), "baseline-malformed", {"place": "scores.RISE.Leak.3"}),
        (at(*ROW, 3, value=float("inf")), "baseline-malformed", {"place": "scores.RISE.Leak.3"}),
        (at(*ROW, 3, value=10**400), "baseline-malformed", {"place": "scores.RISE.Leak.3"}),
        (at(*ROW, 3, value=0.999), "baseline-edited", {"explainer": "RISE", "metric": "Leak"}),
        (at(*ROW, 3, value=None), "baseline-edited", {"explainer": "RISE", "metric": "Leak"}),
        (
            at("means_of_true_labels", "RISE", "Leak", value=0.999),
            "baseline-edited",
            {"explainer": "RISE", "metric": "Leak", "kept": 0.999},
        ),
        (
            at("means_of_true_labels", "RISE", "Leak", value=None),
            "baseline-edited",
            {"explainer": "RISE", "metric": "Leak", "kept": re.compile("nan")},
        ),
        (
            at("means_of_true_labels", "RISE", drop=True),
            "baseline-keys",
            {"place": "means_of_true_labels", "how": "lacks RISE"},
        ),
    ],
)
def test_what_is_wrong_is_told(raising, kept, change, code, values):
    edited(kept, change)
    with raising(BaselineError, code, where=str(kept), **values):
        read_baseline(kept)


def test_other_layouts_and_unknown_keys_are_read(kept):
    before = baseline_text(read_baseline(kept))
    edited(kept, at("comment", value="kept on purpose"))
    assert baseline_text(read_baseline(kept)) == before


@pytest.mark.parametrize(
    ("data", "code", "values"),
    [
        (b"", "not-json", {}),
        (b"\xff\xfe", "not-json", {}),
        (b"[" * 100_000, "not-json", {}),
        (
            b'{"format": "explainrun baseline", "format": "explainrun baseline"}',
            "not-json",
            {"said": re.compile("the key 'format'")},
        ),
        (b"<<<<<<< HEAD", "not-json", {}),
        (b'"explainrun baseline"', "not-a-baseline", {}),
    ],
)
def test_what_is_no_json_is_told(raising, tmp_path, data, code, values):
    (tmp_path / "x.json").write_bytes(data)
    with raising(BaselineError, code, where=str(tmp_path / "x.json"), **values):
        read_baseline(tmp_path / "x.json")


def test_options_that_nest_too_deep_are_told(kept, raising):
    deep = {}
    for _ in range(200):
        deep = {"x": deep}
    edited(kept, at("explainers", "RISE", "layer", value=deep))
    with raising(BaselineError, "nested-too-deep", most=20):
        read_baseline(kept)


def test_every_cut_and_many_flips_are_told_or_harmless(kept):
    """Nothing else than a ``BaselineError`` comes of damage, and no other scores without a word on the mean."""
    data = kept.read_bytes()
    rng = np.random.default_rng(0)
    for end in range(0, len(data) - 2, 41):
        kept.write_bytes(data[:end])
        with pytest.raises(BaselineError):
            read_baseline(kept)
    for place in rng.integers(len(data), size=400).tolist():
        damaged = bytearray(data)
        damaged[place] = rng.integers(32, 127)
        kept.write_bytes(damaged)
        with suppress(BaselineError):
            read_baseline(kept)


def test_a_run_without_samples_or_scores(make_scored):
    run = make_scored(np.zeros(2))
    assert '"scores": {}' in baseline_text(run.only((), ()))
    empty = replace(run, **{name: getattr(run, name)[:0] for name in ("samples", "digests", "truth", "predicted")})
    assert '"samples": []' in baseline_text(replace(empty, questions=run.questions[:0]))
