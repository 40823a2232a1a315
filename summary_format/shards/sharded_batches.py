"""The finished shards of one run, and their samples in the order in which the whole run would have had them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np

from ..archive.costs import added_up
from ..archive.results import Results
from ..archive.segments import Array, BatchResults
from ..archive.tables import batch_of, joined_arrays, nothing, sample_column, tables
from ..errors import SeveralProblemsError
from ..exit_codes import EXIT_BAD_INPUT, EXIT_RESUMABLE
from ..plan_record import PlanRecord
from ..probe import Probe
from ..storage.run_folder import RunFolder
from ..untrusted.array_schema import picture_specs
from ..untrusted.hdf5 import opened, stored_dataset

_SAMPLES_A_BATCH = 64
Tables = dict[str, Array]
Column = tuple[str, int | None]
_Rows = Mapping[Column, slice]


class MergeError(SeveralProblemsError):
    """Why shards cannot be merged.

    Attributes:
        waiting: whether nothing is wrong but that shards are not finished yet; then it can be run again later.
    """

    def __init__(self, problems: Sequence[str], *, waiting: bool = False) -> None:
        super().__init__(problems)
        self.waiting = waiting
        self.exit_code = EXIT_RESUMABLE if waiting else EXIT_BAD_INPUT


@dataclass(frozen=True, kw_only=True)
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
        probe: what its network answers to fixed images; None where the version that made it asked nothing.
    """

    run: RunFolder
    number: int
    count: int
    plan: PlanRecord
    begins: Sequence[int]
    tried: Mapping[str, Any] | None
    samples: int
    probe: Probe | None = None


class ShardedBatches:
    """Stands for the segments of the whole run; memory holds a batch and some bytes per sample, however many shards.

    Args:
        run: where the whole run is written.
        shards: all of them, in order.
    """

    def __init__(self, run: RunFolder, shards: Sequence[FinishedShard]) -> None:
        self.run, self._shards = run, shards
        self._plan = shards[0].plan
        self.explainers: tuple[str, ...] = tuple(self._plan.explainers)
        self._metrics: tuple[str, ...] = tuple(self._plan.metrics)
        pictured = all(Results(shard.run.archive, check=False).sample_pictures is not None for shard in shards)
        without = () if pictured else picture_specs(self.explainers)
        self._names = tuple(name for name in tables(nothing(self._plan), self._metrics) if name not in without)
        self._found: dict[int, Mapping[Column, Array]] = {}
        self._starts = range(0, sum(shard.samples for shard in shards), _SAMPLES_A_BATCH)

    def batches(self) -> Iterator[BatchResults]:
        """All that is known of 64 samples after the other, but their maps."""
        for first in self._starts:
            parts = [
                {name: stored_dataset(file, name)[rows[sample_column(name)]] for name in self._names}
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
        return added_up(Results(shard.run.archive, check=False).costs for shard in self._shards)

    def owner(self, sample_id: int) -> FinishedShard:
        """The shard that a sample belongs to."""
        return self._shards[sample_id % len(self._shards)]

    def _files(self, first: int) -> Iterator[tuple[h5py.File, _Rows]]:
        """The archives that hold any of the batch from that sample on, each with the rows that are about it."""
        last = min(first + _SAMPLES_A_BATCH, self._starts.stop)
        for shard in {self.owner(sample_id).number: self.owner(sample_id) for sample_id in range(first, last)}.values():
            with opened(shard.run.archive) as file:
                own = [len(range(shard.number - 1, end, shard.count)) for end in (first, last)]
                yield file, {column: slice(*at[own].tolist()) for column, at in self._edges(shard, file).items()}

    def _edges(self, shard: FinishedShard, file: h5py.File) -> Mapping[Column, Array]:
        """By the column that says which sample a row is about, where each sample's rows begin, and the end.

        Found once per shard, some bytes per sample, so that no batch has to read a whole column.
        """
        if shard.number not in self._found:
            ids = np.arange(shard.number - 1, shard.number + shard.count * shard.samples, shard.count)
            self._found[shard.number] = {
                (table, place): np.searchsorted(_column(file, table, place), ids).astype(np.uint32)
                for table, place in map(sample_column, self._names)
            }
        return self._found[shard.number]


def _column(file: h5py.File, table: str, place: int | None) -> Array:
    stored = stored_dataset(file, table)
    column: Array = stored[...] if place is None else stored[:, place]
    return column


def _in_order(parts: Sequence[Tables]) -> Tables:
    """The tables of several shards as one, rows in the order of their samples."""
    whole = {name: joined_arrays([part[name] for part in parts]) for name in parts[0]}
    orders = {}
    for name in whole:
        table, place = sample_column(name)
        if table not in orders:
            ids = whole[table] if place is None else whole[table][:, place]
            orders[table] = np.argsort(ids, kind="stable")
    return {name: values[orders[sample_column(name)[0]]] for name, values in whole.items()}
