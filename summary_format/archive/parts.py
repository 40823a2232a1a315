"""Finished parts of a segment that takes long: what a kill leaves of it.

The maps of some samples of a batch, the scores of some, or what hierarchical occlusion found on some, each a file of
one frame (see ``frames``) with an ``npz``, in a folder named after the segment. They are removed once the segment is
there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import google_crc32c
import numpy as np
import numpy.typing as npt

from ..errors import BrokenRecordError
from ..event_file.frames import framed
from ..storage.run_folder import RunFolder
from ..untrusted.array_schema import part_specs
from .packing import packed_values, unpacked_values

Array = npt.NDArray[Any]
_NAME = re.compile(r"(maps|scores|searched)-(\d{1,9})-(\d{1,9})")


class PartName(NamedTuple):
    """Which part of which segment.

    Attributes:
        segment: name of its file.
        what: "maps", "scores" or "searched".
        first: row of its first sample among those of the batch.
        last: the row after its last one.
    """

    segment: str
    what: str
    first: int
    last: int


class Part(NamedTuple):
    """What a part holds.

    Attributes:
        arrays: those of ``array_schema.part_specs``, among them the questions (Q, 2) that it is about.
        costs: passes and seconds that it took.
    """

    arrays: Mapping[str, Array]
    costs: Mapping[str, Mapping[str, float]]


class Parts:
    """The finished parts of a run's unfinished segments.

    Args:
        run: whose they are.
    """

    def __init__(self, run: RunFolder) -> None:
        self.run = run
        self._plan: int | None = None

    def path(self, name: PartName) -> Path:
        """Where a part is committed."""
        return self.run.parts / name.segment / f"{name.what}-{name.first}-{name.last}"

    def has(self, name: PartName) -> bool:
        """Whether a part is committed."""
        return self.path(name).is_file()

    def all(self) -> list[PartName]:
        """Every part that is committed, in order."""
        found = []
        with suppress(FileNotFoundError):
            for path in sorted(self.run.parts.glob("*/*")):
                if match := _NAME.fullmatch(path.name):
                    found.append(PartName(path.parent.name, match[1], int(match[2]), int(match[3])))
        return found

    def write(self, name: PartName, part: Part) -> None:
        """Commit a part.

        Raises:
            OSError: if the disk refuses.
        """
        plan = np.array(self._plan_checksum(), np.uint32)
        self.run.write_file(self.path(name), framed(packed_values({**part.arrays, "plan": plan, "costs": part.costs})))

    def read(self, name: PartName) -> Part:
        """A part.

        Raises:
            BrokenRecordError: if the file is damaged, or of a run of another plan.
        """
        path = self.path(name)
        arrays, costs = unpacked_values(path, lambda found: {**part_specs(name.what, found), "plan": ("u", ())})
        if int(arrays.pop("plan")) != self._plan_checksum():
            raise BrokenRecordError(path, 0, 0, "it is of a run of another plan")
        return Part(arrays, costs)

    def costs(self, name: PartName) -> Mapping[str, Mapping[str, float]]:
        """What a part took; nothing where it is gone, since the segment has taken its place.

        Raises:
            BrokenRecordError: as ``read``.
        """
        try:
            return self.read(name).costs
        except FileNotFoundError:
            return {}

    def discard(self, segment: str) -> None:
        """Remove all parts of a segment; there may be none.

        Raises:
            FolderInUseError: if the lock is lost.
            OSError: if they cannot be removed.
        """
        self.run.discard(self.run.parts / segment)

    def _plan_checksum(self) -> int:
        """By which the plan of the run, and the run itself, are known."""
        if self._plan is None:
            state = json.dumps(self.run.state(), sort_keys=True)
            self._plan = int(google_crc32c.value(state.encode()))
        return self._plan
