"""What metrics see: an explainer's maps for the questions of a view, and what the network says of changed images."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from ...explainers import Explainer
from ...explainers.core.view import View
from ...explainers.network import Block
from ...explainers.network.tensors import FloatArray
from ...summary_format.deprecated_names import Renamed, renamed_arguments
from .asking import Asking, answers_of
from .covered_images import Covering, Curve, CurvePoints
from .groups import PIXELS
from .map_of_question import MapOfQuestion
from .perturbations import ImageOfView, Perturbation
from .saliency_order import Order

Masks = npt.NDArray[np.bool_]
Found = TypeVar("Found")


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
        self._asked = False

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

    def of_peers(
        self, key: Hashable, make: Callable[[Sequence[Explanation]], Mapping[str, Found | ValueError]]
    ) -> Found:
        """What is found out about it from maps that are made again, together with its peers the first time.

        Args:
            key: what it is, such as the metric that asks; what is kept under an equal one is not made again.
            make: gives it by explainer, or why that refuses, of this explanation and those peers whose maps can be made
                again.

        Raises:
            ValueError: if its explainer refuses.
        """
        mine = (key, self.explainer.name)
        if mine not in self.memory:
            able = [peer for peer in self.peers if peer is self or peer.explainer.recomputable]
            self.memory.update({(key, name): of_peer for name, of_peer in make(able).items()})
        found: Found | ValueError = self.memory[mine]
        if isinstance(found, ValueError):
            raise found
        return found

    def release(self) -> None:
        """Hold no peers any more, nor itself among them: rings of arrays stay in memory until Python looks for such."""
        self.peers, self.memory, self.whole = (), {}, None

    def order(self, question: int) -> Order:
        """Flat pixel indices from most to least salient; equal pixels in an order drawn from the image's generator."""
        return MapOfQuestion(self.maps[question], self.image_of(question)).order(PIXELS, least_first=False)

    def prepare(self) -> None:
        """Run what the metrics are going to ask; otherwise that happens when the first of them does."""
        if self._coverings:
            self._ask(self._coverings)

    def images_needed(self, coverings: Iterable[Covering] | None = None) -> tuple[int, set[float]]:
        """How many images have to pass before some coverings are answered, by default those of all metrics.

        And beside them the values of images that hold nothing else, of which a network is asked once.
        """
        return self._asking.images_needed(self._coverings if coverings is None else list(coverings))

    def probabilities(self, covering: Covering) -> npt.NDArray[np.float64]:
        """(Q, images) probability of each question's label on its covered images; NaN for a map without order."""
        self._answered(covering)
        found = np.full((len(self.maps), len(covering.images)), np.nan)
        for question in self._scored:
            found[question] = self._asking.answers(question, covering.static, covering.activation_fn)
        return found

    def curve(self, curve: Curve, covering: Covering) -> list[CurvePoints | None]:
        """Along a curve of a covering, what is said of each question; None where what the curve covers has no order."""
        self._answered(covering)
        found: list[CurvePoints | None] = [None] * len(self.maps)
        for question, map_ in self._scored.items():
            if images := map_.points(curve):
                removed = np.array([image.last for image in images]) / map_.number(curve.groups)
                found[question] = CurvePoints(removed, self._asking.answers(question, images, covering.activation_fn))
        return found

    def covered_images(self, question: int, curve: Curve) -> Block | None:
        """The images along a curve, as the network sees them; None where what it covers has no order."""
        map_ = self._scored.get(question)
        images = () if map_ is None else map_.points(curve)
        return None if map_ is None or not images else map_.block(images)

    def on_copies(self, perturbation: Perturbation, covering: Covering) -> list[npt.NDArray[np.float64] | None]:
        """What is said of each label on changed copies (copies,) of the image.

        None for a map without order, unless the perturbation is for those too.
        """
        self._answered(covering)
        found: list[npt.NDArray[np.float64] | None] = [None] * len(self.maps)
        for question in range(len(self.maps)) if perturbation.constant_maps else self._scored:
            row, label = int(self.view.rows[question]), int(self.view.labels[question])
            found[question] = self._asking.answers_on_copies(row, label, perturbation, covering.activation_fn)
        return found

    def untouched(self, covering: Covering) -> npt.NDArray[np.float64]:
        """(Q,) probability of each question's label on the image as it is."""
        rows, places = self.view.rows, np.arange(len(self.view.rows))
        probabilities = answers_of(self.view, self.view.logits[rows], covering.activation_fn)
        found: npt.NDArray[np.float64] = probabilities[places, self.view.labels].astype(np.float64)
        return found

    def image_of(self, question: int) -> ImageOfView:
        """A question's image, and what is known about it."""
        return ImageOfView(self.view, int(self.view.rows[question]), self._shared)

    @property
    def _shared(self) -> dict[Any, Any]:
        return self.memory if self.whole is None else self.whole.memory

    @cached_property
    def _scored(self) -> dict[int, MapOfQuestion]:
        """The questions whose maps have an order."""
        return {
            question: MapOfQuestion(self.maps[question], self.image_of(question))
            for question in np.flatnonzero(self.rankable).tolist()
        }

    @cached_property
    def _asking(self) -> Asking:
        return Asking(self.view, self._scored, self._shared)

    def _answered(self, covering: Covering) -> None:
        """Make sure that a covering is answered."""
        if not self._asking.has_answers(covering):
            asked = [covering] if self._asked else [covering, *self._coverings]
            self._kept.append(covering)  # alive, since it is known by its activation's identity
            self._ask(asked)

    def _ask(self, coverings: list[Covering]) -> None:
        self._asking.ask(coverings)
        self._asked = True
