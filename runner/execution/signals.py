"""Stopping a run between two commits, when the scheduler or the user asks."""

from __future__ import annotations

import logging
import signal
import threading
from types import FrameType, TracebackType
from typing import Any

from ...summary_format.exit_codes import EXIT_RESUMABLE

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_log = logging.getLogger("explainrun")


class RunStopped(SystemExit):
    """A signal stopped the run after a commit; run again to resume.

    Unless it is caught, the process ends with exit code 3.
    """

    exit_code = EXIT_RESUMABLE

    def __init__(self, message: str) -> None:
        super().__init__(EXIT_RESUMABLE)
        self.message = message

    def __str__(self) -> str:
        return self.message


class Stopping:
    """Holds SIGINT and SIGTERM back until the work at hand is committed; a second one ends the process at once.

    A context manager. In another thread than the main one signals are left alone, and so are ignored ones.
    """

    def __init__(self) -> None:
        self._asked = False
        self._found: dict[signal.Signals, Any] = {}

    def check(self) -> None:
        """Stop here if asked to.

        Raises:
            RunStopped: if a signal came.
        """
        if self._asked:
            raise RunStopped("stopped by a signal; run again to resume")

    def __enter__(self) -> Stopping:
        if threading.current_thread() is threading.main_thread():
            found = {number: signal.getsignal(number) for number in _SIGNALS}
            self._found = {number: how for number, how in found.items() if how not in (signal.SIG_IGN, None)}
            for number in self._found:
                signal.signal(number, self._ask)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._found.items():
            signal.signal(number, handler)

    def _ask(self, _number: int, _frame: FrameType | None) -> None:
        self._asked = True  # which signal it was cannot be known: while compiled passes run, SIGINT comes as SIGTERM
        for each in self._found:
            signal.signal(each, signal.SIG_DFL)
        # a handler that writes may find the main thread in the middle of writing
        said = "stopping once the work at hand is committed; another signal stops at once"
        threading.Thread(target=_log.warning, args=(said,), daemon=True).start()
