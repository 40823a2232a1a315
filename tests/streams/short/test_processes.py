"""What only a process of its own shows: closed descriptors, and the codes that Python itself ends with."""

import resource
import subprocess
import sys

import pytest

from explainrun.summary_format import Results, inspect_run


@pytest.mark.long
def test_a_run_with_closed_descriptors(started, places):
    """Its lock and event file would get their numbers, and native log lines with them."""
    done = started(
        ["run", places["gate"], "--summary-dir", places["out"]], stdin="closed", stdout="closed", stderr="closed"
    )
    assert done.returncode == 0
    found = inspect_run(places["out"])
    assert (found.state, found.faults) == ("finished", ())
    assert Results(places["out"]).finished


@pytest.mark.parametrize(("line", "code"), [("--help", 2), ("inspect {run}", 2)])
def test_a_full_disk(started, places, line, code):
    """Python's flush at the end would make it 120."""
    done = started([word.format(**places) for word in line.split()], stdout="full")
    assert done.returncode == code, done.stderr
    assert "standard output takes nothing: [Errno 28]" in done.stderr
    assert "Exception ignored" not in done.stderr


@pytest.mark.parametrize("unbuffered", [False, True])
def test_a_disk_that_is_nearly_full(places, tmp_path, unbuffered):
    """Of a text that fits in part, Python drops the rest without a word where it does not buffer."""
    command = [sys.executable, *["-u"] * unbuffered, "-m", "explainrun", "inspect", "--json", str(places["run"])]
    with open(tmp_path / "told.json", "wb") as file:
        done = subprocess.run(
            command, stdout=file, stderr=subprocess.PIPE, text=True, check=False,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100)),
        )  # fmt: skip
    assert done.returncode == 2
    assert "standard output takes nothing: [Errno 27]" in done.stderr


def test_programs_that_a_command_starts_get_open_descriptors(tmp_path):
    code = (
        "import subprocess, sys\n"
        "from explainrun.runner.cli.process.standard_streams import open_closed_descriptors\n"
        "open_closed_descriptors()\n"
        "open(sys.argv[1], 'w').write(str(subprocess.call(['sh', '-c', ': <&0 >&1 2>&2'])))"
    )
    command = [sys.executable, "-c", code, tmp_path / "told"]
    subprocess.run(["bash", "-c", '"$@" <&- >&- 2>&-', "bash", *command], check=True)
    assert (tmp_path / "told").read_text() == "0"
