"""Controls are not judged: their scores say nothing of explanations."""

import json

import numpy as np

from explainrun.runner.comparison import (
    BaselineError,
    baseline_difference,
    compare,
    read_baseline,
    scored_run,
    write_baseline,
)
from explainrun.runner.comparison.formats.markdown import as_markdown
from explainrun.runner.comparison.formats.table import as_table

HIGH, LOW = [[0.9, 0.8]] * 10, [[0.9, 0.1]] * 10
NAMES = ("E", "RandomMap")


def test_a_control_that_falls_is_no_regression(make_scored):
    before, now = (make_scored(values, NAMES, controls=("RandomMap",)) for values in (HIGH, LOW))
    found = compare(before, now)
    assert found.passed
    assert [change.explainer for change in found.changes] == ["E"]
    assert found.left_out[0] == "RandomMap (a control)"
    assert "not judged    RandomMap (a control)" in as_table(found)
    assert "not judged: RandomMap (a control)" in as_markdown(found).replace("\\", "")
    assert [change.explainer for change in compare(before, now, explainers=["RandomMap"]).failures] == ["RandomMap"]
    assert [change.explainer for change in compare(make_scored(HIGH, NAMES), make_scored(LOW, NAMES)).failures] == [
        "RandomMap"
    ]


def test_controls_may_come_and_go(make_scored):
    alone = make_scored([[0.9]] * 10, ("E",))
    beside = make_scored(HIGH, NAMES, controls=("RandomMap",))
    assert compare(beside, alone).passed
    assert compare(alone, beside).new == ()


def test_a_run_of_nothing_but_controls_is_judged(make_scored):
    before, now = (make_scored(values, NAMES, controls=NAMES) for values in (HIGH, LOW))
    assert [change.explainer for change in compare(before, now).failures] == ["RandomMap"]


def test_baselines_keep_which_explainers_are_controls(make_run, tmp_path, raising):
    folder, path = make_run("run", controls=["RISE"]).root, tmp_path / "baseline.json"
    write_baseline(scored_run(folder), path)
    assert read_baseline(path).controls == ("RISE",)
    assert {change.explainer for change in compare(path, folder).changes} == {"GradCAM"}
    others = scored_run(make_run("others", controls=[]).root)
    assert "controls were RISE, are none" in baseline_difference(read_baseline(path), others)
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "controls": ["Nobody"]}))
    with raising(BaselineError, "baseline-controls"):
        read_baseline(path)


def test_what_is_a_control_in_one_run_alone_is_judged(make_scored):
    """So that no baseline, edited or of another class by the same name, keeps a method from being judged."""
    names = ("Method", "RandomMap")
    good, bad = np.full((20, 2), 0.75), np.full((20, 2), 0.25)
    for before, now in (((), ("Method", "RandomMap")), (("Method", "RandomMap"), ("RandomMap",))):
        runs = make_scored(good, names, controls=before), make_scored(bad, names, controls=now)
        worse = [change.explainer for change in compare(*runs, maps=False).changes if change.verdict.failing]
        assert worse == [name for name in names if name not in before or name not in now]
