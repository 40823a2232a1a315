"""Passes under Monte Carlo dropout as graphs: what comes before the first mask, and what comes after it."""

from __future__ import annotations

from collections.abc import Sequence

from mindspore import Tensor, nn

from ..tensors import FloatArray, as_array
from ..tensors.layers import find_layer
from .programs import LogitsMethod, OutputsMethod, Reading, copied, graph_of, other_images
from .swapping import KeepingLayer, MaskedLayer, MaskedPlace, PiecewiseLayer, hand_over

Masks = Sequence[FloatArray]  # one for each place, in running order


class DropoutProgram:
    """Logits of the images of a pass under masks that are handed over: of one sample, or of several.

    Of several, what comes before the first mask runs once. What comes after it runs on all their rows, sample by
    sample, but for dense layers: these take the rows of one sample at a time, since with more of them the last bits of
    a few depend on where they stand.

    Args:
        reading: how the network is asked.
        places: where masks come in, in running order.
        masks: for these places, of the shapes of all that are going to be handed over.
        images: (N, C, H, W), of the shape of all passes.
        dense: names of the dense layers.
        samples: how many.

    Raises:
        GraphRefusedError: if it does not compile.
    """

    def __init__(
        self,
        reading: Reading,
        places: Sequence[MaskedPlace],
        masks: Masks,
        images: FloatArray,
        *,
        dense: Sequence[str],
        samples: int,
    ) -> None:
        given, self._samples, self._head = Tensor(other_images(images)), samples, None
        layers = {name: find_layer(reading.cell, name) for name in (*dense, *(place.name for place in places))}
        instead: dict[str, nn.Cell] = {}
        if samples > 1:
            keeping = KeepingLayer(layers[places[0].name], places[0])
            self._kept = keeping.kept
            keeps = OutputsMethod(reading, [keeping.kept])
            self._head = graph_of(reading.cell, {places[0].name: keeping}, keeps, given)
            instead |= {name: PiecewiseLayer(layers[name], len(images), samples) for name in dense}
        masked = {
            place.name: MaskedLayer((layers | instead)[place.name], place, mask.shape, samples)
            for place, mask in zip(places, masks, strict=True)
        }
        first = masked[places[0].name]
        first.give, self._given = self._head is not None, first.given
        self._masks = [cell.mask for cell in masked.values()]
        self._tail = graph_of(reading.cell, instead | masked, LogitsMethod(reading), given)

    def __call__(self, images: FloatArray, masks: Masks) -> FloatArray:
        """Logits (samples, N, classes) under the masks of the places, each of all samples, one after the other."""
        given = Tensor(images)
        if self._head is not None:
            as_array(self._head(given))
            hand_over(self._given, self._kept)
        for variable, mask in zip(self._masks, masks, strict=True):
            hand_over(variable, Tensor(mask))
        logits = copied(self._tail(given))
        return logits.reshape(self._samples, len(images), -1)
