"""Noisy copies of images, alike for all explainers and for all metrics that ask for the same noise."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from ...explainers.arguments import positive_number, whole_number
from ...explainers.core.together import attribute_together
from ...explainers.core.view import Needs, View
from ...explainers.network.tensors import FloatArray, IntArray
from ..core.explanation import Explanation
from ..core.map_passes import count_map_passes


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
        noise: draws the noise (C, H, W) of an image of a view: its row, which draw, and which attempt at that draw.
        view: the untouched images.
        copies: (K, 2), which image each is made of, and which draw it is.
        attempts: (K,) which attempt at that draw.
        logits: gives (K, classes), what the network says of the copies; asked once, if at all.
    """

    def __init__(
        self,
        noise: Callable[[View, int, int, int], FloatArray],
        view: View,
        copies: IntArray,
        attempts: npt.NDArray[np.int_],
        logits: Callable[[], FloatArray],
    ) -> None:
        self._noise, self._logits = noise, logits
        self.view, self.copies, self.attempts = view, copies, attempts

    @cached_property
    def logits(self) -> FloatArray:
        """(K, classes) what the network says of the copies."""
        return self._logits()

    def of(self, view: View) -> NoisyImages:
        """Those of the images that another view of the same batch asks about."""
        asked = np.isin(self.copies[:, 0], view.rows)
        return NoisyImages(self._noise, view, self.copies[asked], self.attempts[asked], lambda: self.logits[asked])

    def image(self, copy: int) -> FloatArray:
        """A noisy image (C, H, W)."""
        row, draw = map(int, self.copies[copy])
        noisy: FloatArray = self.view.images[row] + self._noise(self.view, row, draw, int(self.attempts[copy]))
        return noisy

    def chunks(self, needs: Needs) -> Iterator[tuple[IntArray, IntArray, View]]:
        """Views of a pass of copies, or of a pass of questions on them where ``needs`` has passes of its own to share.

        With each the places (Q,) of its questions in the untouched view, and which draw (Q,) each is about.
        """
        asked = [
            (copy, place) for copy, (row, _) in enumerate(self.copies) for place in self.view.questions_about(int(row))
        ]
        pairs, size = np.array(asked), self.view.network.pass_size
        edges = range(0, len(pairs), size) if needs.layers else _edges(pairs[:, 0], size)
        for part in np.split(pairs, list(edges)[1:]):
            copies, about = np.unique(part[:, 0], return_inverse=True)
            images = np.stack([self.image(int(copy)) for copy in copies])
            labels = self.view.labels[part[:, 1]]
            logits = _of_copies(self, copies)
            noisy = self.view.with_images(self.copies[copies, 0], images, about, labels, logits, needs)
            yield part[:, 1], self.copies[part[:, 0], 1], noisy


def with_noise(noise: Noise, view: View, count_passes: Callable[[str, int], None]) -> NoisyImages:
    """The noisy copies of all images of a view; the network is asked about them once something needs its answer."""
    copies = np.array([(row, draw) for draw in range(noise.samples) for row in np.unique(view.rows)])

    def logits() -> FloatArray:
        count_passes("noise", len(copies))
        return view.network.pooled_logits((near.image(copy) for copy in range(len(copies))), "noise")

    near = NoisyImages(noise.drawn, view, copies, np.zeros(len(copies), int), logits)
    return near


def make_noisy_maps(
    explanations: Sequence[Explanation],
    near: NoisyImages,
    note: Callable[[Explanation, IntArray, IntArray, FloatArray], None],
) -> dict[str, ValueError]:
    """Make the maps of noisy images by all explainers together, pass by pass.

    Args:
        explanations: of the untouched images, by each of the explainers.
        near: the noisy images.
        note: gets an explanation, the places (Q,) of some of its questions, which draw (Q,) each of them is about, and
            the maps (Q, H, W).

    Returns:
        By explainer, why it refuses noisy images.
    """
    errors: dict[str, ValueError] = {}
    for places, draws, noisy in near.chunks(Needs.together(one.explainer.needs for one in explanations)):
        able = [explanation for explanation in explanations if explanation.explainer.name not in errors]
        if not able:
            break
        count_map_passes(able, noisy)
        found, refused = attribute_together([explanation.explainer for explanation in able], noisy)
        errors |= refused
        for explanation in able:
            if explanation.explainer.name not in errors:
                note(explanation, places, draws, found[explanation.explainer.name].maps)
    return errors


def _of_copies(near: NoisyImages, copies: IntArray) -> Callable[[], FloatArray]:
    return lambda: near.logits[copies]


def _edges(copies: IntArray, size: int) -> list[int]:
    """Where each part of so many copies begins among their questions."""
    _, first = np.unique(copies, return_index=True)
    return [int(edge) for edge in first[::size]]
