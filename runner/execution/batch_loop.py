"""The batches of a run: what is not committed yet is inferred, explained, scored, drawn and committed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import count
from typing import Any

import numpy as np
import numpy.typing as npt

from ...benchmarks.core.explanation import Covering, Explanation
from ...explainers import Explainer, HierarchicalOcclusion
from ...explainers.network import DropoutPlaces, Network
from ...explainers.network.tensors import FloatArray, IntArray
from ...summary_format import (
    ExplanationBatch,
    InferenceBatch,
    Results,
    SearchBatch,
    Segments,
    SummaryWriter,
    heatmap_picture,
    jpeg,
    original_picture,
    png,
)
from ...summary_format.archive.sample_labels import recorded
from ...summary_format.archive.segments import BatchResults
from ...summary_format.errors import ExplainrunError
from ...summary_format.exit_codes import EXIT_RESUMABLE
from ...summary_format.lifecycle.viewer_records import sample_records
from ...summary_format.lifecycle.viewer_weights import has_overall_score, nearest_with_score
from ...summary_format.plural import plural
from ...summary_format.problem import Problem
from ...summary_format.untrusted.array_schema import SEARCHED
from ..data.samples import Sample
from ..plan.plan import Plan
from ..problems import DatasetChangedError, PlanError
from .batch import Batch, check_same, inferred, searched
from .checkpoints import Checkpoints
from .commit_queue import Committer, Picture, Step
from .explanation_scheduler import ExplanationScheduler
from .part_sizes import Range, cut, images_of_search
from .pass_counts import Profile
from .progress import RunProgress

_ENDS_EARLIER = Problem.of(
    "dataset-ends-earlier", "the dataset ends earlier than it did when the run began; start over with overwrite"
)
_log = logging.getLogger("explainrun")


class NotComputedError(ExplainrunError, RuntimeError):
    """The network's output or a map is not finite, and the plan is strict."""

    exit_code = EXIT_RESUMABLE


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
        stop: Callable[[], None],
    ) -> None:
        self.plan, self.network, self.segments = plan, network, segments
        self._committer, self._writer, self._stop = committer, writer, stop
        self._profile, self._progress = profile, progress
        network.after_pass = progress.alive
        self._recorded = segments.complete()  # the event file begins with the records of so many batches
        state = segments.run.state() or {}
        self._was_compiled, dropout = bool(state.get("compiled")), state.get("dropout", {})
        network.dropout = DropoutPlaces(tuple(dropout.get("layers", ())), bool(dropout.get("shared")))

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
            if first is None and self._was_compiled and self.segments.lacks(index):
                self._compile(samples)
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
        missing = set(self.segments.missing(index))
        if self.segments.has_samples(index):
            batch = Batch(samples, self.segments.samples(index))
            check_same(batch.inference.digests, batch.samples)
            check_outputs(self.plan, batch)
        else:
            batch = first or Batch(samples, self._inferred(samples))
            self._commit_samples(index, batch)
        every = self.plan.explainers
        done = [explainer for explainer in every if explainer.name not in missing]
        for explainer in done:
            computed = self.segments.explained(index, explainer.name).computed
            self._check_computed(explainer.name, batch.inference.questions, computed)
        self._progress.advance(len(samples) * len(done) / self.plan.parts)
        revealed = None
        if self.segments.lacks_search(index):
            revealed = self._search(index, batch)
        elif self.segments.searching:
            self._progress.advance(len(samples) / self.plan.parts)
        explained = self._explain(index, batch, [explainer for explainer in every if explainer.name in missing])
        if index >= self._recorded:
            whole = len(explained) == len(every) and (revealed is not None) == self.segments.searching
            known = BatchResults(batch.inference, explained, revealed) if whole else None
            self._commit([], lambda _: self._write_records(known or self.segments.results(index)))

    def _compile(self, samples: list[Sample]) -> None:
        """Continue as the run began."""
        self._was_compiled = False
        try:
            self.network.compile(np.stack([sample.pixels for sample in samples[: self.plan.options.pass_size]]))
        except ValueError as error:
            raise RuntimeError(f"forward passes ran compiled when this run began; now {error}") from error
        self._profile.need_compiling(compiled=True)
        self._stop()

    def _inferred(self, samples: list[Sample]) -> InferenceBatch:
        self._progress.doing("inference")
        need_inference(self._profile, self.plan, len(samples))
        with self._profile.timed("inference"):
            return inferred(self.plan, self.network, samples)

    def _commit_samples(self, index: int, batch: Batch) -> None:
        check_outputs(self.plan, batch)
        rows = recorded(batch.inference)
        pictures = [
            (self.segments.run.image_path(sample.id), partial(_original, sample, self.plan))
            for sample in (batch.samples[row] for row in rows)
        ]
        inference = replace(batch.inference, costs=self._profile.drained())

        def write(checksums: list[int]) -> None:
            self.segments.write_samples(index, inference.pictured(rows, checksums))

        self._commit(pictures, write)

    def _search(self, index: int, batch: Batch) -> SearchBatch | None:
        """Commit what hierarchical occlusion finds on a batch, and give it."""
        search = self.plan.hierarchical_occlusion
        if search is None:
            return None
        checkpoints, asked = self._checkpoints(index), np.bincount(batch.rows, minlength=len(batch.samples))
        size = self.plan.options.pass_size
        parts = cut(images_of_search(search, batch.images.shape[1:], asked.tolist()), size, least=size)
        answers = []
        for part in parts:
            self._doing("hierarchical occlusion", batch, part, parts)
            answers.append(self._searched(search, batch.part(*part), part, checkpoints if len(parts) > 1 else None))
        found = replace(SearchBatch.joined(answers), costs=checkpoints.costs(None))
        self._commit([], lambda _: self.segments.write_searched(index, found))
        self._progress.advance(len(batch.samples) / self.plan.parts)
        return found

    def _searched(
        self, search: HierarchicalOcclusion, batch: Batch, part: Range, checkpoints: Checkpoints | None
    ) -> SearchBatch:
        """What hierarchical occlusion finds on some samples, committed where that is a part of a batch."""
        asked = {"questions": batch.inference.questions}
        kept = checkpoints and checkpoints.kept(None, "searched", part, asked["questions"])
        if kept:
            answers: dict[str, Any] = {table: kept[table] for table in SEARCHED}
            return SearchBatch(**answers)
        with self._profile.timed("hierarchical occlusion"), _failure_logged("hierarchical occlusion", batch):
            found, passes = searched(batch, search, self.network)
        self._profile.need_passes("search", passes)
        if checkpoints:
            checkpoints.keep(None, "searched", part, asked | {table: getattr(found, table) for table in SEARCHED})
        return found

    def _explain(self, index: int, batch: Batch, explainers: list[Explainer]) -> dict[str, ExplanationBatch]:
        """Commit what each explainer and the metrics say of a batch, and give it by explainer, without maps."""
        if not explainers:
            return {}
        given = {}
        checkpoints = self._checkpoints(index)
        scheduler = ExplanationScheduler(
            batch, self.plan, self.network, self._profile, checkpoints, doing=self._doing, check=self._check_computed
        )
        for place, explainer in enumerate(explainers):
            self._progress.doing(explainer.name)
            with _failure_logged(explainer.name, batch):
                maps, errors = scheduler.maps(explainer, explainers[place:])
            computed = np.isfinite(maps).all(axis=(1, 2))
            self._check_computed(explainer.name, batch.inference.questions, computed)
            with _failure_logged(f"the scores of {explainer.name}", batch):
                scores = self._scores_of_all(explainer, scheduler, checkpoints)
            scheduler.release(explainer)
            costs = checkpoints.costs(explainer.name)
            explained = ExplanationBatch(scores=scores, computed=computed, errors=errors, costs=costs)
            write = partial(self._write_explained, index, explainer.name, explained, maps)
            self._commit(self._heatmaps(explainer, batch, maps, computed), write)
            self._progress.advance(len(batch.samples) / self.plan.parts)
            given[explainer.name] = explained
        return given

    def _write_explained(
        self, index: int, name: str, explained: ExplanationBatch, maps: FloatArray, checksums: list[int]
    ) -> None:
        self.segments.write_explained(index, name, explained.pictured(checksums), maps)

    def _check_computed(self, name: str, questions: IntArray, computed: npt.NDArray[np.bool_]) -> None:
        if self.plan.options.strict and not computed.all():
            sample_id, label = questions[~computed][0]
            words = "{explainer}'s map for label {label} of sample {sample} is not finite, and the run is strict"
            values = {"explainer": name, "label": int(label), "sample": int(sample_id)}
            raise NotComputedError(Problem.of("map-not-finite", words, **values))

    def _commit(self, pictures: Iterable[Picture], then: Step) -> None:
        """Hand work to the disk, and stop here if the run shall."""
        with self._profile.timed("waiting for the disk"):
            self._committer.commit(pictures, then)
        self._stop()

    def _checkpoints(self, index: int) -> Checkpoints:
        return Checkpoints(self.segments, index, lambda write: self._commit([], lambda _: write()), self._profile)

    def _doing(self, what: str, batch: Batch, part: Range, parts: Sequence[Range]) -> None:
        """Name what is at work, and on which samples where it goes part by part."""
        ids = batch.inference.ids
        where = f", samples {ids[part[0]]} to {ids[part[1] - 1]}" if len(parts) > 1 else ""
        self._progress.doing(f"{what}{where}")

    def _scores_of_all(
        self, explainer: Explainer, scheduler: ExplanationScheduler, checkpoints: Checkpoints
    ) -> npt.NDArray[np.float64]:
        """(metrics, Q) what every metric says of an explainer, each part committed where there are several."""
        parts, found = scheduler.score_parts(explainer), []
        for part in parts:
            asked = scheduler.questions(part)
            kept = checkpoints.kept(explainer.name, "scores", part, asked) if len(parts) > 1 else None
            if kept is not None:
                found.append(kept["scores"])
                continue
            explanation = scheduler.explanation(explainer, part)
            found.append(self._scores(explanation, scheduler.coverings))
            explanation.release()
            if len(parts) > 1:
                checkpoints.keep(explainer.name, "scores", part, {"questions": asked, "scores": found[-1]})
        return np.concatenate(found, axis=1)

    def _scores(self, explanation: Explanation, coverings: list[Covering]) -> npt.NDArray[np.float64]:
        """(metrics, Q) what every metric says."""
        metrics, questions = self.plan.metrics, len(explanation.maps)
        if not questions:
            return np.zeros((len(metrics), 0))
        self._profile.need_scores(coverings, explanation.maps[0].size, int(explanation.rankable.sum()))
        with self._profile.timed("covered images"):
            explanation.prepare()
        found = []
        for metric in metrics:
            self._progress.doing(f"{explanation.explainer.name}, {metric.name}")
            with self._profile.timed(metric.name), _failure_logged(metric.name):
                scores = metric.score(explanation)
            if scores.shape != (questions,):
                raise ValueError(f"{metric.name} gave scores {scores.shape} for {plural(questions, 'question')}")
            found.append(np.where(np.isfinite(scores), scores, np.nan))
        return np.array(found, np.float64).reshape(len(metrics), questions)

    def _heatmaps(
        self, explainer: Explainer, batch: Batch, maps: FloatArray, computed: npt.NDArray[np.bool_]
    ) -> Iterator[Picture]:
        for question in np.flatnonzero(computed):
            sample_id, label = batch.inference.questions[question].tolist()
            draw = partial(_heatmap, maps[question], explainer.signed)
            yield self.segments.run.heatmap_path(explainer.name, sample_id, label), draw

    def _write_records(self, results: BatchResults) -> None:
        """Put a batch's records into the event file."""
        for record in sample_records(results, self.segments.run):
            self._writer.write(record)
        self._writer.commit()


