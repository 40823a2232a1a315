"""Working through a plan: read, infer, explain, score, record, batch by batch."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import chain, islice

import mindspore as ms
import numpy as np

from ..benchmarks.metric import Masks
from ..explainers import Explainer
from ..explainers.dropout import Spread, spread
from ..explainers.network import Network
from ..explainers.tensors import FloatArray, IntArray
from ..explainers.view import View, keyed_generator
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
from .plan import Plan, PlanError, first_line
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
    spread: Spread | None = None
    maps: dict[str, FloatArray] = field(default_factory=dict)  # by explainer, where they were made while examining

    def finite(self, row: int) -> bool:
        """Whether the network gave this sample numbers."""
        given = [self.logits[row], self.probabilities[row]]
        if self.spread is not None:
            given.append(self.spread.sd[row].astype(np.float32))
        return bool(np.isfinite(np.concatenate(given)).all())

    def predicted(self, row: int) -> list[int]:
        """Labels whose probability exceeds 0.5, ascending."""
        return [int(label) for label in np.flatnonzero(self.probabilities[row] > PREDICTED_ABOVE)]

    def told(self, row: int, labels: Iterable[int]) -> tuple[Prediction, ...]:
        """What is recorded of a sample's labels."""

        def spread_of(label: int) -> tuple[float, float, float] | None:
            found = self.spread
            if found is None:
                return None
            return float(found.sd[row, label]), float(found.low[row, label]), float(found.high[row, label])

        return tuple(Prediction(label, float(self.probabilities[row, label]), spread_of(label)) for label in labels)

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
        overwrite: remove the other runs that the summary folder holds, once this one is finished.

    Raises:
        PlanError: with everything found wrong before anything is written.
        SampleError: at a later sample whose shapes do not fit.
        OSError: if the folder cannot be written.
    """
    began = time.monotonic()
    network = Network(plan.network, plan.pass_size, fill=True)
    problems, first, groups = examine(plan, network, overwrite=overwrite)
    if problems or first is None:
        raise PlanError(problems)
    batches = chain([first], (inferred(plan, network, group) for group in groups))
    work = Work(plan, network, RunFolder.create(plan.summary_dir, ms.get_context("device_target")))
    with Progress(sample_count(plan.dataset, plan.limit)) as progress, SummaryWriter(work.folder) as writer:
        writer.write(Metadata(plan.class_names, work.scores.explainers, work.scores.metrics))
        for batch in batches:
            for record in work.records(batch, progress):
                writer.write(record)
            writer.commit()
        if work.scores.metrics:
            writer.write(ScoresRecord(work.scores.records()))
    work.folder.write_manifest(
        saliency_map=work.drawn > 0,
        benchmark=bool(work.scores.metrics),
        uncertainty=plan.dropout_samples > 0 and work.recorded > 0,
    )
    if overwrite:
        remove_runs(plan.summary_dir, keep=work.folder)
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
        self.samples = self.questions = self.drawn = self.recorded = 0
        self._unrecorded: list[int] = []
        self._beyond = 0
        self._not_computed: Counter[str] = Counter()

    def records(self, batch: Batch, progress: Progress) -> Iterator[SampleRecord]:
        """Explain and score a batch, write its pictures, and give its records in sample order."""
        rows, labels = batch.questions()
        if not len(rows):
            progress.advance(len(batch.samples))
        heatmaps: dict[int, list[Heatmap]] = {row: [] for row in range(len(batch.samples))}
        if len(rows):
            for heatmap, row in self._explained(batch, rows, labels, progress):
                heatmaps[row].append(heatmap)
        self.samples += len(batch.samples)
        self._beyond += sum(len(sample.beyond) for sample in batch.samples)
        self.questions += len(rows)
        for row, sample in enumerate(batch.samples):
            if not batch.finite(row):
                self._not_computed["network output"] += 1
            elif not (sample.truth or batch.predicted(row)):
                self._unrecorded.append(sample.id)
            else:
                self.recorded += 1
                yield self._record(sample, batch, row, heatmaps[row])

    def result(self, seconds: float) -> RunResult:
        """What was found."""
        return RunResult(
            self.plan.summary_dir.absolute(),
            self.scores,
            self.samples,
            self.questions,
            tuple(self._unrecorded),
            self._beyond,
            dict(self._not_computed),
            self.network.passes,
            self.plan.described(),
            seconds,
        )

    def _explained(
        self, batch: Batch, rows: IntArray, labels: IntArray, progress: Progress
    ) -> Iterator[tuple[Heatmap, int]]:
        """Every explainer's maps scored and drawn; the heatmaps with their rows in the batch."""
        view = view_of(self.plan, self.network, batch)
        asked = [(batch.samples[row], int(label)) for row, label in zip(rows, labels, strict=True)]
        masks = np.stack([sample.mask(label) for sample, label in asked]) if self.plan.needs_boxes else None
        self.scores.sample_ids.extend(sample.id for sample, _ in asked)
        self.scores.labels.extend(label for _, label in asked)
        for explainer in self.plan.explainers:
            progress.doing(explainer.name)
            maps = batch.maps.get(explainer.name)
            if maps is None:
                maps = attributed(explainer, view)
            self._score(explainer, maps, view, masks, progress)
            for row, (sample, label), map_ in zip(rows, asked, maps, strict=True):
                if np.isfinite(map_).all():
                    path = self.folder.heatmap_path(explainer.name, sample.id, label)
                    self.folder.write_file(path, png(heatmap_picture(map_)))
                    self.drawn += 1
                    yield Heatmap(explainer.name, label, path), int(row)
                else:
                    self._not_computed[f"{explainer.name} map"] += 1
            progress.advance(len(batch.samples) / len(self.plan.explainers))

    def _score(
        self, explainer: Explainer, maps: FloatArray, view: View, masks: Masks | None, progress: Progress
    ) -> None:
        """Keep what every metric says of an explainer's maps."""
        for metric in self.plan.metrics:
            progress.doing(f"{explainer.name}, {metric.name}")
            scores = metric.score(view, maps, masks)
            if scores.shape != view.rows.shape:
                raise ValueError(f"{metric.name} gave scores {scores.shape} for {len(view.rows)} questions")
            self.scores.values.setdefault((explainer.name, metric.name), []).extend(scores.tolist())

    def _record(self, sample: Sample, batch: Batch, row: int, heatmaps: list[Heatmap]) -> SampleRecord:
        path = self.folder.image_path(sample.id)
        self.folder.write_file(path, jpeg(original_picture(sample.image, self.plan.mean, self.plan.std)))

        truth, predicted = (batch.told(row, labels) for labels in (sample.truth, batch.predicted(row)))
        return SampleRecord(sample.id, path, truth, predicted, tuple(heatmaps))


