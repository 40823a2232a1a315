"""The questions of explanations, asked of a network that was changed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...explainers.core.view import Needs, View
from ...explainers.network import Network
from ...explainers.network.tensors import FloatArray
from ..core.explanation import Explanation


def asked_of(network: Network, explanations: Sequence[Explanation], images: FloatArray, kind: str) -> View:
    """The same questions about images, or changed ones, asked of another network; images that none is about left out.

    What it says of the images is asked when an explainer first looks at it: the original network, whose layers are
    changed too for the time being, must not be asked then.

    Args:
        network: the changed one.
        explanations: of the explainers that are going to look at it.
        images: (N, C, H, W), one for each of the explanations' images.
        kind: what passes count as that ask for logits.
    """
    view, needs = explanations[0].view, Needs.together(one.explainer.needs for one in explanations)
    rows, places = np.unique(view.rows, return_inverse=True)
    asked = images[rows]

    def logits() -> FloatArray:
        explanations[0].count_passes(kind, len(rows))
        return network.pooled_logits(asked, kind)

    return view.with_images(rows, asked, places, view.labels, logits, needs, network)
