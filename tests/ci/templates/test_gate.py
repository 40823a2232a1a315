"""The jobs of scripts/ci: what they start, in a project laid out as they say, and what comes of it."""

import os
import shutil
import subprocess
import sys
from xml.etree import ElementTree

import pytest
import yaml

from explainrun.summary_format import find_runs

STAND_IN = """\
#!/bin/sh
echo "$*" >> calls
case $1 in run | inspect) ;; *) exit 0 ;; esac
read -r code rest < "$1"
[ -z "$rest" ] || echo "$rest" > "$1"
exit "$code"
"""
BEGUN = """\
import os
from explainrun.runner.execution import engine
from explainrun.runner.cli.main import main
engine.finish = lambda *_: os._exit(9)
main(["run", "gate.yaml", "--summary-dir", "runs/gate"])
"""  # killed as all is done but the last step
RUN, INSPECT = "run config.yaml --summary-dir runs/gate", "inspect --quick runs/gate"


class Job:
    """A project with a job's command and, in its folder, what the system would show of it.

    Attributes:
        folder: the project's.
        summary: the file that GitHub shows as the job's summary.
    """

    def __init__(self, folder, program, gate):
        self.folder, self.summary = folder, folder.parent / "summary.md"
        (folder / "bin").mkdir(parents=True)
        (folder / "bin" / "explainrun").write_text(program)
        (folder / "bin" / "explainrun").chmod(0o700)
        (folder / "scripts").mkdir()
        shutil.copy(gate, folder / "scripts")

    def run(self, *command, **environment):
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("GITHUB_", "CI"))}
        path = f"{self.folder / 'bin'}:{kept['PATH']}"
        command, environment = [str(word) for word in command], {**kept, "PATH": path, **environment}
        return subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False)

    def on_github(self, workflow):
        """Run the workflow's step that compares, as GitHub does."""
        step = next(step for step in steps(workflow) if "gate.sh" in step.get("run", ""))
        return self.run("bash", "-e", "-c", step["run"], GITHUB_STEP_SUMMARY=str(self.summary), **step["env"])

    def on_gitlab(self, job):
        """Run the job's script, as GitLab does."""
        return self.run("sh", "-e", "-c", "\n".join(job["script"]), SUMMARY_DIR=job["variables"]["SUMMARY_DIR"])

    def report(self, name):
        return (self.folder / "gate-reports" / name).read_text()


def steps(workflow):
    return workflow["jobs"]["explanations"]["steps"]


@pytest.fixture(scope="module")
def ci(request):
    return request.path.parents[3] / "scripts" / "ci"


@pytest.fixture(scope="module")
def workflow(ci):
    return yaml.safe_load((ci / "explanations.yml").read_text())


@pytest.fixture(scope="module")
def gitlab(ci):
    return yaml.safe_load((ci / "gitlab.yml").read_text())["explanations"]


@pytest.fixture(scope="module")
def project(gated_project, ci, tmp_path_factory):
    """A project with its baseline, made as the jobs' comments say."""
    made = gated_project(tmp_path_factory.mktemp("ci") / "project")
    made.job = Job(made.folder, f'#!/bin/sh\nexec {sys.executable} -m explainrun "$@"\n', ci / "gate.sh")
    comments = [line.removeprefix("#   ") for line in (ci / "explanations.yml").read_text().splitlines()]
    commands = [line for line in comments if line.startswith("explainrun ")]
    assert [command.split()[1] for command in commands] == ["run", "baseline"]
    for command in commands:
        done = made.job.run(*command.split())
        assert done.returncode == 0, done.stderr
    shutil.rmtree(made.folder / "runs")
    return made


@pytest.mark.slow
def test_as_good_as_ever(project, workflow):
    project.looks_at(project.GOOD)
    done = project.job.on_github(workflow)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "no regression" in done.stdout
    assert project.job.summary.read_text() == project.job.report("report.md")
    cases = list(ElementTree.fromstring(project.job.report("junit.xml")).iter("testcase"))
    assert (len(cases), any(case.find("failure") is not None for case in cases)) == (4, False)


