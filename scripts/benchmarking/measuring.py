"""Rows measured: what is compared alternates, in processes that live through all repeats."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from .processes import Worker
from .rows import CHANNELS, PERTURBATIONS, Row
from .sizes import BATCHES

Found = dict[str, Any]
_BARE_SECONDS = 2.0  # of bare passes beside each repeat
_TRIED_FOR = 25.0  # seconds after which no further batch size is tried
_TRIAL_SECONDS = 1.0  # within which a batch size is tried again, so that a pause of the machine does not choose it


@dataclass
class Effort:
    """How much is spent on a row.

    Attributes:
        repeats: at most.
        seconds: after which no further repeat begins.
        clock: what time it is.
    """

    repeats: int = 3
    seconds: float = 20.0
    clock: Callable[[], float] = time.perf_counter

    def repeated(self, once: Callable[[], None]) -> int:
        """Do it as often as the effort allows, at least once; says how often."""
        began, done = self.clock(), 0
        while done < self.repeats and (not done or self.clock() - began < self.seconds):
            once()
            done += 1
        return done


@dataclass
class BatchSizes:
    """The best batch size of each kind of work, found once for each side.

    Attributes:
        tried: the sizes, the likeliest first.
        known: by side and what was done; the seconds per image of the best, and its size.
    """

    tried: Sequence[int] = BATCHES
    known: dict[tuple[str, str], tuple[float, int]] = field(default_factory=dict)

    def best(self, side: str, what: str, per_image: Callable[[int], float], clock: Callable[[], float]) -> int:
        """The size at which an image takes the least.

        Args:
            side: "ours" or "theirs".
            what: is done.
            per_image: seconds at a size; tried with a size that works before it counts.
            clock: what time it is.
        """
        if len(self.tried) == 1:
            return self.tried[0]
        if (side, what) not in self.known:
            began = clock()
            found: list[tuple[float, int]] = []
            for batch in self.tried:
                if not found or clock() - began < _TRIED_FOR:
                    found.append((per_image(batch), batch))
            self.known[side, what] = min(found)
        return self.known[side, what][1]


def overhead(row: Row, ours: Worker, effort: Effort) -> Found:
    """A run, and the passes that it made alone, in turns."""
    runs: list[Found] = []
    bare: list[float] = []

    def once() -> None:
        runs.append(ours.ask("run", row=row.key))
        bare.append(ours.ask("bare_of", row=row.key, made=runs[-1]["made"])["seconds"])

    ours.ask("warm", row=row.key)
    effort.repeated(once)
    last = {what: runs[-1][what] for what in ("made", "images", "needed")}
    walls, compiling = ([run[what] for run in runs] for what in ("seconds", "compiling"))
    return {"wall": walls, "bare": bare, "compiling": compiling, "peak_mib": _largest(runs), **last}


def beside(row: Row, ours: Worker, theirs: Worker, effort: Effort, sizes: BatchSizes) -> Found:
    """Our direct call and the other library's, each with its bare passes, in turns."""
    sides = (ours, theirs)
    for side in sides:
        side.ask("warm", row=row.key)
    kind = "forward" if row.method in (*PERTURBATIONS, *CHANNELS) else "gradient"
    batch = {side.side: _best_batch(row, side, sizes, effort) for side in sides}
    bare_batch = {side.side: _best_bare(kind, side, sizes, effort) for side in sides}
    calls: dict[str, list[Found]] = {"ours": [], "theirs": []}
    passes: dict[str, list[float]] = {"ours": [], "theirs": []}

    def once() -> None:
        for side in sides:
            calls[side.side].append(side.ask("direct", row=row.key, batch=batch[side.side], trial=False))
        for side in sides:
            asked = {"kind": kind, "batch": bare_batch[side.side], "limit": _BARE_SECONDS}
            passes[side.side].append(side.ask("bare", **asked)["seconds"])

    effort.repeated(once)
    return {
        "wall": [call["seconds"] for call in calls["ours"]],
        "their_wall": [call["seconds"] for call in calls["theirs"]],
        "bare_image": passes["ours"],
        "their_bare_image": passes["theirs"],
        "kind": kind,
        "batch": batch["ours"],
        "their_batch": batch["theirs"],
        "bare_batch": bare_batch["ours"],
        "their_bare_batch": bare_batch["theirs"],
        "explained": calls["ours"][-1]["images"],
        "peak_mib": _largest(calls["ours"]),
        "their_peak_mib": _largest(calls["theirs"]),
    }


def _best_batch(row: Row, side: Worker, sizes: BatchSizes, effort: Effort) -> int:
    """Of the row's own work. Ours makes its graphs for each size first, which is not counted."""
    asked: dict[str, Any] = {"row": row.key, "trial": True}
    ours = side.side == "ours"
    if ours and not side.ask("sized")["sized"]:
        side.ask("direct", batch=sizes.tried[0], **asked)
        return sizes.tried[0]
    first = {"jit": "on"} if ours else {}
    side.ask("direct", batch=sizes.tried[0], **asked, **first)

    def once(batch: int) -> float:
        tried = side.ask("direct", batch=batch, **asked)
        return float(tried["seconds"]) / float(tried["images"])

    def per_image(batch: int) -> float:
        if ours:
            side.ask("direct", batch=batch, **asked, **first)
        found: list[float] = []
        Effort(3, _TRIAL_SECONDS, effort.clock).repeated(lambda: found.append(once(batch)))
        return min(found)

    return sizes.best(side.side, row.key, per_image, effort.clock)


def _best_bare(kind: str, side: Worker, sizes: BatchSizes, effort: Effort) -> int:
    def per_image(batch: int) -> float:
        side.ask("bare", kind=kind, batch=batch, limit=0.0)
        return float(side.ask("bare", kind=kind, batch=batch, limit=0.5)["seconds"])

    return sizes.best(side.side, kind, per_image, effort.clock)


def _largest(answers: list[Found]) -> float | None:
    known = [answer["peak_mib"] for answer in answers if answer["peak_mib"] is not None]
    return max(known, default=None)
