"""Feature maps weighed by what the network says when something is done with each of them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

import numpy as np

from ..core.view import Needs, View
from ..network.tensors import FloatArray
from .base import ActivationMap, weighed


class ChannelMap(ActivationMap):
    """Asks the network about each feature map of a layer, for all labels of an image; never negative.

    A subclass says what is asked and how the answers weigh. See ``ActivationMap`` for the arguments.
    """

    signed = False
    sums_channels = True
    kind: ClassVar[str]
    copies = 1  # how often each channel is asked about

    def maps(self, view: View) -> dict[str, FloatArray]:
        return {layer: self._of_layer(view, layer) for layer in self.layer}

    def images_needed_for(self, view: View) -> Mapping[str, int]:
        channels = sum(self.grid(view.outputs[layer][:1], layer, view.size).shape[1] for layer in self.layer)
        return {self.kind: len(np.unique(view.rows)) * channels * self.copies}

    @abstractmethod
    def answers(self, view: View, rows: Sequence[int], layer: str) -> Iterator[FloatArray]:
        """Logits (any number, classes) about each image, its channels one after the other, ``copies`` of each."""

    @abstractmethod
    def weights(self, view: View, row: int, label: int, logits: FloatArray) -> FloatArray:
        """What the channels of an image weigh for a label, (channels,), by its logits (channels, copies)."""

    def _needed(self) -> Needs:
        return Needs.output(*self.layer)

    def _of_layer(self, view: View, layer: str) -> FloatArray:
        activation = self.grid(view.outputs[layer], layer, view.size)
        channels, rows = activation.shape[1], [int(row) for row in np.unique(view.rows)]
        maps = np.empty((len(view.rows), *activation.shape[2:]), np.float32)
        answers = self.answers(view, rows, layer)
        for row, places, logits in view.answered(answers, [channels * self.copies] * len(rows)):
            by_channel = logits.reshape(channels, self.copies, -1)
            for column, question in enumerate(places):
                weights = self.weights(view, row, int(view.labels[question]), by_channel[:, :, column])
                maps[question] = self.summed(weighed(weights[None], activation[row : row + 1]))[0].clip(min=0)
        return maps
