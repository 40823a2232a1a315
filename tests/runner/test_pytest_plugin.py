"""The pytest plugin, in projects where pytest runs as its users run it."""

import math
import os
import subprocess
import sys
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest

from explainrun.runner import pytest_plugin
from explainrun.runner.comparison import Change, Comparison, Slice, Verdict
from explainrun.runner.comparison.formats.findings import FloorCheck
from explainrun.runner.config.build import build_runner
from explainrun.runner.config.schema import load_config

HEAVY = {"mindspore", "numpy", "scipy", "h5py", "yaml", "click", "pydantic", "tabulate", "matplotlib", "PIL"}

JUDGED = """\
import pytest

configs = lambda *names: pytest.mark.parametrize("explanation_scores", names, indirect=True)


def test_good(explanation_scores):
    explanation_scores.assert_no_regression("baselines/gate.json")


@configs("worse.yaml", "gate.yaml")
def test_by_config(explanation_scores):
    explanation_scores.assert_no_regression("baselines/gate.json", tolerance="2%")


@configs("worse.yaml")
def test_tolerant(explanation_scores):
    explanation_scores.assert_no_regression("baselines/gate.json", {"PointingGame": 1, "IoSR": "100%"})


@configs("worse.yaml")
def test_rules(explanation_scores):
    explanation_scores.assert_no_regression("baselines/gate.json", {"IoSR": 1}, rules="rules.yaml")


@configs("worse.yaml")
def test_no_such_tolerance(explanation_scores):
    explanation_scores.assert_no_regression("baselines/gate.json", tolerance="2 permille")


@configs("fewer.yaml")
def test_missing_samples(explanation_scores):
    explanation_scores.assert_no_regression("baselines/gate.json")


@configs("fewer.yaml", "gate.yaml")
def test_what_a_run_gives(explanation_scores):
    first = explanation_scores.config.name == "fewer.yaml"
    assert explanation_scores.result.samples == (5 if first else 24)
    assert explanation_scores.result.finished_before != first
    assert explanation_scores.scores.aggregate("Gradient", "IoSR").mean == 1.0
    assert explanation_scores.summary_dir.name == explanation_scores.config.stem


@configs("fewer.yaml")
def test_too_few(explanation_scores):
    explanation_scores.assert_no_regression(explanation_scores.summary_dir)


@configs("patchy.yaml")
def test_patchy(explanation_scores):
    explanation_scores.assert_no_regression(explanation_scores.summary_dir)


@configs("broken.yaml")
def test_broken(explanation_scores):
    raise AssertionError("never came here")


@configs("elsewhere/gate.yaml")
def test_same_folder(explanation_scores):
    raise AssertionError("never came here")


def test_no_baseline(explanation_scores):
    explanation_scores.assert_no_regression("baselines/other.json")


def test_of_the_project():
    pass
"""

ONE = """\
def test_one(explanation_scores):
    explanation_scores.assert_no_regression("baselines/gate.json")


def test_two(explanation_scores):
    explanation_scores.assert_no_regression("baselines/gate.json", explainers=["Gradient"], metrics=["IoSR"])
"""


class Project:
    """A project to judge, and what pytest says there."""

    def __init__(self, made, tests):
        self.made, self.folder = made, made.folder
        (self.folder / "tests").mkdir()
        (self.folder / "tests" / "test_judged.py").write_text(tests)
        (self.folder / "pytest.ini").write_text("[pytest]\nexplainrun_config = gate.yaml\n")
        (self.folder / "rules.yaml").write_text("tolerances: {PointingGame: 1}\n")
        config = (self.folder / "gate.yaml").read_text()
        worse = config.replace(':looking"', f':looking", options: {{places: {made.BAD}}}')
        patchy = config.replace("scenes.h5", "patchy.h5").replace("IoSR", "DeletionAUC: {steps: 2}")
        made.write_scenes(24, boxed=5, name="patchy.h5")
        for name, text in (
            ("worse", worse),
            ("patchy", patchy),
            ("fewer", f"{config}limit: 5\n"),
            ("broken", f"{config}sed: 1\n"),
        ):
            (self.folder / f"{name}.yaml").write_text(text)

    def pytest(self, *options):
        """Run pytest; its exit code, what it printed, and by test what it said of a failure."""
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--junitxml=junit.xml", "--strict-markers"]
        command += ["-W", "error", "--strict-config", *options]
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST", "GITHUB"))}
        done = subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False)
        report = self.folder / "junit.xml"
        cases = ElementTree.parse(report).iter("testcase") if report.exists() else ()
        said = {
            case.get("name"): "".join(part.text for part in (*case.iter("failure"), *case.iter("error")))
            for case in cases
        }
        report.unlink(missing_ok=True)
        return done.returncode, done.stdout + done.stderr, said


