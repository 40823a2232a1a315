"""The finished shards of one run, and their samples in the order in which the whole run would have had them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from .differences import differences, shown
from .folder import RunFolder, find_runs
from .frames import BrokenRecordError
from .plain_hdf5 import opened, stored_dataset
from .results import Results
from .segments import Array, BatchResults
from .tables import batch_of, joined, nothing, sample_column, tables

_SAMPLES_A_BATCH = 64
_AMONG_SHARDS = ("shard",)  # what their plans need not share
Tables = dict[str, Array]


class MergeError(ValueError):
    """Why shards cannot be merged.

    Attributes:
        problems: one sentence each.
        waiting: whether nothing is wrong but that shards are not finished yet.
    """

    def __init__(self, problems: Sequence[str], *, waiting: bool = False) -> None:
        self.problems, self.waiting = tuple(problems), waiting
        several = f"{len(self.problems)} problems:" if len(self.problems) > 1 else ""
        super().__init__("\n  ".join([several, *self.problems]) if several else self.problems[0])


@dataclass(frozen=True)
class FinishedShard:
    """One of several runs that share a dataset, come to its end.

    Attributes:
        run: its files.
        number: which it is, from 1.
        count: how many there are.
        plan: what it did.
        begins: checksums of the dataset's first samples, which all shards read.
        tried: how its network turned out to run on those; None where it had no sample of its own.
        samples: how many it worked on.
    """

    run: RunFolder
    number: int
    count: int
    plan: Mapping[str, Any]
    begins: Sequence[int]
    tried: Mapping[str, Any] | None
    samples: int


class ShardedBatches:
    """Stands for the segments of the whole run; memory holds a batch, however many shards there are.

    Args:
        run: where the whole run is written.
        shards: all of them, in order.
    """

    def __init__(self, run: RunFolder, shards: Sequence[FinishedShard]) -> None:
        self.run, self._shards = run, shards
        self._plan = shards[0].plan
        self.explainers: tuple[str, ...] = tuple(self._plan["explainers"])
        self._metrics: tuple[str, ...] = tuple(self._plan["metrics"])
        self._starts = range(0, sum(shard.samples for shard in shards), _SAMPLES_A_BATCH)

    def batches(self) -> Iterator[BatchResults]:
        """All that is known of 64 samples after the other, but their maps."""
        names = list(tables(nothing(self._plan), self._metrics))
        for first in self._starts:
            parts = [
                {name: stored_dataset(file, name)[rows[sample_column(name)]] for name in names}
                for file, rows in self._files(first)
            ]
            yield batch_of(_in_order(parts), self.explainers, self._metrics)

    def maps_of_all(self, explainer: str) -> Iterator[Array]:
        """An explainer's maps (Q, H, W) of each batch."""
        for first in self._starts:
            parts, ids = [], []
            for file, rows in self._files(first):
                mine = rows["questions/sample", None]
                parts.append(stored_dataset(file, f"explainers/{explainer}/maps")[mine])
                ids.append(stored_dataset(file, "questions/sample")[mine])
            yield np.concatenate(parts)[np.argsort(np.concatenate(ids), kind="stable")]

    def costs(self) -> dict[str, dict[str, float]]:
        """What all shards took, added up."""
        total: dict[str, Counter[str]] = {}
        for shard in self._shards:
            for what, by_kind in Results(shard.run.archive, check=False).costs.items():
                total.setdefault(what, Counter()).update(by_kind)
        return {what: dict(by_kind) for what, by_kind in total.items()}

    def owner(self, sample_id: int) -> FinishedShard:
        """The shard that a sample belongs to."""
        return self._shards[sample_id % len(self._shards)]

    def _files(self, first: int) -> Iterator[tuple[h5py.File, dict[tuple[str, int | None], slice]]]:
        """The archives that hold any of the batch from that sample on, each with the rows that are about it."""
        last = min(first + _SAMPLES_A_BATCH, self._starts.stop)
        for shard in {self.owner(sample_id).number: self.owner(sample_id) for sample_id in range(first, last)}.values():
            with opened(shard.run.archive) as file:
                yield file, _Rows(file, first, last)


class _Rows(dict[tuple[str, int | None], slice]):
    """By the column that says which sample a row is about, the rows of the samples from ``first`` to ``last``."""

    def __init__(self, file: h5py.File, first: int, last: int) -> None:
        super().__init__()
        self._file, self._ends = file, (first, last)

    def __missing__(self, column: tuple[str, int | None]) -> slice:
        table, place = column
        stored = stored_dataset(self._file, table)
        ids = stored[...] if place is None else stored[:, place]
        self[column] = rows = slice(*(int(end) for end in np.searchsorted(ids, self._ends)))
        return rows


