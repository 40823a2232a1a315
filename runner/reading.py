"""Reading ahead: the dataset's next batch is made while passes run."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Generic, TypeVar

T = TypeVar("T")
_PATIENCE_SECONDS = 0.1
_LEAVE_SECONDS = 5.0


class _End:
    """After the last value; holds the error that ended the reading, if any."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


class _Reader(Generic[T]):
    def __init__(self, values: Iterator[T], ahead: int) -> None:
        self._values = values
        self._read: queue.Queue[T | _End] = queue.Queue(ahead)
        self._leave = threading.Event()
        self._thread = threading.Thread(target=self._work, name="explainrun-reader", daemon=True)
        self._thread.start()

    def values(self, check: Callable[[], None]) -> Iterator[T]:
        while True:
            check()
            with suppress(queue.Empty):
                value = self._read.get(timeout=_PATIENCE_SECONDS)
                if isinstance(value, _End):
                    break
                yield value
        if value.error is not None:
            raise value.error

    def stop(self) -> None:
        self._leave.set()
        self._thread.join(_LEAVE_SECONDS)  # a source that blocks for longer is left behind

    def _work(self) -> None:
        try:
            for value in self._values:
                self._put(value)
                if self._leave.is_set():
                    return
        except BaseException as error:
            self._put(_End(error))
        else:
            self._put(_End(None))

    def _put(self, value: T | _End) -> None:
        while not self._leave.is_set():
            with suppress(queue.Full):
                self._read.put(value, timeout=_PATIENCE_SECONDS)
                return


@contextmanager
def read_ahead(values: Iterator[T], ahead: int = 1, check: Callable[[], None] = lambda: None) -> Iterator[Iterator[T]]:
    """The same values, drawn in a background thread, at most so many of them before they are asked for.

    An error in drawing them is raised where the value would have come.

    Args:
        values: what to draw.
        ahead: how many may wait.
        check: called now and then while waiting for a value; raises where nobody shall wait any longer.
    """
    reader = _Reader(values, ahead)
    try:
        yield reader.values(check)
    finally:
        reader.stop()