@pytest.fixture(scope="module")
def updated(gated_project, tmp_path_factory):
    """A project whose baselines pytest has just made."""
    project = Project(gated_project(tmp_path_factory.mktemp("updated") / "project"), JUDGED)
    chosen = ("-k", "test_good or (test_by_config and gate)")
    return project, project.pytest("--explainrun-summary-dir", "runs", "--explainrun-update-baselines", *chosen)


@pytest.fixture(scope="module")
def judged(updated):
    """The same, judged by them."""
    project, _ = updated
    made_before = project.made.runs
    (project.folder / "elsewhere").mkdir()
    (project.folder / "elsewhere" / "gate.yaml").write_text("summary_dir: never read\n")
    return project, project.pytest("--explainrun-summary-dir", "runs"), project.made.runs - made_before


@pytest.mark.long
def test_baselines_are_made(updated):
    project, (code, printed, said) = updated
    assert (code, said) == (0, {"test_good": "", "test_by_config[gate.yaml]": ""}), printed
    assert (project.folder / "baselines" / "gate.json").is_file()
    assert printed.count("baselines/gate.json is new") == 1


@pytest.mark.slow
def test_each_config_runs_once_a_session(updated, judged):
    project, *_ = updated
    _, (_, printed, _), runs = judged
    assert runs == 5, printed  # of gate, worse, fewer, patchy and broken
    assert project.made.runs == 6


@pytest.mark.slow
def test_what_is_as_good_as_ever_passes(judged):
    _, (code, printed, said), _ = judged
    passed = {name for name, words in said.items() if not words}
    assert code == 1
    assert passed == {
        "test_good", "test_by_config[gate.yaml]", "test_tolerant[worse.yaml]", "test_rules[worse.yaml]",
        "test_what_a_run_gives[fewer.yaml]", "test_what_a_run_gives[gate.yaml]",
        "test_patchy[patchy.yaml]",
        "test_of_the_project",
    }, printed  # fmt: skip


@pytest.mark.slow
def test_failure_is_the_table(judged):
    _, (_, printed, said), _ = judged
    told = said["test_by_config[worse.yaml]"]
    assert told.startswith("explanations got worse: 4 of 4 scores\n")
    rows = [line.split() for line in told.splitlines() if "1.0000" in line and line.startswith("FAIL")]
    assert [row[1:5] for row in rows] == [
        [metric, explainer, "1.0000", "0.0000"]
        for metric in ("PointingGame", "IoSR")
        for explainer in ("Gradient", "InputXGradient")
    ]
    assert "pytest_plugin.py" not in told + printed


@pytest.mark.slow
def test_missing_samples_fail(judged):
    told = judged[1][2]["test_missing_samples[fewer.yaml]"]
    assert told.startswith("not compared with ")
    assert "19 samples of 24 missing" in told
    assert "Traceback" not in told


@pytest.mark.slow
def test_missing_baseline_fails_and_is_told_how_to_be_made(judged):
    told = judged[1][2]["test_no_baseline"]
    assert "there is no baseline" in told
    assert "--explainrun-update-baselines" in told
    assert "explainrun baseline " in told


@pytest.mark.slow
def test_too_few_samples_fail(judged):
    """2 ** -5 is more than 0.05 / 4."""
    told = judged[1][2]["test_too_few[fewer.yaml]"]
    assert "5 samples cannot show a fall beyond noise in 4 rows at alpha 0.05: at least 7 samples" in told


@pytest.mark.slow
def test_scores_that_cannot_be_judged_are_told(judged):
    """2 ** -5 is more than 0.05 / 4, for the questions that have boxes."""
    baseline = judged[0].folder / "runs" / "patchy"
    lines = [line for line in judged[1][1].splitlines() if "not judged by" in line]
    assert [line[: line.index("; ")] for line in lines] == [
        f"{explainer}, PointingGame: not judged by {baseline}: 5 questions: no fall of so few samples could be "
        "distinguished from noise"
        for explainer in ("Gradient", "InputXGradient")
    ]


@pytest.mark.slow
def test_runs_that_fail_are_one_clear_error(judged):
    _, (_, printed, said), _ = judged
    told = said["test_broken[broken.yaml]"]
    assert told.splitlines()[0].endswith("broken.yaml failed: unknown key 'sed'; did you mean 'seed' or 'std'?")
    assert len(told.splitlines()) == 1
    assert "would share a folder" in said["test_same_folder[elsewhere/gate.yaml]"]
    assert "never came here" not in printed


