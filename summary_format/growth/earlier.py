"""What archives of earlier runs know of the samples of one that grows out of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..archive.curves import unpadded
from ..archive.neighbours import Neighbours
from ..archive.results import Results
from ..archive.search_batch import SearchBatch
from ..archive.segments import Array
from ..archive.tables import SPREAD
from ..errors import BrokenRecordError
from ..plan_record import NEAREST_SAMPLES, PlanRecord
from ..storage.run_folder import RunFolder
from ..untrusted.array_schema import NEAREST
from ..untrusted.hdf5 import opened, stored_dataset

_SEARCH = "hierarchical_occlusion"
Layer = tuple[str, tuple[int, int] | None]  # its name, and the grid that goes with it, if one does


class EarlierPicture(NamedTuple):
    """A picture that an earlier run drew.

    Attributes:
        file: where it was.
        checksum: CRC-32C that it should have.
    """

    file: Path
    checksum: int


class EarlierArchive:
    """The archive of an earlier run; memory holds some bytes for each of its samples and questions.

    Args:
        path: of the archive.
        run: whose it is; its pictures may still be there.
        check: False where the archive was checked just before.

    Attributes:
        results: all that it holds.
        plan: of the run.
        ids: (N,) of its samples.
        digests: (N,) by which those are known again.
        costs: what the run took.

    Raises:
        BrokenRecordError: if it is damaged.
        ValueError: if it is of a newer version.
        OSError: if it cannot be read.
    """

    def __init__(self, path: Path, run: RunFolder, *, check: bool = True) -> None:
        self.path, self.run, self.results = path, run, Results(path, check=check)
        self.plan, self.ids, self.costs = self.results.plan_record, self.results.samples, self.results.costs
        self.digests, self._pictured = self.results.digests, self.results.sample_pictures is not None
        self._placed: tuple[Array, tuple[slice, Array] | None] | None = None

    @cached_property
    def questions(self) -> Array:
        """(Q, 2) sample ids and labels of its questions."""
        return self.results.questions

    def rows(self, ids: Array) -> slice | None:
        """Where samples are that stand next to one another; None if they are not all there."""
        first = int(np.searchsorted(self.ids, ids[0]))
        there = np.array_equal(self.ids[first : first + len(ids)], ids)
        return slice(first, first + len(ids)) if there else None

    def places(self, ids: Array, questions: Array) -> tuple[slice, Array] | None:
        """Where questions (Q, 2) about some samples are: those about these samples, and which of them each is.

        None if one of them is not there. A batch asks again and again, with one array, whose answer is kept.
        """
        if self._placed is None or self._placed[0] is not questions:
            self._placed = questions, self._found(ids, questions)
        return self._placed[1]

    def _found(self, ids: Array, questions: Array) -> tuple[slice, Array] | None:
        first, last = np.searchsorted(self.questions[:, 0], [ids[0], ids[-1] + 1]).tolist()
        there = {question: place for place, question in enumerate(map(tuple, self.questions[first:last].tolist()))}
        found = [there.get(question) for question in map(tuple, questions.tolist())]
        return None if None in found else (slice(first, last), np.array(found, np.int64))

    def read(self, name: str, rows: slice) -> Array:
        """Some rows of a table."""
        with opened(self.path) as file:
            values: Array = stored_dataset(file, name)[rows]
        return values

    def searched(self, ids: Array, asked: slice, which: Array, questions: Array) -> SearchBatch:
        """What hierarchical occlusion found for questions (Q, 2) about samples; where they are, ``places`` says."""
        names = ("outcomes", "blurred", "sigmas")
        of_question: dict[str, Any] = {name: self.read(f"{_SEARCH}/{name}", asked)[which] for name in names}
        layers, boxes = (slice(*np.searchsorted(column, [ids[0], ids[-1] + 1]).tolist()) for column in self._columns)
        rows = {"layers": layers, "probabilities": layers, "boxes": boxes}
        found: dict[str, Any] = {name: self.read(f"{_SEARCH}/{name}", of) for name, of in rows.items()}
        wanted = set(map(tuple, questions.tolist()))
        own = {name: [(*row[:2],) in wanted for row in found[name].tolist()] for name in ("layers", "boxes")}
        own["probabilities"] = own["layers"]
        return SearchBatch(**of_question, **{name: table[np.array(own[name], bool)] for name, table in found.items()})

    @cached_property
    def _columns(self) -> tuple[Array, Array]:
        """Which samples layers and boxes are about."""
        layers, boxes = (self.read(f"{_SEARCH}/{name}", slice(None))[:, 0] for name in ("layers", "boxes"))
        return layers, boxes

    def pictures(self, table: str, rows: slice, paths: Sequence[str]) -> list[EarlierPicture | None]:
        """The pictures of some rows of a table of checksums, at these paths, as far as the run drew any."""
        if not self._pictured:
            return [None] * len(paths)
        checksums = self.read(table, rows).tolist()
        root = self.run.root
        return [EarlierPicture(root / path, of) if of else None for path, of in zip(paths, checksums, strict=True)]


@dataclass(frozen=True)
class KnownBatch:
    """What earlier runs know of the samples of a batch.

    Attributes:
        plan: of the run that grows, with its layers chosen.
        archives: those that hold all of these samples, and say the same of what the dataset gave.
        ids: (N,) of the samples.
        size: (H, W) of their images.
    """

    plan: PlanRecord
    archives: Sequence[EarlierArchive]
    ids: Array
    size: tuple[int, ...]

    @property
    def digests(self) -> Array:
        """(N,) by which the samples are known again."""
        archive = self.archives[0]
        return archive.digests[self._rows(archive)]

    def outputs(self) -> tuple[Array, Array]:
        """(N, classes) logits, and probabilities alike."""
        archive = self.archives[0]
        logits, probabilities = (
            archive.read(f"samples/{name}", self._rows(archive)) for name in ("logits", "probabilities")
        )
        return logits, probabilities

    @property
    def knows_spread(self) -> bool:
        """Whether it is known how probabilities spread under as many masks as the plan has."""
        return any(archive.plan.dropout_samples == self.plan.dropout_samples for archive in self.archives)

    def spread(self) -> Array | None:
        """(3, N, classes) how probabilities spread under as many masks as the plan has; None where no run has that."""
        for archive in self.archives:
            if archive.plan.dropout_samples == self.plan.dropout_samples:
                return np.stack([archive.read(f"samples/{name}", self._rows(archive)) for name in SPREAD])
        return None

    @property
    def knows_neighbours(self) -> bool:
        """Whether the nearest samples that the plan wants are known."""
        return any(same_neighbours(archive.plan, self.plan) for archive in self.archives)

    def neighbours(self) -> Neighbours | None:
        """The nearest samples of each that the plan wants; None where no run has them."""
        for archive in self.archives:
            if same_neighbours(archive.plan, self.plan):
                return Neighbours.among(
                    {name: archive.read(f"samples/{name}", self._rows(archive)) for name in NEAREST}
                )
        return None

    def originals(self) -> list[EarlierPicture | None]:
        """(N,) the pictures of the samples, as far as there are any."""
        archive = self.archives[0]
        paths = [archive.run.image_path(sample_id) for sample_id in self.ids.tolist()]
        return archive.pictures("samples/picture", self._rows(archive), paths)

    def searched(self, questions: Array) -> SearchBatch | None:
        """What hierarchical occlusion found for questions (Q, 2); None where that is not known."""
        for archive in self.archives:
            same = archive.plan.hierarchical_occlusion == self.plan.hierarchical_occlusion
            if same and (places := archive.places(self.ids, questions)) is not None:
                return archive.searched(self.ids, *places, questions)
        return None

    def knows_maps(self, explainer: str, questions: Array) -> bool:
        """Whether an explainer's maps for questions (Q, 2) are known."""
        return next(self._with_explainer(explainer, questions), None) is not None

    def maps(self, explainer: str, questions: Array) -> tuple[Array, Array]:
        """An explainer's maps (Q, H, W) for questions (Q, 2), which must be known, and how far off each may be (Q,).

        Raises:
            BrokenRecordError: if they are not of the size of the images.
        """
        archive, rows, which = next(self._with_explainer(explainer, questions))
        maps, errors = (archive.read(f"explainers/{explainer}/{table}", rows)[which] for table in ("maps", "error"))
        if len(maps) and maps.shape[1:] != self.size:
            said = f"the maps of {explainer} are {maps.shape[1:]}, of images {self.size}"
            raise BrokenRecordError(archive.path, 0, 0, said)
        return maps.reshape(-1, *self.size), errors

    def heatmaps(self, explainer: str, questions: Array) -> list[EarlierPicture | None]:
        """(Q,) the pictures of such maps, as far as there are any."""
        archive, rows, which = next(self._with_explainer(explainer, questions))
        asked = archive.questions[rows].tolist()
        paths = [archive.run.heatmap_path(explainer, *question) for question in asked]
        drawn = archive.pictures(f"explainers/{explainer}/picture", rows, paths)
        return [drawn[place] for place in which]

    def unscored(self, explainer: str, questions: Array) -> tuple[str, ...]:
        """The plan's metrics of which no archive has an explainer's scores for questions (Q, 2), and wanted curves."""
        return tuple(metric for metric in self.plan.metrics if self._scored(explainer, metric, questions) is None)

    def scores(self, explainer: str, metric: str, questions: Array) -> Array:
        """(Q,) what a metric says of an explainer, which must be known."""
        found = self._scored(explainer, metric, questions)
        assert found is not None
        archive, rows, which = found
        return archive.read(f"explainers/{explainer}/scores/{metric}", rows)[which]

    def curves(self, explainer: str, metric: str, questions: Array) -> Array:
        """(Q, curves, 2, points) the curves of such scores, which the plan must want; see ``archive.curves``."""
        found = self._scored(explainer, metric, questions)
        assert found is not None
        archive, rows, which = found
        return unpadded(archive.read(f"explainers/{explainer}/curves/{metric}", rows)[which])

    def _rows(self, archive: EarlierArchive) -> slice:
        rows = archive.rows(self.ids)
        assert rows is not None
        return rows

    def _scored(self, explainer: str, metric: str, questions: Array) -> tuple[EarlierArchive, slice, Array] | None:
        known = self._with_explainer(explainer, questions)
        return next((found for found in known if _has_scores(found[0].plan, self.plan, metric)), None)

    def _with_explainer(self, name: str, questions: Array) -> Iterator[tuple[EarlierArchive, slice, Array]]:
        """The archives that have an explainer's maps for questions, each with where they are."""
        for archive in self.archives:
            if same_explainer(archive.plan, self.plan, name):
                places = archive.places(self.ids, questions)
                if places is not None:
                    yield archive, *places


