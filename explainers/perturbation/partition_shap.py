"""PartitionSHAP: Owen values of an image's segments, over a hierarchy of them."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from mindspore import nn

from ..arguments import whole_number
from ..batched_search import Search, search_together
from ..core.view import View
from ..network import Block, Network
from ..network.tensors import Activation, FloatArray, IntArray, check_labels
from .baselines import Baseline
from .segment_tree import SegmentTree
from .superpixel_explainer import (
    PASS_KIND,
    Shown,
    SuperpixelExplainer,
    Surrogate,
    explained,
    number_of,
    with_hidden,
)
from .superpixel_explanation import SuperpixelExplanation, Weights
from .superpixels import SegmentationFunction

_HALVED_TOGETHER = 8  # groups, whose halves are asked about at a time: the largest first, so results depend on it
_ALL, _NONE = 0, 1  # the first rows of what is said


class PartitionSHAP(SuperpixelExplainer):
    """Importance of a pixel: the Owen value of its segment, in the game for the label's probability; signed.

    Lundberg's partition explainer of the shap package (2020); Owen: Values of Games with a Priori Unions (1977). Groups
    of segments that lie side by side are halved again and again, as ``SegmentTree`` does it, all of one half, or none,
    being shown while the other is looked at. A segment's value is the mean of what it adds over all orders of the
    segments in which every group stays together. The values add up to the probability on the untouched image minus
    that with everything hidden.

    Where ``num_samples`` reaches for all coalitions that these orders come past, some 2 / 3 K^2 of K segments, values
    are exact. Otherwise the groups are halved first whose halves may differ most: by the largest change of any
    class's probability that the group makes, times its share of the orders; eight groups at a time. What a group that
    was not halved adds is shared out evenly among its segments. So coalitions do not depend on which labels are
    asked about, and all labels of an image share them. Many images are searched side by side in full passes. Costs
    those images, and one of nothing, for all labels of an image.

    Args:
        network: see ``SuperpixelExplainer``.
        activation_fn: see ``SuperpixelExplainer``.
        num_samples: images to ask about each image at most, beside the untouched one.
        segmentation: see ``SuperpixelExplainer``.
        segmentation_options: see ``SuperpixelExplainer``.
        hide_color: see ``SuperpixelExplainer``.
        name: see ``Explainer``.

    Raises:
        TypeError: as ``SuperpixelExplainer``.
        ValueError: as ``SuperpixelExplainer``; or if num_samples is not a whole number from 3.
    """

    def __init__(
        self,
        network: nn.Cell,
        activation_fn: Activation,
        num_samples: int = 500,
        segmentation: str | SegmentationFunction = "slic",
        segmentation_options: Mapping[str, Any] | None = None,
        hide_color: Baseline | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(network, activation_fn, segmentation, segmentation_options, hide_color, name)
        self.num_samples = whole_number(num_samples, "num_samples", 3)

    def images_needed(self, images: int, questions: int, shape: tuple[int, ...]) -> Mapping[str, int]:
        self.check_images(shape)
        return {PASS_KIND: images * self.num_samples}

    def images_needed_for(self, view: View) -> Mapping[str, int]:
        trees = (SegmentTree.of(self.segments(view, int(row))) for row in np.unique(view.rows))
        return {PASS_KIND: sum(1 + 2 * self._halvings(tree) for tree in trees)}

    def answers(self, view: View) -> Iterator[tuple[int, SuperpixelExplanation]]:
        check_labels(view.labels, view.logits.shape[1])
        rows, classes = np.unique(view.rows), view.logits.shape[1]
        known = view.network.activated(view.logits[rows], self.activation_fn)
        searches = [self._search(view, row, whole) for row, whole in zip(rows.tolist(), known, strict=True)]
        ask = partial(self._ask, view.network)
        found = search_together(searches, [np.arange(classes)] * len(rows), ask, view.network.pass_size)
        for row, (owen, _) in zip(rows.tolist(), found, strict=True):
            segments = self.segments(view, row)
            for question in view.questions_about(row).tolist():
                label = int(view.labels[question])
                values = owen.said[:, label].astype(np.float64)
                model = owen.model(values) if np.isfinite(values).all() else Surrogate.unknown(number_of(segments))
                yield question, explained(label, segments, model, float(values[_ALL]), view.images[row])

    def _halvings(self, tree: SegmentTree) -> int:
        """How many groups are halved, each as often as it is."""
        return min(self.num_samples - 1, tree.coalitions) // 2

    def _ask(self, network: Network, images: list[FloatArray | Block]) -> FloatArray:
        """Probabilities (images, classes) of one pass."""
        return network.activated(network.pooled_logits(images, PASS_KIND), self.activation_fn)

    def _search(self, view: View, row: int, whole: FloatArray) -> Search[OwenValues]:
        """Ask about the segments of an image whose probabilities (classes,) are known while all are shown."""
        segments = self.segments(view, row)
        tree, made = SegmentTree.of(segments), partial(_Copies, view.images[row], self.cover(view, row), segments)
        owen, left = OwenValues(tree, whole), self._halvings(tree)
        owen.add((yield made(owen.shown[_NONE:])))
        owen.begin()
        while left:
            halved = owen.next(min(left, _HALVED_TOGETHER))
            owen.add((yield made(np.stack([shown for one in halved for shown in one.halves(tree)]))), halved)
            left -= len(halved)
        return owen


class _Copies:
    """A request for an image with each of some coalitions (R, K) shown."""

    def __init__(self, image: FloatArray, cover: FloatArray, segments: IntArray, shown: Shown) -> None:
        self._image, self._cover, self._segments, self._shown = image, cover, segments, shown

    def __len__(self) -> int:
        return len(self._shown)

    def __getitem__(self, places: slice) -> Iterable[Block]:
        return [with_hidden(self._image, self._cover, self._segments, self._shown[places])]


class _Adding(NamedTuple):
    """A group that is shown or hidden beside a coalition of others.

    Attributes:
        group: its number.
        without: which coalition it joins: the row of what is said.
        joined: the row of both together.
        weight: the share of the orders in which it does.
        shown: (K,), the coalition.
    """

    group: int
    without: int
    joined: int
    weight: float
    shown: npt.NDArray[np.bool_]

    def halves(self, tree: SegmentTree) -> Iterator[npt.NDArray[np.bool_]]:
        """The coalition with either half of the group."""
        for half in tree.halves[self.group].tolist():
            yield self.shown | tree.members[half]


class OwenValues:
    """What is known so far of the Owen values of an image's segments.

    Args:
        tree: the hierarchy.
        whole: (classes,) what is said while all segments are shown.

    Attributes:
        shown: (R, K) the coalitions that were asked about: all segments, none, then the others.
        said: (R, classes) what was said of them.
    """

    def __init__(self, tree: SegmentTree, whole: FloatArray) -> None:
        self._tree, self.said = tree, whole[None]
        self.shown: Shown = np.repeat([[True], [False]], len(tree.members[0]), axis=1)
        self._ended: list[_Adding] = []
        self._waiting: list[tuple[float, int, _Adding]] = []  # a heap: the largest change first, then the oldest
        self._numbered = 0

    def begin(self) -> None:
        """Look at all segments, once it is said what there is without them."""
        self._consider(_Adding(0, _NONE, _ALL, 1.0, self.shown[_NONE]))

    def next(self, most: int) -> list[_Adding]:
        """The groups to halve next, up to so many; at least one."""
        return [heapq.heappop(self._waiting)[-1] for _ in range(min(most, len(self._waiting)))]

    def add(self, said: FloatArray, halved: Iterable[_Adding] = ()) -> None:
        """Take what is said (2 M, classes) of coalitions with either half of M groups, or (1, classes) of none."""
        row = len(self.said)
        self.said = np.concatenate([self.said, said])
        for one in halved:
            pair = np.stack(list(one.halves(self._tree)))
            self.shown = np.concatenate([self.shown, pair])
            first, second = self._tree.halves[one.group].tolist()
            half = one.weight / 2
            self._consider(_Adding(first, one.without, row, half, one.shown))
            self._consider(_Adding(first, row + 1, one.joined, half, pair[1]))
            self._consider(_Adding(second, one.without, row + 1, half, one.shown))
            self._consider(_Adding(second, row, one.joined, half, pair[0]))
            row += 2

    def model(self, values: Weights) -> Surrogate:
        """The model of the probabilities (R,) of a label."""
        weights = np.zeros(len(self._tree.members[0]))
        for one in (*self._ended, *(waiting for _, _, waiting in self._waiting)):
            inside = self._tree.members[one.group]
            weights[inside] += one.weight * (values[one.joined] - values[one.without]) / np.count_nonzero(inside)
        return Surrogate.additive(self.shown, values, weights)

    def _consider(self, adding: _Adding) -> None:
        """Keep a group to be halved, or as it is, if it is a single segment."""
        if self._tree.halves[adding.group, 0] < 0:
            self._ended.append(adding)
            return
        changes = np.abs(self.said[adding.joined] - self.said[adding.without])
        largest = float(np.nan_to_num(changes, nan=0.0, posinf=0.0).max()) * adding.weight
        heapq.heappush(self._waiting, (-largest, self._numbered, adding))
        self._numbered += 1