@pytest.mark.slow
def test_wrong_tolerances_are_told(judged):
    told = judged[1][2]["test_no_such_tolerance[worse.yaml]"]
    assert told.startswith("not compared with ")
    assert told.endswith("got '2 permille'")
    assert len(told.splitlines()) == 1


@pytest.fixture
def project(gated_project, tmp_path):
    return Project(gated_project(tmp_path / "project"), ONE)


@pytest.mark.long
def test_no_stale_scores_are_judged(project):
    """A summary folder that holds a finished run of the network of before."""
    kept = ("--explainrun-summary-dir", "runs")
    assert project.pytest(*kept, "--explainrun-update-baselines")[0] == 0
    before = (project.folder / "baselines" / "gate.json").read_text()
    project.made.looks_at(project.made.BAD)
    code, printed, said = project.pytest(*kept)
    assert (code, "explanations got worse: 4 of 4 scores" in said["test_one"]) == (1, True), printed
    assert "explanations got worse: 1 of 1 scores" in said["test_two"]
    assert (project.folder / "baselines" / "gate.json").read_text() == before


@pytest.mark.long
def test_changes_of_baselines_are_shown(project):
    kept = ("--explainrun-summary-dir", "runs", "--explainrun-update-baselines")
    assert project.pytest(*kept)[0] == 0
    before = (project.folder / "baselines" / "gate.json").read_text()
    project.made.looks_at(project.made.BAD)
    code, printed, _ = project.pytest(*kept, "--explainrun-set", "seed=1")
    assert (code, project.made.runs) == (0, 2)
    changed = printed[printed.index("= explainrun =") :]
    assert "baselines/gate.json is updated:" in changed
    assert "InputXGradient PointingGame 1 0 -1 24 0 0" in " ".join(changed.split())
    assert (project.folder / "baselines" / "gate.json").read_text() != before


@pytest.mark.long
def test_signals_end_the_session(project):
    """The network sends one, once, in the middle of a pass."""
    path = project.folder / "gated_network.py"
    asks = "        if not vars(Looking).get('asked'): Looking.asked = True; os.kill(os.getpid(), signal.SIGINT)\n"
    text = path.read_text().replace("    def construct(self, x):\n", f"    def construct(self, x):\n{asks}")
    path.write_text(f"import os, signal\n{text}")
    code, printed, said = project.pytest()
    assert (code, set(said)) == (2, set()), printed
    assert "was stopped by a signal; with --explainrun-summary-dir it could be resumed" in printed


def test_plugin_is_light(tmp_path):
    """It loads at every start of pytest, so it takes nothing with it."""
    (tmp_path / "test_light.py").write_text(f"import sys\ndef test_light(): assert not {HEAVY} & set(sys.modules)\n")
    command = [sys.executable, "-W", "error", "-m", "pytest", "-W", "error", "--strict-config", "--strict-markers"]
    done = subprocess.run([*command, tmp_path], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, "explainrun" in done.stdout) == (0, True), done.stdout + done.stderr


def test_bad_options_are_told_before_anything_runs(tmp_path):
    for option, words in (
        ("--explainrun-set=seed", "--explainrun-set: 'seed' is not KEY=VALUE"),
        ("--explainrun-limit=0", "--explainrun-limit must be at least 1, got 0"),
    ):
        command = [sys.executable, "-m", "pytest", option]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert (done.returncode, words in done.stderr) == (4, True), done.stderr


