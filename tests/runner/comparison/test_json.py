"""A comparison for programs."""

import json
from dataclasses import fields

import click
import pytest

from explainrun.runner.cli.main import main
from explainrun.runner.comparison import Change, Comparison, Similarity, WorstQuestion
from explainrun.runner.comparison.formats import wording
from explainrun.runner.comparison.formats.json_report import comparison_as_json, refused_as_json


def test_a_failing_comparison(failed):
    told = comparison_as_json(failed)
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    scalars = {key: value for key, value in told.items() if not isinstance(value, list)}
    assert scalars == {
        "format": "explainrun comparison", "version": 2, "passed": False, "exit_code": 1,
        "headline": wording.headline(failed),
        "baseline": "runs/a", "candidate": "runs/b", "alpha": 0.05, "samples": 20, "questions": 52,
        "only_baseline": 5, "only_candidate": 1, "by": None, "require": None,
    }  # fmt: skip
    assert (told["problems"], told["class_names"], told["new"]) == ([], ["cat", "dog"], ["explainer RISE"])
    assert told["notes"] == ["seed was 0, is 1", "network.weights was 'ab|', is 'cd'"]
    assert told["flips"][11] == {"sample": 11, "baseline": [0], "candidate": [0, 1]}
    assert told["similarities"][1] == {
        "explainer": "a|b `<i>`\n\x1b[31m *x*", "spearman": None, "top_intersection": None, "compared": 0,
        "not_compared": 3,
    }  # fmt: skip


def test_a_row_in_each_direction(failed):
    changes = comparison_as_json(failed)["changes"]
    fall = changes[1]
    assert (fall.pop("change"), fall.pop("fall")) == (pytest.approx(-0.0506), pytest.approx(0.0506))
    assert fall == {
        "explainer": "GradCAM", "metric": "InsertionAUC", "higher_is_better": True, "baseline": 0.9477,
        "candidate": 0.8971, "low": -0.0711, "high": -0.03, "tolerance": 0.02, "p_value": 0.0004, "questions": 52,
        "lost": 0, "gained": 0, "unscored": 0, "verdict": "regression", "failing": True, "shown": False,
        "fall_at_most": None, "detectable_fall": None, "samples_needed": None, "samples": 0,
    }  # fmt: skip
    rise = changes[3]
    assert (rise["change"], rise["fall"]) == (pytest.approx(0.02), pytest.approx(0.02))
    assert [row["verdict"] for row in changes] == [
        "non-inferior", "regression", "better", "regression", "scores lost", "too few samples",
    ]  # fmt: skip
    assert [changes[5][key] for key in ("baseline", "change", "fall", "low", "p_value", "tolerance")] == [None] * 6
    assert changes[5]["failing"] is False


def test_worst_questions(failed):
    first, second = comparison_as_json(failed)["worst"]
    assert first == {
        "sample": 3, "label": 1, "class_name": "dog", "explainer": "GradCAM", "metric": "InsertionAUC",
        "baseline": 0.95, "candidate": 0.1, "baseline_picture": "a/x/3_1.jpg", "candidate_picture": "b/x/3_1.jpg",
    }  # fmt: skip
    keys = ("class_name", "candidate", "baseline_picture", "candidate_picture")
    assert [second[key] for key in keys] == [None, None, None, "b/`|.jpg"]


def test_passed(passed):
    told = comparison_as_json(passed)
    assert (told["passed"], told["exit_code"], told["similarities"], told["worst"]) == (True, 0, [], [])


def test_no_field_is_left_out(failed):
    told = comparison_as_json(failed)
    kinds = ((Comparison, told), (Change, told["changes"][0]), (Similarity, told["similarities"][0]))
    for kind, values in (*kinds, (WorstQuestion, told["worst"][0])):
        assert {field.name for field in fields(kind)} <= set(values)


def test_the_help_names_all_keys(failed):
    told = comparison_as_json(failed)
    with click.Context(main.commands["compare"], **main.context_settings) as context:  # click keeps the option for help
        text = context.get_help()
    inner = (told["changes"][0], told["similarities"][0], told["flips"][0], told["worst"][0])
    for key in {*told, *(key for values in inner for key in values)}:
        assert key in text, key


def test_refused():
    assert refused_as_json("a", "b", ("other samples", "other classes")) == {
        "format": "explainrun comparison", "version": 2, "passed": False, "exit_code": 2, "headline": "NOT COMPARED",
        "problems": ["other samples", "other classes"], "baseline": "a", "candidate": "b",
    }  # fmt: skip
