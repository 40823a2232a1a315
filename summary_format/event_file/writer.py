"""Writing an event file."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from types import TracebackType

from ..storage.durable import append, open_new
from ..storage.run_folder import RunFolder
from .frames import framed
from .records import Record, encode


class SummaryWriter:
    """Appends records to a run's event file; a context manager.

    Args:
        run: where to write.
        records: what the file begins with; they replace what it holds, at once.

    Raises:
        ValueError: if a record holds a number that the viewer cannot show.
        OSError: if the event file cannot be written.
    """

    def __init__(self, run: RunFolder, records: Iterable[Record] = ()) -> None:
        self._path = run.event_file
        self._waiting: list[bytes] = []
        for record in records:
            self.write(record)
        partial = run.partial()
        self._file = open_new(partial)
        try:
            self.commit()
            run.put(partial, self._path)
        except BaseException:
            os.close(self._file)
            raise

    def write(self, record: Record) -> None:
        """Append one record; ``commit`` puts it on the disk.

        Raises:
            ValueError: if it holds a number that the viewer cannot show.
        """
        self._waiting.append(framed(encode(record, time.time())))

    def commit(self) -> None:
        """Make everything written so far durable.

        Raises:
            OSError: if the disk refuses.
        """
        waiting, self._waiting = self._waiting, []
        append(self._file, b"".join(waiting), self._path)

    def __enter__(self) -> SummaryWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self.commit()
        finally:
            os.close(self._file)
