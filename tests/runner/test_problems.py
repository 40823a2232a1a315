"""One collector of problems, and what errors say in a line."""

import pytest

from explainrun.runner.comparison import NotComparableError
from explainrun.runner.problems import PlanError, Problems, error_line, unforeseen_line


def fails(error):
    def make():
        raise error

    return make


def test_what_is_made_is_given_and_what_fails_is_noted():
    problems = Problems(["known already"])
    assert problems.attempt("seed", lambda: 3) == 3
    assert problems.attempt("data", fails(OSError("no file a.csv"))) is None
    assert problems.attempt("", fails(KeyError("row"))) is None
    assert problems.attempt("runs", fails(NotComparableError(["one", "two"]))) is None  # they say where they are
    assert problems == ["known already", "data: no file a.csv", "KeyError: 'row'", "one", "two"]
    with pytest.raises(PlanError, match="5 problems:") as caught:
        problems.raise_if_any()
    assert caught.value.problems == tuple(problems)


def test_nothing_wrong_raises_nothing():
    assert Problems().raise_if_any() is None


def test_what_ends_the_process_is_no_problem():
    with pytest.raises(KeyboardInterrupt):
        Problems().attempt("", fails(KeyboardInterrupt()))


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("\n  a is wrong\nb"), "a is wrong"),
        (RuntimeError("-----\nop failed"), "RuntimeError: op failed"),
        (KeyError(7), "KeyError: 7"),
        (ValueError("42"), "42"),
        (MemoryError(), "MemoryError"),
        (ValueError("---"), "ValueError"),
    ],
)
def test_an_error_in_a_line(error, line):
    assert error_line(error) == line


@pytest.mark.parametrize(("asked", "hint"), [("", " (EXPLAINRUN_TRACEBACK=1 shows where)"), ("1", "")])
def test_where_it_comes_from(asked, hint, monkeypatch, capsys):
    monkeypatch.setenv("EXPLAINRUN_TRACEBACK", asked)
    assert unforeseen_line(KeyError("a")) == f"KeyError: 'a'{hint}"
    Problems().attempt("", fails(KeyError("a")))
    assert ("in make" in capsys.readouterr().err) == bool(asked)
