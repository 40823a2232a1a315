"""``explainrun compare``: exit codes, where formats go, what is said when something is wrong."""

import json
import os
import shlex
import subprocess
import sys
from xml.etree import ElementTree as Tree

import pytest
from click.testing import CliRunner

from explainrun.runner.cli.main import main

FORMATS = ("table", "json", "markdown", "junit")


def compare(*arguments):
    return CliRunner().invoke(main, ["compare", *map(str, arguments)])


@pytest.fixture
def runs(make_run):
    """A baseline, a candidate with other randomness, and one whose GradCAM is worse by 0.2 everywhere."""
    roots = [
        make_run(name, fall=fall, seed=seed).root for name, fall, seed in (("a", 0, 0), ("b", 0, 1), ("c", 0.2, 1))
    ]
    return dict(zip("abc", roots, strict=True))


def test_no_regression(runs):
    done = compare(runs["a"], runs["b"])
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0] == f"baseline      {runs['a']}"
    assert "\nmaps of both runs " in done.stdout
    assert done.stdout.splitlines()[-1] == "passed: no regression in 4 rows; 4 shown not worse than tolerated"


def test_a_regression(runs):
    done = compare(runs["a"], runs["c"])
    assert (done.exit_code, done.stderr) == (1, "")
    reason, verdict = done.stdout.splitlines()[-2:]
    assert reason.startswith("REGRESSION: GradCAM, InsertionAUC: ")
    assert "change -0.2000, 95 % interval -0.2000 to -0.2000, p 0.0010; tolerance 0.01" in reason
    assert verdict == "FAILED: 1 regression, of 4 rows; 3 shown not worse than tolerated"


def test_lost_scores(runs, make_run):
    done = compare(runs["a"], make_run("lost", nan=(3,)).root)
    assert done.exit_code == 1
    assert done.stdout.endswith("FAILED: scores lost in 4 rows, of 4 rows\n")


def test_a_baseline_file_in_place_of_a_run(runs, tmp_path):
    file = tmp_path / "baseline.json"
    assert CliRunner().invoke(main, ["baseline", str(runs["a"]), "-o", str(file)]).exit_code == 0
    done = compare(file, runs["c"])
    assert done.exit_code == 1
    assert "maps of both runs" not in done.stdout
    assert "\n      candidate  " in done.stdout  # pictures, of the run alone
    assert "\n      baseline  " not in done.stdout
    assert compare(file, runs["b"]).exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ("--tolerance 0.3", 0), ("--tolerance InsertionAUC=0.3", 0), ("--tolerance InsertionAUC=1%", 1),
        ("--tolerance Leak=0.3", 1), ("--tolerance 0.3 --tolerance InsertionAUC=0.1", 1),
        ("--metric Leak", 0), ("--metric InsertionAUC", 1), ("--explainer RISE", 0),
        ("--explainer RISE --explainer GradCAM", 1), ("--alpha 0.0005", 2), ("--alpha 0.9", 1),
        ("--rules rules.yaml", 0), ("--rules rules.yaml --tolerance InsertionAUC=0.1", 1),
    ],
)  # fmt: skip
def test_what_counts(runs, tmp_path, monkeypatch, arguments, code):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rules.yaml").write_text("tolerances: {InsertionAUC: 0.3}\n")
    done = compare(runs["a"], runs["c"], "--no-maps", *shlex.split(arguments))
    assert done.exit_code == code, done.output
    assert "maps of both" not in done.stdout


def test_the_command_goes_before_the_rules(runs, tmp_path):
    rules = tmp_path / "rules.yaml"
    rules.write_text("alpha: 0.04\n")
    told = [
        json.loads(compare(runs["a"], runs["b"], "--format=json", f"--rules={rules}", *more).stdout)["alpha"]
        for more in ((), ("--alpha=0.06",))
    ]
    assert told == [0.04, 0.06]


def test_formats_beside_the_table(runs, tmp_path):
    files = {kind: tmp_path / "made" / "for it" / kind for kind in FORMATS}
    done = compare(runs["a"], runs["c"], *(f"--format={kind}={file}" for kind, file in files.items()))
    assert (done.exit_code, done.stderr) == (1, "")
    assert done.stdout.splitlines()[-1] == "FAILED: 1 regression, of 4 rows; 3 shown not worse than tolerated"
    assert files["table"].read_text() == done.stdout
    assert json.loads(files["json"].read_text())["exit_code"] == 1
    assert files["markdown"].read_text().startswith("### &#10060; Explanations FAILED: 1 regression, of 4 rows\n")
    assert Tree.parse(files["junit"]).getroot().get("failures") == "1"


