"""Finished work of a run that is not: a file for what the network says of a batch of samples, one for what hierarchical
occlusion found on it, and one for what each explainer and the metrics say of it.

A segment is a file of frames (see ``frames``): first an ``npz`` of everything small, then, of an explainer's segment,
an ``npy`` of its maps. It is written aside, made durable and given its name, so one that is there is whole.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, count, islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..deprecated_names import Renamed, renamed_arguments
from ..errors import BrokenRecordError
from ..event_file.frames import framed, read_frames
from ..plan_record import PlanRecord
from ..plural import plural
from ..storage.run_folder import RunFolder
from ..untrusted.array_schema import check_arrays, check_questions
from ..untrusted.numpy_json import array_of
from .costs import added_up, settled
from .curves import check_curves
from .growth_record import costs_before
from .neighbours import Neighbours
from .packing import about_file, packed, unpacked
from .parts import Parts
from .search_batch import OUTCOMES, SearchBatch

Array = npt.NDArray[Any]


@renamed_arguments(beyond="labels_out_of_range")
@dataclass(frozen=True, kw_only=True)
class InferenceBatch:
    """Samples of a batch, what the network says of them, and what was asked of it.

    Attributes:
        ids: (N,) positions in the dataset.
        digests: (N,) checksums of what the dataset gave, by which a later start knows the samples again.
        truth: (N, K) true labels, ascending, padded with -1.
        logits: (N, classes).
        probabilities: (N, classes).
        spread: (3, N, classes), standard deviation and 95 % interval under dropout; (0, N, classes) without.
        questions: (Q, 2), each question's sample id and label.
        labels_out_of_range: (N,) how many of its labels are out of range: neither a class nor padding.
        costs: passes and seconds that it took.
        pictures: (N,) CRC-32C of each sample's picture, 0 where it has none; None as long as they are not drawn, and
            in runs of earlier versions.
        neighbours: the nearest samples of each, where the run has them.
    """

    ids: Array
    digests: Array
    truth: Array
    logits: Array
    probabilities: Array
    spread: Array
    questions: Array
    labels_out_of_range: Array
    costs: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    pictures: Array | None = None
    neighbours: Neighbours | None = None
    beyond = Renamed("labels_out_of_range")

    @property
    def computed(self) -> npt.NDArray[np.bool_]:
        """(N,) whether the network gave numbers."""
        given = np.concatenate([self.logits, self.probabilities, *self.spread], axis=1)
        finite: npt.NDArray[np.bool_] = np.isfinite(given).all(axis=1)
        return finite

    def pictured(self, rows: Sequence[int], checksums: Sequence[int]) -> InferenceBatch:
        """The same with the checksums of its pictures, which those rows have."""
        return replace(self, pictures=_placed(checksums, rows, len(self.ids)))


@dataclass(frozen=True, kw_only=True)
class ExplanationBatch:
    """What one explainer and the metrics say of a batch's questions.

    Attributes:
        scores: (metrics, Q), NaN where not computed.
        computed: (Q,) whether the map is finite, hence has a picture.
        errors: (Q,) how far off the map may be; NaN where it does not know.
        costs: passes and seconds that it took.
        pictures: (Q,) CRC-32C of each map's picture, 0 where it has none; None as long as they are not drawn, and in
            runs of earlier versions.
        curves: by metric of which they are kept, (Q, curves, 2, points); see ``curves``.
    """

    scores: Array
    computed: Array
    errors: Array
    costs: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    pictures: Array | None = None
    curves: Mapping[str, Array] = field(default_factory=dict)

    def pictured(self, checksums: Sequence[int]) -> ExplanationBatch:
        """The same with the checksums of its pictures, one for each computed map."""
        return replace(self, pictures=_placed(checksums, self.computed, len(self.computed)))


AnyPart = InferenceBatch | ExplanationBatch | SearchBatch


@dataclass(frozen=True)
class BatchResults:
    """Everything that is known of a batch but its maps.

    Attributes:
        samples: what the network says.
        explained: what each explainer and the metrics say.
        searched: what hierarchical occlusion found, if the run has it.
    """

    samples: InferenceBatch
    explained: Mapping[str, ExplanationBatch]
    searched: SearchBatch | None = None


class Segments:
    """The segments of a run.

    Args:
        run: whose they are.
        explainers: its explainers, by whose names the files go.
        searching: whether it has hierarchical occlusion.
        pass_size: images per pass.
        curves: by metric whose curves are kept, their names.

    Attributes:
        parts: of segments that are not finished.
    """

    def __init__(
        self,
        run: RunFolder,
        explainers: tuple[str, ...],
        *,
        searching: bool = False,
        pass_size: int = 16,
        curves: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self.run, self.explainers, self.searching, self._pass_size = run, explainers, searching, pass_size
        self.parts, self._curves = Parts(run), curves or {}

    @classmethod
    def of(cls, run: RunFolder, plan: PlanRecord) -> Segments:
        """Those of a run of that plan."""
        names, size, curves = tuple(plan.explainers), plan.pass_size, plan.curves
        return cls(run, names, searching=plan.searching, pass_size=size, curves=curves)

    def has_samples(self, batch: int) -> bool:
        """Whether that batch's samples are committed."""
        return self.samples_path(batch).is_file()

    def missing(self, batch: int) -> tuple[str, ...]:
        """The explainers whose part of the batch is not committed."""
        return tuple(name for name in self.explainers if not self.explained_path(batch, name).is_file())

    def lacks_search(self, batch: int) -> bool:
        """Whether hierarchical occlusion of that batch is wanted and not committed."""
        return self.searching and not self.searched_path(batch).is_file()

    def lacks(self, batch: int) -> bool:
        """Whether anything of that batch is not committed."""
        return not self.has_samples(batch) or self.lacks_search(batch) or bool(self.missing(batch))

    def complete(self) -> int:
        """How many batches from the first on are committed with all that belongs to them."""
        return next(batch for batch in count() if self.lacks(batch))

    def write_samples(self, batch: int, samples: InferenceBatch) -> None:
        """Commit a batch's samples.

        Raises:
            OSError: if the disk refuses.
        """
        self.run.write_file(self.samples_path(batch), framed(packed(samples)))

    def write_explained(self, batch: int, name: str, explained: ExplanationBatch, maps: Array) -> None:
        """Commit an explainer's part of a batch: its maps (Q, H, W) and what else is said of them.

        Raises:
            OSError: if the disk refuses.
        """
        buffer = io.BytesIO()
        np.save(buffer, maps, allow_pickle=False)
        self._write(self.explained_path(batch, name), framed(packed(explained)) + framed(buffer.getvalue()))

    def write_searched(self, batch: int, searched: SearchBatch) -> None:
        """Commit what hierarchical occlusion found on a batch.

        Raises:
            OSError: if the disk refuses.
        """
        self._write(self.searched_path(batch), framed(packed(searched)))

    def _write(self, path: Path, data: bytes) -> None:
        """Write a segment, which takes the place of its parts."""
        self.run.write_file(path, data)
        self.parts.discard(path.name)

    def samples(self, batch: int) -> InferenceBatch:
        """A batch's samples.

        Raises:
            BrokenRecordError: if the file is damaged.
        """
        path = self.samples_path(batch)
        samples = unpacked(path, InferenceBatch)
        with about_file(path):
            check_questions(samples.ids, samples.questions, samples.probabilities.shape[1])
            if samples.neighbours is not None:
                samples.neighbours.check(samples.probabilities.shape[1])
        return samples

    def explained(self, batch: int, name: str) -> ExplanationBatch:
        """An explainer's part of a batch, without its maps.

        Raises:
            BrokenRecordError: if the file is damaged.
        """
        path = self.explained_path(batch, name)
        explained = unpacked(path, ExplanationBatch)
        with about_file(path):
            check_curves(explained.curves, self._curves)
        return explained

    def maps(self, batch: int, name: str) -> Array:
        """An explainer's maps (Q, H, W) of a batch.

        Raises:
            BrokenRecordError: if the file is damaged.
        """
        path = self.explained_path(batch, name)
        frame = next(islice(read_frames(path), 1, None), None)
        if frame is None:
            raise BrokenRecordError(path, 1, path.stat().st_size, "the maps are missing")
        with about_file(path):
            maps = array_of(frame.payload)
            check_arrays({"maps": maps}, {"maps": ("f", ("Q", "H", "W"))}, {})
        return maps

    def searched(self, batch: int) -> SearchBatch:
        """What hierarchical occlusion found on a batch.

        Raises:
            BrokenRecordError: if the file is damaged.
        """
        path = self.searched_path(batch)
        searched = unpacked(path, SearchBatch)
        if (searched.outcomes >= len(OUTCOMES)).any():
            raise BrokenRecordError(path, 0, 0, "an outcome of hierarchical occlusion is none of ours")
        return searched

    def results(self, batch: int) -> BatchResults:
        """All that is committed of a complete batch, without maps.

        Raises:
            BrokenRecordError: if a file is damaged.
        """
        samples = self.samples(batch)
        explained = {name: self.explained(batch, name) for name in self.explainers}
        searched = self.searched(batch) if self.searching else None
        answers = [(self.explained_path(batch, name), said.computed) for name, said in explained.items()]
        answers += [(self.searched_path(batch), searched.outcomes)] if searched else []
        for path, answer in answers:
            if len(answer) != len(samples.questions):
                answers_there = plural(len(answer), "answer")
                said = f"it has {answers_there} to {plural(len(samples.questions), 'question')}"
                raise BrokenRecordError(path, 0, 0, said)
        return BatchResults(samples, explained, searched)

    def batches(self) -> Iterator[BatchResults]:
        """The complete batches in order.

        Raises:
            BrokenRecordError: if a file is damaged.
        """
        return map(self.results, range(self.complete()))

    def maps_of_all(self, name: str) -> Iterator[Array]:
        """An explainer's maps (Q, H, W) of each complete batch.

        Raises:
            BrokenRecordError: if a file is damaged.
        """
        return (self.maps(batch, name) for batch in range(self.complete()))

    def costs(self) -> dict[str, dict[str, float]]:
        """What everything that is committed took, added up, with what the runs took that this one grew out of.

        Raises:
            BrokenRecordError: if a file is damaged.
            ValueError: if the run does not say what it grew out of.
        """
        return added_up([costs_before(self.run.state()), self.own_costs()])

    def own_costs(self) -> dict[str, dict[str, float]]:
        """What everything that is committed took, without what the run grew out of.

        Raises:
            BrokenRecordError: if a file is damaged.
        """
        unfinished = (part for part in self.parts.all() if not (self.run.segments / part.segment).is_file())
        of_parts = (self.parts.costs(part) for part in unfinished)
        return settled(added_up(chain((segment.costs for segment in self._all()), of_parts)), self._pass_size)

    def _all(self) -> Iterator[AnyPart]:
        """All segments, batch by batch."""
        for batch in count():
            if not self.has_samples(batch):
                break
            missing = self.missing(batch)
            yield self.samples(batch)
            yield from (self.explained(batch, name) for name in self.explainers if name not in missing)
            if self.searching and not self.lacks_search(batch):
                yield self.searched(batch)

    def samples_path(self, batch: int) -> Path:
        """Where a batch's samples are committed."""
        return self.run.segments / f"{batch:06d}.samples"

    def explained_path(self, batch: int, name: str) -> Path:
        """Where an explainer's part of a batch is committed."""
        return self.run.segments / f"{batch:06d}.{name}.maps"

    def searched_path(self, batch: int) -> Path:
        """Where what hierarchical occlusion found on a batch is committed."""
        return self.run.segments / f"{batch:06d}.searched"


def _placed(checksums: Sequence[int], places: Sequence[int] | Array, count: int) -> Array:
    """So many checksums, 0 but at these places."""
    placed = np.zeros(count, np.uint32)
    placed[places] = checksums
    return placed
