"""What a run says in a script that has set up no logging: the lines of its log, on standard error."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ...summary_format.names import without_controls

if TYPE_CHECKING:
    from .run_result import RunResult

_log = logging.getLogger("explainrun")


class PlainLines(logging.Formatter):
    """Messages alone, so that no terminal obeys the names in them."""

    def format(self, record: logging.LogRecord) -> str:
        return without_controls(super().format(record), "\n\t")


def lines_on_stderr() -> logging.Handler:
    """A handler that writes plain lines."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(PlainLines())
    return handler


@contextmanager
def log_shown() -> Iterator[bool]:
    """Show what is logged meanwhile, from INFO on, unless logging was set up; that is left as it was.

    Gives whether it is shown here.
    """
    if _log.hasHandlers():
        yield False
        return
    handler, level = lines_on_stderr(), _log.level
    _log.addHandler(handler)
    if level == logging.NOTSET:
        _log.setLevel(logging.INFO)
    try:
        yield True
    finally:
        _log.setLevel(level)
        _log.removeHandler(handler)


def report_end(result: RunResult, *, shown_here: bool) -> None:
    """Log that a run is finished: with its tables where logging was not set up, else in one line.

    Args:
        result: what it came to.
        shown_here: what ``log_shown`` gave.
    """
    takes_tables = shown_here and not _results_show_themselves()
    said = str(result) if takes_tables else f"{result.summary_line()}; summary: {result.summary_dir}"
    _log.info("the run is finished\n%s" if takes_tables else "the run is finished: %s", said)


def _results_show_themselves() -> bool:
    """Whether what a call returns is shown where it is not taken, as in notebooks and interactive Python."""
    return "ipykernel" in sys.modules or hasattr(sys, "ps1")
