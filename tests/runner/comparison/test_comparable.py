"""Runs that cannot be compared are refused, with all that differs."""

from dataclasses import replace

import numpy as np
import pytest

from explainrun.runner.comparison import NotComparableError, check_comparable, compare
from explainrun.runner.comparison.compatibility import notes


def refusal(baseline, candidate):
    with pytest.raises(NotComparableError) as caught:
        check_comparable(baseline, candidate)
    return caught.value.problems


@pytest.fixture
def run(make_scored):
    made = make_scored(np.zeros((9, 2, 2)), ("E", "F"), ("M", "L"), name="before")
    return replace(made, metrics={"M": {"class": "M", "steps": 16}, "L": {}})


def test_alike_runs_are_fine(run):
    check_comparable(run, run)
    other = replace(run, described={"seed": 9}, explainers={"F": {"masks": 8}, "E": {}, "G": {}})
    check_comparable(run, other)


def test_a_run_of_an_earlier_version_is_compared_by_what_both_say(run):
    before = {"class": "M", "code": "0123456789abcdef", "steps": 16, "activation_fn": "Sigmoid 0123456789abcdef"}
    now = {
        "class": "M",
        "code": "f" * 16,
        "steps": None,
        "resolved": {"steps": 16},
        "activation_fn": {"cell": "Sigmoid", "structure": "e" * 16},
        "normalized": False,
    }
    old = replace(run, metrics={"M": before, "L": {}}, described={"network": {"weights and layers": "0" * 16}})
    new = replace(run, metrics={"M": now, "L": {}}, described={"network": {"parameters": "0" * 16}})
    check_comparable(old, new)
    check_comparable(new, old)
    assert any("earlier version" in note for note in notes(old, new))
    assert not any("earlier version" in note for note in notes(new, new))
    for key, value in (("steps", 8), ("activation_fn", "Softmax 0123456789abcdef")):
        (problem,) = refusal(replace(old, metrics={"M": {**before, key: value}, "L": {}}), new)
        assert key in problem
    (problem,) = refusal(replace(new, metrics={"M": {**now, "normalized": True}, "L": {}}), new)
    assert "normalized was True, is False" in problem


def without(run, *samples):
    kept = ~np.isin(run.samples, samples)
    asked = ~np.isin(run.questions[:, 0], samples)
    return replace(
        run,
        name="now",
        samples=run.samples[kept],
        digests=run.digests[kept],
        truth=run.truth[kept],
        predicted=tuple(run.predicted[i] for i in np.flatnonzero(kept)),
        questions=run.questions[asked],
        scores={row: scores[asked] for row, scores in run.scores.items()},
    )


def test_samples(run):
    fewer = without(run, 1, 2, 3, 4, 5, 7)
    assert refusal(run, fewer) == ("6 samples of 9 missing in now: 1, 2, 3, 4, 5, ...",)
    assert refusal(fewer, run) == ("6 samples in before that now lacks: 1, 2, 3, 4, 5, ...",)
    one = without(run, 8)
    assert refusal(run, one) == ("1 sample of 9 missing in now: 8",)
    with pytest.raises(NotComparableError):
        compare(run, one)
    shard = replace(without(run, 0, 2, 4, 6, 8), described={"shard": [2, 2]})
    (problem,) = refusal(run, shard)
    assert problem.endswith("; now is shard 2 of 2, merge the shards first")
    check_comparable(shard, shard)


def test_images_and_labels(run):
    digests = run.digests.copy()
    digests[[2, 5]] = 1
    assert refusal(run, replace(run, digests=digests)) == (
        "2 samples of 9 with another image, other labels or boxes: 2, 5",
    )
    truth = np.concatenate([run.truth, np.full((9, 1), -1)], axis=1)
    check_comparable(run, replace(run, truth=truth))
    truth[3] = [2, 0]
    truth[4] = [-1, 1]
    (problem,) = refusal(run, replace(run, truth=truth))
    assert problem == "2 samples with other true labels: 3, 4 (sample 3 had [0], has [0, 2])"


def test_class_names(run):
    assert refusal(run, replace(run, class_names=("a", "x", "c"))) == ("other class names: label 1 was 'b', is 'x'",)
    assert refusal(run, replace(run, class_names=("a", "b", "c", "d"))) == (
        "other class names: there were 3, there are 4",
    )
    many, more = (
        replace(run, class_names=tuple(letter * 2 for letter in letters)) for letters in ("abcdefg", "ABCDEFG")
    )
    (problem,) = refusal(many, more)
    assert problem.count("was") == 5
    assert problem.endswith("; and 2 more")


def test_metrics(run):
    other = replace(run, metrics={"M": {"class": "M", "steps": 8, "code": "1a"}, "L": {}})
    assert refusal(run, other) == ("M: steps was 16, is 8; code was not there, is '1a'",)
    turned = replace(run, higher_is_better={"M": True, "L": False})
    assert refusal(run, turned) == ("L: higher was better, lower is",)


def test_what_the_candidate_lacks(run):
    less = replace(run.only(["E"], ["L"]), name="now")
    assert refusal(run, less) == (
        "now lacks the explainer F of before; compare the others alone with --explainer, or keep a new baseline with "
        "explainrun baseline --update",
        "now lacks the metric M of before; compare the others alone with --metric, or keep a new baseline with "
        "explainrun baseline --update",
    )
    check_comparable(less, run)
    assert len(compare(run, less, explainers=["E"], metrics=["L"]).changes) == 1
    with pytest.raises(NotComparableError, match="lacks the explainer F"):
        compare(run, less, explainers=["E", "F"], metrics=["L"])


def test_no_true_labels_and_no_scores(run):
    blank = replace(run, truth=np.full((9, 1), -1))
    (problem,) = refusal(blank, blank)
    assert problem.startswith("no sample of before has a true label")
    none = run.only(["E"], [])
    assert refusal(none, none) == ("before has no scores: it needs an explainer and a metric",)


def test_everything_at_once(run):
    digests = run.digests.copy()
    digests[0] = 0
    worst = replace(
        without(replace(run, digests=digests).only(["E"], ["M"]), 8),
        class_names=("a", "b"),
        metrics={"M": {"class": "M", "steps": 4}},
        truth=np.ones((8, 1), int),
        higher_is_better={"M": False},
    )
    problems = refusal(run, worst)
    assert len(problems) == 8
    with pytest.raises(NotComparableError, match="8 problems:\n  other class names"):
        compare(run, worst)


def test_folders(make_run):
    one, metrics = make_run("one"), {"InsertionAUC": {"class": "InsertionAUC", "steps": 8}, "Leak": {"class": "Leak"}}
    others = {
        "ids": (make_run("two", ids=range(11)), "1 sample of 12 missing in .*two: 11$"),
        "steps": (
            make_run("three", metrics=metrics),
            r"^InsertionAUC: steps was 16, is 8$",
        ),
        "names": (make_run("four", class_names=["cat", "dog", "owl"]), "label 1 was 'dög', is 'dog'"),
    }
    for run, words in others.values():
        with pytest.raises(NotComparableError, match=words):
            compare(one.root, run.root, alpha=0.5)
    silent = compare(one.root, make_run("five", nan=[4]).root, alpha=0.5)
    assert [change.lost for change in silent.changes] == [1] * 4
    assert not silent.passed
    assert silent.flips[0].candidate == ()
