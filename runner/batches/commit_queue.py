"""Putting finished work on the disk in the background, piece by piece, in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from ...summary_format import RunFolder
from ...summary_format.archive.picture_checksums import Picture as KnownPicture
from ...summary_format.archive.picture_checksums import checksum
from ...summary_format.growth.earlier import EarlierPicture
from ...summary_format.storage.durable import copy, remove, sync_folder

_DRAWING_THREADS = 4  # drawing is short, waiting for the disk is not
_PENDING = 2  # pieces of work with images or maps that may wait for the disk before passes wait for them

Step = Callable[[list[int]], None]  # takes the checksums of the pictures that were written for it


class Picture(NamedTuple):
    """A picture to be written.

    Attributes:
        path: relative to the root.
        draw: makes the file's content.
        earlier: the same one, where an earlier run drew it and it may still be there.
    """

    path: str
    draw: Callable[[], bytes]
    earlier: EarlierPicture | None = None


class _Piece(NamedTuple):
    """A piece of work on its way, and whether it holds little."""

    work: Future[None]
    light: bool


class Committer:
    """Draws pictures, writes them and then commits what they belong to, one piece of work after the other.

    A context manager; at its end all that was handed in is on the disk. After an error nothing more is written.

    Args:
        run: where pictures go.
        check: called before each commit; raises if the folder is not this run's any more.
    """

    def __init__(self, run: RunFolder, check: Callable[[], None]) -> None:
        self._run, self._check = run, check
        self._pending: deque[_Piece] = deque()
        self._commits = ThreadPoolExecutor(1, "explainrun-commit")
        self._drawings = ThreadPoolExecutor(_DRAWING_THREADS, "explainrun-draw")

    def commit(self, pictures: Iterable[Picture], then: Step, *, light: bool = False) -> None:
        """Hand in a piece of work; waits while too many are on their way.

        Args:
            pictures: drawn and written first.
            then: called after that, with their checksums.
            light: whether it holds neither images nor maps, so that any number may wait.

        Raises:
            OSError: if an earlier piece could not be written.
        """
        while self._pending and (self._pending[0].work.done() or (self._is_full() and not light)):
            self._pending.popleft().work.result()
        before = [piece.work for piece in self._pending]
        self._pending.append(_Piece(self._commits.submit(self._work, list(pictures), then, before), light))

    def drain(self) -> None:
        """Wait until all is on the disk.

        Raises:
            OSError: if something could not be written.
        """
        while self._pending:
            self._pending.popleft().work.result()

    def __enter__(self) -> Committer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self.drain()
        finally:
            self._commits.shutdown()
            self._drawings.shutdown()

    def _is_full(self) -> bool:
        """Whether another piece that is not light must wait."""
        return sum(not piece.light for piece in self._pending) >= _PENDING

    def _work(self, pictures: list[Picture], then: Step, before: list[Future[None]]) -> None:
        for earlier in before:
            earlier.result()  # raises what ended the work before this one
        drawn = list(self._drawings.map(self._draw, pictures))
        for folder in {folder for folder, _ in drawn}:
            sync_folder(folder)
        self._check()
        then([checksum for _, checksum in drawn])

    def _draw(self, picture: Picture) -> tuple[Path, int]:
        """Write a picture; answers in which folder, and its checksum."""
        path = self._run.root / picture.path
        if picture.earlier is not None and self._take(picture.earlier, path):
            return path.parent, picture.earlier.checksum
        content = picture.draw()
        self._run.write_file(path, content, durable=False)
        return path.parent, checksum(content)

    def _take(self, earlier: EarlierPicture, path: Path) -> bool:
        """Have an earlier run's picture under this path too; False where it is not there as it was drawn."""
        root, partial = self._run.root, self._run.partial()
        known, wrong = KnownPicture(str(partial.relative_to(root)), earlier.checksum), True
        with suppress(OSError):
            copy(earlier.file, partial)
            wrong = partial.is_symlink() or known.wrong(root) is not None
        if wrong:
            remove(partial)
            return False
        self._run.put(partial, path, durable=False)
        return True