@pytest.mark.parametrize(
    ("kind", "begins"), [("json", "{"), ("markdown", "### "), ("junit", "<?xml"), ("table", "baseline  ")]
)
def test_one_format_on_standard_output(runs, kind, begins):
    for given in (kind, f"{kind}=-"):
        done = compare(runs["a"], runs["b"], "--format", given)
        assert (done.exit_code, done.stdout[: len(begins)]) == (0, begins)
        assert done.stdout.endswith("\n")
        assert not done.stdout.endswith("\n\n")
    if kind == "json":
        json.loads(done.stdout)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("--format junt", "'junt' is not FORMAT or FORMAT=FILE with a format of table, json, markdown, junit"),
        ("--format junit=", "'junit=' is not FORMAT or FORMAT=FILE"),
        ("--format json --format junit", "json and junit cannot both go to standard output; name a file"),
        ("--format json=x --format junit=x", "json and junit cannot both go to x"),
        ("--alpha 0", "0.0 is not in the range 0<x<1"), ("--alpha 1", "1.0 is not in the range"),
        ("more", "unexpected extra argument"), ("--nosuch", "No such option"),
    ],
)  # fmt: skip
def test_wrong_options(runs, arguments, said):
    done = compare(runs["a"], runs["b"], *shlex.split(arguments))
    assert (done.exit_code, done.stdout) == (2, "")
    assert said in " ".join(done.stderr.split())


def test_runs_that_cannot_be_compared(runs, make_run, tmp_path):
    other = make_run("other", class_names=["cat", "dog", "owl"], ids=range(11)).root
    files = {kind: tmp_path / kind for kind in FORMATS}
    done = compare(runs["a"], other, *(f"--format={kind}={file}" for kind, file in files.items()))
    assert (done.exit_code, done.stdout) == (2, "")
    first, *rest = done.stderr.splitlines()
    assert first == "explainrun: nothing was compared: 2 problems:"
    assert rest == [
        "  other class names: label 1 was 'dög', is 'dog'", f"  1 sample of 12 missing in {other}: 11",
    ]  # fmt: skip
    problems = [line.strip() for line in rest]
    told = json.loads(files["json"].read_text())
    assert (told["passed"], told["exit_code"], told["problems"]) == (False, 2, problems)
    (error,) = Tree.parse(files["junit"]).getroot().iter("error")
    assert error.text.splitlines() == problems
    assert "NOT COMPARED" in files["markdown"].read_text()
    assert files["table"].read_text().endswith("NOT COMPARED\n")
    done = compare(runs["a"], other, "--format", "json")
    assert (done.exit_code, json.loads(done.stdout)["problems"]) == (2, problems)


def test_everything_wrong_is_told_at_once(runs, make_run, tmp_path):
    unfinished, nothing = make_run("unfinished", finished=False).root, tmp_path / "nothing"
    done = compare(nothing, unfinished, "--tolerance", "little", "--rules", tmp_path / "no.yaml")
    assert (done.exit_code, done.stdout) == (2, "")
    lines = done.stderr.splitlines()
    assert lines[0] == "explainrun: nothing was compared: 4 problems:"
    for line, words in zip(lines[1:], ("no.yaml", "'little'", "there is no", "is not finished"), strict=True):
        assert words in line
    done = compare(runs["a"], runs["b"], "--metric", "InsertionAuc")
    assert (done.exit_code, "did you mean 'InsertionAUC'?" in done.stderr) == (2, True)


def test_a_damaged_archive(runs, make_run):
    archive = make_run("damaged").archive
    archive.write_bytes(archive.read_bytes()[:-40])
    done = compare(runs["a"], archive.parent.parent)
    assert (done.exit_code, done.stdout) == (2, "")
    assert "nothing was compared: " in done.stderr


def test_standard_output_by_its_path_and_a_pipe_that_nobody_reads(runs, tmp_path):
    done = compare(runs["a"], runs["b"], "--format", "json=/dev/stdout")
    assert (done.exit_code, json.loads(done.stdout)["exit_code"]) == (0, 0)
    done = compare(runs["a"], runs["b"], "--format", "json=/dev/stdout", "--format", "table=-")
    assert (done.exit_code, "cannot both go to standard output" in " ".join(done.stderr.split())) == (2, True)
    os.mkfifo(tmp_path / "pipe")
    done = compare(runs["a"], runs["b"], "--format", f"junit={tmp_path / 'pipe'}", "--format", f"markdown={os.devnull}")
    assert done.exit_code == 2
    said = f"explainrun: junit was not written to {tmp_path / 'pipe'}: {tmp_path / 'pipe'} is a pipe; name a file"
    assert [line.startswith(said) for line in done.stderr.splitlines()] == [True]


