"""Which shards of a run there are among several inspected folders, and what is left to do."""

from __future__ import annotations

import json
import shlex
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from ....summary_format.inspection.inspection import DAMAGED, FINISHED, Inspection
from ....summary_format.plan_diff import plan_differences, shown

_OWN = ("shard", "summary_dir")  # in what the shards of one run differ


@dataclass(frozen=True)
class Shards:
    """The shards that there are of one run.

    Attributes:
        of: how many there shall be.
        found: those that there are, by number.
    """

    of: int
    found: tuple[tuple[int, Inspection], ...]

    @property
    def missing(self) -> tuple[int, ...]:
        """Numbers that no folder has."""
        there = {number for number, _ in self.found}
        return tuple(number for number in range(1, self.of + 1) if number not in there)

    @property
    def duplicates(self) -> tuple[int, ...]:
        """Numbers that several folders have."""
        return tuple(number for number, times in Counter(number for number, _ in self.found).items() if times > 1)

    @property
    def unfinished(self) -> tuple[int, ...]:
        """Numbers of those that are not finished and sound."""
        return tuple(number for number, one in self.found if one.state != FINISHED)

    def sentence(self) -> str:
        """What there is and what is left to do, in a sentence or two."""
        damaged = self._those(lambda one: one.state == DAMAGED)
        working = self._those(lambda one: one.state != DAMAGED and not one.finished and one.running)
        stopped = self._those(lambda one: one.state != DAMAGED and not one.finished and not one.running)
        kinds = {"missing": self.missing, "unfinished": stopped, "at work": working, "damaged": damaged}
        wrong = "; ".join(
            f"{_ranges(numbers)} {what}" for what, numbers in (kinds | {"doubled": self.duplicates}).items() if numbers
        )
        if self.missing or self.unfinished:
            to_do = {
                "run those that are missing or unfinished": self.missing or stopped,
                "wait for those at work": working,
                "mend the damaged ones as said above": damaged,
            }
            return f"shards of {self.of}: {wrong}. Next: {', '.join(what for what, any_ in to_do.items() if any_)}"
        one_of_each = {number: str(one.folder) for number, one in reversed(self.found)}
        folders = " ".join(shlex.quote(folder) for _, folder in sorted(one_of_each.items()))
        return f"shards of {self.of}: all finished{wrong and f', {wrong}'}. Next: explainrun merge OUT {folders}"

    def _those(self, are: Callable[[Inspection], bool]) -> tuple[int, ...]:
        return tuple(number for number, one in self.found if are(one))


def how_apart(several: Sequence[Shards]) -> list[str]:
    """How the runs differ that several groups of shards belong to, a sentence for each but the first."""
    sentences = []
    for other in several[1:]:
        first, second = (group.found[0][1] for group in (several[0], other))
        with suppress(Exception):  # plans may hold anything
            apart = plan_differences(first.plan, second.plan, ("shard",)) if first.plan and second.plan else []
            if several[0].of != other.of:
                apart.insert(0, f"one of {several[0].of} shards, one of {other.of}")
            sentences.append(f"{first.folder} and {second.folder} belong to different runs: {shown(apart)}")
    return sentences


def shards_among(found: Iterable[Inspection]) -> list[Shards]:
    """The shards among inspected folders, those of one plan together."""
    together: dict[str, list[tuple[int, Inspection]]] = {}
    for one in found:
        if one.plan is not None and one.plan.shard is not None:
            plan = {key: value for key, value in one.plan.raw.items() if key not in _OWN}
            key = json.dumps([one.plan.shard[1], plan], sort_keys=True)
            together.setdefault(key, []).append((one.plan.shard[0], one))
    sorted_ones = (sorted(ones, key=lambda pair: (pair[0], str(pair[1].folder))) for ones in together.values())
    return [Shards(json.loads(key)[0], tuple(ones)) for key, ones in zip(together, sorted_ones, strict=True)]


def _ranges(numbers: Iterable[int]) -> str:
    """Ascending numbers, those in a row as a range."""
    ranges: list[list[int]] = []
    for number in numbers:
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in ranges)
