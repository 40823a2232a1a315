"""Where results are read from: the archive of a finished run, or the segments of one that is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import h5py
import numpy as np

from ..errors import BrokenRecordError
from ..plan_record import PlanRecord
from ..storage.run_folder import RunFolder, runs_of, shown_run
from ..untrusted.array_schema import (
    NEAREST,
    archive_specs,
    check_arrays,
    check_questions,
    checked_costs,
    picture_specs,
    segment_specs,
)
from ..untrusted.hdf5 import opened, stored_dataset, text_of, whole_number_of
from ..untrusted.numpy_json import json_of
from ..untrusted.variable_text import text_of_any_length
from .neighbours import Neighbours
from .packing import stored
from .results_file import SCHEMA_VERSION, UNPICTURED_VERSION, VARIABLE_TEXT_VERSION, check_archive
from .search_batch import OUTCOMES
from .segments import Array, Segments
from .tables import joined_arrays, nothing, tables


class Source(Protocol):
    """What a run computed, as ``Results`` asks for it.

    Attributes:
        plan: of the run.
        costs: what it took.
        pictured: whether pictures have checksums.
    """

    plan: PlanRecord
    costs: dict[str, Any]
    pictured: bool

    def table(self, name: str) -> Array:
        """A table of the archive, by its name there."""
        ...

    def size(self, name: str) -> int:
        """Bytes of a table."""
        ...

    def maps(self, explainer: str, first: int, last: int) -> Array:
        """An explainer's maps of the questions ``first`` to ``last`` (excluded)."""
        ...


class ArchiveSource:
    """A ``results.h5``.

    Args:
        path: of it.
        check: False where its checksum was checked just before.

    Raises:
        BrokenRecordError: if it is damaged.
        ValueError: if it is of a newer version.
    """

    def __init__(self, path: Path, *, check: bool = True) -> None:
        if check:
            check_archive(path)
        self._path = path
        with opened(path) as file:
            version = whole_number_of(file, "schema_version")
        if version > SCHEMA_VERSION:
            raise ValueError(f"{path} is of version {version}, this Explainrun reads up to {SCHEMA_VERSION}")
        self.pictured = version > UNPICTURED_VERSION
        text = text_of if version > VARIABLE_TEXT_VERSION else text_of_any_length
        with opened(path) as file:
            self.plan = PlanRecord.of(json_of(text(file, "plan")))
            self.costs = checked_costs(json_of(text(file, "costs")))
            self._check_tables(file)

    def table(self, name: str) -> Array:
        with opened(self._path) as file:
            values: Array = stored_dataset(file, name)[...]
        return values

    def size(self, name: str) -> int:
        with opened(self._path) as file:
            return int(stored_dataset(file, name).nbytes)

    def maps(self, explainer: str, first: int, last: int) -> Array:
        with opened(self._path) as file:
            values: Array = stored_dataset(file, f"explainers/{explainer}/maps")[first:last]
        return values

    def _check_tables(self, file: h5py.File) -> None:
        specs, classes = archive_specs(self.plan, pictured=self.pictured), len(self.plan.class_names)
        tables = {name: stored_dataset(file, name) for name in specs}
        check_arrays(tables, specs, {"C": classes, "P": self.plan.neighbours})
        questions = np.stack([tables[f"questions/{of}"][...] for of in ("sample", "label")], axis=1)
        check_questions(tables["samples/id"][...], questions, classes)
        if (nearest := Neighbours.among(tables, "samples/")) is not None:
            nearest.rows(slice(None)).check(classes)
        outcomes = tables.get("hierarchical_occlusion/outcomes")
        if outcomes is not None and (outcomes[...] >= len(OUTCOMES)).any():
            raise ValueError("an outcome of hierarchical occlusion is none of ours")


class SegmentsSource:
    """The segments of a run, as far as their batches are complete now.

    Args:
        run: whose.
        plan: of it.

    Raises:
        BrokenRecordError: if one is damaged.
    """

    def __init__(self, run: RunFolder, plan: PlanRecord) -> None:
        self.plan = plan
        self._segments = Segments.of(run, plan)
        self._batches = list(self._segments.batches())
        try:
            self._check()
        except ValueError as error:
            raise BrokenRecordError(run.segments, 0, 0, str(error)) from error
        self.costs = self._segments.costs()
        pictures = picture_specs(plan.explainers).keys()
        self.pictured = all(pictures <= tables(batch, ()).keys() for batch in self._batches)

    def table(self, name: str) -> Array:
        metrics = tuple(self.plan.metrics)
        batches = self._batches or [nothing(self.plan)]
        return joined_arrays([tables(batch, metrics)[name] for batch in batches])

    def size(self, name: str) -> int:
        return self.table(name).nbytes

    def maps(self, explainer: str, first: int, last: int) -> Array:
        found, start = [np.zeros((0, 0, 0), np.float32)], 0
        for batch, results in enumerate(self._batches):
            count = len(results.samples.questions)
            if start < last and first < start + count:
                maps = self._segments.maps(batch, explainer)
                if len(maps) != count:
                    raise BrokenRecordError(self._segments.run.segments, 0, 0, f"maps of {explainer} are missing")
                found.append(maps[max(first - start, 0) : last - start])
            start += count
        if len({maps.shape[1:] for maps in found[1:]}) > 1:
            raise BrokenRecordError(self._segments.run.segments, 0, 0, f"the maps of {explainer} differ in size")
        return np.concatenate(found[1:]) if len(found) > 1 else found[0]

    def _check(self) -> None:
        sizes = {"C": len(self.plan.class_names), "S": 3 if self.plan.dropout_samples else 0}
        sizes |= {"P": self.plan.neighbours} if self.plan.neighbours else {}
        for batch in self._batches:
            samples = stored(batch.samples)
            wanted = NEAREST if self.plan.neighbours else {}
            check_arrays(samples, {**segment_specs("InferenceBatch", samples), **wanted}, dict(sizes))
            for said in map(stored, batch.explained.values()):
                check_arrays(said, segment_specs("ExplanationBatch", said), {"M": len(self.plan.metrics)})


def source_of(folder: Path) -> Source:
    """The newest run in a summary folder or a data folder; errors as those of ``Results``."""
    try:
        return _newest(folder)
    except FileNotFoundError:
        return _newest(folder)  # it was finished in between, which moves everything


def _newest(folder: Path) -> Source:
    runs = runs_of(folder)
    if not runs:
        raise FileNotFoundError(f"no run in {folder}")
    run = shown_run(runs)
    if run.finished:
        return ArchiveSource(run.archive)
    if why := run.why_not_resumed():
        raise ValueError(f"{run.data}: {why}")
    state = run.state()
    said = run.data / "plan.json"
    if state is None:
        raise BrokenRecordError(said, 0, 0, "the run does not say what it does")
    try:
        plan = PlanRecord.of(state.get("plan"))
    except ValueError as error:
        raise BrokenRecordError(said, 0, 0, str(error)) from error
    return SegmentsSource(run, plan)
