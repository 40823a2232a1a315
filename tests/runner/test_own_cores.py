"""Cores that processes of a host have for themselves."""

import os
import signal
import subprocess
import sys
import tempfile
import threading

import pytest

from explainrun.runner.plan.own_cores import own_cores

HOLDING = """
import os, sys
from explainrun.runner.plan.own_cores import own_cores
with own_cores(int(sys.argv[1])) as cores:
    assert not cores or os.sched_getaffinity(0) == set(cores)
    print(*cores, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def cores(all_cores, tmp_path, monkeypatch):
    """All cores of the machine, none of which is held by others, as the file is the test's own."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return set(all_cores)


@pytest.fixture
def holding():
    """Starts a process that holds so many cores until its input ends, and says which."""
    processes = []

    def start(count):
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        processes.append(subprocess.Popen([sys.executable, "-c", HOLDING, str(count)], **pipes, text=True))
        return processes[-1], set(map(int, processes[-1].stdout.readline().split()))

    yield start
    for process in processes:
        process.communicate()


def test_held_cores_are_no_one_elses(cores, holding, caplog):
    process, theirs = holding(1)
    with own_cores(len(cores)) as mine:
        assert mine == []
        assert os.sched_getaffinity(0) == cores
    assert "has too few free cores" in caplog.text
    with own_cores(len(cores) - 1) as mine:
        assert {*mine} == cores - theirs
    process.send_signal(signal.SIGKILL)
    process.wait()
    with own_cores(len(cores)) as mine:
        assert {*mine} == cores


def test_all_threads_are_held(cores):
    done, seen = threading.Event(), []
    earlier = threading.Thread(target=lambda: (done.wait(), seen.append(os.sched_getaffinity(0))))
    earlier.start()
    with own_cores(1) as mine:
        assert os.sched_getaffinity(0) == {*mine}
        done.set()
        earlier.join()
    assert seen == [{*mine}]
    assert os.sched_getaffinity(0) == cores


def test_no_core_is_asked_for(cores, caplog):
    with own_cores(0) as mine:
        assert (mine, os.sched_getaffinity(0)) == ([], cores)
    assert caplog.text == ""