def test_no_config_is_told(tmp_path):
    (tmp_path / "test_one.py").write_text(ONE)
    done = subprocess.run([sys.executable, "-m", "pytest"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "explanation_scores has no config to run; name one: explainrun_config = CONFIG" in done.stdout


def test_paths_of_options_and_of_ini_files(tmp_path):
    """Those of the command line are relative to where pytest is started."""
    given, kept = {"name": "here.yaml", "other": None}, {"name": "kept.yaml", "other": "kept.yaml"}
    config = SimpleNamespace(
        getoption=given.get,
        getini=kept.get,
        rootpath=tmp_path,
        invocation_params=SimpleNamespace(dir=tmp_path / "below"),
    )
    assert pytest_plugin._path_option(config, "name") == tmp_path / "below" / "here.yaml"
    assert pytest_plugin._path_option(config, "other") == tmp_path / "kept.yaml"


def test_changes_of_a_baseline_are_noted(tmp_path, gated_project):
    """As at the end of a session, here without one."""
    made = gated_project(tmp_path / "project")
    config = made.folder / "gate.yaml"
    for places, words in ((made.GOOD, "kept.json is new"), (made.BAD, "kept.json is updated:")):
        made.looks_at(places)
        result = build_runner(*load_config(config, {"summary_dir": str(tmp_path / words[-4:])}), made.folder).run()
        session = pytest_plugin._Session(made.folder, None, {}, updating=True)
        pytest_plugin.ExplanationScores(config, result, session).assert_no_regression("kept.json")
        assert words in session.notes[0]
    assert "InputXGradient PointingGame 1 0 -1 24 0 0" in " ".join(" ".join(session.notes).split())


def test_floors_labels_and_what_is_required(tmp_path, gated_project):
    """As in a session, here without one: scores of 1.0 everywhere, of a network that is as it was."""
    made = gated_project(tmp_path / "project")
    config = made.folder / "gate.yaml"
    result = build_runner(*load_config(config, {"summary_dir": str(tmp_path / "run")}), made.folder).run()
    session = pytest_plugin._Session(made.folder, None, {}, updating=False)
    judge = pytest_plugin.ExplanationScores(config, result, session).assert_no_regression
    rules = made.folder / "rules.yaml"
    rules.write_text("floors: {IoSR: 0.99}\nby: label\n")
    judge(result.summary_dir, floors={"IoSR": 0.5}, require="shown")
    assert not session.notes
    judge(result.summary_dir, rules=rules, tolerance=0.5)
    assert [line.split(":")[0] for line in session.notes[-2:]] == ["Gradient, IoSR", "InputXGradient, IoSR"]
    assert all("floor not shown to be met: 1.0000 where at least 0.99 is set" in line for line in session.notes[-2:])
    for how, words in (
        ({"floors": {"IoSR": 2.0}}, "explanations are worse than floors allow: 2 scores"),
        ({"rules": rules, "require": "shown", "by": None}, "explanations are not shown to be as good as before"),
        ({"require": "all"}, "require must be 'shown', or left out"),
        ({"rules": rules, "by": ""}, "by must be 'label', or left out"),
    ):
        with pytest.raises(pytest.fail.Exception, match=words):
            judge(result.summary_dir, **how)


def test_a_failure_counts_what_got_worse_not_what_is_not_shown():
    nan, some = math.nan, {"explainer": "E", "metric": "M", "higher_is_better": True, "questions": 24}
    worse, near = (
        Change(
            **some, baseline=nan, candidate=nan, low=nan, high=nan, tolerance=0.01, p_value=nan, lost=0, gained=0,
            unscored=0, verdict=verdict,
        )
        for verdict in (Verdict.REGRESSION, Verdict.INCONCLUSIVE)
    )  # fmt: skip
    missed, open_one = (
        FloorCheck(**some, floor=0.5, candidate=nan, low=nan, high=nan, samples=24, verdict=verdict)
        for verdict in (Verdict.FLOOR_MISSED, Verdict.NOT_TESTED)
    )
    for found, words in (
        ({"changes": (worse, *[near] * 9)}, "explanations got worse: 1 of 10 scores"),
        ({"slices": (Slice(0, worse), Slice(1, near))}, "explanations got worse of some labels: 1 slice"),
        (
            {"slices": (Slice(0, worse), Slice(1, near), Slice(2, worse))},
            "explanations got worse of some labels: 2 slices",
        ),
        ({"floors": (missed, open_one, open_one)}, "explanations are worse than floors allow: 1 score"),
        ({"changes": (near,), "floors": (open_one,)}, "explanations are not shown to be as good as before"),
    ):
        given = {"changes": (), "require": "shown", **found}
        comparison = Comparison(baseline="a", candidate="b", alpha=0.05, class_names=("x",), **given)
        assert pytest_plugin._failure(comparison) == words


def test_a_baseline_is_written_for_one_config(tmp_path):
    path, one, two = tmp_path / "kept.json", tmp_path / "one.yaml", tmp_path / "two.yaml"
    session = pytest_plugin._Session(tmp_path, None, {}, updating=True, written={path: one})
    no_run = SimpleNamespace(summary_dir=tmp_path / "nothing")  # never read: this one is written already
    pytest_plugin.ExplanationScores(one, no_run, session).assert_no_regression("kept.json")
    with pytest.raises(pytest.fail.Exception, match=r"kept.json now holds the scores of .*one.yaml"):
        pytest_plugin.ExplanationScores(two, no_run, session).assert_no_regression("kept.json")
    assert not session.notes
