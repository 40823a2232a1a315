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
from ..errors import BrokenRecordError, SeveralProblemsError
from ..plan_diff import plan_differences, shown
from ..plan_record import PlanRecord
from ..plural import plural
from ..probe import Probe
from ..problem import Problem
from ..storage.lock_holder import holder_of
from ..storage.run_folder import RunFolder, runs_of
from .sharded_batches import FinishedShard, MergeError

_AMONG_SHARDS = ("shard", "device")  # what their plans need not share
_SHOWN_MISSING = 20


@dataclass(frozen=True)
class _Unfinished:
    """A shard that there is nothing to join of yet; which one, as far as it says that."""

    problem: Problem
    shard: tuple[int, int] | None = None


def finished_shards(folders: Sequence[Path]) -> list[FinishedShard]:
    """The shards in these folders, in order; every one of them read and checked.

    Args:
        folders: summary folders, or data folders of runs.

    Raises:
        MergeError: with all that is wrong: damaged, of another plan, doubled, missing or unfinished ones, or none.
    """
    found, unfinished, problems = [], [], list[Problem]()
    for folder in folders:
        try:
            shard = _shard_in(folder)
        except (BrokenRecordError, OSError, ValueError, KeyError) as error:
            problems += _of_shard(folder, error)
            continue
        if isinstance(shard, FinishedShard):
            found.append(shard)
        else:
            unfinished.append(shard)
    problems += _not_alike(found)
    waiting = [*(shard.problem for shard in unfinished), *_missing(found, unfinished)]
    if problems or waiting:
        raise MergeError([*problems, *waiting], waiting=not problems)
    if not found:
        raise MergeError([Problem.of("no-shards", "no shard is given")])
    found.sort(key=lambda shard: shard.number)
    if problems := list(_samples_apart(found)):
        raise MergeError(problems)
    return found


def _of_shard(folder: Path, error: Exception) -> tuple[Problem, ...]:
    """What an error of reading a shard says, with its folder."""
    if isinstance(error, SeveralProblemsError):
        return error.problems
    said = str(error) if str(folder) in str(error) else f"{folder}: {error}"
    return (Problem.of("shard-unreadable", "{said}", said=said, folder=folder, error=type(error).__name__),)


def _shard_in(folder: Path) -> FinishedShard | _Unfinished:
    """The shard in a folder.

    Raises:
        MergeError: if it is not a shard, or not whole.
        BrokenRecordError: if its archive is damaged.
        OSError: if it cannot be read.
    """
    runs = runs_of(folder)
    if not runs:
        return _Unfinished(Problem.of("shard-not-begun", "{folder} holds no run yet", folder=folder))
    run = runs[-1]
    if (why := run.why_not_resumed()) is not None:
        raise MergeError([Problem.of("shard-of-other-version", "{folder}: {why}", folder=folder, why=why)])
    if not run.finished:
        words, advice = "{folder} is not finished yet: {advice}", _what_to_do(run)
        return _Unfinished(
            Problem.of("shard-unfinished", words, folder=folder, advice=advice), _parse_shard(run.state())
        )
    results, state = Results(run.archive), run.state() or {}
    given = results.plan_record.shard
    if given is None:
        raise MergeError([Problem.of("not-a-shard", "{folder} holds a whole run, not a shard of one", folder=folder)])
    number, count = given
    ids = results.samples
    if not np.array_equal(ids, np.arange(len(ids)) * count + number - 1):
        words = "{folder}: its samples are not those of shard {number} of {count}"
        raise MergeError([Problem.of("shard-samples-of-another", words, folder=folder, number=number, count=count)])
    if lost := [(picture.path, how) for picture in pictures_of_run(run, results) if (how := picture.wrong(run.root))]:
        words = (
            "{folder} has lost {count} of its pictures, such as {picture}, which is {how}; run it again with overwrite"
        )
        values = {"folder": folder, "count": len(lost), "picture": lost[0][0], "how": lost[0][1]}
        raise MergeError([Problem.of("shard-pictures-lost", words, **values)])
    keys = (
        "compiled",
        *(["dropout"] if results.plan_record.dropout_samples else []),
    )  # which one that hides it has too
    tried = {key: state.get(key) for key in keys} if len(ids) else None
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


