"""A batch of samples with what the network says of them, and the records made of it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain, islice
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from ...benchmarks.core.explanation import Masks
from ...explainers import HierarchicalOcclusion
from ...explainers.core.together import Estimate
from ...explainers.core.view import View, dropout_generators
from ...explainers.dropout_uncertainty import spread
from ...explainers.nearest_samples import ComparedPool, NearestSamples
from ...explainers.network import Network
from ...explainers.network.tensors import FloatArray, IntArray
from ...summary_format import InferenceBatch, SearchBatch
from ...summary_format.archive.neighbours import Neighbours
from ...summary_format.archive.search_batch import OUTCOMES
from ...summary_format.growth.earlier import KnownBatch
from ...summary_format.problem import Problem
from ..data.samples import Sample, read_samples
from ..data.sound_samples import of_one_size, padded_labels, stood_in_for
from ..plan.plan import Plan
from ..plan.questions import questions
from ..problems import DatasetChangedError

_SOUGHT = 64  # first samples that all shards look at for one that is not broken
Floats = TypeVar("Floats", bound=np.floating[Any])
_log = logging.getLogger("explainrun")


@dataclass(frozen=True)
class Batch:
    """Samples with what the network says of them.

    Attributes:
        samples: as the dataset gave them.
        inference: what the network says of them, and what is asked.
        precomputed_maps: the maps by explainer, where they were made while examining the plan.
        precomputed_layer_outputs: what layers gave, where it was read while examining the plan.
    """

    samples: list[Sample]
    inference: InferenceBatch
    precomputed_maps: dict[str, Estimate] = field(default_factory=dict)
    precomputed_layer_outputs: dict[str, FloatArray] = field(default_factory=dict)

    @cached_property
    def images(self) -> FloatArray:
        """(N, C, H, W), as the network takes them."""
        return np.stack([sample.pixels for sample in self.samples])

    @cached_property
    def rows(self) -> IntArray:
        """(Q,) which sample each question is about."""
        return np.searchsorted(self.inference.ids, self.inference.questions[:, 0])

    @property
    def labels(self) -> IntArray:
        """(Q,) which label each question asks about."""
        labels: IntArray = self.inference.questions[:, 1]
        return labels

    def masks(self) -> Masks:
        """(Q, H, W) where the asked labels are."""
        return np.stack([self.samples[row].mask(int(label)) for row, label in zip(self.rows, self.labels, strict=True)])

    def without_precomputed(self) -> Batch:
        """The same without what was made while examining the plan, which is of other explainers."""
        return replace(self, precomputed_maps={}, precomputed_layer_outputs={})

    def part(self, first: int, last: int) -> Batch:
        """Some of its samples, as a batch of their own."""
        inference, rows = self.inference, slice(first, last)
        asked = (self.rows >= first) & (self.rows < last)
        return Batch(
            self.samples[rows],
            InferenceBatch(
                ids=inference.ids[rows],
                digests=inference.digests[rows],
                truth=inference.truth[rows],
                logits=inference.logits[rows],
                probabilities=inference.probabilities[rows],
                spread=inference.spread[:, rows],
                questions=inference.questions[asked],
                labels_out_of_range=inference.labels_out_of_range[rows],
                neighbours=inference.neighbours and inference.neighbours.rows(rows),
            ),
        )

    def view(self, plan: Plan, network: Network) -> View:
        """The view that all explainers share: the batch's questions, and after them those that metrics add."""
        asked = self.view_of(plan, network, self.rows, self.labels)
        known = set(zip(self.rows.tolist(), self.labels.tolist(), strict=True))
        extra = {pair for metric in plan.metrics for pair in metric.extra_questions(asked)} - known
        if not extra:
            return asked
        rows, labels = np.array(sorted(extra)).T
        return self.view_of(plan, network, np.append(self.rows, rows), np.append(self.labels, labels))

    def view_of(self, plan: Plan, network: Network, rows: IntArray, labels: IntArray) -> View:
        """The view of some questions (Q,) on the batch's images."""
        return View(
            network,
            self.images,
            rows,
            labels,
            needs=plan.needs,
            sample_ids=self.inference.ids,
            seed=plan.options.seed,
            logits=self.inference.logits,
            outputs=self.precomputed_layer_outputs or None,
            pool=plan.pool,
        )


