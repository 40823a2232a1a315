"""How far an unfinished run is: what its segments hold, what that cost, and how long the rest will take."""

from __future__ import annotations

import re
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..archive.costs import Costs, settled
from ..archive.parts import PartName
from ..archive.picture_checksums import pictures_of
from ..archive.sample_labels import BROKEN_DIGEST
from ..archive.search_batch import SearchBatch
from ..archive.segments import AnyPart, ExplanationBatch, InferenceBatch, Segments
from ..deprecated_names import Renamed, renamed_arguments
from ..event_file.frames import read_frames
from ..plan_record import PlanRecord
from ..storage.run_folder import RunFolder
from ..storage.sizes import size_of
from .integrity import REMOVED, Fault, PictureTally, fault_of

SAMPLES, SEARCH = "samples", "hierarchical occlusion"
_SAMPLES, _SEARCHED = "samples", "searched"
_SEGMENT = re.compile(r"(\d{6,})\.(samples|searched|.+\.maps)")


@renamed_arguments(beyond="labels_out_of_range")
@dataclass
class NotComputed:
    """What a run has no numbers for.

    Attributes:
        outputs: samples for which the network gave none, beside the broken ones.
        unlabelled: samples without any label to explain.
        labels_out_of_range: labels of the dataset that are out of range.
        maps: by explainer, those that are not finite.
        scores: by explainer and metric, the questions that are not scored.
        broken: samples that were left out, since they cannot be read.
    """

    outputs: int = 0
    unlabelled: int = 0
    labels_out_of_range: int = 0
    maps: dict[str, int] = field(default_factory=dict)
    scores: dict[str, dict[str, int]] = field(default_factory=dict)
    broken: int = 0
    beyond = Renamed("labels_out_of_range")

    def count_samples(self, computed: Any, digests: Any, questions: Any, labels_out_of_range: Any) -> None:
        """Count samples (N,), whose digests are (N,), questions (Q, 2) and labels (N,) of them."""
        broken = int((~computed & (digests == BROKEN_DIGEST)).sum())
        self.broken += broken
        self.outputs += int((~computed).sum()) - broken
        self.unlabelled += int(computed.sum()) - len(np.unique(questions[:, 0]))
        self.labels_out_of_range += int(labels_out_of_range.sum())

    def count_maps(self, explainer: str, computed: Any) -> None:
        """Count maps (Q,)."""
        self.maps[explainer] = self.maps.get(explainer, 0) + int((~computed).sum())

    def count_scores(self, explainer: str, metric: str, scores: Any) -> None:
        """Count scores (Q,)."""
        of = self.scores.setdefault(explainer, {})
        of[metric] = of.get(metric, 0) + int(np.isnan(scores).sum())


@dataclass
class Part:
    """One of the parts into which the work on a batch falls.

    Attributes:
        name: ``SAMPLES``, an explainer, or ``SEARCH``.
        batches: how many are committed.
        samples: of those batches.
        seconds: what they took.
        bytes: of their segments.
        begun: share of a batch that is committed in parts of segments which are not finished.
    """

    name: str
    batches: int = 0
    samples: int = 0
    seconds: float = 0.0
    bytes: int = 0
    begun: float = 0.0
    _first: tuple[int, float] = field(default=(0, 0.0), repr=False)  # samples and seconds of the first batch

    def count(self, samples: int, seconds: float, size: int) -> None:
        """Count a committed batch."""
        self._first = self._first if self.batches else (samples, seconds)
        self.batches += 1
        self.samples += samples
        self.seconds += seconds
        self.bytes += size

    @property
    def seconds_a_sample(self) -> float | None:
        """What a sample takes; None before anything is committed.

        The first batch also pays for what is done once (compiling, examining the plan, maps for all explainers at
        once), so it counts only where there is no other.
        """
        first_samples, first_seconds = self._first
        if self.samples > first_samples:
            return (self.seconds - first_seconds) / (self.samples - first_samples)
        return self.seconds / self.samples if self.samples else None


@dataclass(frozen=True, kw_only=True)
class Committed:
    """What the segments of a run hold.

    Attributes:
        parts: samples first, then hierarchical occlusion if there is any, then the explainers.
        batch_size: samples of a whole batch; None before any is committed.
        questions: how many are asked of the committed samples.
        costs: what all that took.
        not_computed: what among it has no numbers.
        pictures: how many of the pictures that belong to it were verified.
        faults: segments that are damaged, and pictures.
    """

    parts: tuple[Part, ...]
    batch_size: int | None
    questions: int
    costs: Costs
    not_computed: NotComputed
    pictures: int
    faults: tuple[Fault, ...]


