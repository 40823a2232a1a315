"""Finer-CAM: why this label, and not others that the network finds about as likely."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from mindspore import nn
from scipy.special import softmax

from ...summary_format.problem import Problem
from ..arguments import is_whole, number_from, whole_number, yes_or_no
from ..core.needs import check_against
from ..core.view import Needs, View
from ..network.tensors import FloatArray, IntArray, check_labels
from .base import Reshape
from .cam import GradCAM

Logits = npt.NDArray[np.float64]

_LEAST_CLASSES = 2


@dataclass(frozen=True)
class AgainstOthers:
    """The label's logit less a share of the mean logit of others.

    Attributes:
        named: the others; a label that is among them is set apart from the rest, and where there is no rest all weights
            are 0. None for the nearest.
        gamma: share of the mean.
        nearest: how many of those whose logits are nearest to the label's, at most all.
        weighted: whether the mean weighs them by the softmax of their logits, which is differentiated too.
    """

    named: tuple[int, ...] | None
    gamma: float
    nearest: int
    weighted: bool

    def weights(self, logits: FloatArray, labels: IntArray) -> FloatArray:
        classes = logits.shape[1]
        if classes < _LEAST_CLASSES:
            raise ValueError(Problem.of("one-logit-alone", "FinerCAM needs at least two logits, there is one"))
        check_labels(labels, classes)
        check_against(max(self.named or (0,)), classes)
        asked = zip(logits.astype(np.float64), labels.tolist(), strict=True)
        return np.stack([self._of_question(of_image, label) for of_image, label in asked]).astype(np.float32)

    def _of_question(self, logits: Logits, label: int) -> Logits:
        """By what each logit (classes,) of an image is multiplied."""
        weights, others = np.zeros(len(logits)), self._others(logits, label)
        if len(others):
            shares = _softmax_slopes(logits[others]) if self.weighted else np.full(len(others), 1 / len(others))
            weights[others] = -self.gamma * shares
            weights[label] = 1
        return weights

    def _others(self, logits: Logits, label: int) -> IntArray:
        """The labels that one is set apart from."""
        if self.named is not None:
            return np.array([other for other in self.named if other != label], np.int64)
        apart = np.abs(logits - logits[label])
        apart[label] = np.inf
        nearest: IntArray = np.argsort(apart, kind="stable")[: min(self.nearest, len(logits) - 1)]
        return nearest


class FinerCAM(GradCAM):
    """As ``GradCAM``, but of the label's logit less a share of the logits of others: what sets the label apart.

    Zhang et al.: Finer-CAM (2025): y - gamma times the mean of the others' logits. Never negative. The others are those
    whose logits are nearest to the label's, or those that are named. The authors' code, which is also grad-cam's, takes
    ``gamma=1, weighted=True``: it weighs the others by their probabilities, and differentiates these too. Costs a
    differentiated image per question, in passes that all share who ask for the same difference.

    Args:
        network: see ``Explainer``.
        layer: see ``ActivationMap``.
        against: the label, or several, to set each label apart from. A question about one of them is set apart from the
            rest; where there is no rest, its map is 0, as that of a ``Contrast`` of a label and itself. By default the
            ``num_references`` whose logits are nearest.
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

    contrastable = False
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
        self.against = None if against is None else _labels(against)
        self.gamma, self.num_references = number_from(gamma, "gamma"), whole_number(num_references, "num_references")
        self.weighted = yes_or_no(weighted, "weighted")
        self._weights = AgainstOthers(self.against, self.gamma, self.num_references, self.weighted)
        super().__init__(network, layer, name, reshape=reshape)

    def maps(self, view: View) -> dict[str, FloatArray]:
        return super().maps(view.weighed(self._weights))

    def _needed(self) -> Needs:
        return Needs.of_weighed(self._weights, super()._needed())


def _labels(against: Any) -> tuple[int, ...]:
    """One label or several, each once.

    Raises:
        ValueError: if they are none.
    """
    several = [against] if is_whole(against) else against
    if not isinstance(several, (list, tuple, np.ndarray)) or not len(several):
        words = "against must be a label or several, such as [3, 5], got {given!r}"
        raise ValueError(Problem.of("against-labels", words, given=against))
    return tuple(sorted({whole_number(one, "against", 0) for one in several}))


def _softmax_slopes(logits: Logits) -> Logits:
    """The gradient (n,) of the sum of logits (n,), each times its softmax."""
    shares = softmax(logits)
    slopes: Logits = shares * (1 + logits - shares @ logits)
    return slopes