@pytest.mark.long
def test_worse(project, workflow):
    """And the baseline that it leaves is what a reviewer would take on."""
    shutil.rmtree(project.folder / "runs", ignore_errors=True)
    project.job.summary.unlink(missing_ok=True)
    project.looks_at(project.BAD)
    done = project.job.on_github(workflow)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "FAIL" in done.stdout
    assert "PointingGame" in project.job.summary.read_text()
    cases = ElementTree.fromstring(project.job.report("junit.xml")).iter("testcase")
    assert all(case.find("failure") is not None for case in cases)
    assert "InputXGradient" in project.job.report("baseline-changes.txt")
    taken = project.folder / "gate-reports" / "baseline.json"
    assert taken.read_text() != (project.folder / "baseline.json").read_text()
    assert project.job.run("explainrun", "compare", taken, "runs/gate").returncode == 0


@pytest.mark.long
def test_nothing_to_compare(project, gitlab):
    """Samples went missing."""
    shutil.rmtree(project.folder / "runs", ignore_errors=True)
    project.write_scenes(20)
    done = project.job.on_gitlab(gitlab)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "4 samples of 24 missing" in done.stdout + done.stderr


@pytest.mark.long
def test_a_finished_run_in_the_folder_is_not_judged(project, workflow):
    """Neither one of other weights, which a run would refuse, nor one that the same run would take as it is."""
    shutil.rmtree(project.folder / "runs", ignore_errors=True)
    project.write_scenes(24)
    project.looks_at(project.GOOD)
    ends = [project.job.on_github(workflow)]
    (finished,) = find_runs(project.folder / "runs" / "gate")
    ends.append(project.job.on_github(workflow))
    (again,) = find_runs(project.folder / "runs" / "gate")
    assert finished.data != again.data
    project.looks_at(project.BAD)
    ends.append(project.job.on_github(workflow))
    assert [end.returncode for end in ends] == [0, 0, 1], [end.stdout + end.stderr for end in ends]


@pytest.mark.long
def test_an_unfinished_run_in_the_folder_is_gone_on_with(project, workflow):
    """If it is of the same plan; one of other weights is made anew."""
    project.write_scenes(24)
    for places, code in ((project.GOOD, 0), (project.BAD, 1)):
        shutil.rmtree(project.folder / "runs", ignore_errors=True)
        project.looks_at(project.GOOD)
        unfinished = project.job.run(sys.executable, "-c", BEGUN)
        assert unfinished.returncode == 9, unfinished.stderr
        (begun,) = find_runs(project.folder / "runs" / "gate")
        assert not begun.finished
        project.looks_at(places)
        done = project.job.on_github(workflow)
        assert done.returncode == code, done.stdout + done.stderr
        (run,) = find_runs(project.folder / "runs" / "gate")
        assert (run.data == begun.data) == (code == 0)


@pytest.fixture
def job(ci, tmp_path):
    """A job whose explainrun only tells how it was started, its runs and inspections ending with codes."""
    job = Job(tmp_path / "project", STAND_IN, ci / "gate.sh")

    def go(code, *options, found=2, **environment):
        (job.folder / "run").write_text(f"{code}\n")
        (job.folder / "inspect").write_text(f"{found}\n")
        done = job.run("scripts/gate.sh", *options, GITHUB_STEP_SUMMARY=str(job.summary), **environment)
        calls = job.folder / "calls"
        return done, calls.read_text().splitlines() if calls.exists() else []

    job.go = go
    return job


def test_the_script_for_gitlab_runs_and_compares(job, gitlab):
    for name, code in (("run", 0), ("inspect", 2)):
        (job.folder / name).write_text(f"{code}\n")
    done = job.on_gitlab(gitlab)
    assert done.returncode == 0, done.stderr
    calls = (job.folder / "calls").read_text().splitlines()
    assert calls[0] == INSPECT
    assert calls[1] == "run gate.yaml --summary-dir runs/gate --overwrite"
    assert calls[2].startswith("compare baseline.json runs/gate --tolerance 0.01 ")


