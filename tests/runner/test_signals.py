"""Signals to a real process: the commit at hand, then exit code 3; the second ends it at once."""

import signal
import subprocess
import sys

import pytest
from click.testing import CliRunner

from explainrun.runner.cli.main import main
from explainrun.runner.cli.process.errors import ended_by_signals
from explainrun.summary_format import find_runs

# What is started in the background ignores SIGINT, and so do its children. Once it has committed as often as its first
# argument says, it waits in the middle of its work for a line.
IN_FOREGROUND = """
import select, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from explainrun.runner.cli.main import main
from explainrun.runner.batches.batch_loop import BatchLoop
commit, left = BatchLoop._commit, [int(sys.argv.pop(1))]
def waiting(self, *work, **options):
    commit(self, *work, **options)
    self._committer.drain()
    left[0] -= 1
    if left[0] == 0:
        print("waiting", file=sys.stderr, flush=True)
        while not select.select([sys.stdin], [], [], 0.05)[0]:  # Python hears a signal between two calls alone
            pass
BatchLoop._commit = waiting
main()
"""


@pytest.fixture
def run(gated_project, tmp_path):
    """The arguments of a run of three batches, but for its folder."""
    config = gated_project(tmp_path / "project").folder / "gate.yaml"
    return ["run", str(config), "--set", "pass_size=2", "--summary-dir"]


@pytest.fixture
def start(run):
    """Starts a run in a process of its own, which waits after so many commits."""

    def started(folder, commits):
        command = [sys.executable, "-c", IN_FOREGROUND, str(commits), *run, folder]
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        return subprocess.Popen(command, **pipes, text=True)

    return started


def committed(folder):
    return {path.name for path in find_runs(folder)[-1].segments.glob("*")}


def read_until(words, process):
    """Read what a process says up to some words; an end without them is a failure."""
    said = iter(process.stderr.readline, "")
    lines = []
    for line in said:
        lines.append(line)
        if words in line:
            return
    raise AssertionError(f"{words!r} was never said: {lines}")


@pytest.mark.slow
def test_once_to_stop_after_the_commit_twice_to_stop_at_once(start, run, tmp_path, how_runs_differ):
    folder = tmp_path / "run"
    first = start(folder, 2)
    read_until("waiting", first)
    first.send_signal(signal.SIGTERM)
    read_until("stopping once the work at hand is committed; another signal stops at once", first)
    errors = first.communicate("go on\n")[1]
    assert first.returncode == 3, errors
    assert errors.rstrip().endswith("explainrun: stopped by a signal; run again to resume")
    kept = committed(folder)
    assert {"000000.samples", "000000.Gradient.maps"} <= kept
    assert "000001.samples" not in kept
    assert not (folder / ".explainrun.lock").exists()

    second = start(folder, 1)
    read_until("resuming the run", second)
    read_until("waiting", second)
    second.send_signal(signal.SIGINT)
    read_until("another signal stops at once", second)
    second.send_signal(signal.SIGINT)
    second.communicate()
    assert second.returncode in (-signal.SIGINT, -signal.SIGTERM)  # MindSpore makes the second of the first at times
    assert committed(folder) >= kept
    assert (folder / ".explainrun.lock").exists()  # what it left keeps nobody out

    third = CliRunner().invoke(main, [*run, str(folder)])
    assert third.exit_code == 0, third.output
    assert "24 samples" in third.stdout
    CliRunner().invoke(main, [*run, str(tmp_path / "whole")])
    assert how_runs_differ(tmp_path / "whole", folder) == []


def test_while_libraries_load_ctrl_c_ends_the_process_without_python():
    found = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with ended_by_signals():
            assert signal.getsignal(signal.SIGINT) is signal.SIG_DFL
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # as of a program in the background
        with ended_by_signals():
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, found)
