"""How far an unfinished run is, and what it still takes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ..storage.run_folder import find_runs
from ..storage.sizes import Sizes
from .committed_work import Committed, Part


@dataclass(frozen=True)
class Progress:
    """How far an unfinished run is.

    Attributes:
        parts: into which the work on each batch falls, with what is committed of each.
        samples: with which every part is through.
        samples_total: how many there will be; None where unknown.
        batches: with which every part is through.
        batches_total: how many there will be; None where unknown.
    """

    parts: tuple[Part, ...]
    samples: int
    samples_total: int | None
    batches: int
    batches_total: int | None

    @classmethod
    def of(cls, found: Committed, samples_total: int | None) -> Progress:
        """From what is committed, and how many samples there will be."""
        batches = None
        if samples_total is not None and found.batch_size:
            batches = max(-(-samples_total // found.batch_size), *(part.batches for part in found.parts))
        samples = min(part.samples for part in found.parts)
        return cls(found.parts, samples, samples_total, min(part.batches for part in found.parts), batches)

    @property
    def parts_total(self) -> int | None:
        """Of all batches together."""
        return None if self.batches_total is None else self.batches_total * len(self.parts)

    @property
    def parts_committed(self) -> int:
        """Of all batches together, those that are committed."""
        return sum(part.batches for part in self.parts)

    @property
    def share(self) -> float | None:
        """Committed parts, or shares of them, of all; None where it is unknown how many there will be."""
        if self.parts_total:
            return (self.parts_committed + sum(part.begun for part in self.parts)) / self.parts_total
        return None if self.samples_total is None else 0.0

    def left(self, part: Part) -> int | None:
        """Samples that a part has still to do."""
        return None if self.samples_total is None else max(self.samples_total - part.samples, 0)

    @property
    def untried(self) -> tuple[str, ...]:
        """Parts of which no batch is committed, so that it is unknown what they take."""
        return tuple(part.name for part in self.parts if part.seconds_a_sample is None)

    @property
    def known_seconds_to_go(self) -> float | None:
        """What the parts that have a batch behind them still take together."""
        return self._to_go(lambda part: part.seconds_a_sample)

    @property
    def seconds_to_go(self) -> float | None:
        """What all parts still take, each at its own speed; None where one has none yet, or samples are not counted."""
        return None if self.untried else self.known_seconds_to_go

    def bytes_to_go(self, sizes: Sizes) -> int | None:
        """Disk that the rest needs, about: more segments and pictures as those so far, and the archive beside them,
        which is at most as large as all segments.
        """
        segments = self._to_go(lambda part: part.bytes / part.samples if part.samples else None)
        if segments is None or self.untried or not sizes.segments:
            return None
        beside = (sizes.pictures + sizes.event_file) * segments / sizes.segments
        archive = sizes.segments + segments
        return round(segments + beside + archive)

    def _to_go(self, rate: Callable[[Part], float | None]) -> float | None:
        """A rate by sample, over the samples that each part has left; None where it is unknown how many those are."""
        if self.samples_total is None:
            return None
        return sum((rate(part) or 0.0) * (self.left(part) or 0) for part in self.parts)


def committed_samples(folder: Path, parts: int, batch_size: int, total: int | None) -> float:
    """Samples with which the last run of a summary folder is through, by the names of its segments; none is read.

    Args:
        folder: where the run is, or is going to be.
        parts: into how many parts the work on a batch falls, its samples beside.
        batch_size: samples of a whole batch.
        total: how many samples there will be; None where unknown.
    """
    batches, runs = 0.0, find_runs(folder)
    with suppress(OSError, IndexError):  # not begun, or its segments were joined meanwhile
        batches = sum(1 for _ in runs[-1].segments.iterdir()) / (parts + 1)
    return batches * batch_size if total is None else total * min(batches / max(-(-total // batch_size), 1), 1.0)
