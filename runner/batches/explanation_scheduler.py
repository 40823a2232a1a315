"""What explainers give for a batch, as metrics see it, the passes that they share made once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from ...benchmarks.core.covered_images import Covering
from ...benchmarks.core.explanation import Explanation, WholeBatch
from ...benchmarks.core.perturbations import ImageOfView
from ...explainers import Explainer
from ...explainers.core.together import Estimate, attribute_together
from ...explainers.core.view import View
from ...explainers.network import Network
from ...explainers.network.tensors import FloatArray, IntArray
from ..plan.plan import Plan
from .batch import Batch
from .checkpoints import Checkpoints
from .part_sizes import (
    ChangedImages,
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
from .pass_counts import Profile

Errors = npt.NDArray[np.float64]


class ExplanationScheduler:
    """Makes the explanations of a batch, one after the other, those that take many passes in parts.

    Args:
        batch: the questions; maps that are there already are taken from it.
        plan: whose metrics are going to look at them.
        network: where passes run.
        profile: what they are counted in.
        checkpoints: where parts are committed.
        doing: called with what is made, of which part of the batch and of which parts in all.
        check: called before a part is committed, with the explainer's name, the questions (Q, 2) and whether the map
            of each is finite; raises where the run shall not continue.
        known: gives by the name of each of the plan's explainers its maps for the batch's questions, where an earlier
            run has them: those for the questions that metrics add are made alone then.
        shared: what metrics keep for the batch, beside other schedulers of the same batch.
    """

    def __init__(
        self,
        batch: Batch,
        plan: Plan,
        network: Network,
        profile: Profile,
        checkpoints: Checkpoints,
        *,
        doing: Callable[[str, Batch, Range, Sequence[Range]], None],
        check: Callable[[str, IntArray, npt.NDArray[np.bool_]], None],
        known: Callable[[str], Estimate] | None = None,
        shared: dict[Any, Any] | None = None,
    ) -> None:
        self._batch, self._plan, self._network, self._profile = batch, plan, network, profile
        self._checkpoints, self._doing, self._check, self._known = checkpoints, doing, check, known
        self._asked = len(batch.rows)
        self._all = batch.view(plan, network)
        self._view = self._all.subset(slice(0, self._asked))
        self._making = self._all if known is None else self._all.subset(slice(self._asked, None))
        self._masks = batch.masks() if plan.needs_boxes and self._asked else None
        coverings = (metric.covering(self._view.size) for metric in plan.metrics)
        self.coverings: list[Covering] = [covering for covering in coverings if covering is not None]
        self._found: dict[str, Estimate] = {}
        self._peers: dict[str, list[Explainer]] = {}  # by explainer, those of one making with it that come after it
        self._refused: dict[str, ValueError] = {}  # raised when the explainer's own turn comes
        self._explanations: dict[tuple[str, Range], Explanation] = {}
        self._needed: dict[str, list[Images]] = {}
        self._views: dict[Range, View] = {(0, len(batch.samples)): self._view}
        self._memories: defaultdict[Range, dict[Any, Any]] = defaultdict(dict)
        self._whole = WholeBatch(self._view, {} if shared is None else shared)

    def maps(self, explainer: Explainer, left: Sequence[Explainer]) -> tuple[FloatArray, Errors]:
        """An explainer's maps (Q, H, W), and how far off each is (Q,).

        Args:
            explainer: whose.
            left: it and those that come after it; those among them that share its passes are made with it.
        """
        parts = self._map_parts(explainer)
        if self._makes and len(parts) == 1:
            self._count(explainer, self._making, [other for other in self._plan.explainers if other not in left])
        if explainer.name not in self._found and explainer.name not in self._refused:
            self._make([other for other in self._group(explainer) if other in left], parts, left)
        if explainer.name in self._refused:
            raise self._refused[explainer.name]
        maps, errors = self._found[explainer.name]
        unknown = np.full(self._asked, np.nan)
        return maps[: self._asked], unknown if errors is None else errors[: self._asked].astype(np.float64)

    def score_parts(self, explainer: Explainer) -> list[Range]:
        """The parts in which an explainer's maps are scored, alike for all that share its passes."""
        asked = np.bincount(self._view.rows, minlength=len(self._batch.samples)).tolist()
        again = self._images_again(explainer)
        images = images_of_scores(self._plan.metrics, self._network.cell, self._changed, again, asked)
        least = self._least(explainer) if self._makes_again else 1
        return cut(images, self._network.pass_size, least)

    @cached_property
    def _changed(self) -> list[ChangedImages]:
        """How many images metrics ask about, for each sample; one without questions may have nothing to look at."""
        images = (ImageOfView(self._view, row, self._whole.memory) for row in range(len(self._batch.samples)))
        asked = set(self._view.rows.tolist())
        nothing = ChangedImages(0, 0)
        return [changed_images(self.coverings, image) if image.row in asked else nothing for image in images]

    def questions(self, part: Range) -> IntArray:
        """(Q, 2) those about some samples."""
        return self._batch.inference.questions[self._places(part)]

    def explanation(self, explainer: Explainer, part: Range) -> Explanation:
        """An explainer's maps of some samples, as metrics see them."""
        if (explainer.name, part) not in self._explanations:
            peers = self._peers[explainer.name]
            made = {(peer.name, part): self._explanation(peer, part) for peer in peers}
            for explanation in made.values():
                explanation.peers = tuple(made.values())
            self._explanations |= made
        return self._explanations.pop((explainer.name, part))

    def release(self, explainer: Explainer) -> None:
        """Hold an explainer's maps no longer."""
        self._found.pop(explainer.name, None)

    def _group(self, explainer: Explainer) -> list[Explainer]:
        """The explainers of the plan that share passes with one, itself among them."""
        alone = self._known is not None and not len(self._making.rows) and not self._makes_again
        return [explainer] if alone else sharing(explainer, self._plan.explainers)

    def _images(self, explainer: Explainer) -> list[Images]:
        """How many images the maps of an explainer and those that share its passes take, for each sample."""
        group = self._group(explainer)
        if group[0].name not in self._needed:
            with self._profile.timed("maps"):  # an explainer may have to look at a layer to know
                self._needed[group[0].name] = images_of_maps(group, self._making)
        return self._needed[group[0].name]

    @property
    def _makes(self) -> bool:
        """Whether there are maps to be made; those that metrics add serve a question that is asked."""
        return bool(self._asked and len(self._making.rows))

    @cached_property
    def _makes_again(self) -> bool:
        """Whether a metric has maps made again."""
        return recomputations(self._plan.metrics, self._network.cell) > 0

    def _images_again(self, explainer: Explainer) -> list[Images]:
        """How many images the maps of all questions take, for each sample, where a metric has them made again."""
        if self._known is None:
            return self._images(explainer)
        group = self._group(explainer) if self._makes_again else []
        return images_of_maps(group, self._all, looking=False)

    def _map_parts(self, explainer: Explainer) -> list[Range]:
        return cut(self._images(explainer), self._network.pass_size, self._least(explainer))

    def _least(self, explainer: Explainer) -> int:
        """How many samples parts have at least."""
        return least_samples(self._group(explainer), self._network.pass_size)

    def _count(self, explainer: Explainer, view: View, done: Sequence[Explainer]) -> None:
        """Count what the maps of a view need."""
        with self._profile.timed("maps"):
            self._profile.need_maps(explainer, view, done)

    def _make(self, explainers: Sequence[Explainer], parts: Sequence[Range], left: Sequence[Explainer]) -> None:
        """Make the maps of explainers that share their passes."""
        if len(parts) > 1:
            found = self._made_in_parts(explainers, parts, left)
        else:
            precomputed = self._batch.precomputed_maps
            found = {one.name: precomputed.pop(one.name) for one in explainers if one.name in precomputed}
            lacking = [one for one in explainers if one.name not in found]
            found |= self._made(lacking, self._making) if lacking and self._makes else {}
        able = [one for one in explainers if one.name not in self._refused]
        nothing = Estimate(np.zeros((0, *self._view.size), np.float32))
        self._found |= {one.name: self._with_known(one.name, found.get(one.name, nothing)) for one in able}
        self._peers |= {one.name: able[place:] for place, one in enumerate(able)}

    def _with_known(self, name: str, made: Estimate) -> Estimate:
        """The maps that are known of an explainer, and those that were made beside them."""
        if self._known is None:
            return made
        maps, errors = self._known(name)
        return Estimate(np.concatenate([maps, made.maps]), errors)

    def _made(self, explainers: Sequence[Explainer], view: View) -> dict[str, Estimate]:
        """The maps of explainers, but of those that refuse."""
        with self._profile.timed("maps"):
            made, refused = attribute_together(explainers, view)
        self._refused |= refused
        return made

    def _made_in_parts(
        self, explainers: Sequence[Explainer], parts: Sequence[Range], left: Sequence[Explainer]
    ) -> dict[str, Estimate]:
        """The same of all samples, each part committed when it is made."""
        rows = self._making.rows
        maps = {one.name: np.zeros((len(rows), *self._view.size), np.float32) for one in explainers}
        errors = {one.name: np.full(len(rows), np.nan) for one in explainers}
        for part in parts:
            self._doing(explainers[0].name, self._batch, part, parts)
            places = np.flatnonzero((rows >= part[0]) & (rows < part[1]))
            able = [one for one in explainers if one.name not in self._refused]
            for name, (of_part, off) in self._made_of_part(able, part, places, left).items():
                maps[name][places], errors[name][places] = of_part, np.nan if off is None else off
        return {name: Estimate(maps[name], errors[name]) for name in maps if name not in self._refused}

    def _made_of_part(
        self, explainers: Sequence[Explainer], part: Range, places: IntArray, left: Sequence[Explainer]
    ) -> dict[str, Estimate]:
        """The maps of questions at these places, taken from an earlier start or made and committed."""
        making = self._making
        asked = np.stack([making.sample_ids[making.rows[places]], making.labels[places]], axis=1)
        kept = {one.name: self._checkpoints.kept(one.name, "maps", part, asked) for one in explainers}
        found = {name: Estimate(said["maps"], said["errors"]) for name, said in kept.items() if said is not None}
        lacking = [one for one in explainers if one.name not in found]
        if not lacking or not len(places):
            return found
        view = self._part_view(lacking, places)
        done = [other for other in self._plan.explainers if other not in left]
        for explainer in lacking:
            self._count(explainer, view, done)
            done.append(explainer)
        made = self._made(lacking, view)
        for name, (maps, errors) in made.items():
            own = self.questions(part) if self._known is None else asked[:0]
            self._check(name, own, np.isfinite(maps[: len(own)]).all(axis=(1, 2)))
            off = np.full(len(maps), np.nan) if errors is None else errors
            self._checkpoints.keep(name, "maps", part, {"questions": asked, "maps": maps, "errors": off})
        return found | made

    def _part_view(self, explainers: Sequence[Explainer], places: IntArray) -> View:
        """A view of the questions at these places, with what layers give where that is read."""
        batch = self._batch
        if any(explainer.needs.outputs for explainer in explainers):
            with self._profile.timed("maps"):
                batch = replace(batch, precomputed_layer_outputs=dict(self._making.outputs))
        return batch.view_of(self._plan, self._network, self._making.rows[places], self._making.labels[places])

    def _places(self, part: Range) -> slice:
        """Where the questions about some samples are."""
        first, last = np.searchsorted(self._view.rows, part).tolist()
        return slice(first, last)

    def _explanation(self, explainer: Explainer, part: Range) -> Explanation:
        asked, everything, places = self._asked, self._all, self._places(part)
        maps = self._found[explainer.name].maps
        pairs = zip(everything.rows[asked:].tolist(), everything.labels[asked:].tolist(), strict=True)
        extra = dict(zip(pairs, maps[asked:], strict=True))
        if part not in self._views:
            self._views[part] = self._view.subset(places)
        masks, need = None if self._masks is None else self._masks[places], self._profile.need
        explanation = Explanation(explainer, self._views[part], maps[places], masks, self.coverings, extra, need)
        explanation.memory, explanation.whole = self._memories[part], self._whole
        return explanation
