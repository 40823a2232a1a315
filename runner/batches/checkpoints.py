"""What a batch has committed in parts, and what is committed next."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping

import numpy as np

from ...explainers.network.tensors import IntArray
from ...summary_format import Segments
from ...summary_format.archive.costs import Costs, added_up
from ...summary_format.archive.parts import Part, PartName
from ...summary_format.archive.segments import Array
from .part_sizes import Range
from .pass_counts import Profile


class Checkpoints:
    """Keeps the parts of a batch's segments that take long, and gives those that an earlier start has kept.

    Parts go by the name of their explainer; those of hierarchical occlusion by None.

    Args:
        segments: of the run.
        batch: its number.
        commit: has something written in its turn, and stops where the run shall.
        profile: what costs are counted in.
    """

    def __init__(
        self, segments: Segments, batch: int, commit: Callable[[Callable[[], None]], None], profile: Profile
    ) -> None:
        self._segments, self._batch, self._commit, self._profile = segments, batch, commit, profile
        self._costs: defaultdict[str | None, list[Costs]] = defaultdict(list)

    def kept(self, name: str | None, what: str, part: Range, questions: IntArray) -> Mapping[str, Array] | None:
        """What a part holds that is committed; None if it is not, or is about other questions (Q, 2).

        Args:
            name: whose it is.
            what: as ``PartName`` has it.
            part: of which samples.
            questions: about those.

        Raises:
            BrokenRecordError: if it was damaged since the run was resumed.
        """
        file = self._file(name, what, part)
        found = self._segments.parts.read(file) if self._segments.parts.has(file) else None
        if found is None or not np.array_equal(found.arrays["questions"], questions):
            return None
        self._costs[name].append(found.costs)
        return found.arrays

    def keep(self, name: str | None, what: str, part: Range, arrays: Mapping[str, Array]) -> None:
        """Commit a part, with what has been counted since the last commit; arguments as those of ``kept``.

        Raises:
            RunStopped: if the run shall stop here.
            OSError: if something could not be written.
        """
        file, content = self._file(name, what, part), Part(arrays, self._profile.drained())
        self._costs[name].append(content.costs)
        self._commit(lambda: self._segments.parts.write(file, content))

    def costs(self, name: str | None) -> Costs:
        """What a segment took: its parts, and what has been counted since the last commit."""
        parts, rest = self._costs.pop(name, []), self._profile.drained()
        return added_up([*parts, rest]) if parts else rest

    def _file(self, name: str | None, what: str, part: Range) -> PartName:
        segments, batch = self._segments, self._batch
        segment = segments.searched_path(batch) if name is None else segments.explained_path(batch, name)
        return PartName(segment.name, what, *part)