@dataclass(frozen=True)
class Reading:
    """A dataset that is being read.

    Attributes:
        first_pass_samples: whichever of them the plan's shard owns; what is tried on these is found alike by all
            shards.
        batches: the plan's own samples, in work batches.
        skipped: why samples of its own are left out, by id; grows while it is read.
    """

    first_pass_samples: list[Sample]
    batches: Iterator[list[Sample]]
    skipped: dict[str, str] = field(default_factory=dict)

    @cached_property
    def first_pass_images(self) -> FloatArray:
        """(N, C, H, W), as the network takes them; there must be some."""
        return np.stack([sample.pixels for sample in self.first_pass_samples])


def read(plan: Plan, check: Callable[[], None] = lambda: None, ends: Sequence[int] = ()) -> Reading:
    """Begin to read a dataset, all images of one shape; one batch is read ahead.

    Args:
        plan: what to read.
        check: called before each sample; raises to end the wait.
        ends: after how many of the plan's own samples a batch ends that would not end there otherwise.

    Raises:
        SampleError: at a sample that does not fit; later ones are met while the batches are taken.
    """
    shard, first_pass, tolerant = plan.shard, plan.pass_size, plan.options.skip_broken
    shared = max(first_pass, _SOUGHT) if tolerant else first_pass  # so that shards stand in for broken samples alike
    wanted = None if shard is None else lambda place: place < shared or shard.owns(place)
    size, classes = plan.batch_size, len(plan.class_names)
    given = read_samples(plan.dataset, classes, plan.limit, size, wanted, tolerant=tolerant)
    samples = of_one_size(stood_in_for(given), check)
    check()
    first_pass_samples, skipped = list(islice(samples, first_pass)), dict[str, str]()
    own = (sample for sample in chain(first_pass_samples, samples) if shard is None or shard.owns(sample.id))
    return Reading(first_pass_samples, _grouped(_noted(own, skipped), size, ends), skipped)


def _noted(samples: Iterator[Sample], skipped: dict[str, str]) -> Iterator[Sample]:
    """The same samples; why some are left out is kept and logged."""
    for sample in samples:
        if sample.broken is not None:
            skipped[str(sample.id)] = sample.broken
            _log.warning("left out: %s", sample.broken)
        yield sample


def _grouped(samples: Iterator[Sample], size: int, ends: Sequence[int]) -> Iterator[list[Sample]]:
    """Samples in groups of a size, of which those are smaller that would reach over one of these ends."""
    done = 0
    while group := list(islice(samples, min([size, *(end - done for end in ends if end > done)]))):
        yield group
        done += len(group)


def ids_of(samples: list[Sample]) -> IntArray:
    """(N,) positions in the dataset."""
    return np.array([sample.id for sample in samples])


def inferred(plan: Plan, network: Network, samples: list[Sample], known: KnownBatch | None = None) -> InferenceBatch:
    """What the network says of samples, as far as that is not known already, and what is asked of them."""
    logits, probabilities = _outputs(plan, network, samples) if known is None else known.outputs()
    inference = InferenceBatch(
        ids=ids_of(samples),
        digests=digests(samples),
        truth=padded_labels([sample.truth for sample in samples]),
        logits=logits,
        probabilities=probabilities,
        spread=_spread(plan, network, samples, known) if plan.dropout_samples else np.zeros((0, *logits.shape)),
        questions=np.zeros((0, 2), np.int64),
        labels_out_of_range=np.array([len(sample.labels_out_of_range) for sample in samples]),
        neighbours=None if plan.nearest is None else _neighbours(plan, plan.nearest, network, samples, known),
    )
    if inference.probabilities.shape != logits.shape:
        return inference
    return replace(inference, questions=questions(inference, plan.options.asked))


def _outputs(plan: Plan, network: Network, samples: list[Sample]) -> tuple[FloatArray, FloatArray]:
    """Logits (N, classes), and probabilities alike."""
    logits = network.logits(np.stack([sample.pixels for sample in samples]))
    probabilities = network.activated(logits, plan.activation_fn)
    return _dropped(samples, logits), _dropped(samples, probabilities)


