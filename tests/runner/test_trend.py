"""Scores of several runs in a row, as a table, as a drawing and as JSON."""

import json
import subprocess
import sys
from dataclasses import fields
from xml.etree import ElementTree as Tree

import click
import numpy as np
import pytest
from click.testing import CliRunner

from explainrun.runner.cli.main import main
from explainrun.runner.comparison import NotComparableError, RulesError, ScoredRun, Verdict, compare, write_baseline
from explainrun.runner.trend.drawing import trend_as_svg
from explainrun.runner.trend.history import History, Line, Point, history_of
from explainrun.runner.trend.reports import trend_as_json, trend_as_table

BASE = np.linspace(0.4, 0.8, 20)
SPREAD = np.tile([-0.002, 0.002], 10)
SVG = "{http://www.w3.org/2000/svg}"


def run(name, *columns, explainers=("E",), metrics=("M",), lower=(), controls=(), labels=None, **changes):
    """A run of a sample and a label a question, with the scores of each explainer."""
    values = np.stack(columns, axis=1).reshape(len(columns[0]), len(explainers), -1)
    count = len(values)
    labels = np.zeros(count, int) if labels is None else labels
    given = {
        "name": name,
        "class_names": ("a", "b"),
        "explainers": {explainer: {} for explainer in explainers},
        "metrics": {metric: {} for metric in metrics},
        "higher_is_better": {metric: metric not in lower for metric in metrics},
        "described": {},
        "samples": np.arange(count),
        "digests": np.arange(count),
        "truth": labels[:, None],
        "predicted": tuple((int(label),) for label in labels),
        "questions": np.stack([np.arange(count), labels], axis=1),
        "scores": {
            (one, metric): values[:, i, j] for i, one in enumerate(explainers) for j, metric in enumerate(metrics)
        },
        "controls": controls,
    }
    return ScoredRun(**{**given, **changes})


@pytest.fixture
def three():
    """The third fell by 0.05; from the first to the second nothing did."""
    return [run("v1.json", BASE), run("v2.json", BASE + SPREAD), run("v3", BASE - 0.05 - SPREAD)]


def test_means_and_steps(three):
    history = history_of(three)
    assert (history.runs, history.alpha, history.refused) == (("v1.json", "v2.json", "v3"), 0.05, (None, None))
    (line,) = history.lines
    assert [point.mean for point in line.points] == pytest.approx([0.6, 0.6, 0.55])
    assert [(point.samples, point.questions) for point in line.points] == [(20, 20)] * 3
    assert all(point.low < point.mean < point.high for point in line.points)
    assert [step.verdict for step in line.steps] == [Verdict.NON_INFERIOR, Verdict.REGRESSION]
    assert line.overall.verdict is Verdict.REGRESSION
    assert repr(line.steps[1]) == repr(compare(three[1], three[2]).changes[0])


def test_small_falls_add_up():
    """None is worse than tolerated, all of them together are."""
    runs = [run(str(place), BASE - 0.008 * place + SPREAD * (-1) ** place) for place in range(4)]
    (line,) = history_of(runs).lines
    assert not any(step.verdict.failing for step in line.steps)
    assert line.overall.verdict is Verdict.REGRESSION
    assert trend_as_table(history_of(runs)).splitlines()[-1] == "E, M: regression from 1 to 4"
    (line,) = history_of(runs[:2]).lines
    assert line.overall is None


def test_what_comes_and_goes():
    """An explainer of the first run alone, one of all, one from the second run on; a control is left out."""
    both = (BASE, BASE)
    runs = [
        run("1", *both, explainers=("Old", "All")),
        run("2", *both, BASE, explainers=("All", "New", "Chance"), controls=("Chance",)),
        run("3", *both, explainers=("All", "New")),
    ]
    history = history_of(runs)
    assert [line.explainer for line in history.lines] == ["Old", "All", "New"]
    known = {line.explainer: [point is not None for point in line.points] for line in history.lines}
    assert known == {"Old": [True, False, False], "All": [True, True, True], "New": [False, True, True]}
    steps = {line.explainer: [step is not None for step in line.steps] for line in history.lines}
    assert steps == {"Old": [False, False], "All": [True, True], "New": [False, True]}
    assert [line.explainer for line in history_of(runs, explainers=["Chance", "New"]).lines] == ["Chance", "New"]
    apart = history_of([run("1", BASE, explainers=("A",)), run("2", BASE, explainers=("B",))])
    assert apart.refused == ("they have no explainer and metric in common",)


def test_runs_that_cannot_be_compared_stand_beside_each_other(three):
    others = [three[0], run("other", BASE[:18], BASE[:18], metrics=("M", "L")), three[2]]
    history = history_of(others)
    assert [why is not None for why in history.refused] == [True, True]
    assert "2 samples of 20 missing in other" in history.refused[0]
    line = history.lines[0]
    assert (list(line.steps), line.overall.verdict) == ([None, None], Verdict.REGRESSION)
    assert [point.samples for point in line.points] == [20, 18, 20]
    text = trend_as_table(history)
    assert "2 was not compared with 1: 2 samples of 20 missing in other" in text
    assert trend_as_svg(history).count("<circle") == 4  # three means of M, one of L; no step failed


def test_tolerances_and_alpha(three):
    (line,) = history_of(three, 0.06).lines
    assert [step.verdict.failing for step in line.steps] == [False, False]
    (line,) = history_of(three, {"M": "20%"}, alpha=0.01).lines
    assert not line.steps[1].verdict.failing
    more = [run("1", BASE, BASE, metrics=("M", "L")), run("2", BASE), run("3", BASE, BASE, metrics=("M", "L"))]
    assert history_of(more, {"L": 0.5}).refused == (None, None)  # of a metric that only some runs have
    with pytest.raises(RulesError):
        history_of(more, {"K": 0.5})


