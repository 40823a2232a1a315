"""Where the last tokens attend to, through all layers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..core.layout import Grid
from ..core.resize import resized
from ..core.view import View
from ..network import AttentionBlock
from ..network.tensors import FloatArray, check_labels
from .base import AttentionMap
from .tokens import TokenChain

_HALF = np.float32(0.5)


class AttentionRollout(AttentionMap):
    """How much of each place reaches the tokens that classes are made from, through attention and residuals.

    Abnar, Zuidema: Quantifying Attention Flow in Transformers (2020): the product of 0.5 A + 0.5 I over the layers, A
    being the mean of the heads' probabilities; here the row of the class token, or the mean of the rows of all tokens
    that the logits depend on. In class attention (CaiT), whose queries are class tokens alone, other tokens stay as
    they are. Probabilities are those that softmax gives, also where heads are mixed behind it, as in CaiT.

    The label plays no role: attention says where the network looks, not what for. It takes no gradient; all that read
    attention or layers' outputs share one forward pass of each image.

    It is refused where tokens change from layer to layer (PiT, PVT, Swin), or windows attend by themselves. Layers
    between such changes may be named; the map then says nothing of the layers before.

    Raises:
        TypeError: see ``AttentionMap``.
        ValueError: see ``AttentionMap``.
    """

    def check(self, blocks: Sequence[AttentionBlock], size: Grid) -> None:
        TokenChain.of(blocks, size)

    def attribute(self, view: View) -> FloatArray:
        check_labels(view.labels, view.logits.shape[1])
        attention = self.attention(view)
        chain = TokenChain.of([one.block for one in attention], view.size)
        rows, place = np.unique(view.rows, return_inverse=True)
        relevance = np.repeat(chain.read()[None], len(rows), axis=0)
        for one in reversed(attention):
            keys, queries = chain.keys(one.block), chain.queries(one.block)
            mixed = _HALF * relevance[:, queries]
            relevance[:, queries] -= mixed
            relevance[:, keys] += np.matmul(mixed[:, None], one.probabilities[rows])[:, 0]
        maps: FloatArray = resized(chain.places(relevance), view.size)[place]
        return maps
