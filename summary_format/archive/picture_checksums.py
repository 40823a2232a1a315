"""Whether the pictures of a run are those that it wrote, by the checksums that its segments and its archive keep."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import google_crc32c
import numpy as np

from ..storage.run_folder import RunFolder
from ..untrusted.regular_files import MOST_BYTES, open_regular
from .results import Results
from .sample_labels import recorded
from .segments import AnyPart, Array, ExplanationBatch, InferenceBatch

MISSING, EMPTY, WRONG = "missing", "empty", "different from what the run wrote"
_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True)
class Picture:
    """A picture that a run wrote.

    Attributes:
        path: relative to the summary folder.
        checksum: CRC-32C of its bytes; None where an earlier version wrote it, which kept none.
    """

    path: str
    checksum: int | None

    def wrong(self, root: Path) -> str | None:
        """What is wrong with the file: ``MISSING``, ``EMPTY`` or ``WRONG``; None if nothing is.

        Raises:
            OSError: if it is there and cannot be read.
            ValueError: if the path is none.
        """
        path = root / self.path
        try:
            found = path.stat()
            if not stat.S_ISREG(found.st_mode):
                return MISSING
            if not found.st_size:
                return EMPTY
            if self.checksum is None:
                return None
            return None if found.st_size <= MOST_BYTES and checksum_of(path) == self.checksum else WRONG
        except (FileNotFoundError, NotADirectoryError):
            return MISSING


def checksum(data: bytes) -> int:
    """CRC-32C of a picture's bytes."""
    return int(google_crc32c.value(data))


def pictures_of(run: RunFolder, name: str, samples: InferenceBatch, part: AnyPart) -> Iterator[Picture]:
    """The pictures that were drawn with a part of a batch.

    Args:
        run: whose.
        name: of the explainer, if the part is an explainer's.
        samples: of the batch.
        part: the samples themselves, or what was found on them.
    """
    if isinstance(part, InferenceBatch):
        for row in recorded(part):
            yield Picture(run.image_path(int(part.ids[row])), _checksum_at(part.pictures, row))
    elif isinstance(part, ExplanationBatch):
        for row in np.flatnonzero(part.computed):
            yield Picture(run.heatmap_path(name, *samples.questions[row].tolist()), _checksum_at(part.pictures, row))


def pictures_of_run(run: RunFolder, results: Results) -> Iterator[Picture]:
    """All pictures of a finished run."""
    ids, checksums, questions = results.samples, results.sample_pictures, results.questions
    for row in np.flatnonzero(np.isin(ids, results.recorded)):
        yield Picture(run.image_path(int(ids[row])), _checksum_at(checksums, row))
    for name in results.explainers:
        checksums = results.map_pictures(name)
        for row in np.flatnonzero(results.computed_maps(name)):
            yield Picture(run.heatmap_path(name, *questions[row].tolist()), _checksum_at(checksums, row))


class KnownPictures:
    """The checksums of a finished run's pictures, by what they show; memory holds some bytes per picture.

    Args:
        results: of the run.

    Attributes:
        kept: whether the run kept checksums; those of earlier versions did not.
    """

    def __init__(self, results: Results) -> None:
        self._ids, self._samples = results.samples, results.sample_pictures
        self.kept = self._samples is not None
        self._maps = {name: results.map_pictures(name) for name in results.explainers}
        self._labels = len(results.class_names)
        questions = results.questions.astype(np.int64)
        places: Array = questions[:, 0] * self._labels + questions[:, 1]
        self._order = np.argsort(places, kind="stable")
        self._places = places[self._order]

    def of_sample(self, sample_id: int) -> int | None:
        """Of a sample's picture; None where it is not known."""
        return _checksum_at(self._samples, _place(self._ids, sample_id))

    def of_map(self, explainer: str, sample_id: int, label: int) -> int | None:
        """Of the picture of an explainer's map for a label of a sample; None where it is not known."""
        place = _place(self._places, sample_id * self._labels + label)
        return None if place is None else _checksum_at(self._maps.get(explainer), self._order[place])


def _place(ascending: Array, value: int) -> int | None:
    """Where a value stands among ascending ones; None if it does not."""
    place = int(np.searchsorted(ascending, value))
    return place if place < len(ascending) and ascending[place] == value else None


def _checksum_at(table: Array | None, place: int | None) -> int | None:
    return None if table is None or place is None else int(table[place])


def checksum_of(path: Path) -> int:
    """CRC-32C of a file.

    Raises:
        NotRegularError: if it is none.
        OSError: if it cannot be read.
    """
    found = 0
    with open_regular(path) as file:
        while block := file.read(_BLOCK_BYTES):
            found = int(google_crc32c.extend(found, block))
    return found
