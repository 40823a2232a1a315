"""What explainers and metrics say of a batch: what earlier runs have is taken, the rest is made; all is committed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ...benchmarks.core.explanation import Explanation
from ...benchmarks.core.metric import Scores
from ...explainers import Explainer
from ...explainers.core.together import Estimate
from ...explainers.network import Network
from ...explainers.network.tensors import FloatArray
from ...summary_format import ExplanationBatch, Segments, heatmap_picture, jpeg, original_picture, png
from ...summary_format.archive.costs import Costs
from ...summary_format.archive.curves import Array, curve_table, joined_curves
from ...summary_format.archive.packing import curves_of, stored_curves
from ...summary_format.growth.earlier import EarlierPicture, KnownBatch
from ...summary_format.plural import plural
from ..data.samples import Sample
from ..plan.plan import Plan
from .batch import Batch
from .checkpoints import Checkpoints
from .checks import check_computed
from .commit_queue import Picture, Step
from .explanation_scheduler import Errors, ExplanationScheduler
from .part_sizes import Range
from .pass_counts import Profile
from .progress import RunProgress

_log = logging.getLogger("explainrun")


class Scored(NamedTuple):
    """What metrics say of an explainer.

    Attributes:
        scores: (metrics, Q).
        curves: by metric of which they are kept, its curves (Q, curves, 2, points).
    """

    scores: npt.NDArray[np.float64]
    curves: Mapping[str, Array]


class BatchExplainer:
    """Explains a batch, scores the explanations and commits both.

    Args:
        plan: what to do.
        network: where passes run.
        segments: what is committed.
        profile: what everything is counted in.
        progress: where it is shown.
        commit: has pictures drawn and then something written, and stops where the run shall.
        checkpoints: of the batch.
        index: number of the batch.
        batch: its questions.
        known: what earlier runs know of it.
    """

    def __init__(
        self,
        *,
        plan: Plan,
        network: Network,
        segments: Segments,
        profile: Profile,
        progress: RunProgress,
        commit: Callable[[Iterable[Picture], Step], None],
        checkpoints: Checkpoints,
        index: int,
        batch: Batch,
        known: KnownBatch | None,
    ) -> None:
        self._plan, self._network, self._segments, self._index = plan, network, segments, index
        self._profile, self._progress, self._commit = profile, progress, commit
        self._batch, self._known, self._questions = batch, known, batch.inference.questions
        self._shared: dict[Any, Any] = {}  # what metrics keep for the batch
        self._checkpoints = checkpoints

    def explain(self, explainers: Sequence[Explainer]) -> dict[str, ExplanationBatch]:
        """Commit what these explainers and the metrics say of the batch, and give it by explainer, without maps."""
        given: dict[str, ExplanationBatch] = {}
        for plan, known in plans_by_lack(self._plan, self._known, self._batch) if explainers else ():
            left = [explainer for explainer in explainers if explainer in plan.explainers]
            if known is None or plan.metrics:
                given |= self._made(plan, left, known) if left else {}
            else:
                given |= {explainer.name: self._taken(explainer, known) for explainer in left}
        return {explainer.name: given[explainer.name] for explainer in explainers}

    def _taken(self, explainer: Explainer, known: KnownBatch) -> ExplanationBatch:
        """Commit what an earlier run has of an explainer, which is all that the plan wants of it, and give it."""
        self._progress.doing(explainer.name)
        found = known.maps(explainer.name, self._questions)
        computed, costs = self._computed(explainer, found[0]), self._profile.drained()
        return self._committed(explainer, found, computed, {}, {}, costs)

    def _computed(self, explainer: Explainer, maps: FloatArray) -> npt.NDArray[np.bool_]:
        """(Q,) which maps (Q, H, W) are finite.

        Raises:
            NotComputedError: if one is not, and the plan is strict.
        """
        computed: npt.NDArray[np.bool_] = np.isfinite(maps).all(axis=(1, 2))
        check_computed(self._plan, explainer.name, self._questions, computed)
        return computed

    def _made(
        self, plan: Plan, explainers: Sequence[Explainer], known: KnownBatch | None
    ) -> dict[str, ExplanationBatch]:
        """The same of explainers whose maps, or whose scores by some metrics, are not known yet.

        Args:
            plan: of all explainers of which as much is known, with the metrics that have not scored them yet.
            explainers: those of them that are not committed.
            known: what has their maps; None where no run has.
        """
        scheduler, given = self._scheduler(plan, known), {}
        for place, explainer in enumerate(explainers):
            self._progress.doing(explainer.name)
            with failure_logged(explainer.name, self._batch):
                found = scheduler.maps(explainer, explainers[place:])
            computed = self._computed(explainer, found[0])
            with failure_logged(f"the scores of {explainer.name}", self._batch):
                scores, curves = self._scores_of_all(explainer, scheduler, plan)
            scheduler.release(explainer)
            by_metric = {metric.name: of_metric for metric, of_metric in zip(plan.metrics, scores, strict=True)}
            costs = self._checkpoints.costs(explainer.name)
            given[explainer.name] = self._committed(explainer, found, computed, by_metric, curves, costs)
        return given

    def _scheduler(self, plan: Plan, known: KnownBatch | None) -> ExplanationScheduler:
        return ExplanationScheduler(
            self._batch if known is None else self._batch.without_precomputed(),
            plan,
            self._network,
            self._profile,
            self._checkpoints,
            doing=lambda *what: self._progress.doing(what_is_done(*what)),
            check=partial(check_computed, self._plan),
            known=None if known is None else lambda name: Estimate(*known.maps(name, self._questions)),
            shared=self._shared,
        )

    def _committed(
        self,
        explainer: Explainer,
        found: tuple[FloatArray, Errors],
        computed: npt.NDArray[np.bool_],
        new: Mapping[str, Scores],
        curves: Mapping[str, Array],
        costs: Costs,
    ) -> ExplanationBatch:
        """Commit what is said of an explainer, with its pictures, and give it.

        Args:
            explainer: whose.
            found: its maps, and how far off each is (Q,).
            computed: (Q,) which of the maps are finite.
            new: by metric the scores (Q,) that were not known.
            curves: by metric among those of which they are kept, its curves.
            costs: what it took.
        """
        maps, errors = found
        scores, kept = self._all_scores(explainer, new), self._all_curves(explainer, curves)
        explained = ExplanationBatch(scores=scores, computed=computed, errors=errors, costs=costs, curves=kept)
        write = partial(self._write, explainer.name, explained, maps)
        self._commit(self._pictures(explainer, maps, computed), write)
        self._progress.advance(len(self._batch.samples) / self._plan.parts)
        return explained

    def _write(self, name: str, explained: ExplanationBatch, maps: FloatArray, checksums: list[int]) -> None:
        self._segments.write_explained(self._index, name, explained.pictured(checksums), maps)

    def _all_scores(self, explainer: Explainer, new: Mapping[str, Scores]) -> npt.NDArray[np.float64]:
        """(metrics, Q) what all metrics of the plan say: those that have just scored, and of others an earlier run."""
        known, names = self._known, [metric.name for metric in self._plan.metrics]
        rows = [
            new[name] if known is None or name in new else known.scores(explainer.name, name, self._questions)
            for name in names
        ]
        return np.array(rows, np.float64).reshape(len(names), len(self._questions))

    def _all_curves(self, explainer: Explainer, new: Mapping[str, Array]) -> dict[str, Array]:
        """By metric, the curves of those of which they are kept: new ones, and of others an earlier run's."""
        known, names = self._known, self._plan.kept_curves
        return {
            name: new[name] if known is None or name in new else known.curves(explainer.name, name, self._questions)
            for name in names
        }

    def _scores_of_all(self, explainer: Explainer, scheduler: ExplanationScheduler, plan: Plan) -> Scored:
        """What each metric of a plan says of an explainer, each part committed where there are several."""
        parts, found = scheduler.score_parts(explainer), []
        for part in parts:
            asked = scheduler.questions(part)
            kept = self._checkpoints.kept(explainer.name, "scores", part, asked) if len(parts) > 1 else None
            if kept is not None:
                found.append(Scored(kept["scores"], curves_of(kept)))
                continue
            explanation = scheduler.explanation(explainer, part)
            found.append(self._scores(explanation, plan))
            explanation.release()
            if len(parts) > 1:
                scores = {"questions": asked, "scores": found[-1].scores, **stored_curves(found[-1].curves)}
                self._checkpoints.keep(explainer.name, "scores", part, scores)
        scores_of_parts = np.concatenate([of_part.scores for of_part in found], axis=1)
        return Scored(scores_of_parts, joined_curves(of_part.curves for of_part in found))

    def _scores(self, explanation: Explanation, plan: Plan) -> Scored:
        """What each metric of a plan says."""
        questions, curves = len(explanation.maps), dict[str, Array]()
        if not questions:
            curves = {name: curve_table([], len(names)) for name, names in plan.kept_curves.items()}
            return Scored(np.zeros((len(plan.metrics), 0)), curves)
        with self._profile.timed("covered images"):
            self._profile.need_scores(explanation)
            explanation.prepare()
        found = []
        for metric in plan.metrics:
            self._progress.doing(f"{explanation.explainer.name}, {metric.name}")
            with self._profile.timed(metric.name), failure_logged(metric.name):
                scores, points = metric.scores_and_curves(explanation)
            if metric.kept_curves:
                curves[metric.name] = curve_table(points, len(metric.kept_curves))
            if scores.shape != (questions,):
                raise ValueError(f"{metric.name} gave scores {scores.shape} for {plural(questions, 'question')}")
            found.append(np.where(np.isfinite(scores), scores, np.nan))
        return Scored(np.array(found, np.float64).reshape(len(plan.metrics), questions), curves)

    def _pictures(self, explainer: Explainer, maps: FloatArray, computed: npt.NDArray[np.bool_]) -> Iterator[Picture]:
        name, before = explainer.name, list[EarlierPicture | None]([None] * len(maps))
        if self._known is not None and self._known.knows_maps(name, self._questions):
            before = self._known.heatmaps(name, self._questions)
        for question in np.flatnonzero(computed):
            path = self._segments.run.heatmap_path(name, *self._questions[question].tolist())
            yield Picture(path, partial(_heatmap, maps[question], explainer.signed), before[question])


