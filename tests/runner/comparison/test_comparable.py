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
        assert problem.code == "metric-differs"
        assert key in problem.values["differences"]
    (problem,) = refusal(replace(new, metrics={"M": {**now, "normalized": True}, "L": {}}), new)
    assert (problem.code, problem.values) == (
        "metric-differs", {"metric": "M", "differences": "normalized was True, is False"}
    )  # fmt: skip


def before_and_now_of(run, kind):
    """Runs of a metric of some class, of which the earlier one does not say what is put in place of pixels."""
    return [
        replace(run, metrics={"M": options, "L": {}}, described={"network": {"parameters": "0" * 16}})
        for options in ({"class": kind, "steps": 2}, {"class": kind, "steps": 2, "removal": "value"})
    ]


@pytest.mark.parametrize("kind", ["InsertionAUC", "DeletionAUC", "NaiveFaithfulness"])
def test_a_metric_that_could_not_name_an_option_yet_did_what_its_default_does(run, kind):
    before, now = before_and_now_of(run, kind)
    check_comparable(before, now)
    check_comparable(now, before)
    (problem,) = refusal(before, replace(now, metrics={"M": {**now.metrics["M"], "removal": "blur"}, "L": {}}))
    assert problem.values["differences"] == "removal was 'value', is 'blur'"


@pytest.mark.parametrize("kind", ["PixelFlipping", "Mine", None, ["InsertionAUC"]])
def test_of_other_metrics_nothing_is_known_that_they_do_not_say(run, kind):
    """One that always could name the option, one of the user's, and what a file may say that somebody changed."""
    for runs in (before_and_now_of(run, kind), before_and_now_of(run, kind)[::-1]):
        (problem,) = refusal(*runs)
        assert problem.code == "metric-differs"
        assert "removal" in problem.values["differences"]


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
    (problem,) = refusal(run, fewer)
    assert problem.code == "samples-missing"
    assert problem.values == {"samples": 6, "total": 9, "run": "now", "ids": "1, 2, 3, 4, 5, ...", "advice": ""}
    (problem,) = refusal(fewer, run)
    assert problem.code == "samples-added"
    ids = "1, 2, 3, 4, 5, ..."
    assert problem.values == {"samples": 6, "run": "before", "baseline": "now", "ids": ids, "advice": ""}
    one = without(run, 8)
    (problem,) = refusal(run, one)
    assert (problem.code, problem.values["samples"], problem.values["ids"]) == ("samples-missing", 1, "8")
    with pytest.raises(NotComparableError):
        compare(run, one)
    shard = replace(without(run, 0, 2, 4, 6, 8), described={"shard": [2, 2]})
    (problem,) = refusal(run, shard)
    assert problem.code == "samples-missing"
    assert "now is shard 2 of 2" in problem.values["advice"]
    check_comparable(shard, shard)


def test_images_and_labels(run):
    digests = run.digests.copy()
    digests[[2, 5]] = 1
    (problem,) = refusal(run, replace(run, digests=digests))
    assert (problem.code, problem.values) == ("samples-differ", {"samples": 2, "total": 9, "ids": "2, 5"})
    truth = np.concatenate([run.truth, np.full((9, 1), -1)], axis=1)
    check_comparable(run, replace(run, truth=truth))
    truth[3] = [2, 0]
    truth[4] = [-1, 1]
    (problem,) = refusal(run, replace(run, truth=truth))
    assert problem.code == "samples-relabelled"
    assert problem.values == {"samples": 2, "ids": "3, 4", "first": 3, "before": [0], "now": [0, 2]}


def test_class_names(run):
    (problem,) = refusal(run, replace(run, class_names=("a", "x", "c")))
    assert (problem.code, problem.values["labels"]) == ("other-class-names", [1])
    assert problem.values["differences"] == ["label 1 was 'b', is 'x'"]
    (problem,) = refusal(run, replace(run, class_names=("a", "b", "c", "d")))
    assert (problem.values["labels"], problem.values["before"], problem.values["now"]) == ([], 3, 4)
    many, more = (
        replace(run, class_names=tuple(letter * 2 for letter in letters)) for letters in ("abcdefg", "ABCDEFG")
    )
    (problem,) = refusal(many, more)
    assert problem.values["labels"] == [*range(7)]
    assert len(problem.values["differences"]) == 5 + 1
    assert "2 more" in problem.values["differences"][-1]


def test_metrics(run):
    other = replace(run, metrics={"M": {"class": "M", "steps": 8, "code": "1a"}, "L": {}})
    (problem,) = refusal(run, other)
    assert problem.code == "metric-differs"
    assert problem.values == {"metric": "M", "differences": "steps was 16, is 8; code was not there, is '1a'"}
    turned = replace(run, higher_is_better={"M": True, "L": False})
    (problem,) = refusal(run, turned)
    assert (problem.code, problem.values) == ("metric-turned", {"metric": "L", "before": "higher", "now": "lower"})


def test_what_the_candidate_lacks(run, raising):
    less = replace(run.only(["E"], ["L"]), name="now")
    problems = refusal(run, less)
    assert [problem.code for problem in problems] == ["run-lacks"] * 2
    assert [problem.values for problem in problems] == [
        {"run": "now", "what": kind, "names": [name], "baseline": "before", "kind": kind}
        for kind, name in (("explainer", "F"), ("metric", "M"))
    ]
    check_comparable(less, run)
    assert len(compare(run, less, explainers=["E"], metrics=["L"]).changes) == 1
    with raising(NotComparableError, "run-lacks", kind="explainer", names=["F"]):
        compare(run, less, explainers=["E", "F"], metrics=["L"])


def test_no_true_labels_and_no_scores(run):
    blank = replace(run, truth=np.full((9, 1), -1))
    (problem,) = refusal(blank, blank)
    assert (problem.code, problem.values) == ("no-true-labels", {"run": "before"})
    none = run.only(["E"], [])
    (problem,) = refusal(none, none)
    assert (problem.code, problem.values) == ("no-scores", {"run": "before"})


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
    codes = [problem.code for problem in refusal(run, worst)]
    assert codes == [
        *("other-class-names", "samples-missing", "samples-differ", "samples-relabelled"),
        *("metric-differs", "metric-turned", "run-lacks", "run-lacks"),
    ]
    with pytest.raises(NotComparableError) as caught:
        compare(run, worst)
    assert caught.value.codes == tuple(codes)


def test_folders(make_run, raising):
    one, metrics = make_run("one"), {"InsertionAUC": {"class": "InsertionAUC", "steps": 8}, "Leak": {"class": "Leak"}}
    others = {
        "samples-missing": (make_run("two", ids=range(11)), {"samples": 1, "total": 12, "ids": "11"}),
        "metric-differs": (
            make_run("three", metrics=metrics),
            {"metric": "InsertionAUC", "differences": "steps was 16, is 8"},
        ),
        "other-class-names": (
            make_run("four", class_names=["cat", "dog", "owl"]),
            {"labels": [1], "differences": ["label 1 was 'dög', is 'dog'"]},
        ),
    }
    for code, (run, values) in others.items():
        with raising(NotComparableError, code, **values):
            compare(one.root, run.root, alpha=0.5)
    silent = compare(one.root, make_run("five", nan=[4]).root, alpha=0.5)
    assert [change.lost for change in silent.changes] == [1] * 4
    assert not silent.passed
    assert silent.flips[0].candidate == ()
