"""Does a map stay the same where the image changes a little and the prediction does not?"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ...explainers.arguments import real_number, whole_number
from ...explainers.core.together import attribute_together
from ...explainers.core.view import Needs, View
from ...explainers.network import pass_kind
from ...explainers.network.tensors import Activation, FloatArray, IntArray, checked_activation
from ..core.explanation import Explanation
from ..core.metric import Metric, Scores

_DRAWN_AGAIN = 3


class Robustness(Metric):
    """exp(-d), d being how far a map moves at most, relative to its length, where the image gets noise; in 0..1.

    Yeh et al.: On the (In)fidelity and Sensitivity of Explanations (2019), definition 2 (max-sensitivity): the largest
    ``|s(x + noise) - s(x)| / |s(x)|`` over several draws. Noise is uniform in plus and minus ``radius`` times the
    image's range. A draw that moves the prediction too far is made again, up to three times; then it counts as it is.
    Every image draws from its own generator, the same noise for all explainers, whose passes on it are shared. NaN
    where the map is zero or a map is not finite, and for an explainer that has no maps of changed images
    (``recomputable`` is False). Costs ``samples`` times the maps, and the passes that look at the predictions.

    Args:
        num_labels: how many classes the network has.
        activation_fn: from logits (N, classes) to probabilities, such as ``nn.Softmax()``.
        samples: noisy images for each image.
        radius: of the noise, as a share of the image's range. The old package's fixed 0.2 is about 0.05 of the range
            of an image normalised as for ImageNet.
        threshold: how far the probabilities may move, as a Euclidean distance.
        name: see ``Metric``.

    Raises:
        TypeError: if activation_fn cannot be called.
        ValueError: if num_labels or samples is below 1, or radius or threshold is not above 0.
    """

    control_sensitive = False

    def __init__(
        self,
        num_labels: int,
        activation_fn: Activation,
        samples: int = 10,
        radius: float = 0.05,
        threshold: float = 0.1,
        name: str | None = None,
    ) -> None:
        super().__init__(num_labels, name)
        self.activation_fn = checked_activation(activation_fn)
        self.samples = self.map_recomputations = whole_number(samples, "samples")
        self.radius, self.threshold = real_number(radius, "radius"), real_number(threshold, "threshold")
        if self.radius <= 0 or self.threshold <= 0:
            raise ValueError(f"radius and threshold must be above 0, got {radius} and {threshold}")

    def score(self, explanation: Explanation) -> Scores:
        if not explanation.explainer.recomputable:
            return np.full(len(explanation.maps), np.nan)
        mine = (id(self), explanation.explainer.name)
        if mine not in explanation.memory:
            view, memory = explanation.whole or (explanation.view, explanation.memory)
            near = memory.get((id(self), "noisy images"))
            if near is None:
                near = memory[id(self), "noisy images"] = self._noisy(view, explanation.count_passes)
            for name, moved in _moved(explanation.peers, near.of(explanation.view)).items():
                explanation.memory[id(self), name] = moved
        moved = explanation.memory.pop(mine)
        if isinstance(moved, ValueError):
            raise moved
        found: Scores = np.exp(-moved)
        return found

    def noise(self, view: View, row: int, draw: int, attempt: int) -> FloatArray:
        """The noise (C, H, W) that an image gets."""
        image = view.images[row]
        reach = self.radius * float(np.ptp(image))
        generator = view.generator(row, f"Robustness {draw} {attempt}")
        noise: FloatArray = generator.uniform(-reach, reach, image.shape).astype(np.float32)
        return noise

    def _noisy(self, view: View, count_passes: Callable[[str, int], None]) -> NoisyImages:
        """Draw noise until predictions stay where they are."""
        rows = np.unique(view.rows)
        copies = np.array([(row, draw) for draw in range(self.samples) for row in rows])
        attempts, logits = np.zeros(len(copies), int), np.zeros((len(copies), view.logits.shape[1]), np.float32)
        before = view.network.activated(view.logits, self.activation_fn)
        near, left = NoisyImages(self, view, copies, attempts, logits), np.arange(len(copies))
        for attempt in range(1 + _DRAWN_AGAIN):
            attempts[left] = attempt
            count_passes("noise", len(left))
            logits[left] = view.network.pooled_logits((near.image(copy) for copy in left), "noise")
            after = view.network.activated(logits[left], self.activation_fn)
            far = np.linalg.norm(after - before[copies[left, 0]], axis=1) > self.threshold
            left = left[far]
            if not len(left):
                break
        return near


@dataclass(frozen=True)
class NoisyImages:
    """Noisy copies of a view's images, made when they are looked at.

    Attributes:
        metric: whose noise it is.
        view: the untouched images.
        copies: (K, 2), which image each is made of, and which draw it is.
        attempts: (K,) which attempt at that draw.
        logits: (K, classes) what the network says of them.
    """

    metric: Robustness
    view: View
    copies: IntArray
    attempts: npt.NDArray[np.int_]
    logits: FloatArray

    def of(self, view: View) -> NoisyImages:
        """Those of the images that another view of the same batch asks about."""
        asked = np.isin(self.copies[:, 0], view.rows)
        return NoisyImages(self.metric, view, self.copies[asked], self.attempts[asked], self.logits[asked])

    def image(self, copy: int) -> FloatArray:
        """A noisy image (C, H, W)."""
        row, draw = map(int, self.copies[copy])
        noisy: FloatArray = self.view.images[row] + self.metric.noise(self.view, row, draw, int(self.attempts[copy]))
        return noisy

    def chunks(self, needs: Needs) -> Iterator[tuple[IntArray, View]]:
        """Views of a pass of copies, or of a pass of questions on them where ``needs`` has passes of its own to share.

        With each the places (Q,) of its questions in the untouched view.
        """
        asked = [
            (copy, place) for copy, (row, _) in enumerate(self.copies) for place in self.view.questions_about(int(row))
        ]
        pairs, size = np.array(asked), self.view.network.pass_size
        edges = range(0, len(pairs), size) if needs.layers else _edges(pairs[:, 0], size)
        for part in np.split(pairs, list(edges)[1:]):
            copies, about = np.unique(part[:, 0], return_inverse=True)
            images = np.stack([self.image(int(copy)) for copy in copies])
            labels, logits = self.view.labels[part[:, 1]], self.logits[copies]
            yield part[:, 1], self.view.with_images(self.copies[copies, 0], images, about, labels, logits, needs)


def _moved(explanations: Sequence[Explanation], near: NoisyImages) -> dict[str, Scores | ValueError]:
    """How far each explainer's maps move at most (Q,), relative to their length; or why it refuses noisy images."""
    explainers = [explanation.explainer for explanation in explanations]
    furthest = {explainer.name: np.zeros(len(near.view.rows)) for explainer in explainers}
    errors: dict[str, ValueError] = {}
    for places, noisy in near.chunks(Needs.together(explainer.needs for explainer in explainers)):
        able = [explanation for explanation in explanations if explanation.explainer.name not in errors]
        if not able:
            break
        _count_map_passes(able, noisy)
        found, refused = attribute_together([explanation.explainer for explanation in able], noisy)
        errors |= refused
        for explanation in explanations:
            name = explanation.explainer.name
            if name in errors:
                continue
            with np.errstate(invalid="ignore"):  # NaN is handed on
                np.maximum.at(furthest[name], places, _length(found[name].maps - explanation.maps[places]))
    for explanation in explanations:
        length = _length(explanation.maps)
        moved = furthest[explanation.explainer.name]
        with np.errstate(invalid="ignore", divide="ignore"):
            furthest[explanation.explainer.name] = np.where(length > 0, moved / length, np.nan)
    return {**furthest, **errors}


def _count_map_passes(explanations: Sequence[Explanation], noisy: View) -> None:
    """Report what passes the maps of some noisy images need."""
    count_passes, copies, questions = explanations[0].count_passes, len(noisy.images), len(noisy.rows)
    for rule in sorted({rule for explanation in explanations for rule in explanation.explainer.needs.layers}):
        count_passes(pass_kind(rule), questions)
    if any(explanation.explainer.needs.outputs for explanation in explanations):
        count_passes("activate", copies)
    for explanation in explanations:
        for kind, images in explanation.explainer.images_needed_for(noisy).items():
            count_passes(kind, images)


def _edges(copies: IntArray, size: int) -> list[int]:
    """Where each part of so many copies begins among their questions."""
    _, first = np.unique(copies, return_index=True)
    return [int(edge) for edge in first[::size]]


def _length(maps: FloatArray) -> Scores:
    """(Q,) Euclidean length of maps (Q, H, W)."""
    lengths: Scores = np.linalg.norm(maps.reshape(len(maps), -1).astype(np.float64), axis=1)
    return lengths