def examine(plan: Plan, network: Network, *, overwrite: bool) -> tuple[list[str], Batch | None, Iterator[list[Sample]]]:
    """Everything that can be found wrong before anything is written, the first batch inferred, and those to come.

    The pass that shows whether class names fit the network's outputs is the one that infers the first batch, so
    nothing is asked twice.
    """
    problems = plan.problems(overwrite=overwrite)
    groups = _groups(plan)
    try:
        samples = next(groups, [])
    except SampleError as error:
        return [*problems, str(error)], None, groups
    problems += _sample_problems(plan, samples)
    if not samples:
        return problems, None, groups
    try:
        first = inferred(replace(plan, dropout_samples=0) if problems else plan, network, samples)
    except (ValueError, TypeError, RuntimeError) as error:
        problems.append(f"the network cannot take images of shape {samples[0].image.shape}: {first_line(error)}")
        return problems, None, groups
    problems += _output_problems(plan, first)
    if not problems:
        problems += _map_problems(plan, network, first)
    return problems, first, groups


def inferred(plan: Plan, network: Network, samples: list[Sample]) -> Batch:
    """A work batch with what the network says of it."""
    images = np.stack([sample.pixels for sample in samples])
    logits = network.logits(images)
    found = _spread(plan, network, samples, images) if plan.dropout_samples else None
    return Batch(samples, images, logits, network.activated(logits, plan.activation_fn), found)