def report_doubts(plan: Plan, doubts: Sequence[Problem]) -> None:
    """Say why explanations may not be of images alone; refuse then, if the plan is strict.

    Raises:
        PlanError: then, with all of them.
    """
    if doubts and plan.options.strict:
        raise PlanError(doubts)
    for doubt in doubts:
        _log.warning("%s", doubt)


def report_viewer_limits(plan: Plan) -> None:
    """Say what the viewer does not show of a plan."""
    metrics = len(plan.metrics)
    if metrics and not has_overall_score(metrics):
        words = (
            "MindInsight shows no comprehensive score of {metrics} metrics, since its own weights for as many do not "
            "add up to exactly 1; with {fewer} or {more} it does"
        )
        fewer, more = nearest_with_score(metrics)
        _log.warning("%s", Problem.of("viewer-no-overall-score", words, metrics=metrics, fewer=fewer, more=more))


def check_outputs(plan: Plan, batch: Batch) -> None:
    """Refuse network outputs that are not finite, if the plan is strict; those of broken samples are none.

    Raises:
        NotComputedError: then.
    """
    sound = np.array([sample.broken is None for sample in batch.samples], bool)
    unknown = batch.inference.ids[~batch.inference.computed & sound]
    if len(unknown) and plan.options.strict:
        words = "the network's output for sample {sample} is not finite, and the run is strict"
        raise NotComputedError(Problem.of("output-not-finite", words, sample=int(unknown[0])))


