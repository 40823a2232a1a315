"""RISE whose masks count as much as what they leave looks like the training images."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from mindspore import nn

from ..core.view import View
from ..network import Block, by_image
from ..network.tensors import Activation, FloatArray
from ..ood.ood_net import OoDNet
from .rise import RISE, Weights

_log = logging.getLogger("explainrun")
_NO_MAP = (
    "%s: the OoDNet scores %s no higher than %s, so it gets no map (NaN); train the OoDNet for more epochs, on images "
    "such as these, or use RISE"
)


class RISEPlus(RISE):
    """As ``RISE``, but each mask weighs as much as the masked image looks like those that the network was trained on.

    Qiu et al.: Resisting Out-of-Distribution Data Problem in Perturbation of XAI (2021), section 4. A mask's weight is
    the inlier score of the masked image (the largest score that ``ood_net`` gives it), stretched so that the image
    behind a mask that hides everything has 0 and the untouched image 1, and cut to 0..1. The map is the weighted mean:
    sum of weight times probability times mask, over p times the sum of weights. A map is not computed (NaN, which is
    logged with what to do) where the untouched image scores no higher than the hidden one, or no masked one does. Costs
    the N images of ``RISE``, and N + 2 of the OoDNet.

    Args:
        ood_net: trained on what the network was trained on.
        network: see ``RISE`` for all that follow.
        activation_fn: from logits to probabilities.
        perturbation_per_eval: without effect.
        num_masks: N.
        grid: cells of a mask.
        probability: p.
        name: see ``Explainer``.

    Raises:
        TypeError: if the OoDNet, the network or the activation is of another type.
        ValueError: as ``RISE``.
    """

    def __init__(
        self,
        ood_net: OoDNet,
        network: nn.Cell,
        activation_fn: Activation,
        perturbation_per_eval: int = 32,
        num_masks: int = 6000,
        grid: int | tuple[int, int] = 7,
        probability: float = 0.5,
        name: str | None = None,
    ) -> None:
        if not isinstance(ood_net, OoDNet):
            raise TypeError(f"ood_net must be an OoDNet, got {type(ood_net).__name__}; train one on your data first")
        super().__init__(network, activation_fn, perturbation_per_eval, num_masks, grid, probability, name)
        self.ood_net = ood_net
        if not ood_net.trained:
            _log.warning("%s: the OoDNet was neither trained nor loaded, so its scores mean nothing", self.name)

    def images_needed(self, images: int, questions: int, shape: tuple[int, ...]) -> Mapping[str, int]:
        return {**super().images_needed(images, questions, shape), "ood": images * (self.num_masks + 2)}

    def _weights(self, view: View, rows: Sequence[int]) -> Iterator[Weights]:
        detector = view.network.beside(self.ood_net)
        scores = _largest(detector.streamed_logits(self._with_ends(view, rows), "ood"))
        for of_image in by_image(scores, [self.num_masks + 2] * len(rows)):
            hidden, untouched, masked = of_image[0], of_image[1], of_image[2:].astype(np.float64)
            if untouched > hidden:
                yield self._counted(((masked - hidden) / (untouched - hidden)).clip(0.0, 1.0))
            else:
                _log.warning(_NO_MAP, self.name, "an image", "a hidden one")
                yield np.full(self.num_masks, np.nan)

    def _counted(self, weights: Weights) -> Weights:
        """The weights (N,) of an image's masks; if all of them are 0, that is said."""
        if not weights.any():
            _log.warning(_NO_MAP, self.name, "an image behind any of its masks", "the hidden one")
        return weights

    def _with_ends(self, view: View, rows: Sequence[int]) -> Iterator[FloatArray | Block]:
        """Every image (C, H, W) hidden, untouched, and behind each of its masks."""
        for row in rows:
            yield np.zeros_like(view.images[row])
            yield view.images[row]
            yield from self._masked(view, row)


def _largest(parts: Iterator[FloatArray]) -> Iterator[FloatArray]:
    for scores in parts:
        yield scores.max(axis=1)
