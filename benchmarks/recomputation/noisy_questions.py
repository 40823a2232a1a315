"""How maps, images, answers and layers change under noise, measured once for all metrics of the same noise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ...explainers.core.view import View
from ...explainers.network import layer_outputs
from ...explainers.network.tensors import FloatArray, IntArray
from ..core.arithmetic import lengths
from ..core.explanation import Explanation
from .noisy_images import Noise, NoisyImages, maps_of_copies, with_noise

EPS = 1e-6  # what stands for 0 in a divisor, as in OpenXAI and Quantus
Changes = npt.NDArray[np.float64]


@dataclass(frozen=True)
class MapChanges:
    """How an explainer's maps change by each draw of noise; all of (Q, draws).

    Attributes:
        distance: Euclidean, of the noisy map and the untouched one.
        absolute: sum of the absolute differences.
        relative: Euclidean length of what each pixel changes by, over what it was (``EPS`` where that was 0).
    """

    distance: Changes
    absolute: Changes
    relative: Changes

    @classmethod
    def nothing(cls, questions: int, draws: int) -> MapChanges:
        """Tables to be filled in."""
        return cls(*(np.full((questions, draws), np.nan) for _ in range(3)))

    def note(self, places: IntArray, draws: IntArray, before: FloatArray, after: FloatArray) -> None:
        """Fill in what maps (N, H, W) became."""
        changes, old = _flat(after) - _flat(before), _flat(before)
        self.distance[places, draws] = lengths(changes)
        self.absolute[places, draws] = np.abs(changes).sum(axis=1)
        self.relative[places, draws] = lengths(changes / np.where(old == 0, EPS, old))


class NoisyQuestions:
    """What an explanation's questions become under noise; what is found out is kept for others of the same batch.

    Args:
        explanation: whose questions and maps.
        noise: which.
    """

    def __init__(self, explanation: Explanation, noise: Noise) -> None:
        self._explanation, self._noise = explanation, noise
        self._view, self._memory = explanation.whole or (explanation.view, explanation.memory)

    def maps(self) -> MapChanges:
        """How the explainer's maps change.

        Raises:
            ValueError: if it refuses noisy images.
        """
        return self._explanation.of_peers(self._noise, self._map_changes)

    def image_distances(self) -> Changes:
        """(Q, draws) Euclidean length of the noise."""
        return self._of_images("image distances", lambda before, after: lengths(after - before))

    def relative_image_distances(self) -> Changes:
        """(Q, draws) Euclidean length of the noise, each value over that of the image (``EPS`` where that is 0)."""

        def relative(before: Changes, after: Changes) -> Changes:
            return lengths((after - before) / np.where(before == 0, EPS, before))

        return self._of_images("relative image distances", relative)

    def logit_distances(self) -> Changes:
        """(Q, draws) Euclidean distance of the logits; takes a pass over the noisy images."""
        before, after = self._view.logits.astype(np.float64), self._whole.logits.astype(np.float64)
        return self._asked(lengths(after - before[self._whole.copies[:, 0]]))

    def same_class(self) -> npt.NDArray[np.bool_]:
        """(Q, draws) whether the likeliest class stays the same; takes the same pass."""
        before, after = self._view.logits.argmax(axis=1), self._whole.logits.argmax(axis=1)
        same = (after == before[self._whole.copies[:, 0]]).astype(np.float64)
        kept: npt.NDArray[np.bool_] = self._asked(same) == 1
        return kept

    def relative_layer_distances(self, layer: str) -> Changes:
        """(Q, draws) as ``relative_image_distances``, of what a layer gives; takes passes over all images.

        Raises:
            ValueError: if there is no such layer, or what it gives does not hold the images along the first axis.
        """
        key = ("relative layer distances", layer, self._noise)
        if key not in self._memory:
            self._memory[key] = _layer_distances(self._view, self._whole, layer, self._explanation.count_passes)
        return self._asked(self._memory[key])

    @property
    def _whole(self) -> NoisyImages:
        """The noisy images of the whole batch."""
        key = ("noisy images", self._noise)
        if key not in self._memory:
            self._memory[key] = with_noise(self._noise, self._view, self._explanation.count_passes)
        found: NoisyImages = self._memory[key]
        return found

    def _of_images(self, what: str, measure: Callable[[Changes, Changes], Changes]) -> Changes:
        """What is measured of each image and each of its noisy copies, both of (1, values)."""
        key = (what, self._noise)
        if key not in self._memory:
            near = self._whole
            images = [self._view.images[row] for row in near.copies[:, 0]]
            found = [measure(_flat(image[None]), _flat(near.image(copy)[None])) for copy, image in enumerate(images)]
            self._memory[key] = np.concatenate(found)
        return self._asked(self._memory[key])

    def _map_changes(self, explanations: Sequence[Explanation]) -> dict[str, MapChanges | ValueError]:
        """By explainer; why one refuses noisy images in place of them."""
        near, questions = self._whole.of(self._explanation.view), len(self._explanation.view.rows)
        changes = {one.explainer.name: MapChanges.nothing(questions, self._noise.samples) for one in explanations}
        before, refused = {one.explainer.name: one.maps for one in explanations}, dict[str, ValueError]()
        for places, copies, maps in maps_of_copies(explanations, near, refused):
            for name, after in maps.items():
                with np.errstate(invalid="ignore"):  # NaN is handed on
                    changes[name].note(places, near.copies[copies, 1], before[name][places], after)
        return {**changes, **refused}

    def _asked(self, of_copies: Changes) -> Changes:
        """What is known of each copy of the whole batch, as (Q, draws) of the explanation's questions."""
        whole = self._whole
        table = np.full((len(self._view.images), self._noise.samples), np.nan)
        table[whole.copies[:, 0], whole.copies[:, 1]] = of_copies
        return table[self._explanation.view.rows]


def _layer_distances(view: View, near: NoisyImages, layer: str, count_passes: Callable[[str, int], None]) -> Changes:
    """Of each copy (K,); the untouched images go along in passes of their own, so that memory holds few outputs."""
    found, rows = np.zeros(len(near.copies)), np.unique(near.copies[:, 0])
    for first in range(0, len(rows), view.network.pass_size):
        together = rows[first : first + view.network.pass_size]
        before = _outputs(view, view.images[together], layer, count_passes)
        for draw in np.unique(near.copies[:, 1]):
            copies = np.flatnonzero(np.isin(near.copies[:, 0], together) & (near.copies[:, 1] == draw))
            images = np.stack([near.image(int(copy)) for copy in copies])
            old = before[np.searchsorted(together, near.copies[copies, 0])]
            changes = _outputs(view, images, layer, count_passes) - old
            found[copies] = lengths(changes / np.where(old == 0, EPS, old))
    return found


def _outputs(view: View, images: FloatArray, layer: str, count_passes: Callable[[str, int], None]) -> Changes:
    """What a layer gives for images, (N, values)."""
    count_passes("activate", len(images))
    outputs = layer_outputs(view.network, images, [layer])[layer]
    if len(outputs) != len(images):
        raise ValueError(f"layer {layer!r} gives {outputs.shape} for {len(images)} images; they must be its first axis")
    return _flat(outputs)


def _flat(values: FloatArray) -> Changes:
    return values.reshape(len(values), -1).astype(np.float64)
