"""What metrics see: an explainer's maps for the questions of a view, and what the network says of covered images."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ...explainers import Explainer
from ...explainers.core.view import View
from ...explainers.core.windows import choose
from ...explainers.network import Block, gathered
from ...explainers.network.tensors import Activation, FloatArray, IntArray
from ...summary_format.deprecated_names import Renamed, renamed_arguments

Masks = npt.NDArray[np.bool_]


class CoveredImage(NamedTuple):
    """A covered image of a question: pixels of rank ``first`` to ``last`` (excluded) have the value ``baseline``.

    Rank 0 is the most salient pixel.
    """

    first: int
    last: int
    baseline: float


@dataclass(frozen=True)
class Covering:
    """The covered images that a metric asks about, for every question the same.

    Attributes:
        images: without pixels covered, the untouched one; with all, the baseline alone.
        activation_fn: from logits to probabilities; the same object each time, since it is known by that.
    """

    images: tuple[CoveredImage, ...]
    activation_fn: Activation

    def passing(self, pixels: int) -> set[CoveredImage]:
        """The images that each question must send through the network: neither untouched nor covered throughout."""
        return {image for image in self.images if 0 < image.last - image.first < pixels}


class WholeBatch(NamedTuple):
    """The batch of which explanations may be parts.

    Attributes:
        view: all its questions.
        memory: what metrics keep for all explanations of the batch.
    """

    view: View
    memory: dict[Any, Any]


@renamed_arguments(need="count_passes")
class Explanation:
    """An explainer's maps for the questions of a view.

    Covered images of all questions and metrics go through the network together in full passes, each image once, when
    the first metric asks.

    Args:
        explainer: whose maps they are.
        view: the questions.
        maps: (Q, H, W), float32.
        masks: (Q, H, W), where the asked label is; all False where unknown.
        coverings: what the metrics are going to ask.
        extra: maps (H, W) that metrics need beside those, by image and label.
        count_passes: given, for each kind of pass, how many images a metric needs that are counted nowhere else.

    Attributes:
        peers: the explanations whose maps came from the same passes, this one among them.
        memory: what metrics keep for other explanations of the same questions.
        whole: the batch that the questions are part of, if they are.
    """

    need, let_go = Renamed("count_passes"), Renamed("release")

    def __init__(
        self,
        explainer: Explainer,
        view: View,
        maps: FloatArray,
        masks: Masks | None = None,
        coverings: Iterable[Covering] = (),
        extra: Mapping[tuple[int, int], FloatArray] | None = None,
        count_passes: Callable[[str, int], None] = lambda _kind, _images: None,
    ) -> None:
        self.explainer, self.view, self.maps, self.masks, self.count_passes = explainer, view, maps, masks, count_passes
        self.peers: tuple[Explanation, ...] = (self,)
        self.memory: dict[Any, Any] = {}
        self.whole: WholeBatch | None = None
        self._extra = dict(extra or {})
        self._coverings, self._kept = list(coverings), list(coverings)
        self._found: dict[tuple[int, CoveredImage], FloatArray] = {}  # by activation and image, (Q,)

    @cached_property
    def rankable(self) -> Masks:
        """(Q,) which maps have an order: finite ones that are not constant."""
        flat = self.maps.reshape(len(self.maps), -1)
        finite = np.isfinite(flat).all(axis=1)
        ordered: Masks = finite & (flat.min(axis=1) < flat.max(axis=1))
        return ordered

    def map_of(self, row: int, label: int) -> FloatArray:
        """The map (H, W) of an image for a label, asked or extra.

        Raises:
            KeyError: if it is neither: a metric must name what it needs in ``extra_questions``.
        """
        places = np.flatnonzero((self.view.rows == row) & (self.view.labels == label))
        if len(places):
            asked: FloatArray = self.maps[places[0]]
            return asked
        return self._extra[row, label]

    def release(self) -> None:
        """Hold no peers any more, nor itself among them: rings of arrays stay in memory until Python looks for such."""
        self.peers, self.memory, self.whole = (), {}, None

    def order(self, question: int) -> npt.NDArray[np.intp]:
        """Flat pixel indices from most to least salient; equal pixels in an order drawn from the image's generator."""
        rising = -self.maps[question].reshape(-1)
        chance = self.view.generator(int(self.view.rows[question]), "pixel order").random(rising.size)
        order = np.argsort(rising, kind="stable")
        new = np.append(True, rising[order[1:]] != rising[order[:-1]])
        tied = np.flatnonzero(~new | ~np.append(new[1:], True))
        equal = order[tied]
        order[tied] = equal[np.lexsort((chance[equal], np.cumsum(new)[tied]))]
        return order

    def prepare(self) -> None:
        """Run what the metrics are going to ask; otherwise that happens when the first of them does."""
        if self._coverings:
            self._ask(self._coverings)

    def probabilities(self, covering: Covering) -> npt.NDArray[np.float64]:
        """(Q, images) probability of each question's label on its covered images; NaN for a map without order."""
        keys = [(id(covering.activation_fn), image) for image in covering.images]
        if not self._found.keys() >= set(keys):
            asked = [covering, *self._coverings] if not self._found else [covering]
            self._kept.append(covering)  # alive, since it is known by its activation's identity
            self._ask(asked)
        return np.stack([self._found[key] for key in keys], axis=1).astype(np.float64)

    def _ask(self, coverings: list[Covering]) -> None:
        """Have the network say everything about some coverings."""
        pixels = self.maps[0].size
        scored = [int(question) for question in np.flatnonzero(self.rankable)]
        activations = {id(covering.activation_fn): covering.activation_fn for covering in coverings}
        images = {image for covering in coverings for image in covering.images}
        for key in activations:
            for image in images:
                self._found[key, image] = np.full(len(self.maps), np.nan, np.float32)
        passing = sorted(set().union(*(covering.passing(pixels) for covering in coverings)))
        if passing and scored:
            logits = gathered(self.view.network.streamed_logits(self._covered(scored, passing)))
            found = self._of_labels(logits, np.repeat(self.view.labels[scored], len(passing)), activations)
            for key, values in found.items():
                for image, of_image in zip(passing, values.reshape(len(scored), -1).T, strict=True):
                    self._found[key, image][scored] = of_image
        for image in images.difference(passing) if scored else ():
            known = self._of_labels([self._known(image, scored)], self.view.labels[scored], activations)
            for key, values in known.items():
                self._found[key, image][scored] = values

    def _covered(self, questions: list[int], images: list[CoveredImage]) -> Iterator[Block]:
        """The covered images (C, H, W) of each question in turn."""
        firsts, lasts = np.array([image[:2] for image in images], np.int32).T
        baselines = np.array([image.baseline for image in images], np.float32)
        for question in questions:
            untouched = self.view.images[self.view.rows[question]]
            ranks = np.empty(untouched[0].size, np.int32)
            ranks[self.order(question)] = np.arange(ranks.size, dtype=np.int32)
            ranks = ranks.reshape(untouched.shape[1:])
            write = partial(_cover, untouched, ranks, firsts, lasts, baselines)
            yield Block((len(images), *untouched.shape), write)

    def _known(self, image: CoveredImage, questions: list[int]) -> FloatArray:
        """Logits (questions, classes) of images that need not run again: untouched, or covered throughout."""
        if image.first == image.last:
            untouched: FloatArray = self.view.logits[self.view.rows[questions]]
            return untouched
        logits = self.view.network.uniform_logits(image.baseline, self.view.images.shape[1:])
        return np.broadcast_to(logits, (len(questions), len(logits)))

    def _of_labels(
        self, parts: Iterable[FloatArray], labels: IntArray, activations: Mapping[int, Activation]
    ) -> dict[int, FloatArray]:
        """The probability (rows,) of each row's label, by activation, from parts of the rows' logits."""
        found, first = {key: np.empty(len(labels), np.float32) for key in activations}, 0
        for logits in parts:
            rows = slice(first, first + len(logits))
            for key, activation_fn in activations.items():
                probabilities = self.view.network.activated(logits, activation_fn)
                found[key][rows] = probabilities[np.arange(len(logits)), labels[rows]]
            first = rows.stop
        return found


def _cover(
    untouched: FloatArray,
    ranks: npt.NDArray[np.int32],
    firsts: npt.NDArray[np.int32],
    lasts: npt.NDArray[np.int32],
    baselines: FloatArray,
    which: slice,
    out: FloatArray,
) -> None:
    """Make some covered images, of which each covers pixels from its first rank to its last (excluded)."""
    first, last = (of_images[which, None, None] for of_images in (firsts, lasts))
    choose((ranks >= first) & (ranks < last), baselines[which, None, None, None], untouched, out)
