"""What a reviewer reads of a changed baseline."""

from dataclasses import replace

import numpy as np
import pytest

from explainrun.runner.comparison import baseline_difference, read_baseline, scored_run, write_baseline

NAMES = {"explainers": ("E", "F"), "metrics": ("M", "L")}
NAN = np.nan


@pytest.fixture
def old(make_scored):
    return make_scored(np.full((4, 2, 2), 0.5), **NAMES)


def with_scores(run, explainer, metric, values):
    return replace(run, scores={**run.scores, (explainer, metric): np.array(values)})


def test_nothing_changed(old):
    assert baseline_difference(old, old) == ""
    assert baseline_difference(old, replace(old, name="other")) == ""


def test_scores(old):
    new = with_scores(old, "E", "L", [0.5, 0.25, 0.25, 0.5])
    new = with_scores(new, "F", "M", [0.5, NAN, 0.75, NAN])
    assert baseline_difference(old, new).splitlines() == [
        "explainer    metric    before    after    change    questions changed    lost    gained",
        "-----------  --------  --------  -------  --------  -------------------  ------  --------",
        "E            L         0.5       0.375    -0.125    2                    0       0",
        "F            M         0.5       0.625    +0.125    1                    2       0",
    ]
    assert baseline_difference(new, old).splitlines()[3].split() == ["F", "M", "0.625", "0.5", "-0.125", "1", "0", "2"]
    gone = with_scores(old, "E", "L", [NAN] * 4)
    assert baseline_difference(old, gone).splitlines()[2].split() == ["E", "L", "0.5", "-", "-", "0", "4", "0"]
    balanced = with_scores(old, "E", "M", [0.25, 0.75, 0.5, 0.5])
    assert baseline_difference(old, balanced).splitlines()[2].split() == ["E", "M", "0.5", "0.5", "+0", "2", "0", "0"]


def test_entries(old, make_scored):
    new = make_scored(np.full((4, 2, 2), 0.5), ("E", "G"), ("L", "M"))
    new = replace(new, explainers={"G": {}, "E": {"masks": 4}}, higher_is_better={"M": False, "L": True})
    assert baseline_difference(old, new).splitlines() == [
        "explainers removed: F",
        "explainers added: G",
        "options of E: masks was not there, is 4",
        "order of metrics: was M, L, is L, M",
        "higher is better: M was True, is False",
    ]


def test_controls(old):
    """What is a control is not judged, so a reviewer has to know."""
    new = replace(old, controls=("F",))
    assert baseline_difference(old, new) == "controls were none, are F"
    assert baseline_difference(new, replace(old, controls=("E", "F"))) == "controls were F, are E, F"
    assert baseline_difference(new, old) == "controls were F, are none"


def test_samples_and_questions(old, make_scored):
    new = make_scored(np.full((4, 2, 2), 0.5), samples=[1, 2, 3, 9], labels=[0, 1, 0, 0], **NAMES)
    new = replace(new, digests=np.array([101, 0, 103, 109]), predicted=((1, 2), (1,), (0,), (0,)))
    assert baseline_difference(old, new).splitlines() == [
        "samples removed: 1 (0)",
        "samples added: 1 (9)",
        "1 sample with another image, other labels or boxes: 2",
        "1 sample with other true labels: 2",
        "2 samples with other predicted labels: 1, 2",
        "questions removed: 2 (label 0 of sample 0, label 0 of sample 2)",
        "questions added: 2 (label 1 of sample 2, label 0 of sample 9)",
    ]


def test_what_made_it(old):
    before = replace(old, described={"seed": 1, "network": {"weights and layers": "1a"}, "versions": {"numpy": "1"}})
    after = replace(
        before,
        described={"seed": 2, "network": {"weights and layers": "2b"}, "versions": {"numpy": "2"}},
        class_names=("a", "x", "c"),
    )
    assert baseline_difference(before, after).splitlines() == [
        "other class names: label 1 was 'b', is 'x'",
        "seed was 1, is 2",
        "network.weights and layers was '1a', is '2b'",
        "versions.numpy was '1', is '2'",
    ]


def test_tables_and_lines_stand_apart(old):
    new = with_scores(replace(old, described={"seed": 3}), "E", "L", [0.5, 0.25, 0.25, 0.5])
    table, lines = baseline_difference(old, new).split("\n\n")
    assert table.startswith("explainer ")
    assert lines == "seed was 0, is 3"


def test_every_change_of_the_file_is_told(make_run, tmp_path):
    """Any one value of the file that is another makes a difference."""
    write_baseline(scored_run(make_run("run").root), tmp_path / "kept.json")
    old = read_baseline(tmp_path / "kept.json")
    for change in (
        {"described": {**old.described, "config": None}},
        {"described": dict(reversed(old.described.items()))},
        {"metrics": {"InsertionAUC": {**old.metrics["InsertionAUC"], "steps": 17}, "Leak": old.metrics["Leak"]}},
        {"higher_is_better": {"InsertionAUC": True, "Leak": True}},
        {"predicted": ((), *old.predicted[1:])},
        {"digests": old.digests + 1},
    ):
        assert baseline_difference(old, replace(old, **change))
