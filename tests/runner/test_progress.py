"""How far a run is."""

import io
import logging

from explainrun.runner import progress
from explainrun.runner.progress import Progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_bar_in_a_terminal_names_what_is_at_work(monkeypatch):
    screen = Terminal()
    monkeypatch.setattr(progress.sys, "stderr", screen)
    with Progress(10) as bar:
        bar.doing("GradCAM")
        bar.advance(4)
    assert "4/10" in screen.getvalue()
    assert "GradCAM" in screen.getvalue()


def test_a_line_a_minute_elsewhere(monkeypatch, caplog):
    clock = iter([0, 30, 61, 90, 122, 125]).__next__
    monkeypatch.setattr(progress.time, "monotonic", clock)
    monkeypatch.setattr(progress.sys, "stderr", io.StringIO())
    with caplog.at_level(logging.INFO, "explainrun"), Progress(None) as bar:
        bar.doing("Gradient")
        bar.advance(4)
    assert caplog.messages == ["4 of ? samples, at Gradient"]
    assert progress.sys.stderr.getvalue() == ""
