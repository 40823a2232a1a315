"""Passes under Monte Carlo dropout as graphs: what comes before the first mask, and what comes after it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from mindspore import Tensor, nn

from ..tensors import FloatArray, as_array
from ..tensors.layers import find_layer
from .compiling import GraphRefusedError
from .programs import LogitsMethod, OutputsMethod, Reading, copied, graph_of, other_images
from .swapping import KeepingLayer, MaskedLayer, MaskedPlace, PiecewiseLayer, hand_over

Masks = Sequence[FloatArray]  # one for each place, in running order


class DropoutProgram:
    """Logits of the images of a pass under masks that are handed over, of so many samples at a time.

    Where it is shared, what comes before the first mask runs once for all samples, but for what reaches the logits
    beside it, as through a second dropout next to the first. What comes after it runs on the rows of all samples of a
    call, sample by sample; dense layers take those of one sample at a time, since with more of them the last bits of a
    few depend on where they stand.

    Args:
        reading: how the network is asked.
        places: where masks come in, in running order.
        masks: the shapes of what is going to be handed over for each place.
        images: (N, C, H, W), of the shape of all passes.
        dense: names of the dense layers.
        shared: whether it is.
        samples: how many at a time; 1 unless it is shared.

    Raises:
        GraphRefusedError: if it does not compile.
    """

    def __init__(
        self,
        reading: Reading,
        places: Sequence[MaskedPlace],
        masks: Sequence[tuple[int, ...]],
        images: FloatArray,
        *,
        dense: Sequence[str],
        shared: bool,
        samples: int,
    ) -> None:
        given, self._samples, self._head = Tensor(other_images(images)), samples, None
        layers = {name: find_layer(reading.cell, name) for name in (*dense, *(place.name for place in places))}
        instead: dict[str, nn.Cell] = {}
        kept = None
        if shared:
            keeping = KeepingLayer(layers[places[0].name], places[0])
            kept = keeping.kept
            keeps = OutputsMethod(reading, [kept])
            self._head = graph_of(reading.cell, {places[0].name: keeping}, keeps, given)
            instead |= {name: PiecewiseLayer(layers[name], len(images), samples) for name in dense}
        inner = layers | instead
        masked = {
            place.name: MaskedLayer(inner[place.name], place, shape, samples, give=shared and place is places[0])
            for place, shape in zip(places, masks, strict=True)
        }
        self._kept, self._given = kept, masked[places[0].name].given
        self._masks = [cell.mask for cell in masked.values()]
        self._tail = graph_of(reading.cell, instead | masked, LogitsMethod(reading), given)

    def __call__(self, images: FloatArray, groups: Iterable[Masks]) -> Iterator[FloatArray]:
        """Logits (samples, N, classes) under each group of masks: those of the places, sample after sample.

        Raises:
            GraphRefusedError: if the network gives other rows of logits than one for each image and sample.
        """
        given = Tensor(images)
        if self._head is not None:
            as_array(self._head(given))
            hand_over(self._given, self._kept)
        for masks in groups:
            for variable, mask in zip(self._masks, masks, strict=True):
                hand_over(variable, Tensor(mask))
            logits = copied(self._tail(given))
            if len(logits) != self._samples * len(images):
                raise GraphRefusedError(f"under dropout it gives {len(logits)} rows of logits")
            yield logits.reshape(self._samples, len(images), -1)