class Earlier:
    """What archives of earlier runs know of the samples of one that grows out of them.

    Args:
        archives: the newest first.
        plan: of the run that grows, with its layers chosen.

    Attributes:
        archives: the same.
    """

    def __init__(self, archives: Sequence[EarlierArchive] = (), plan: PlanRecord | None = None) -> None:
        self.archives, self._plan = archives, plan

    def of(self, ids: Array, size: tuple[int, ...]) -> KnownBatch | None:
        """What is known of the samples with these ids, whose images are (H, W); None where nothing is.

        What another archive says is taken only where the dataset gave it the same as the newest one that has them.
        """
        having = [(archive, rows) for archive in self.archives if (rows := archive.rows(ids)) is not None]
        if not having or self._plan is None:
            return None
        newest = having[0][0].digests[having[0][1]]
        same = [archive for archive, rows in having if np.array_equal(archive.digests[rows], newest)]
        return KnownBatch(self._plan, same, ids, size)


def _has_scores(plan: PlanRecord, other: PlanRecord, metric: str) -> bool:
    """Whether a plan has a metric as another one has it, and its curves where the other one keeps them."""
    curves = other.kept_curves(metric)
    return plan.metrics.get(metric) == other.metrics[metric] and (not curves or plan.kept_curves(metric) == curves)


