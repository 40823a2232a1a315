"""Noisy copies of a view's images, alike for all explainers and metrics of the same noise, and the maps of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ...explainers.arguments import positive_number, whole_number
from ...explainers.core.together import attribute_together
from ...explainers.core.view import Needs, View
from ...explainers.network.tensors import FloatArray, IntArray
from ..core.explanation import Explanation
from .map_passes import count_map_passes


@dataclass(frozen=True)
class Noise:
    """Noise that is uniform in plus and minus a share of an image's range. Equal ones give the same images.

    Attributes:
        samples: noisy copies of each image.
        radius: how far each value moves at most, as a share of the image's range.
    """

    samples: int
    radius: float

    @classmethod
    def checked(cls, samples: object, radius: object) -> Noise:
        """Noise as a user describes it.

        Raises:
            ValueError: if samples is not a whole number from 1, or radius not a number above 0.
        """
        return cls(whole_number(samples, "samples"), positive_number(radius, "radius"))

    def drawn(self, view: View, row: int, draw: int, attempt: int = 0) -> FloatArray:
        """The noise (C, H, W) that an image gets, from its own generator."""
        image = view.images[row]
        reach = self.radius * float(np.ptp(image))
        generator = view.generator(row, f"Robustness {draw} {attempt}")
        noise: FloatArray = generator.uniform(-reach, reach, image.shape).astype(np.float32)
        return noise


class NoisyImages:
    """Noisy copies of a view's images, made when they are looked at.

    Args:
        noise: draws the noise of each copy.
        view: the untouched images.
        copies: (K, 2), which image each is made of, and which draw it is.
        logits: gives (K, classes), what the network says of the copies; asked once, if at all.
        attempts: (K,) which attempt at that draw; by default the first.
    """

    def __init__(
        self,
        noise: Noise,
        view: View,
        *,
        copies: IntArray,
        logits: Callable[[], FloatArray],
        attempts: npt.NDArray[np.int_] | None = None,
    ) -> None:
        self._noise, self._logits, self.view, self.copies = noise, logits, view, copies
        self.attempts = np.zeros(len(copies), int) if attempts is None else attempts

    @cached_property
    def logits(self) -> FloatArray:
        """(K, classes) what the network says of the copies."""
        return self._logits()

    def of(self, view: View) -> NoisyImages:
        """Those of the images that another view of the same batch asks about."""
        asked = np.isin(self.copies[:, 0], view.rows)
        of_view, attempts = self.copies[asked], self.attempts[asked]
        return NoisyImages(self._noise, view, copies=of_view, logits=lambda: self.logits[asked], attempts=attempts)

    def image(self, copy: int) -> FloatArray:
        """A noisy image (C, H, W)."""
        row, draw = map(int, self.copies[copy])
        noisy: FloatArray = self.view.images[row] + self._noise.drawn(self.view, row, draw, int(self.attempts[copy]))
        return noisy

    def chunks(self, needs: Needs) -> Iterator[tuple[IntArray, IntArray, View]]:
        """Views of a pass of copies, or of a pass of questions on them where ``needs`` has passes of its own to share.

        With each the places (Q,) of its questions in the untouched view, and which copy (Q,) each is about.
        """
        asked = [
            (copy, place) for copy, (row, _) in enumerate(self.copies) for place in self.view.questions_about(int(row))
        ]
        pairs, size = np.array(asked), self.view.network.pass_size
        edges = range(0, len(pairs), size) if needs.passes else _edges(pairs[:, 0], size)
        for part in np.split(pairs, list(edges)[1:]):
            copies, about = np.unique(part[:, 0], return_inverse=True)
            images = np.stack([self.image(int(copy)) for copy in copies])
            labels, logits = self.view.labels[part[:, 1]], self._of_copies(copies)
            noisy = self.view.with_images(self.copies[copies, 0], images, about, labels, logits, needs)
            yield part[:, 1], part[:, 0], noisy

    def _of_copies(self, copies: IntArray) -> Callable[[], FloatArray]:
        """Gives the logits (copies, classes) of some copies."""
        return lambda: self.logits[copies]


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


def with_noise(noise: Noise, view: View, count_passes: Callable[[str, int], None]) -> NoisyImages:
    """The noisy copies of all images of a view; the network is asked about them once something needs its answer."""
    copies = np.array([(row, draw) for draw in range(noise.samples) for row in np.unique(view.rows)])

    def logits() -> FloatArray:
        count_passes("noise", len(copies))
        return view.network.pooled_logits((near.image(copy) for copy in range(len(copies))), "noise")

    near = NoisyImages(noise, view, copies=copies, logits=logits)
    return near


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