def test_files_that_cannot_be_written(runs, tmp_path):
    (tmp_path / "file").write_text("")
    blocked, fine = tmp_path / "file" / "report.xml", tmp_path / "comment.md"
    for candidate, verdict in (("b", "passed"), ("c", "FAILED")):
        done = compare(
            runs["a"], runs[candidate], f"--format=junit={blocked}", f"--format=json={tmp_path}",
            f"--format=markdown={fine}",
        )  # fmt: skip
        assert done.exit_code == 2
        assert done.stdout.splitlines()[-1].startswith(verdict)
        assert verdict in fine.read_text()
        first, second = done.stderr.splitlines()
        assert first.startswith(f"explainrun: junit was not written to {blocked}: ")
        assert second.startswith(f"explainrun: json was not written to {tmp_path}: ")
    done = compare(tmp_path / "nothing", runs["b"], f"--format=junit={blocked}")
    assert (done.exit_code, len(done.stderr.splitlines())) == (2, 2)


def broken(*arguments, **options):
    raise RuntimeError("nobody thought of this")


def test_what_nobody_foresaw(runs, tmp_path, monkeypatch):
    file = tmp_path / "report.json"
    monkeypatch.setattr(sys.modules["explainrun.runner.comparison.compare_runs"], "check_comparable", broken)
    done = compare(runs["a"], runs["b"], f"--format=json={file}")
    said = "RuntimeError: nobody thought of this"
    assert (done.exit_code, done.stderr) == (2, f"explainrun: nothing was compared: {said}\n")
    assert json.loads(file.read_text())["problems"] == [said]
    monkeypatch.setenv("EXPLAINRUN_TRACEBACK", "1")
    done = compare(runs["a"], runs["b"])
    assert done.exit_code == 2
    assert "in broken" in done.stderr


def test_a_format_that_fails_takes_no_other_with_it(runs, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules["explainrun.runner.comparison.formats.report_files"].REPORT, "junit", broken)
    file = tmp_path / "comment.md"
    done = compare(runs["a"], runs["c"], f"--format=junit={tmp_path / 'x'}", f"--format=markdown={file}")
    assert (done.exit_code, "FAILED" in done.stdout, "FAILED" in file.read_text()) == (2, True, True)
    assert done.stderr.endswith("RuntimeError: nobody thought of this\n")


def test_stopped(runs, monkeypatch):
    def stopped(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(sys.modules["explainrun.runner.comparison.compare_runs"], "check_comparable", stopped)
    done = compare(runs["a"], runs["b"])
    assert (done.exit_code, done.stderr) == (3, "explainrun: stopped\n")


def shell(command, runs, **environment):
    line = command.format(command=f"{shlex.quote(sys.executable)} -m explainrun compare", **runs)
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", line],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
@pytest.mark.long
def test_standard_output_that_takes_nothing(runs):
    for line, why in (
        ("{command} {a} {b} > /dev/full", "No space left on device"),
        ("{command} {a} {b} | true", "Broken pipe"),
        ("{command} {a} {b} >&-", "it is closed"),
    ):
        done = shell(line, runs)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
        assert "table was not written to standard output" in done.stderr
        assert why in done.stderr


@pytest.mark.long
def test_a_terminal_of_another_encoding(runs, make_run):
    runs["b"] = make_run("dög").root
    done = shell("{command} {a} {b}", runs, PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[1].endswith("d\\xf6g")


@pytest.mark.slow
def test_no_mindspore(runs):
    code = (
        "import sys; from explainrun.runner.cli.main import main\n"
        "try: main()\n"
        "except SystemExit as end: assert end.code == 1, end.code\n"
        "assert 'mindspore' not in sys.modules"
    )
    command = [sys.executable, "-c", code, "compare", runs["a"], runs["c"]]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "FAILED" in done.stdout


def test_what_is_compared_is_not_written_over(make_run, tmp_path):
    run = make_run("run")
    kept = tmp_path / "kept.json"
    assert CliRunner().invoke(main, ["baseline", str(run.root), "-o", str(kept)]).exit_code == 0
    before = kept.read_bytes()
    told = compare(kept, run.root, "--format", f"json={tmp_path}/../{tmp_path.name}/kept.json")
    assert told.exit_code == 2
    assert "is what is compared; name another file" in told.stderr
    assert kept.read_bytes() == before
