"""Stopping a run between two commits, when the scheduler or the user asks."""

from __future__ import annotations

import logging
import signal
import threading
from types import FrameType, TracebackType
from typing import Any

EXIT_RESUMABLE = 3
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_log = logging.getLogger("explainrun")


class RunStopped(SystemExit):
    """A signal stopped the run after a commit; run again to go on.

    Where nobody catches it, the process ends with exit code 3.
    """

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
        self._asked: str | None = None
        self._found: dict[signal.Signals, Any] = {}

    def check(self) -> None:
        """Stop here if asked to.

        Raises:
            RunStopped: if a signal came.
        """
        if self._asked is not None:
            raise RunStopped(f"stopped by {self._asked}; run again to go on")

    def __enter__(self) -> Stopping:
        if threading.current_thread() is threading.main_thread():
            heard = [number for number in _SIGNALS if signal.getsignal(number) not in (signal.SIG_IGN, None)]
            self._found = {number: signal.signal(number, self._ask) for number in heard}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._found.items():
            signal.signal(number, handler)

    def _ask(self, number: int, _frame: FrameType | None) -> None:
        self._asked = signal.Signals(number).name
        for each in self._found:
            signal.signal(each, signal.SIG_DFL)
        # a handler that writes may find the main thread in the middle of writing
        said = "%s: stopping once the work at hand is committed; again to stop at once"
        threading.Thread(target=_log.info, args=(said, self._asked), daemon=True).start()