def _dropped(samples: list[Sample], outputs: npt.NDArray[Floats]) -> npt.NDArray[Floats]:
    """What the network says of samples, without what it says in place of broken ones: nothing is asked of them then."""
    broken = [row for row, sample in enumerate(samples) if sample.broken is not None]
    if not broken:
        return outputs
    kept = outputs.copy()
    kept[broken] = np.nan
    return kept


def digests(samples: list[Sample]) -> npt.NDArray[np.uint32]:
    """(N,) by which samples are known again."""
    return np.array([sample.digest for sample in samples], np.uint32)


def check_same(kept: npt.NDArray[Any], samples: list[Sample]) -> None:
    """Refuse to resume with other samples than those that the run began with.

    Args:
        kept: digests of those.
        samples: what the dataset gives now.

    Raises:
        DatasetChangedError: if they differ.
    """
    given = digests(samples)
    same = given[: len(kept)] == kept[: len(given)]
    if len(given) != len(kept) or not same.all():
        which = int(samples[int(np.argmin(same)) if not same.all() else -1].id) if samples else 0
        raise DatasetChangedError(
            [
                Problem.of(
                    "dataset-changed",
                    "the dataset does not give what it gave when the run began, from sample {sample} on; build it with "
                    "shuffle=False and without random transforms, or start over with overwrite",
                    sample=which,
                )
            ]
        )


def searched(batch: Batch, search: HierarchicalOcclusion, network: Network) -> tuple[SearchBatch, int]:
    """What hierarchical occlusion finds on a batch, and the passes that it needs."""
    probabilities = batch.inference.probabilities[batch.rows, batch.labels]
    found, passes = search.search_all(network, batch.images, batch.rows, batch.labels, probabilities)
    questions = [tuple(question) for question in batch.inference.questions.tolist()]
    layers = [
        (*question, number, layer)
        for question, answer in zip(questions, found, strict=True)
        for number, layer in enumerate(answer.layers)
    ]
    boxes = [(*of, box.x, box.y, box.width, box.height, box.parent) for *of, layer in layers for box in layer.boxes]
    return SearchBatch(
        outcomes=np.array([OUTCOMES.index(answer.outcome) for answer in found], np.uint8),
        blurred=np.array([answer.blurred_probability for answer in found], np.float64),
        sigmas=np.array([answer.sigma for answer in found], np.int64),
        layers=np.array([of for *of, _ in layers], np.int64).reshape(-1, 3),
        probabilities=np.array([layer.probability for *_, layer in layers], np.float64),
        boxes=np.array(boxes, np.int64).reshape(-1, 8),
    ), passes


def _neighbours(
    plan: Plan, nearest: NearestSamples, network: Network, samples: list[Sample], known: KnownBatch | None
) -> Neighbours:
    """The samples of the pool that are nearest to each of the batch's."""
    if known is not None and (before := known.neighbours()) is not None:
        return before
    pool = compared_pool(plan, nearest, network)
    features = _dropped(samples, nearest.features(network, np.stack([sample.pixels for sample in samples])))
    return nearest.among(pool, ids_of(samples).tolist(), features)


def compared_pool(plan: Plan, nearest: NearestSamples, network: Network) -> ComparedPool:
    """What samples of a plan are compared with, which takes passes when it is asked for first.

    Raises:
        ValueError: if the layer cannot be read, or gives something else than features.
    """
    assert plan.pool is not None
    return nearest.prepare(network, plan.pool, plan.activation_fn)


def _spread(plan: Plan, network: Network, samples: list[Sample], known: KnownBatch | None) -> npt.NDArray[np.float64]:
    """How the batch's probabilities spread under dropout."""
    if known is not None and (before := known.spread()) is not None:
        return before
    images = np.stack([sample.pixels for sample in samples])
    generators = [dropout_generators(plan.options.seed, sample.id, plan.dropout_samples) for sample in samples]
    logits = network.dropout_logits(images, generators)
    flat = network.activated(logits.reshape(-1, logits.shape[2]), plan.activation_fn)
    found = spread(flat.reshape(logits.shape))
    return np.stack([found.sd, found.low, found.high])
