"""Signals to a real process: the commit at hand, then exit code 3; the second ends it at once."""

import signal
import subprocess
import sys
import time

from explainrun.runner.cli.errors import ended_by_signals
from explainrun.summary_format import find_runs

# What is started in the background ignores SIGINT, and so do its children.
IN_FOREGROUND = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from explainrun.runner.cli.main import main
main()
"""


def start(repository, folder):
    config = repository / "configs" / "quickstart.yaml"
    command = [sys.executable, "-c", IN_FOREGROUND, "run", config, "--summary-dir", folder, "--limit", "6"]
    command += ["--set", "metrics.0.InsertionAUC.steps=8", "--set", "metrics.1.DeletionAUC.steps=8"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def committed(folder):
    runs = find_runs(folder) if folder.exists() else []
    return {path.name for path in runs[-1].segments.glob("*")} if runs else set()


def wait_for(process, folder, segments):
    deadline = time.monotonic() + 60
    while len(committed(folder)) < segments and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    assert process.poll() is None


def test_once_to_stop_after_the_commit_twice_to_stop_at_once(repository, tmp_path, how_runs_differ):
    folder = tmp_path / "run"
    first = start(repository, folder)
    wait_for(first, folder, 1)
    first.send_signal(signal.SIGTERM)
    told = first.communicate()[1]
    assert first.returncode == 3, told
    assert "stopping once the work at hand is committed; another signal stops at once" in told
    assert told.rstrip().endswith("explainrun: stopped by a signal; run again to go on")
    kept = committed(folder)
    assert {"000000.samples", "000000.Gradient.maps"} <= kept
    assert not (folder / ".explainrun.lock").exists()

    second = start(repository, folder)
    while "going on with the run" not in second.stderr.readline():
        pass
    second.send_signal(signal.SIGINT)
    while "another signal stops at once" not in second.stderr.readline():
        pass
    second.send_signal(signal.SIGINT)
    second.communicate()
    assert second.returncode in (-signal.SIGINT, -signal.SIGTERM)  # MindSpore makes the second of the first at times
    assert committed(folder) >= kept
    assert (folder / ".explainrun.lock").exists()  # what it left keeps nobody out

    third = start(repository, folder)
    said, told = third.communicate()
    assert third.returncode == 0, told
    assert "6 samples" in said
    whole = start(repository, tmp_path / "whole")
    whole.communicate()
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
