"""Noisy copies of a view's images, and the maps that explainers make of them, whose passes they share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ...explainers.core.together import attribute_together
from ...explainers.core.view import Needs, View
from ...explainers.network.tensors import FloatArray, IntArray
from .explanation import Explanation
from .map_passes import count_map_passes


@dataclass(frozen=True)
class NoisyImages:
    """Noisy copies of a view's images, made when they are looked at.

    Attributes:
        noise: gives the noise (C, H, W) of an image of a view, by its row, the draw and the attempt at it.
        view: the untouched images.
        copies: (K, 2), which image each is made of, and which draw it is.
        attempts: (K,) which attempt at that draw.
        logits: (K, classes) what the network says of them.
    """

    noise: Callable[[View, int, int, int], FloatArray]
    view: View
    copies: IntArray
    attempts: npt.NDArray[np.int_]
    logits: FloatArray

    def of(self, view: View) -> NoisyImages:
        """Those of the images that another view of the same batch asks about."""
        asked = np.isin(self.copies[:, 0], view.rows)
        return NoisyImages(self.noise, view, self.copies[asked], self.attempts[asked], self.logits[asked])

    def image(self, copy: int) -> FloatArray:
        """A noisy image (C, H, W)."""
        row, draw = map(int, self.copies[copy])
        noisy: FloatArray = self.view.images[row] + self.noise(self.view, row, draw, int(self.attempts[copy]))
        return noisy

    def chunks(self, needs: Needs) -> Iterator[tuple[IntArray, IntArray, View]]:
        """Views of a pass of copies, or of a pass of questions on them where ``needs`` has passes of its own to share.

        With each the places (Q,) of its questions in the untouched view, and which copy (Q,) each is about.
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
            yield (
                part[:, 1],
                part[:, 0],
                self.view.with_images(self.copies[copies, 0], images, about, labels, logits, needs),
            )


class MapsOfCopies(NamedTuple):
    """Maps of some questions on noisy copies.

    Attributes:
        places: (Q,) of the questions in the untouched view.
        copies: (Q,) which copy each is about.
        maps: (Q, H, W) by explainer.
    """

    places: IntArray
    copies: IntArray
    maps: Mapping[str, FloatArray]


def maps_of_copies(
    explanations: Sequence[Explanation], near: NoisyImages, refused: dict[str, ValueError]
) -> Iterator[MapsOfCopies]:
    """The maps of noisy images, part by part, of all explainers that share their passes.

    Args:
        explanations: of the untouched images.
        near: the copies.
        refused: given why explainers refuse noisy images, by name; they have no maps from then on.
    """
    explainers = [explanation.explainer for explanation in explanations]
    for places, copies, noisy in near.chunks(Needs.together(explainer.needs for explainer in explainers)):
        able = [explanation for explanation in explanations if explanation.explainer.name not in refused]
        if not able:
            return
        count_map_passes(able, noisy)
        found, errors = attribute_together([explanation.explainer for explanation in able], noisy)
        refused |= errors
        yield MapsOfCopies(places, copies, {name: of.maps for name, of in found.items() if name not in refused})


def _edges(copies: IntArray, size: int) -> list[int]:
    """Where each part of so many copies begins among their questions."""
    _, first = np.unique(copies, return_index=True)
    return [int(edge) for edge in first[::size]]
