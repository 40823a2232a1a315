"""Which places attention would have to look at more for a label."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..core.layout import Grid
from ..core.resize import resized
from ..core.view import View
from ..network import Attention, AttentionBlock
from ..network.attention.scores import scored_blocks
from ..network.tensors import FloatArray
from .base import AttentionMap
from .tokens import grid_of_keys


class LeGrad(AttentionMap):
    """How much a label's score in each layer would rise if tokens attended more to a place.

    Bousselham et al.: LeGrad: An Explainability Method for Vision Transformers via Feature Formation Sensitivity
    (2024): the positive part of the gradient of a layer's score with respect to its probabilities, averaged over heads
    and queries, then over the layers. A layer's score is what the network's head says of the mean of the tokens that
    this layer leaves; here the head is what runs behind the last layer whose tokens are as many and as wide. The paper
    brings maps to 0..1 at the end; these keep their scale.

    All layers together take one differentiated pass of its own, in which they do not depend on each other.

    By default layers are read whose tokens the head takes: as wide as the last one's, so in PiT, PVT and Swin those of
    the last stage. Where windows attend by themselves it is refused.

    Raises:
        TypeError: see ``AttentionMap``.
        ValueError: see ``AttentionMap``.
    """

    rule = "blocks"
    contrastable = True

    def check(self, blocks: Sequence[AttentionBlock], size: Grid) -> None:
        for layer in self.layers:
            for block in scored_blocks([block for block in blocks if block.lies_in(layer)]):
                grid_of_keys(block, size)

    def attribute(self, view: View) -> FloatArray:
        maps = [_map(one, view.size) for one in self.attention(view)]
        mean: FloatArray = np.mean(maps, axis=0, dtype=np.float32)
        return mean


def _map(one: Attention, size: tuple[int, int]) -> FloatArray:
    """The map (Q, H, W) of a layer."""
    height, width = grid_of_keys(one.block, size)
    keys = np.maximum(one.gradients, 0).mean(axis=(1, 2))
    return resized(keys[:, keys.shape[1] - height * width :].reshape(len(keys), height, width), size)