def same_explainer(plan: PlanRecord, other: PlanRecord, name: str) -> bool:
    """Whether two plans have an explainer of that name with the same options and the same layer."""
    options = plan.explainers.get(name)
    layers = plan.chosen_layers.get(name) == other.chosen_layers.get(name)
    return options is not None and options == other.explainers.get(name) and layers


def same_neighbours(plan: PlanRecord, other: PlanRecord) -> bool:
    """Whether two plans have nearest samples by the same options and the same layer."""
    layers = plan.chosen_layers.get(NEAREST_SAMPLES) == other.chosen_layers.get(NEAREST_SAMPLES)
    return plan.nearest_samples is not None and plan.nearest_samples == other.nearest_samples and layers


def chosen_before(archives: Sequence[EarlierArchive], plan: PlanRecord) -> dict[str, Layer]:
    """By explainer of a plan, the layer and the reshape that the newest archive that has it chose for it, if it did.

    Nearest samples, which may lack a layer too, are among the explainers here.
    """
    found: dict[str, Layer] = {}
    for archive in reversed(archives):
        for name, layer in archive.plan.chosen_layers.items():
            if _options(archive.plan, name) == _options(plan, name) is not None:
                found[name] = (layer, archive.plan.chosen_reshapes.get(name))
    return found


def _options(plan: PlanRecord, name: str) -> Mapping[str, Any] | None:
    """What a plan says of what may lack a layer."""
    return plan.nearest_samples if name == NEAREST_SAMPLES else plan.explainers.get(name)