def _parse_shard(state: dict[str, Any] | None) -> tuple[int, int] | None:
    with suppress(ValueError):  # it may say nothing
        return PlanRecord.of((state or {}).get("plan")).shard
    return None


def _not_alike(shards: Sequence[FinishedShard]) -> Iterator[Problem]:
    """What speaks against these being shards of one run."""
    for shard in shards[1:]:
        yield from _shard_differences(shards[0], shard)
    tried = [shard for shard in shards if shard.tried is not None]
    for shard in tried[1:]:
        if shard.tried != tried[0].tried and shard.plan.device == tried[0].plan.device:
            yield Problem.of(
                "shards-tried-apart",
                "shards used different execution modes: {folder} ({mode}), {first} ({first_mode})",
                folder=shard.run.root,
                mode=shard.tried,
                first=tried[0].run.root,
                first_mode=tried[0].tried,
            )
    for which, times in Counter((shard.number, shard.count) for shard in shards).items():
        if times > 1:
            yield Problem.of(
                "shard-repeated",
                "shard {number} is given {times} times: {folders:list}",
                number=which[0],
                times=times,
                folders=[str(shard.run.root) for shard in shards if (shard.number, shard.count) == which],
            )


def _shard_differences(first: FinishedShard, shard: FinishedShard) -> Iterator[Problem]:
    """How a shard differs from the first one, what matters most first."""
    elsewhere = first.plan.device != shard.plan.device
    apart = plan_differences(first.plan, shard.plan, _AMONG_SHARDS)
    if shard.count != first.count:
        apart.insert(0, f"it is one of {plural(first.count, 'shard')} there, one of {shard.count} here")
    yield from _format_differences(first.run, shard.run)
    computes = None if first.probe is None or shard.probe is None else first.probe.difference(shard.probe)
    if apart:
        words = "{folder} is of another plan than {first}: {differences}"
        yield Problem.of(
            "shards-of-two-plans", words, folder=shard.run.root, first=first.run.root, differences=shown(apart)
        )
    elif shard.begins != first.begins:
        words = (
            "{folder} read another dataset than {first}, or in another order; build it with shuffle=False and without "
            "random transforms"
        )
        yield Problem.of("shards-of-two-datasets", words, folder=shard.run.root, first=first.run.root)
    elif computes is not None:
        where = (
            f" on {shard.plan.device} something else than on {first.plan.device}" if elsewhere else " something else"
        )
        yield Problem.of(
            "shards-of-two-networks",
            "the network of {folder} computes{something} in {first}: {how}",
            folder=shard.run.root,
            something=where,
            first=first.run.root,
            how=computes,
        )


def _format_differences(first: RunFolder, run: RunFolder) -> Iterator[Problem]:
    """That versions which draw maps by other rules made two runs."""
    if run.format != first.format:
        words = (
            "{older} is of an earlier version of Explainrun than {newer}, whose pictures of maps are drawn otherwise; "
            "recompute it with overwrite"
        )
        older, newer = sorted((first, run), key=lambda one: one.format)
        yield Problem.of("shards-of-two-formats", words, older=older.root, newer=newer.root)


def _missing(shards: Sequence[FinishedShard], unfinished: Sequence[_Unfinished]) -> list[Problem]:
    """Which of as many shards as the first one says are not given at all."""
    given = [(shard.number, shard.count) for shard in shards]
    given += [shard.shard for shard in unfinished if shard.shard is not None]
    if not given:
        return []
    count = given[0][1]
    missing = [number for number in range(1, count + 1) if (number, count) not in given]
    more = ", ..." * (len(missing) > _SHOWN_MISSING)
    words = "shards missing, of {count}: {numbers:list}{more}"
    values = {"count": count, "numbers": missing[:_SHOWN_MISSING], "more": more}
    return [Problem.of("shards-missing", words, **values)] if missing else []


def _samples_apart(shards: Sequence[FinishedShard]) -> Iterator[Problem]:
    """Whether shards saw datasets of different length."""
    total = sum(shard.samples for shard in shards)
    for shard in shards:
        due = len(range(shard.number - 1, total, shard.count))
        if shard.samples != due:
            words = "{folder} has {samples:plural sample}; of the {total} of all shards {due} would be its own"
            yield Problem.of(
                "shards-of-other-lengths", words, folder=shard.run.root, samples=shard.samples, total=total, due=due
            )