@pytest.mark.parametrize(("found", "run"), [(0, f"{RUN} --overwrite"), (2, f"{RUN} --overwrite"), (3, RUN)])
def test_what_the_folder_holds_decides_whether_a_run_begins_or_goes_on(job, found, run):
    """A finished run, none, or an unfinished one."""
    done, calls = job.go(0, "config.yaml", "baseline.json", found=found)
    assert (done.returncode, calls[:2]) == (0, [INSPECT, run])


def test_run_that_fails_is_gone_on_with(job):
    """Without --overwrite, which would begin anew each time."""
    done, calls = job.go(3, "config.yaml", "baseline.json", found="0 3", ATTEMPTS="2")
    assert (done.returncode, calls) == (3, [INSPECT, f"{RUN} --overwrite", INSPECT, RUN, INSPECT])
    assert "The run of config.yaml failed with exit code 3" in job.summary.read_text()


def test_run_that_fails_before_it_begins_still_replaces_a_finished_one(job):
    _, calls = job.go("3 0", "config.yaml", "baseline.json", found=0)
    assert calls[:4] == [INSPECT, f"{RUN} --overwrite"] * 2


def test_unfinished_run_of_another_plan_is_made_anew_once(job):
    done, calls = job.go(2, "config.yaml", "baseline.json", found=3)
    assert (done.returncode, calls) == (2, [INSPECT, RUN, f"{RUN} --overwrite"])


def test_bad_input_is_not_tried_again(job):
    done, calls = job.go(2, "a config.yaml", "baseline.json")
    assert (done.returncode, calls) == (2, [INSPECT, "run a config.yaml --summary-dir runs/gate --overwrite"])


def test_nothing_but_compare_says_worse(job):
    """A program that does not start ends with 1, one that is killed with 137."""
    for code in (1, 137):
        done, _ = job.go(code, "config.yaml", "baseline.json")
        assert done.returncode == 3
        assert f"failed with exit code {code}" in done.stderr
    done, calls = job.go(0, "config.yaml", "baseline.json", REPORTS="run/reports")
    assert (done.returncode, len(calls)) == (2, 4)  # no call more
    assert job.go(0, "config.yaml", "baseline.json", ATTEMPTS="0")[0].returncode == 2
    (job.folder / "bin" / "explainrun").write_text('#!/bin/sh\n[ "$1" = run ]\n')
    done, _ = job.go(0, "config.yaml", "baseline.json")
    assert done.returncode == 2
    assert "was run, but not compared" in done.stderr


def test_options_go_on_to_compare(job):
    (job.folder / "gate-reports").mkdir(parents=True)
    (job.folder / "gate-reports" / "junit.xml").write_text("of another time")
    done, calls = job.go(0, "c.yaml", "b.json", "--tolerance", "IoSR=2 %", SUMMARY_DIR="mine")
    assert done.returncode == 0, done.stderr
    assert calls[2].startswith("compare b.json mine --tolerance IoSR=2 % --format table --format markdown=")
    assert calls[3] == "baseline mine -o gate-reports/baseline.json"  # there is no b.json to renew
    assert not (job.folder / "gate-reports" / "junit.xml").exists()


def test_usage(job):
    done, calls = job.go(0, "c.yaml")
    assert (done.returncode, calls) == (2, [])
    assert "usage: scripts/gate.sh CONFIG BASELINE" in done.stderr


def test_reports_are_kept_whatever_comes(workflow, gitlab):
    (keep,) = [step for step in steps(workflow) if "upload-artifact" in step.get("uses", "")]
    assert (keep["if"], keep["with"]["path"]) == ("always()", "gate-reports/")
    assert next(step for step in steps(workflow) if "env" in step)["env"]["REPORTS"] == "gate-reports"
    assert gitlab["variables"]["REPORTS"] == "gate-reports"
    assert gitlab["artifacts"]["when"] == "always"
    assert gitlab["artifacts"]["paths"] == ["gate-reports/"]
    assert gitlab["artifacts"]["reports"]["junit"] == "gate-reports/junit.xml"


def test_pull_requests_start_it(workflow, gitlab):
    assert set(workflow["on"]) == {"pull_request", "workflow_dispatch"}  # quoted, or YAML 1.1 reads on as true
    assert workflow["permissions"] == {"contents": "read"}
    assert any("merge_request_event" in rule["if"] for rule in gitlab["rules"])