def plans_by_lack(plan: Plan, known: KnownBatch | None, batch: Batch) -> Iterator[tuple[Plan, KnownBatch | None]]:
    """A plan cut into plans of explainers of which earlier runs know the same of a batch.

    Each has the metrics of which no earlier run has the scores of its explainers, and comes with what has their maps;
    with all metrics and None where no run has those either.
    """
    if known is None:
        yield plan, None
        return
    alike: dict[tuple[str, ...] | None, list[Explainer]] = {}
    questions = batch.inference.questions
    for explainer in plan.explainers:
        there = known.knows_maps(explainer.name, questions)
        alike.setdefault(known.unscored(explainer.name, questions) if there else None, []).append(explainer)
    for lacking, explainers in alike.items():
        metrics = plan.metrics if lacking is None else tuple(one for one in plan.metrics if one.name in lacking)
        yield replace(plan, explainers=tuple(explainers), metrics=metrics), None if lacking is None else known


def what_is_done(what: str, batch: Batch, part: Range, parts: Sequence[Range]) -> str:
    """What is at work, and on which samples where it goes part by part."""
    ids = batch.inference.ids
    return f"{what}, samples {ids[part[0]]} to {ids[part[1] - 1]}" if len(parts) > 1 else what


@contextmanager
def failure_logged(what: str, batch: Batch | None = None) -> Iterator[None]:
    """Log where an error came up, since its own words may not say so."""
    try:
        yield
    except Exception:
        ids = "" if batch is None else f" of samples {batch.inference.ids[0]} to {batch.inference.ids[-1]}"
        _log.error("failed at %s%s", what, ids)
        raise


def original(sample: Sample, plan: Plan) -> bytes:
    """A sample's picture."""
    return jpeg(original_picture(sample.image, plan.options.mean, plan.options.std))


def _heatmap(map_: FloatArray, signed: bool | None) -> bytes:
    return png(heatmap_picture(map_, signed))
