"""Finding the shards of one run in the folders that are named, and everything that speaks against joining them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..archive.picture_checksums import pictures_of_run
from ..archive.results import Results
from ..errors import BrokenRecordError
from ..plan_diff import differences, shown
from ..plan_record import PlanRecord
from ..plural import plural
from ..probe import Probe
from ..storage.lock_holder import holder_of
from ..storage.run_folder import RunFolder, runs_of
from .sharded_batches import FinishedShard, MergeError

_AMONG_SHARDS = ("shard", "device")  # what their plans need not share
_SHOWN_MISSING = 20


@dataclass(frozen=True)
class _Unfinished:
    """A shard that there is nothing to join of yet; which one, as far as it says that."""

    told: str
    shard: tuple[int, int] | None = None


def finished_shards(folders: Sequence[Path]) -> list[FinishedShard]:
    """The shards in these folders, in order; every one of them read and checked.

    Args:
        folders: summary folders, or data folders of runs.

    Raises:
        MergeError: with all that is wrong: damaged, of another plan, doubled, missing or unfinished ones, or none.
    """
    found, unfinished, problems = [], [], []
    for folder in folders:
        try:
            shard = _shard_in(folder)
        except (BrokenRecordError, OSError, ValueError, KeyError) as error:
            problems.append(str(error) if str(folder) in str(error) else f"{folder}: {error}")
            continue
        if isinstance(shard, FinishedShard):
            found.append(shard)
        else:
            unfinished.append(shard)
    problems += _not_alike(found)
    waiting = [*(shard.told for shard in unfinished), *_missing(found, unfinished)]
    if problems or waiting:
        raise MergeError([*problems, *waiting], waiting=not problems)
    if not found:
        raise MergeError(["no shard is given"])
    found.sort(key=lambda shard: shard.number)
    if problems := list(_samples_apart(found)):
        raise MergeError(problems)
    return found


def _shard_in(folder: Path) -> FinishedShard | _Unfinished:
    """The shard in a folder.

    Raises:
        MergeError: if it is not a shard, or not whole.
        BrokenRecordError: if its archive is damaged.
        OSError: if it cannot be read.
    """
    runs = runs_of(folder)
    if not runs:
        return _Unfinished(f"{folder} holds no run yet")
    run = runs[-1]
    if (why := run.why_not_resumed()) is not None:
        raise MergeError([f"{folder}: {why}"])
    if not run.finished:
        return _Unfinished(f"{folder} is not finished yet: {_what_to_do(run)}", _said_shard(run.state()))
    results, state = Results(run.archive), run.state() or {}
    given = results.plan_record.shard
    if given is None:
        raise MergeError([f"{folder} holds a whole run, not a shard of one"])
    number, count = given
    ids = results.samples
    if not np.array_equal(ids, np.arange(len(ids)) * count + number - 1):
        raise MergeError([f"{folder}: its samples are not those of shard {number} of {count}"])
    if lost := [(picture.path, how) for picture in pictures_of_run(run, results) if (how := picture.wrong(run.root))]:
        such_as = f"such as {lost[0][0]}, which is {lost[0][1]}"
        raise MergeError([f"{folder} has lost {len(lost)} of its pictures, {such_as}; run it again with overwrite"])
    tried = {key: state.get(key) for key in ("compiled", "dropout")} if len(ids) else None
    probe = Probe.of(state["probe"]) if state.get("probe") is not None else None
    return FinishedShard(
        run=run,
        number=number,
        count=count,
        plan=results.plan_record,
        begins=state.get("begins", ()),
        tried=tried,
        samples=len(ids),
        probe=probe,
    )


def _what_to_do(run: RunFolder) -> str:
    writer = holder_of(run.root)
    if writer is None or not writer.alive:
        return "run it again to resume"
    return f"process {writer.pid or '?'} on {writer.host or 'an unknown host'} is at it, wait for that"


def _said_shard(state: dict[str, Any] | None) -> tuple[int, int] | None:
    with suppress(ValueError):  # it may say nothing
        return PlanRecord.of((state or {}).get("plan")).shard
    return None


def _not_alike(shards: Sequence[FinishedShard]) -> Iterator[str]:
    """What speaks against these being shards of one run."""
    for shard in shards[1:]:
        yield from _unlike(shards[0], shard)
    tried = [shard for shard in shards if shard.tried is not None]
    for shard in tried[1:]:
        if shard.tried != tried[0].tried and shard.plan.device == tried[0].plan.device:
            theirs, ours = ((of.run.root, of.tried) for of in (tried[0], shard))
            yield "shards used different execution modes: {} ({}), {} ({})".format(*ours, *theirs)
    for which, times in Counter((shard.number, shard.count) for shard in shards).items():
        if times > 1:
            where = ", ".join(str(shard.run.root) for shard in shards if (shard.number, shard.count) == which)
            yield f"shard {which[0]} is given {times} times: {where}"


def _unlike(first: FinishedShard, shard: FinishedShard) -> Iterator[str]:
    """How a shard differs from the first one, what matters most first."""
    elsewhere = first.plan.device != shard.plan.device
    apart = differences(first.plan, shard.plan, _AMONG_SHARDS)
    if shard.count != first.count:
        apart.insert(0, f"it is one of {plural(first.count, 'shard')} there, one of {shard.count} here")
    computes = None if first.probe is None or shard.probe is None else first.probe.difference(shard.probe)
    if apart:
        yield f"{shard.run.root} is of another plan than {first.run.root}: {shown(apart)}"
    elif shard.begins != first.begins:
        yield (
            f"{shard.run.root} read another dataset than {first.run.root}, or in another order; build it with "
            f"shuffle=False and without random transforms"
        )
    elif computes is not None:
        where = (
            f" on {shard.plan.device} something else than on {first.plan.device}" if elsewhere else " something else"
        )
        yield f"the network of {shard.run.root} computes{where} in {first.run.root}: {computes}"


def _missing(shards: Sequence[FinishedShard], unfinished: Sequence[_Unfinished]) -> list[str]:
    """Which of as many shards as the first one says are not given at all."""
    given = [(shard.number, shard.count) for shard in shards]
    given += [shard.shard for shard in unfinished if shard.shard is not None]
    if not given:
        return []
    count = given[0][1]
    missing = [str(number) for number in range(1, count + 1) if (number, count) not in given]
    told = ", ".join(missing[:_SHOWN_MISSING]) + ", ..." * (len(missing) > _SHOWN_MISSING)
    return [f"shards missing, of {count}: {told}"] if missing else []


def _samples_apart(shards: Sequence[FinishedShard]) -> Iterator[str]:
    """Whether shards saw datasets of different length."""
    total = sum(shard.samples for shard in shards)
    for shard in shards:
        due = len(range(shard.number - 1, total, shard.count))
        if shard.samples != due:
            held = f"{shard.run.root} has {plural(shard.samples, 'sample')}"
            yield f"{held}; of the {total} of all shards {due} would be its own"
