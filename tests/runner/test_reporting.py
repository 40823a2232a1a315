"""What a script sees of a run, whether or not it has set up logging."""

import logging
import sys

import pytest

from explainrun.runner import PlanError
from explainrun.runner.execution.reporting import log_shown


@pytest.fixture
def no_logging(monkeypatch):
    """Makes a test go on as a script that has not set up logging; pytest has done so once a test runs."""

    def forget():
        monkeypatch.setattr(logging.getLogger(), "handlers", [])
        return logging.getLogger("explainrun")

    return forget


def test_a_script_without_logging_sees_the_tables_and_the_folder(make_runner, whole, no_logging, capsys):
    logger = no_logging()
    make_runner("whole").run()
    said = capsys.readouterr()
    lines = said.err.splitlines()
    assert f"{whole} holds this run, finished before: nothing to do" in lines
    end = lines[lines.index("the run is finished") :]
    assert end[1].split() == ["explainer", "InsertionAUC", "PointingGame"]
    assert end[-1] == f"summary: {whole}"
    assert said.out == ""
    assert (logger.handlers, logger.level) == ([], logging.NOTSET)


def test_interactive_python_shows_the_result_itself(make_runner, whole, no_logging, capsys, monkeypatch):
    no_logging()
    monkeypatch.setattr(sys, "ps1", ">>> ", raising=False)
    make_runner("whole").run()
    [end] = [line for line in capsys.readouterr().err.splitlines() if line.startswith("the run is finished")]
    assert end.startswith("the run is finished: 6 samples, ")
    assert end.endswith(f"; summary: {whole}")


def test_a_script_with_logging_gets_one_line(make_runner, whole, caplog, capsys):
    caplog.set_level(logging.INFO, "explainrun")
    make_runner("whole").run()
    assert caplog.messages[-1].startswith("the run is finished: 6 samples, ")
    assert [message for message in caplog.messages if "\n" in message] == []
    assert "finished" not in capsys.readouterr().err


def test_logging_is_left_as_it_was_after_an_error_too(make_runner, whole, no_logging):
    logger = no_logging()
    for level in (logging.ERROR, logging.NOTSET):
        logger.setLevel(level)
        with pytest.raises(PlanError):
            make_runner("whole", seed=1).run()
        assert (logger.handlers, logger.level) == ([], level)


def test_names_do_not_reach_the_terminal_as_commands(no_logging, capsys):
    logger = no_logging()
    with log_shown():
        logger.info("a\x1b[2J")
    logger.info("nobody reads this")
    assert capsys.readouterr().err == "a\\x1b[2J\n"
