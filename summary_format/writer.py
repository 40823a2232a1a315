"""Writing an event file."""

from __future__ import annotations

import os
import time
from types import TracebackType

from .folder import RunFolder, sync_folder
from .frames import framed
from .records import Record, encode


class SummaryWriter:
    """Appends records to a run's event file; a context manager.

    Args:
        run: where to write.

    Raises:
        OSError: if the event file exists already or cannot be made.
    """

    def __init__(self, run: RunFolder) -> None:
        self._path = run.event_file
        self._file = open(os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400), "wb")  # noqa: SIM115
        sync_folder(run.root)

    def write(self, record: Record) -> None:
        """Append one record.

        Raises:
            ValueError: if it holds a number that the viewer cannot show.
            OSError: if the disk refuses.
        """
        self._file.write(framed(encode(record, time.time())))

    def commit(self) -> None:
        """Make everything written so far durable."""
        self._file.flush()
        os.fsync(self._file.fileno())

    def __enter__(self) -> SummaryWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.commit()
        finally:
            self._file.close()
