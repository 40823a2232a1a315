"""The passes that a run makes for a batch, counted from its questions alone, without making any map."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from ...benchmarks.core.asking import Asking, Wanted
from ...benchmarks.core.map_of_question import MapOfQuestion
from ...benchmarks.core.perturbations import ImageOfView
from ...explainers import Explainer
from ...explainers.core.view import View
from ...explainers.nearest_samples import OF_SAMPLES
from ...explainers.network import Network, pass_kind
from ..batches.batch import Batch
from ..batches.part_sizes import (
    Images,
    Range,
    changed_images,
    cut,
    images_of_maps,
    images_of_scores,
    least_samples,
    recomputations,
    sharing,
)
from ..plan.plan import Plan

Passes = Counter[str]  # by kind


class BatchPasses:
    """Counts the passes of a run's batches, one batch after the other.

    What a metric runs by itself is left out: a trial (``forecast.py``) shows whether there is such.

    Args:
        plan: of the run.
        network: which may have to be asked what layers give, where an explainer's passes depend on that.
        ordered: by name of an explainer, the share of its maps that have an order, since no pixels are covered by
            others; 1 where nothing is said.
    """

    def __init__(self, plan: Plan, network: Network, ordered: Mapping[str, float]) -> None:
        self._plan, self._network, self._ordered = plan, network, ordered
        self._uniform: set[float] = set()  # images of one value, which a network is asked about once

    def of(self, batch: Batch) -> Passes:
        """The passes of a batch, by kind; those of images of one value with the first batch that has them."""
        found = self._of_inference(len(batch.samples))
        if len(batch.rows):
            view = batch.view(self._plan, self._network)
            groups = list(_groups(self._plan.explainers))
            images = [images_of_maps(group, view) for group in groups]
            for group, of_group in zip(groups, images, strict=True):
                found += self._of_maps(group, view, self._cut(of_group, group))
            if self._plan.needs.outputs:
                found["activate"] += self._filled(len(np.unique(view.rows)))
            by_group = [(group, of_group) for group, of_group in zip(groups, images, strict=True)]
            found += self._of_scores(batch, by_group)
        return found

    def _filled(self, images: int) -> int:
        """The passes that so many images fill."""
        return -(-images // self._plan.pass_size)

    def _cut(self, images: Sequence[Images], group: Sequence[Explainer]) -> list[Range]:
        """The parts in which work is committed whose maps are those of a group."""
        return cut(images, self._plan.pass_size, least_samples(group, self._plan.pass_size))

    def _of_inference(self, samples: int) -> Passes:
        dropout = 0
        if self._plan.dropout_samples:
            masks = 1 if self._network.dropout.shared else self._plan.dropout_samples
            dropout = masks * self._filled(samples)
        nearest = 0 if self._plan.nearest is None else self._filled(samples)
        return +Passes({"infer": self._filled(samples), "dropout": dropout, OF_SAMPLES: nearest})

    def _of_maps(self, group: Sequence[Explainer], view: View, parts: Iterable[Range]) -> Passes:
        """The passes of explainers that share some, part by part."""
        found = Passes()
        passes = {one for explainer in group for one in explainer.needs.passes}
        for part in parts:
            of_part = view if part[1] - part[0] == len(view.images) else _about(view, part)
            if len(of_part.rows):
                for _, rule in passes:
                    found[pass_kind(rule)] += self._filled(len(of_part.rows))
                for explainer in group:
                    for kind, images in explainer.images_needed_for(of_part).items():
                        found[kind] += max(self._filled(images), explainer.passes_in_turn if images else 0)
        return found

    def _of_scores(self, batch: Batch, groups: Iterable[tuple[Sequence[Explainer], Sequence[Images]]]) -> Passes:
        """The passes of changed images, explainer by explainer; copies that serve all of them with the first."""
        plan, memory = self._plan, dict[Any, Any]()
        view = batch.view_of(plan, self._network, batch.rows, batch.labels)
        asking = (metric.covering(view.size) for metric in plan.metrics)
        coverings = [covering for covering in asking if covering is not None]
        if not coverings:
            return Passes()
        asked = np.bincount(view.rows, minlength=len(batch.samples)).tolist()
        looked_at = [ImageOfView(view, row, memory) for row in range(len(batch.samples))]
        nothing = changed_images((), looked_at[0])
        changed = [changed_images(coverings, image) if count else nothing
                   for image, count in zip(looked_at, asked, strict=True)]  # fmt: skip
        wanted, found, first = self._wanted(view, memory).wanted(coverings), Passes(), True
        again = recomputations(plan.metrics, self._network.cell) > 0
        for group, of_maps in groups:
            images = images_of_scores(plan.metrics, self._network.cell, changed, of_maps, asked)
            parts = self._cut(images, group if again else ())
            for explainer in group:
                share = self._ordered.get(explainer.name, 1.0)
                if share:
                    passes = sum(self._of_part(view, wanted, part, memory, once=first) for part in parts)
                    found["perturb"], first = found["perturb"] + round(share * passes), False
        if not first:
            found["perturb"] += len(wanted.uniform - self._uniform)
            self._uniform |= wanted.uniform
        return +found

    def _wanted(self, view: View, memory: dict[Any, Any]) -> Asking:
        """What metrics ask about maps that have an order: here any, since all have as many changed images."""
        random = np.random.default_rng(0).random(view.size, np.float32)
        maps = {
            question: MapOfQuestion(random, ImageOfView(view, int(row), memory))
            for question, row in enumerate(view.rows.tolist())
        }
        return Asking(view, maps, memory)

    def _of_part(self, view: View, wanted: Wanted, part: Range, memory: dict[Any, Any], *, once: bool) -> int:
        """The passes of changed images about some samples, with those that are asked about once in a batch or not."""
        within = [question for question, row in enumerate(view.rows.tolist()) if part[0] <= row < part[1]]
        passing = sum(len(wanted.of_questions[question]) for question in within)
        if not once:
            return self._filled(passing)
        whole = sum(1 for _, row in wanted.whole if part[0] <= row < part[1])
        copies: Counter[int] = Counter()
        for (activation, perturbation), rows in wanted.perturbed.items():
            there = (row for row in rows if part[0] <= row < part[1])
            copies[activation] += sum(perturbation.number(ImageOfView(view, row, memory)) for row in there)
        return self._filled(passing + whole) + sum(map(self._filled, copies.values()))


def _groups(explainers: Sequence[Explainer]) -> Iterable[Sequence[Explainer]]:
    """Explainers that share passes together, others alone, in the order in which a run makes their maps."""
    for explainer in explainers:
        group = sharing(explainer, explainers)
        if group[0] is explainer:
            yield group


def _about(view: View, part: Range) -> View:
    """The questions of a view about some of its images."""
    return view.subset(np.flatnonzero((view.rows >= part[0]) & (view.rows < part[1])))


def differences(made: Mapping[str, int], counted: Mapping[str, int]) -> dict[str, int]:
    """By kind, how many more passes were made than counted; only those kinds of which it was another number."""
    kinds = dict.fromkeys([*made, *counted])
    return {kind: more for kind in kinds if (more := made.get(kind, 0) - counted.get(kind, 0))}
