"""How far a run is."""

import io
import logging
import sys

import numpy as np
import pytest

from explainrun.explainers import Network
from explainrun.runner.batches import progress
from explainrun.runner.batches.progress import RunProgress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def closed():
    stream = io.StringIO()
    stream.close()
    return stream


def test_a_bar_in_a_terminal_names_what_is_at_work(monkeypatch):
    screen = Terminal()
    monkeypatch.setattr("sys.stderr", screen)
    with RunProgress(10) as bar:
        bar.doing("GradCAM")
        bar.advance(4)
    assert "4/10" in screen.getvalue()
    assert "GradCAM" in screen.getvalue()


@pytest.mark.parametrize("stderr", [None, closed()])
def test_no_standard_error(monkeypatch, caplog, stderr):
    """As of a script in whose process it was closed at the start, or is closed now."""
    monkeypatch.setattr("sys.stderr", stderr)
    with RunProgress(10) as bar:
        bar.doing("GradCAM")
        bar.advance(4)
        bar.alive()


def test_a_line_a_minute_elsewhere(monkeypatch, caplog):
    clock = iter([0, 30, 61, 90, 122, 125]).__next__
    monkeypatch.setattr(progress.time, "monotonic", clock)
    monkeypatch.setattr("sys.stderr", io.StringIO())
    with caplog.at_level(logging.INFO, "explainrun"), RunProgress(None) as bar:
        bar.doing("Gradient")
        bar.advance(4)
    assert caplog.messages == ["4 of ? samples, at Gradient"]
    assert sys.stderr.getvalue() == ""


def test_long_work_shows_that_it_is_alive(monkeypatch, caplog):
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    monkeypatch.setattr("sys.stderr", io.StringIO())
    with caplog.at_level(logging.INFO, "explainrun"), RunProgress(9) as bar:
        bar.doing("RISE")
        for _ in range(130):
            now[0] += 1.0
            bar.alive()
    assert caplog.messages == ["0 of 9 samples, at RISE"] * 2


def test_every_pass_tells_that_it_is_alive(linear):
    network, told = Network(linear(np.ones((2, 1, 2, 3)))), []
    network.after_pass = lambda: told.append(len(told))
    network.pooled_logits(np.ones((20, 1, 2, 3), np.float32))
    network.differentiate(np.ones((3, 1, 2, 3), np.float32), np.zeros(3, int))
    assert told == [0, 1, 2]
