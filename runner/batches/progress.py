"""How far a run is: a bar in a terminal or notebook, a logged line a minute elsewhere."""

from __future__ import annotations

import logging
import time
from types import TracebackType

from ...explainers.core.progress_bar import progress_bar

LOG_EVERY_SECONDS = 60.0
REFRESH_SECONDS = 0.5
_log = logging.getLogger("explainrun")


class RunProgress:
    """Counts samples on stderr; a context manager.

    Args:
        total: how many there will be, or None if unknown.
    """

    def __init__(self, total: int | None) -> None:
        self._total, self._done, self._doing = total, 0.0, ""
        self._logged = time.monotonic()
        self._bar = progress_bar(total, "sample")

    def doing(self, what: str) -> None:
        """Name what is at work now."""
        self._doing = what
        self._bar.set_postfix_str(what)
        self._log_now_and_then()

    def advance(self, samples: float) -> None:
        """Count samples as done; a share of one counts too."""
        self._done += samples
        self._bar.update(self._whole - self._bar.n)
        self._log_now_and_then()

    def alive(self) -> None:
        """Say now and then that something is still at work; called often."""
        if not self._bar.disable and time.monotonic() - self._logged >= REFRESH_SECONDS:
            self._logged = time.monotonic()
            self._bar.refresh()
        self._log_now_and_then()

    @property
    def _whole(self) -> int:
        return int(self._done + 1e-6)

    def _log_now_and_then(self) -> None:
        if self._bar.disable and time.monotonic() - self._logged >= LOG_EVERY_SECONDS:
            self._logged = time.monotonic()
            _log.info("%d of %s samples, at %s", self._whole, self._total or "?", self._doing)

    def __enter__(self) -> RunProgress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.close()
