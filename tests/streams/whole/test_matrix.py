"""Every command in a process of its own, with each way in which its standard streams can take nothing."""

import pytest

from explainrun.summary_format import find_runs

KINDS = ("closed", "full", "unread")
WHY = {"closed": "it is closed", "full": "[Errno 28]", "unread": "[Errno 32]"}


@pytest.fixture(params=[False, True], ids=["buffered", "unbuffered"])
def unbuffered(request):
    return request.param


def finishes(command, places):
    """Whether a new run is there in the end, if the command is one that makes one."""
    return not (command.line.startswith(("run {gate}", "merge")) and "{out}" in command.line and command.code == 0) or (
        [run.finished for run in find_runs(places["out"])] == [True]
    )


def test_all_is_well(command, places, started, unbuffered):
    done = started(command.arguments(places), unbuffered=unbuffered)
    assert done.returncode == command.code, done.stderr
    assert bool(done.stdout) == (command.said is not None)
    assert finishes(command, places)


@pytest.mark.parametrize("kind", KINDS)
def test_standard_output_takes_nothing(command, places, started, unbuffered, kind):
    done = started(command.arguments(places), stdout=kind, unbuffered=unbuffered)
    assert done.returncode == command.without_output, done.stderr
    assert not {"Traceback", "Exception ignored"} & {line.split(" (")[0] for line in done.stderr.splitlines()}
    if command.said is None:
        assert "takes nothing" not in done.stderr
    elif kind == "unread" and command.said.startswith("explainrun: standard output takes nothing"):
        assert "takes nothing" not in done.stderr  # the reader chose to read no more
    else:
        assert command.said.format(**places) + WHY[kind] in done.stderr
    assert finishes(command, places)


@pytest.mark.parametrize("kind", KINDS)
def test_standard_error_takes_nothing(command, places, started, unbuffered, kind):
    done = started(command.arguments(places), stderr=kind, unbuffered=unbuffered)
    assert done.returncode == command.code
    assert bool(done.stdout) == (command.said is not None)
    assert finishes(command, places)


def test_all_three_are_closed(command, places, started, unbuffered):
    done = started(command.arguments(places), stdin="closed", stdout="closed", stderr="closed", unbuffered=unbuffered)
    assert done.returncode == command.without_output
    assert finishes(command, places)