def _in_order(parts: Sequence[Tables]) -> Tables:
    """The tables of several shards as one, rows in the order of their samples."""
    whole = {name: joined([part[name] for part in parts]) for name in parts[0]}
    orders = {}
    for name in whole:
        table, place = sample_column(name)
        if table not in orders:
            ids = whole[table] if place is None else whole[table][:, place]
            orders[table] = np.argsort(ids, kind="stable")
    return {name: values[orders[sample_column(name)[0]]] for name, values in whole.items()}


def finished_shards(folders: Sequence[Path]) -> list[FinishedShard]:
    """The shards in these folders, in order; every one of them read and checked.

    Raises:
        MergeError: with all that is wrong: no shard, a damaged one, unfinished, of another plan, doubled or missing.
    """
    found, problems, unfinished = [], [], []
    for folder in folders:
        try:
            shard = _finished_shard(folder)
        except (BrokenRecordError, OSError, ValueError, KeyError) as error:
            named = str(folder) in str(error)
            problems.append(str(error) if named else f"{folder}: {error}")
            continue
        if isinstance(shard, str):
            unfinished.append(shard)
        else:
            found.append(shard)
    problems += _not_alike(found)
    if problems:
        raise MergeError(problems + unfinished)
    missing = _missing(found) if found else []
    if unfinished or not found:
        raise MergeError(unfinished or ["no shard is given"], waiting=bool(unfinished))
    if missing:
        raise MergeError(missing, waiting=True)
    found.sort(key=lambda shard: shard.number)
    if problems := list(_samples_apart(found)):
        raise MergeError(problems)
    return found


def _finished_shard(folder: Path) -> FinishedShard | str:
    """The shard in a folder, or that it is not finished yet."""
    runs = find_runs(folder)
    if not runs:
        return f"{folder} holds no run yet"
    run = runs[-1]
    if not run.finished:
        return f"{folder} is not finished yet: run it again to go on"
    results, state = Results(run.archive), run.state() or {}
    given = results.plan.get("shard")
    if given is None:
        raise MergeError([f"{folder} holds a whole run, not a shard of one"])
    number, count = given
    ids = results.samples
    if not np.array_equal(ids, np.arange(len(ids)) * count + number - 1):
        raise MergeError([f"{folder}: its samples are not those of shard {number} of {count}"])
    tried = {key: state.get(key) for key in ("compiled", "dropout")} if len(ids) else None
    return FinishedShard(run, number, count, results.plan, state.get("begins", ()), tried, len(ids))


def _not_alike(shards: Sequence[FinishedShard]) -> Iterator[str]:
    """What speaks against these being shards of one run."""
    for shard in shards[1:]:
        apart = differences(shards[0].plan, shard.plan, _AMONG_SHARDS)
        if shard.count != shards[0].count:
            apart.insert(0, f"it is one of {shards[0].count} shards there, one of {shard.count} here")
        if apart:
            yield f"{shard.run.root} is of another plan than {shards[0].run.root}: {shown(apart)}"
        elif shard.begins != shards[0].begins:
            yield (
                f"{shard.run.root} read another dataset than {shards[0].run.root}, or in another order; build it with "
                f"shuffle=False and without random transforms"
            )
    tried = [shard for shard in shards if shard.tried is not None]
    for shard in tried[1:]:
        if shard.tried != tried[0].tried:
            theirs, ours = ((of.run.root, of.tried) for of in (tried[0], shard))
            yield "the network ran otherwise in {} ({}) than in {} ({})".format(*ours, *theirs)
    for number, times in Counter(shard.number for shard in shards).items():
        if times > 1:
            where = ", ".join(str(shard.run.root) for shard in shards if shard.number == number)
            yield f"shard {number} is given {times} times: {where}"


def _missing(shards: Sequence[FinishedShard]) -> list[str]:
    given = {shard.number for shard in shards}
    missing = [str(number) for number in range(1, shards[0].count + 1) if number not in given]
    if not missing:
        return []
    told = ", ".join(missing[:20]) + ", ..." * (len(missing) > 20)
    return [f"shards missing, of {shards[0].count}: {told}"]


def _samples_apart(shards: Sequence[FinishedShard]) -> Iterator[str]:
    """Whether shards saw datasets of different length."""
    total = sum(shard.samples for shard in shards)
    for shard in shards:
        due = len(range(shard.number - 1, total, shard.count))
        if shard.samples != due:
            yield f"{shard.run.root} has {shard.samples} samples; of the {total} of all shards {due} would be its own"
