"""Passes under Monte Carlo dropout as graphs: what comes before the first mask, and what comes after it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from mindspore import Parameter, Tensor, ops

from ..tensors import FloatArray
from ..tensors.layers import find_layer
from .programs import Method, OutputsMethod, Reading, copied, graph_of, other_images
from .swapping import KeepingLayer, MaskedLayer, MaskedPlace

Masks = Sequence[FloatArray]  # one for each place, in running order


class DropoutProgram:
    """Logits under masks that are handed over.

    Args:
        reading: how the network is asked.
        places: where masks come in, in running order.
        masks: for these places, of the shapes of all that are going to be handed over.
        images: (N, C, H, W), of the shape of all passes.
        shared: whether what comes before the first mask runs once for all samples of a pass.

    Raises:
        GraphRefusedError: if it does not compile.
    """

    def __init__(
        self, reading: Reading, places: Sequence[MaskedPlace], masks: Masks, images: FloatArray, *, shared: bool
    ) -> None:
        layers = [find_layer(reading.cell, place.name) for place in places]
        given, kept, self._head = Tensor(other_images(images)), None, None
        if shared:
            keeping = KeepingLayer(layers[0], places[0])
            kept = keeping.kept
            self._head = graph_of(reading.cell, {places[0].name: keeping}, OutputsMethod(reading), given)
        masked = [
            MaskedLayer(layer, place, mask.shape, kept if place is places[0] else None)
            for layer, place, mask in zip(layers, places, masks, strict=True)
        ]
        instead = {place.name: cell for place, cell in zip(places, masked, strict=True)}
        method = _Masked(reading, [cell.mask for cell in masked])
        self._tail = graph_of(reading.cell, instead, method, given, _in_a_row(masks))

    def __call__(self, images: FloatArray, samples: Iterable[Masks]) -> Iterator[FloatArray]:
        """Logits (N, classes) under the masks of each sample."""
        given = Tensor(images)
        if self._head is not None:
            self._head(given)
        for masks in samples:
            yield copied(self._tail(given, _in_a_row(masks)))


class _Masked(Method):
    """The logits of images under masks: the values of all of them in one row, since that is one argument."""

    def __init__(self, reading: Reading, masks: Sequence[Parameter]) -> None:
        super().__init__(reading)
        self.masks = list(masks)
        ends = np.cumsum([mask.size for mask in masks]).tolist()
        self.parts = [(end - mask.size, end, mask.shape) for end, mask in zip(ends, masks, strict=True)]

    def run(self, images: Tensor, row: Tensor) -> Tensor:
        for mask, (first, end, shape) in zip(self.masks, self.parts):  # noqa: B905 - graphs know no strict
            ops.assign(mask, row[first:end].reshape(shape).astype(mask.dtype))
        return self.logits(images)


def _in_a_row(masks: Masks) -> Tensor:
    return Tensor(np.concatenate([mask.ravel() for mask in masks]))
