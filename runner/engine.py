"""Working through a plan: read, infer, explain, score, record, batch by batch."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice

import mindspore as ms
import numpy as np

from ..explainers.network import FloatArray, IntArray, Network
from ..explainers.view import View
from ..summary_format import (
    Heatmap,
    Metadata,
    Prediction,
    RunFolder,
    SampleRecord,
    ScoresRecord,
    SummaryWriter,
    heatmap_picture,
    jpeg,
    original_picture,
    png,
    remove_runs,
)
from .plan import Plan, PlanError
from .progress import Progress
from .result import RunResult, Scores
from .samples import Sample, SampleError, read_samples, sample_count

PREDICTED_ABOVE = 0.5  # the viewer's own threshold


@dataclass(frozen=True)
class Batch:
    """Samples with what the network says of them: logits and probabilities (N, classes)."""

    samples: list[Sample]
    images: FloatArray
    logits: FloatArray
    probabilities: FloatArray

    def finite(self, row: int) -> bool:
        """Whether the network gave this sample numbers."""
        return bool(np.isfinite(self.logits[row]).all() and np.isfinite(self.probabilities[row]).all())

    def predicted(self, row: int) -> list[int]:
        """Labels whose probability exceeds 0.5, ascending."""
        return [int(label) for label in np.flatnonzero(self.probabilities[row] > PREDICTED_ABOVE)]

    def questions(self) -> tuple[IntArray, IntArray]:
        """Rows and labels asked: truth united with predictions, ascending; none of a sample without finite numbers."""
        asked = [
            (row, label)
            for row, sample in enumerate(self.samples)
            if self.finite(row)
            for label in sorted({*sample.truth, *self.predicted(row)})
        ]
        pairs = np.array(asked, np.int64).reshape(-1, 2)
        return pairs[:, 0], pairs[:, 1]


def execute(plan: Plan, *, overwrite: bool = False) -> RunResult:
    """Run a plan from its first sample to its manifest.

    Args:
        plan: what to do.
        overwrite: remove the runs that the summary folder holds first.

    Raises:
        PlanError: with everything found wrong before anything is written.
        SampleError: at a later sample whose shapes do not fit.
        OSError: if the folder cannot be written.
    """
    began = time.monotonic()
    plan.check(overwrite=overwrite)
    network = Network(plan.network, plan.pass_size, fill=True)
    batches = _batches(plan, network)
    first = _first_batch(plan, batches)
    if overwrite:
        remove_runs(plan.summary_dir)
    work = Work(plan, network, RunFolder.create(plan.summary_dir, ms.get_context("device_target")))
    with Progress(sample_count(plan.dataset, plan.limit)) as progress, SummaryWriter(work.folder) as writer:
        writer.write(Metadata(plan.class_names, work.scores.explainers, work.scores.metrics))
        for batch in chain([first], batches):
            for record in work.records(batch, progress):
                writer.write(record)
            writer.commit()
            progress.advance(len(batch.samples))
        if work.scores.metrics:
            writer.write(ScoresRecord(work.scores.records()))
    work.folder.write_manifest(saliency_map=work.questions > 0, benchmark=bool(work.scores.metrics))
    return work.result(time.monotonic() - began)


class Work:
    """What accumulates while a plan is worked through.

    Args:
        plan: what to do.
        network: where passes run.
        folder: where pictures go.
    """

    def __init__(self, plan: Plan, network: Network, folder: RunFolder) -> None:
        self.plan, self.network, self.folder = plan, network, folder
        self.scores = Scores(
            plan.class_names,
            tuple(explainer.name for explainer in plan.explainers),
            tuple(metric.name for metric in plan.metrics),
        )
        self.samples = self.questions = 0
        self._unrecorded: list[int] = []
        self._not_computed: Counter[str] = Counter()

    def records(self, batch: Batch, progress: Progress) -> Iterator[SampleRecord]:
        """Explain and score a batch, write its pictures, and give its records in sample order."""
        rows, labels = batch.questions()
        heatmaps: dict[int, list[Heatmap]] = {row: [] for row in range(len(batch.samples))}
        if len(rows):
            for heatmap, row in self._explained(batch, rows, labels, progress):
                heatmaps[row].append(heatmap)
        self.samples += len(batch.samples)
        self.questions += len(rows)
        for row, sample in enumerate(batch.samples):
            if not batch.finite(row):
                self._not_computed["network output"] += 1
            elif not (sample.truth or batch.predicted(row)):
                self._unrecorded.append(sample.id)
            else:
                yield self._record(sample, batch, row, heatmaps[row])

    def result(self, seconds: float) -> RunResult:
        """What was found."""
        return RunResult(
            self.plan.summary_dir,
            self.scores,
            self.samples,
            self.questions,
            tuple(self._unrecorded),
            dict(self._not_computed),
            self.network.passes,
            seconds,
        )

    def _explained(
        self, batch: Batch, rows: IntArray, labels: IntArray, progress: Progress
    ) -> Iterator[tuple[Heatmap, int]]:
        """Every explainer's maps scored and drawn; the heatmaps with their rows in the batch."""
        ids = np.array([sample.id for sample in batch.samples])
        view = View(
            self.network, batch.images, rows, labels,
            needs=self.plan.needs, sample_ids=ids, seed=self.plan.seed, logits=batch.logits,
        )  # fmt: skip
        asked = [(batch.samples[row], int(label)) for row, label in zip(rows, labels, strict=True)]
        masks = np.stack([sample.mask(label) for sample, label in asked]) if self.plan.needs_boxes else None
        self.scores.sample_ids.extend(sample.id for sample, _ in asked)
        self.scores.labels.extend(label for _, label in asked)
        for explainer in self.plan.explainers:
            progress.doing(explainer.name)
            maps = explainer.attribute(view)
            if maps.shape != (len(rows), *view.size):
                raise ValueError(f"{explainer.name} gave maps {maps.shape} for {len(rows)} questions of {view.size}")
            for metric in self.plan.metrics:
                progress.doing(f"{explainer.name}, {metric.name}")
                kept = self.scores.values.setdefault((explainer.name, metric.name), [])
                kept.extend(metric.score(view, maps, masks).tolist())
            for row, (sample, label), map_ in zip(rows, asked, maps, strict=True):
                if np.isfinite(map_).all():
                    path = self.folder.heatmap_path(explainer.name, sample.id, label)
                    self.folder.write_file(path, png(heatmap_picture(map_)))
                    yield Heatmap(explainer.name, label, path), int(row)
                else:
                    self._not_computed[f"{explainer.name} map"] += 1

    def _record(self, sample: Sample, batch: Batch, row: int, heatmaps: list[Heatmap]) -> SampleRecord:
        path = self.folder.image_path(sample.id)
        self.folder.write_file(path, jpeg(original_picture(sample.image, self.plan.mean, self.plan.std)))

        def told(labels: Iterable[int]) -> tuple[Prediction, ...]:
            return tuple(Prediction(label, float(batch.probabilities[row, label])) for label in labels)

        return SampleRecord(sample.id, path, told(sample.truth), told(batch.predicted(row)), tuple(heatmaps))