def _spread(plan: Plan, network: Network, samples: list[Sample], images: FloatArray) -> Spread:
    """How the batch's probabilities spread under dropout."""
    generators = [keyed_generator(plan.seed, sample.id, "dropout") for sample in samples]
    logits = network.dropout_logits(images, generators, plan.dropout_samples)
    flat = network.activated(logits.reshape(-1, logits.shape[2]), plan.activation_fn)
    return spread(flat.reshape(logits.shape))


def view_of(plan: Plan, network: Network, batch: Batch) -> View:
    """The view of a batch that all explainers and metrics share."""
    rows, labels = batch.questions()
    ids = np.array([sample.id for sample in batch.samples])
    return View(
        network, batch.images, rows, labels, needs=plan.needs, sample_ids=ids, seed=plan.seed, logits=batch.logits
    )


def attributed(explainer: Explainer, view: View) -> FloatArray:
    """An explainer's maps (Q, H, W), float32.

    Raises:
        ValueError: if it gives another shape.
    """
    maps = explainer.attribute(view)
    if maps.shape != (len(view.rows), *view.size):
        raise ValueError(f"{explainer.name} gave maps {maps.shape} for {len(view.rows)} questions of {view.size}")
    return maps.astype(np.float32, copy=False)


def _groups(plan: Plan) -> Iterator[list[Sample]]:
    """The dataset in work batches, all images of one shape."""
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
        yield group


def _sample_problems(plan: Plan, samples: list[Sample]) -> list[str]:
    """What the first work batch tells about the plan."""
    if not samples:
        return ["the dataset is empty"]
    problems = []
    beyond = [label for sample in samples for label in sample.beyond]
    if beyond and not any(sample.truth for sample in samples):
        problems.append(
            f"the labels of all {len(samples)} first samples lie outside 0..{len(plan.class_names) - 1}, as far as "
            f"{max(beyond)}; are class names missing?"
        )
    if all(sample.looks_multi_hot for sample in samples):
        problems.append("labels look like rows of 0 and 1 for each class; give the indices of the true classes")
    try:
        original_picture(samples[0].image, plan.mean, plan.std)
    except ValueError as error:
        problems.append(str(error))
    return problems


def _map_problems(plan: Plan, network: Network, first: Batch) -> list[str]:
    """What making the first batch's maps tells about the plan; the maps are kept, so none is made twice."""
    view, problems = view_of(plan, network, first), []
    if len(view.rows):
        for explainer in plan.explainers:
            try:
                first.maps[explainer.name] = attributed(explainer, view)
            except ValueError as error:
                problems.append(f"{explainer.name}: {error}")
    return problems


def _output_problems(plan: Plan, first: Batch) -> list[str]:
    """What the network's outputs tell about the plan."""
    problems = []
    classes = first.logits.shape[1]
    if classes != len(plan.class_names):
        problems.append(f"the network has {classes} outputs, there are {len(plan.class_names)} class names")
    probabilities = first.probabilities[np.isfinite(first.probabilities)]
    if first.probabilities.shape != first.logits.shape:
        problems.append(f"activation_fn gives {first.probabilities.shape} for logits {first.logits.shape}")
    elif probabilities.size and not (probabilities.min() >= 0 and probabilities.max() <= 1 + 1e-5):
        problems.append(
            f"activation_fn must give probabilities in 0..1, it gives {probabilities.min():.4g} to "
            f"{probabilities.max():.4g}; use nn.Softmax() or nn.Sigmoid()"
        )
    return problems