def check_results(plan: Plan, results: Results) -> None:
    """Refuse results that are not finite throughout, if the plan is strict.

    Raises:
        NotComputedError: then.
    """
    unfinished = [name for name in results.explainers if not results.computed_maps(name).all()]
    if plan.options.strict and not (results.computed | np.isin(results.samples, results.plan_record.skipped_ids)).all():
        unfinished = ["the network's output", *unfinished]
    if plan.options.strict and unfinished:
        words = "not finite throughout: {what:list}; and the run is strict"
        raise NotComputedError(Problem.of("results-not-finite", words, what=unfinished))


def need_inference(profile: Profile, plan: Plan, samples: int) -> None:
    """Count the passes that infer so many samples."""
    profile.need("infer", samples)
    profile.need_dropout(samples, plan.dropout_samples)


@contextmanager
def _failure_logged(what: str, batch: Batch | None = None) -> Iterator[None]:
    """Log where an error came up, since its own words may not say so."""
    try:
        yield
    except Exception:
        ids = "" if batch is None else f" of samples {batch.inference.ids[0]} to {batch.inference.ids[-1]}"
        _log.error("failed at %s%s", what, ids)
        raise


def _original(sample: Sample, plan: Plan) -> bytes:
    return jpeg(original_picture(sample.image, plan.options.mean, plan.options.std))


def _heatmap(map_: FloatArray, signed: bool | None) -> bytes:
    return png(heatmap_picture(map_, signed))