def committed(run: RunFolder, plan: PlanRecord, *, through: bool = True) -> Committed:
    """Look at every segment of a run; one is in memory at a time.

    Args:
        run: whose.
        plan: what it does.
        through: read maps and pictures as well, for their checksums.
    """
    scan = _SegmentScan(run, plan, through=through)
    for batch, kinds in sorted(_files(run).items()):
        scan.add_batch(batch, kinds)
    scan.add_parts()
    parts = tuple(scan.parts.values())
    pictures, faults = scan.pictures.looked_at, (*scan.faults, *scan.pictures.faults())
    return Committed(
        parts=parts,
        batch_size=scan.batch_size,
        questions=scan.questions,
        costs=settled(scan.costs, plan.pass_size),
        not_computed=scan.not_computed,
        pictures=pictures,
        faults=faults,
    )


def _files(run: RunFolder) -> dict[int, set[str]]:
    """By batch, what follows its number in the names of its segments."""
    found: dict[int, set[str]] = {}
    with suppress(FileNotFoundError):
        for path in run.segments.iterdir():
            if match := _SEGMENT.fullmatch(path.name):
                found.setdefault(int(match[1]), set()).add(match[2])
    return found


class _SegmentScan:
    """Adds up what segments say. Arguments as those of ``committed``."""

    def __init__(self, run: RunFolder, plan: PlanRecord, *, through: bool) -> None:
        self._segments = Segments.of(run, plan)
        self._run, self._metrics, self._through = run, tuple(plan.metrics), through
        self.parts = {_SAMPLES: Part(SAMPLES)}  # by the end of their files' names
        self.parts |= {_SEARCHED: Part(SEARCH)} if plan.searching else {}
        self.parts |= {f"{name}.maps": Part(name) for name in plan.explainers}
        self.batch_size: int | None = None
        self.questions = 0
        self.costs: dict[str, Counter[str]] = {}
        self.not_computed = NotComputed()
        self.pictures = PictureTally(run, REMOVED)
        self.faults: list[Fault] = []

    def add_batch(self, batch: int, kinds: set[str]) -> None:
        """Look at those segments of a batch that are there."""
        samples: InferenceBatch | None = None
        for kind, part in self.parts.items():  # samples are the first
            if kind not in kinds:
                continue
            path = self._run.segments / f"{batch:06d}.{kind}"
            try:
                segment = self._read(batch, kind, part.name)
                samples = segment if isinstance(segment, InferenceBatch) else samples
                if self._through:
                    self._look_through(path, part.name, samples, segment)
                self._count(part.name, segment)
                seconds = sum(segment.costs.get("seconds", {}).values())
                part.count(0 if samples is None else len(samples.ids), seconds, size_of(path))
            except FileNotFoundError:  # joined or removed meanwhile
                continue
            except Exception as error:  # whatever a foreign file makes of a reader
                self.faults.append(fault_of(self._run, path, error, REMOVED))

    def add_parts(self) -> None:
        """Look at the finished parts of segments that are not there."""
        for name in self._segments.parts.all():
            if (self._run.segments / name.segment).is_file():
                continue
            try:
                self._add_costs(self._segments.parts.costs(name))
                self._count_begun(name)
            except Exception as error:  # whatever a foreign file makes of a reader
                self.faults.append(fault_of(self._run, self._segments.parts.path(name), error, REMOVED))

    def _count_begun(self, name: PartName) -> None:
        """Count a part of a batch; of what is to be made and scored, each is taken for half of the work."""
        part = self.parts.get(name.segment.partition(".")[2])
        if part is not None and self.batch_size:
            whole = self.batch_size * (1 if name.what == _SEARCHED else 2)
            part.begun = min(part.begun + (name.last - name.first) / whole, 1.0)

    def _look_through(self, path: Path, name: str, samples: InferenceBatch | None, segment: AnyPart) -> None:
        """Read a segment's maps, which are not parsed, and verify the pictures that belong to it."""
        for _ in read_frames(path):
            pass
        if samples is None or isinstance(segment, SearchBatch) or segment.pictures is None:
            return
        for picture in pictures_of(self._run, name, samples, segment):
            self.pictures.look_at(picture)

    def _read(self, batch: int, kind: str, name: str) -> AnyPart:
        if kind == _SAMPLES:
            return self._segments.samples(batch)
        return self._segments.searched(batch) if kind == _SEARCHED else self._segments.explained(batch, name)

    def _count(self, name: str, segment: AnyPart) -> None:
        if isinstance(segment, InferenceBatch):
            self.batch_size = max(len(segment.ids), self.batch_size or 0)
            self.questions += len(segment.questions)
            self.not_computed.count_samples(
                segment.computed, segment.digests, segment.questions, segment.labels_out_of_range
            )
        elif isinstance(segment, ExplanationBatch):
            self.not_computed.count_maps(name, segment.computed)
            for metric, scores in zip(self._metrics, segment.scores, strict=True):
                self.not_computed.count_scores(name, metric, scores)
        self._add_costs(segment.costs)

    def _add_costs(self, costs: Costs) -> None:
        for what, by_kind in costs.items():
            self.costs.setdefault(what, Counter()).update(by_kind)