def _batches(plan: Plan, network: Network) -> Iterator[Batch]:
    """The dataset in work batches, each inferred."""
    samples = read_samples(plan.dataset, len(plan.class_names), plan.limit)
    shape: tuple[int, ...] | None = None
    while group := list(islice(samples, plan.batch_size)):
        shape = shape or group[0].image.shape
        for sample in group:
            if sample.image.shape != shape:
                raise SampleError(
                    f"sample {sample.id}: the image is {sample.image.shape}, those before are {shape}; "
                    f"bring all images to one size in the dataset"
                )
        images = np.stack([sample.pixels for sample in group])
        logits = network.logits(images)
        yield Batch(group, images, logits, network.activated(logits, plan.activation_fn))


def _first_batch(plan: Plan, batches: Iterator[Batch]) -> Batch:
    """The first batch, with what only it can tell about the plan.

    Raises:
        PlanError: if there is none, its shapes do not fit, the network refuses it, or the class names, mean or std do
            not fit.
    """
    try:
        first = next(batches, None)
    except (ValueError, TypeError, RuntimeError) as error:
        raise PlanError([str(error)]) from error
    if first is None:
        raise PlanError(["the dataset is empty"])
    problems = []
    classes = first.logits.shape[1]
    if classes != len(plan.class_names):
        problems.append(f"the network has {classes} outputs, there are {len(plan.class_names)} class names")
    if first.probabilities.shape != first.logits.shape:
        problems.append(f"activation_fn gives {first.probabilities.shape} for logits {first.logits.shape}")
    try:
        original_picture(first.samples[0].image, plan.mean, plan.std)
    except ValueError as error:
        problems.append(str(error))
    if problems:
        raise PlanError(problems)
    return first
