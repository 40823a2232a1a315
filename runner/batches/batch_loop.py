"""The batches of a run: what is not committed yet is inferred, explained, scored, drawn and committed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from itertools import count
from typing import Any

import numpy as np

from ...explainers import HierarchicalOcclusion
from ...explainers.nearest_samples import OF_SAMPLES
from ...explainers.network import DropoutPlaces, Network
from ...summary_format import InferenceBatch, SearchBatch, Segments, SummaryWriter
from ...summary_format.archive.sample_labels import recorded
from ...summary_format.archive.segments import BatchResults
from ...summary_format.growth.earlier import Earlier, KnownBatch
from ...summary_format.lifecycle.viewer_records import sample_records
from ...summary_format.problem import Problem
from ...summary_format.untrusted.array_schema import SEARCHED
from ..data.samples import Sample
from ..plan.plan import Plan
from ..problems import DatasetChangedError
from .batch import Batch, check_same, ids_of, inferred, searched
from .checkpoints import Checkpoints
from .checks import check_computed, check_outputs
from .commit_queue import Committer, Picture, Step
from .explaining import BatchExplainer, failure_logged, original, what_is_done
from .part_sizes import Range, cut, images_of_search
from .pass_counts import Profile
from .progress import RunProgress

_ENDS_EARLIER = Problem.of(
    "dataset-ends-earlier", "the dataset ends earlier than it did when the run began; start over with overwrite"
)


class BatchLoop:
    """Takes a run's batches from samples to commits.

    Args:
        plan: what to do.
        network: where passes run.
        segments: what is committed.
        committer: what commits.
        writer: of the event file.
        profile: what everything is counted in.
        progress: where it is shown.
        earlier: what runs know of the samples that this one grows out of.
        stop: called between commits; raises where the run shall stop.
    """

    def __init__(
        self,
        *,
        plan: Plan,
        network: Network,
        segments: Segments,
        committer: Committer,
        writer: SummaryWriter,
        profile: Profile,
        progress: RunProgress,
        earlier: Earlier,
        stop: Callable[[], None],
    ) -> None:
        self.plan, self.network, self.segments = plan, network, segments
        self._committer, self._writer, self._stop = committer, writer, stop
        self._profile, self._progress, self._earlier = profile, progress, earlier
        network.after_pass = progress.alive
        self._recorded = segments.complete()  # the event file begins with the records of so many batches
        network.dropout = DropoutPlaces.of((segments.run.state() or {}).get("dropout", {}))

    def run(self, groups: Iterator[list[Sample]], first: Batch | None) -> None:
        """Do what is not committed yet of all batches; the first may be known from its examination with the plan.

        Raises:
            DatasetChangedError: if the dataset ends earlier than it did when the run began; else as ``batch``.
        """
        for index in count():
            with self._profile.timed("reading"):
                samples = next(groups, None)
            if samples is None:
                break
            self.batch(index, samples, first if index == 0 else None)
        if self.segments.has_samples(index):
            raise DatasetChangedError([_ENDS_EARLIER])

    def batch(self, index: int, samples: list[Sample], first: Batch | None = None) -> None:
        """Do what is not committed yet of a batch.

        Args:
            index: its number.
            samples: as the dataset gives them.
            first: the same with what is known of it, where it was examined with the plan.

        Raises:
            DatasetChangedError: if part of it is committed and the samples are not the ones of then.
            NotComputedError: where something is not finite, if the plan is strict.
            RunStopped: if the run shall stop here.
            OSError: if something could not be written.
        """
        missing, known = set(self.segments.missing(index)), self._known(samples)
        if self.segments.has_samples(index):
            batch = Batch(samples, self.segments.samples(index))
            check_same(batch.inference.digests, batch.samples)
            check_outputs(self.plan, batch)
        else:
            batch = first or Batch(samples, self._inferred(samples, known))
            self._commit_samples(index, batch, known)
        every = self.plan.explainers
        done = [explainer for explainer in every if explainer.name not in missing]
        for explainer in done:
            computed = self.segments.explained(index, explainer.name).computed
            check_computed(self.plan, explainer.name, batch.inference.questions, computed)
        self._progress.advance(len(samples) * len(done) / self.plan.parts)
        revealed = None
        if self.segments.lacks_search(index):
            revealed = self._search(index, batch, known)
        elif self.segments.searching:
            self._progress.advance(len(samples) / self.plan.parts)
        explaining = BatchExplainer(
            plan=self.plan,
            network=self.network,
            segments=self.segments,
            profile=self._profile,
            progress=self._progress,
            commit=self._commit,
            checkpoints=self._checkpoints(index),
            index=index,
            batch=batch,
            known=known,
        )
        explained = explaining.explain([explainer for explainer in every if explainer.name in missing])
        if index >= self._recorded:
            whole = len(explained) == len(every) and (revealed is not None) == self.segments.searching
            results = BatchResults(batch.inference, explained, revealed) if whole else None
            self._commit([], lambda _: self._write_records(results or self.segments.results(index)), light=True)

    def _known(self, samples: list[Sample]) -> KnownBatch | None:
        """What earlier runs know of a batch, if the dataset gave them these samples.

        Raises:
            DatasetChangedError: if it gave them others.
        """
        known = self._earlier.of(ids_of(samples), samples[0].image.shape[1:])
        if known is not None:
            check_same(known.digests, samples)
        return known

    def _inferred(self, samples: list[Sample], known: KnownBatch | None) -> InferenceBatch:
        self._progress.doing("inference")
        need_inference(self._profile, self.plan, len(samples), known)
        with self._profile.timed("inference"):
            return inferred(self.plan, self.network, samples, known)

    def _commit_samples(self, index: int, batch: Batch, known: KnownBatch | None) -> None:
        check_outputs(self.plan, batch)
        rows = recorded(batch.inference)
        before = [None] * len(batch.samples) if known is None else known.originals()
        pictures = [
            Picture(
                self.segments.run.image_path(batch.samples[row].id),
                partial(original, batch.samples[row], self.plan),
                before[row],
            )
            for row in rows
        ]
        inference = replace(batch.inference, costs=self._profile.drained())

        def write(checksums: list[int]) -> None:
            self.segments.write_samples(index, inference.pictured(rows, checksums))

        self._commit(pictures, write)

    def _search(self, index: int, batch: Batch, known: KnownBatch | None) -> SearchBatch | None:
        """Commit what hierarchical occlusion finds on a batch, or an earlier run found, and give it."""
        search = self.plan.hierarchical_occlusion
        if search is None:
            return None
        found = known and known.searched(batch.inference.questions)
        found = replace(found, costs=self._profile.drained()) if found else self._newly_searched(index, batch, search)
        self._commit([], lambda _: self.segments.write_searched(index, found))
        self._progress.advance(len(batch.samples) / self.plan.parts)
        return found

    def _newly_searched(self, index: int, batch: Batch, search: HierarchicalOcclusion) -> SearchBatch:
        """What hierarchical occlusion finds on a batch, with what that took."""
        checkpoints, asked = self._checkpoints(index), np.bincount(batch.rows, minlength=len(batch.samples))
        size = self.plan.pass_size
        parts = cut(images_of_search(search, batch.images.shape[1:], asked.tolist()), size, least=size)
        answers = []
        for part in parts:
            self._progress.doing(what_is_done("hierarchical occlusion", batch, part, parts))
            answers.append(self._searched(search, batch.part(*part), part, checkpoints if len(parts) > 1 else None))
        return replace(SearchBatch.joined(answers), costs=checkpoints.costs(None))

    def _searched(
        self, search: HierarchicalOcclusion, batch: Batch, part: Range, checkpoints: Checkpoints | None
    ) -> SearchBatch:
        """What hierarchical occlusion finds on some samples, committed where that is a part of a batch."""
        asked = {"questions": batch.inference.questions}
        kept = checkpoints and checkpoints.kept(None, "searched", part, asked["questions"])
        if kept:
            answers: dict[str, Any] = {table: kept[table] for table in SEARCHED}
            return SearchBatch(**answers)
        with self._profile.timed("hierarchical occlusion"), failure_logged("hierarchical occlusion", batch):
            found, passes = searched(batch, search, self.network)
        self._profile.need_passes("search", passes)
        if checkpoints:
            checkpoints.keep(None, "searched", part, asked | {table: getattr(found, table) for table in SEARCHED})
        return found

    def _commit(self, pictures: Iterable[Picture], then: Step, *, light: bool = False) -> None:
        """Hand work to the disk, and stop here if the run shall."""
        with self._profile.timed("waiting for the disk"):
            self._committer.commit(pictures, then, light=light)
        self._stop()

    def _checkpoints(self, index: int) -> Checkpoints:
        return Checkpoints(self.segments, index, lambda write: self._commit([], lambda _: write()), self._profile)

    def _write_records(self, results: BatchResults) -> None:
        """Put a batch's records into the event file."""
        for record in sample_records(results, self.segments.run):
            self._writer.write(record)
        self._writer.commit()


def need_inference(profile: Profile, plan: Plan, samples: int, known: KnownBatch | None = None) -> None:
    """Count the passes that infer so many samples, as far as it is not known what they give."""
    if known is None:
        profile.need("infer", samples)
    if plan.nearest is not None and not (known is not None and known.knows_neighbours):
        profile.need(OF_SAMPLES, samples)
    if known is None or (plan.dropout_samples and not known.knows_spread):
        profile.need_dropout(samples, plan.dropout_samples)
