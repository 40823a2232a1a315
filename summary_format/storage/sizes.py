"""What a run takes on the disk."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from .run_folder import RunFolder

_PICTURES = ("origin_images", "heatmap")


@dataclass(frozen=True)
class Sizes:
    """Bytes of a run's files.

    Attributes:
        event_file: the records.
        pictures: originals and maps.
        picture_files: how many those are.
        archive: ``results.h5``.
        segments: finished work of an unfinished run, with finished parts of unfinished segments.
        other: the rest of the data folder.
        free: what the disk has left for this user; None where it does not say.
    """

    event_file: int
    pictures: int
    picture_files: int
    archive: int
    segments: int
    other: int
    free: int | None

    @property
    def total(self) -> int:
        """All of the run's files together."""
        return self.event_file + self.pictures + self.archive + self.segments + self.other


def measured(run: RunFolder) -> Sizes:
    """What a run takes now; files that go or cannot be seen meanwhile do not count."""
    taken: Counter[str] = Counter()
    files: Counter[str] = Counter()
    for path, size in _files(run.data):
        kind = path.relative_to(run.data).parts[0]
        taken[kind] += size
        files[kind] += 1
    archive, segments = taken.pop(run.archive.name, 0), sum(taken.pop(one.name, 0) for one in (run.segments, run.parts))
    pictures = sum(taken.pop(kind, 0) for kind in _PICTURES)
    free = None
    with suppress(OSError):
        free = shutil.disk_usage(run.root).free
    return Sizes(
        event_file=size_of(run.event_file),
        pictures=pictures,
        picture_files=sum(files[kind] for kind in _PICTURES),
        archive=archive,
        segments=segments,
        other=sum(taken.values()),
        free=free,
    )


def size_of(path: Path) -> int:
    """Bytes of a file; 0 where it is not there."""
    with suppress(OSError):
        return path.stat().st_size
    return 0


def _files(folder: Path) -> Iterator[tuple[Path, int]]:
    """The files in a folder and those below it, with their sizes; nothing is held but one path at a time."""
    for where, _, names in os.walk(folder):
        for name in names:
            path = Path(where) / name
            with suppress(OSError):
                yield path, path.lstat().st_size
