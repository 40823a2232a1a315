"""What each place says for a label, through all layers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..core.layout import Grid
from ..core.resize import resized
from ..core.view import View
from ..network import AttentionBlock
from ..network.tensors import FloatArray
from .base import AttentionMap
from .tokens import TokenChain


class AttentionRelevance(AttentionMap):
    """How much each place adds to a label's logit through attention, layer upon layer.

    Chefer, Gur, Wolf: Generic Attention-model Explainability for Interpreting Bi-Modal and Encoder-Decoder Transformers
    (2021), equations 5 and 6 for self-attention: R starts as I, and each layer adds the mean over heads of the positive
    part of dlogit/dA * A, times R. The map is the row of the class token, or the mean of the rows of all tokens that
    the logits depend on. In class attention (CaiT), whose queries are class tokens alone, other tokens stay as they
    are.

    It shares the differentiated pass with ``Gradient``, ``GradCAM`` and the like.

    It is refused where tokens change from layer to layer (PiT, PVT, Swin), or windows attend by themselves. Layers
    between such changes may be named; the map then says nothing of the layers before.

    Raises:
        TypeError: see ``AttentionMap``.
        ValueError: see ``AttentionMap``.
    """

    rule = "plain"
    contrastable = True

    def check(self, blocks: Sequence[AttentionBlock], size: Grid) -> None:
        TokenChain.of(blocks, size)

    def attribute(self, view: View) -> FloatArray:
        attention = self.attention(view)
        chain = TokenChain.of([one.block for one in attention], view.size)
        relevance = np.repeat(chain.read()[None], len(view.rows), axis=0)
        for one in reversed(attention):
            positive = np.maximum(one.probabilities * one.gradients, 0).mean(axis=1)
            asked = relevance[:, None, chain.queries(one.block)]
            relevance[:, chain.keys(one.block)] += np.matmul(asked, positive)[:, 0]
        return resized(chain.places(relevance), view.size)