def test_what_is_no_trend(three, raising):
    with raising(NotComparableError, "trend-too-short", given=1):
        history_of(three[:1])
    with raising(NotComparableError, "no-run-has-such", kind="explainer", name="F"):
        history_of(three, explainers=["F"])
    with raising(NotComparableError, "no-run-has-such", kind="metric", name="m"):
        history_of(three, metrics=["m"])
    with raising(NotComparableError, "trend-without-scores"):
        history_of([run("1", BASE, metrics=(), scores={})] * 2)


def test_the_table(three):
    lines = trend_as_table(history_of(three)).splitlines()
    assert lines[:3] == ["  1  v1.json", "  2  v2.json", "  3  v3"]
    rows = [line.split() for line in lines[6:10]]
    assert rows[0][:4] == ["M", "E", "1", "0.6000"]
    assert rows[1][:2] == ["2", "0.6000"]
    assert rows[1][-1] == "non-inferior"
    assert (rows[2][0], rows[2][-1]) == ("3", "REGRESSION")
    assert (rows[3][:3], rows[3][-1]) == (["first", "to", "last"], "REGRESSION")
    assert lines[-1] == "E, M: regression in 3, regression from 1 to 3"
    calm = trend_as_table(history_of(three[:2]))
    assert calm.endswith("no regression from any run to the next, nor from the first to the last")
    lower = [run(name, BASE + rise, lower=("M",)) for name, rise in (("1", 0), ("2", 0.1))]
    assert "M (lower is better)" in trend_as_table(history_of(lower))


def test_json_has_all_of_it(three):
    told = trend_as_json(history_of(three))
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert {field.name for field in fields(History)} <= set(told)
    (line,) = told["lines"]
    assert {field.name for field in fields(Line)} == set(line)
    assert {field.name for field in fields(Point)} == set(line["points"][0])
    assert [step["verdict"] for step in line["steps"]] == ["non-inferior", "regression"]
    assert line["overall"]["fall"] == pytest.approx(0.05)
    with click.Context(main.commands["trend"], **main.context_settings) as context:  # click keeps the option for help
        text = context.get_help()
    assert all(key in text for key in (*told, *line, *line["points"][0]))


def test_the_drawing(three):
    """A panel for each metric, a mark for each mean, a cross where it fell; better is up where higher is."""
    names = {"explainers": ("A<b>&", "B"), "metrics": ("M", "L")}
    runs = [run(f"v{place}", *(BASE - fall, BASE, BASE, BASE), **names) for place, fall in enumerate((0.0, 0.0, 0.1))]
    text = trend_as_svg(history_of(runs))
    assert text == trend_as_svg(history_of(runs))
    root = Tree.fromstring(text)
    said = [element.text for element in root.iter(f"{SVG}text")]
    assert [one for one in said if "better" in one] == ["M (higher is better)", "L (higher is better)"]
    assert said.count("A<b>&") == 2
    assert (len(list(root.iter(f"{SVG}circle"))), text.count("<title>regression</title>")) == (11, 1)
    heights = [float(one.get("cy")) for one in root.iter(f"{SVG}circle")][:2]
    assert heights[0] == heights[1]
    numbers = [float(one.get(key)) for one in root.iter(f"{SVG}circle") for key in ("cx", "cy")]
    width, height = (float(root.get(key)) for key in ("width", "height"))
    assert all(0 <= number <= max(width, height) for number in numbers)
    many = [run(str(place), *[BASE] * 30, explainers=tuple(f"E{i}" for i in range(30))) for place in range(2)]
    root = Tree.fromstring(trend_as_svg(history_of(many)))
    assert max(float(one.get("y")) for one in root.iter(f"{SVG}text")) < float(root.get("height"))
    Tree.fromstring(trend_as_svg(history_of([run("1", np.full(9, 0.5)), run("2", np.full(9, np.nan))])))


def command(*arguments):
    return CliRunner().invoke(main, ["trend", *map(str, arguments)])


@pytest.fixture
def files(three, tmp_path):
    for place, one in enumerate(three):
        write_baseline(one, tmp_path / f"v{place}.json")
    return [tmp_path / f"v{place}.json" for place in range(3)]


def test_the_command(files, tmp_path):
    done = command(*files, "--plot", tmp_path / "made" / "trend.svg")
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == "E, M: regression in 3, regression from 1 to 3"
    assert Tree.parse(tmp_path / "made" / "trend.svg").getroot().tag == f"{SVG}svg"
    told = json.loads(command(*files, "--format", "json", "--tolerance", "M=0.2").stdout)
    assert told["runs"] == list(map(str, files))
    assert [step["failing"] for step in told["lines"][0]["steps"]] == [False, False]
    (tmp_path / "folder").mkdir()
    for wrong in (
        [files[0]], [files[0], tmp_path / "none.json"], [*files, "--metric", "m"], [*files, "--tolerance", "x"],
        [*files, "--plot", tmp_path / "trend.png"], [*files, "--plot", tmp_path / "folder"],
        [*files, "--alpha", "2"], [],
    ):  # fmt: skip
        done = command(*wrong)
        assert (done.exit_code, done.stdout) == (2, ""), wrong


@pytest.mark.slow
def test_it_loads_no_mindspore(files):
    code = (
        "import sys; from explainrun.runner.cli.main import main\n"
        "try: main()\n"
        "except SystemExit as end: assert end.code == 0, end.code\n"
        "assert not {'mindspore', 'matplotlib'} & set(sys.modules)"
    )
    command = [sys.executable, "-c", code, "trend", *files]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
