"""Finer-CAM: why this label, and not others that the network finds about as likely."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from mindspore import nn
from scipy.special import softmax

from ...summary_format.problem import Problem
from ..arguments import is_whole, number_from, whole_number, yes_or_no
from ..core.view import Needs, View
from ..network import INPUT_LAYER
from ..network.tensors import FloatArray, IntArray, check_labels
from .base import ActivationMap, Reshape, weighed

Logits = npt.NDArray[np.float64]

_LEAST_CLASSES = 2


class FinerCAM(ActivationMap):
    """As ``GradCAM``, but of the label's logit less a share of the logits of others: what sets the label apart.

    Zhang et al.: Finer-CAM (2025): y - gamma times the mean of the others' logits. Never negative. The others are those
    whose logits are nearest to the label's, or those that are named. The authors' code, which is also grad-cam's, takes
    ``gamma=1, weighted=True``: it weighs the others by their probabilities, and differentiates these too. Costs a
    differentiated image per question.

    Args:
        network: see ``Explainer``.
        layer: see ``ActivationMap``.
        against: the label, or several, to set each label apart from. A question about one of them is set apart from the
            rest; where there is no rest, its map is NaN. By default the ``num_references`` whose logits are nearest.
        gamma: share of their mean logit that is subtracted, from 0; 0 is ``GradCAM``.
        num_references: how many of the nearest there are, at most all that the network has.
        weighted: weigh the others by the softmax of their logits.
        name: see ``Explainer``.
        reshape: see ``ActivationMap``.

    Raises:
        TypeError: as ``ActivationMap``.
        ValueError: as ``ActivationMap``; or if against is not a whole number from 0 or several, gamma is below 0,
            num_references is not a whole number from 1, or weighted is neither True nor False. Later, if the network
            lacks a label, or has one alone.
    """

    signed = False
    sums_channels = True
    reads_logits = True

    def __init__(
        self,
        network: nn.Cell,
        layer: str | Sequence[str] | None = None,
        against: int | Sequence[int] | None = None,
        gamma: float = 0.6,
        num_references: int = 3,
        weighted: bool = False,
        name: str | None = None,
        *,
        reshape: Reshape = None,
    ) -> None:
        super().__init__(network, layer, name, reshape=reshape)
        self.against = None if against is None else _labels(against)
        self.gamma, self.num_references = number_from(gamma, "gamma"), whole_number(num_references, "num_references")
        self.weighted = yes_or_no(weighted, "weighted")

    def maps(self, view: View) -> dict[str, FloatArray]:
        parts = [self._part(part) for part in view.chunks(view.network.pass_size)]
        return {layer: np.concatenate([part[layer] for part in parts]) for layer in self.layer}

    def inner_layers(self) -> set[str]:
        return (super().inner_layers() | set(self.layer)) - {INPUT_LAYER}

    def images_needed(self, images: int, questions: int, shape: tuple[int, ...]) -> Mapping[str, int]:
        return {"finer": questions}

    def _needed(self) -> Needs:
        return Needs()

    def _part(self, view: View) -> dict[str, FloatArray]:
        """The maps of each layer for the questions of a pass."""
        self._check_classes(view.logits.shape[1])
        check_labels(view.labels, view.logits.shape[1])
        asked = zip(view.logits[view.rows].astype(np.float64), view.labels.tolist(), strict=True)
        weights = np.stack([self._weights(logits, label) for logits, label in asked])
        found = view.network.differentiate(view.asked_images, weights, self.layer, kind="finer", image=False)
        alone = np.array([not len(self._named(label)) for label in view.labels.tolist()])
        maps = {}
        for layer in self.layer:
            activation = self.grid(found.activations[layer], layer, view.size)
            gradient = self.grid(found.gradients[layer], layer, view.size)
            maps[layer] = self.summed(weighed(gradient.mean(axis=(2, 3)), activation)).clip(min=0)
            maps[layer][alone] = np.nan
        return maps

    def _weights(self, logits: Logits, label: int) -> FloatArray:
        """What each logit (classes,) of an image counts in what is differentiated."""
        others = self._others(logits, label)
        shares = _softmax_slopes(logits[others]) if self.weighted else np.full(len(others), 1 / max(len(others), 1))
        weights = np.zeros(len(logits))
        weights[others] = -self.gamma * shares
        weights[label] = 1
        return weights.astype(np.float32)

    def _others(self, logits: Logits, label: int) -> IntArray:
        """The labels that one is set apart from."""
        if self.against is not None:
            return self._named(label)
        apart = np.abs(logits - logits[label])
        apart[label] = np.inf
        nearest: IntArray = np.argsort(apart, kind="stable")[: min(self.num_references, len(logits) - 1)]
        return nearest

    def _named(self, label: int) -> IntArray:
        """Of the labels that were named, those that are not this one; any one where none was."""
        return np.zeros(1, np.int64) if self.against is None else self.against[self.against != label]

    def _check_classes(self, classes: int) -> None:
        if classes < _LEAST_CLASSES:
            raise ValueError(Problem.of("one-logit-alone", "FinerCAM needs at least two logits, there is one"))
        if self.against is not None and self.against.max() >= classes:
            words = "against must lie in 0..{last}, the labels that there are, got {given}"
            raise ValueError(Problem.of("against-unknown", words, last=classes - 1, given=int(self.against.max())))


def _labels(against: Any) -> IntArray:
    """One label or several, each once.

    Raises:
        ValueError: if they are none.
    """
    several = [against] if is_whole(against) else against
    if not isinstance(several, (list, tuple, np.ndarray)) or not len(several):
        words = "against must be a label or several, such as [3, 5], got {given!r}"
        raise ValueError(Problem.of("against-labels", words, given=against))
    return np.unique([whole_number(one, "against", 0) for one in several])


def _softmax_slopes(logits: Logits) -> Logits:
    """The gradient (n,) of the sum of logits (n,), each times its softmax."""
    shares = softmax(logits)
    slopes: Logits = shares * (1 + logits - shares @ logits)
    return slopes
