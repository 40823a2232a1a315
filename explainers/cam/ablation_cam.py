"""Ablation-CAM: feature maps weighed by how much the logit falls without them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np

from ..core.view import View
from ..network import Block, logits_from
from ..network.tensors import FloatArray, IntArray
from .channel_weighted import ChannelMap


class AblationCAM(ChannelMap):
    """Feature maps of a layer, each weighed by the share of the label's logit that goes when it is zero everywhere.

    Desai, Ramaswamy: Ablation-CAM (2020): weight (y - y_k) / y; negative values of the sum are cut
    to zero. The divisor is the size of y, since a negative logit would turn the map over; a logit of zero gives no map.
    Costs an image per channel, for all labels of an image. grad-cam puts the layer's least value less 10,000,000 in the
    place of zero where that least value is not zero; the paper does not. See ``ActivationMap`` for the arguments.
    """

    kind = "ablate"
    reads_logits = True

    def answers(self, view: View, rows: Sequence[int], layer: str) -> Iterator[FloatArray]:
        outputs = view.outputs[layer]
        numbered = np.arange(outputs[0].size).reshape(1, *outputs.shape[1:])
        channels = self.grid(numbered, layer, view.size)[0]  # which of the output's values each channel is made of
        flat = channels.reshape(len(channels), -1)
        ablated = ((Block.of(view.images[row], len(flat)), _without_each(outputs[row], flat)) for row in rows)
        return logits_from(view.network, layer, ablated, self.kind)

    def weights(self, view: View, row: int, label: int, logits: FloatArray) -> FloatArray:
        whole = float(view.logits[row, label])
        with np.errstate(divide="ignore", invalid="ignore"):
            shares: FloatArray = ((whole - logits[:, 0].astype(np.float64)) / abs(whole)).astype(np.float32)
        return np.where(np.isfinite(shares), shares, np.float32(np.nan))


def _without_each(output: FloatArray, channels: IntArray) -> Block:
    """An output with the values of each channel in turn put to zero, by their flat places (channels, h w)."""
    return Block((len(channels), *output.shape), partial(_ablate, output, channels))


def _ablate(output: FloatArray, channels: IntArray, which: slice, out: FloatArray) -> None:
    np.copyto(out, output)
    np.put_along_axis(out.reshape(len(out), -1), channels[which], 0, axis=1)
