"""DeepLIFT: what of a logit's change from a reference each pixel's change from it accounts for."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from mindspore import nn

from ..core.together import Estimate
from ..core.view import View
from ..network.tensors import FloatArray
from ..network.variants.rescaled import RESCALE, Pair, images_of_pairs, rescaled_by_pass
from ..perturbation.references import Baselines, References
from .complete_attribution import CompleteAttribution

Sums = npt.NDArray[np.float64]


class DeepLift(CompleteAttribution):
    """Distance from the baseline times the multiplier by the rescale rule, summed over channels; signed.

    Shrikumar et al.: Learning Important Features Through Propagating Activation Differences (2017), section 3.5.1. The
    multiplier is the gradient, but that every nonlinearity has the slope of the straight line from what it gets of the
    baseline to what it gets of the image; where these are the same, its own. A maximum's rise above the baseline's goes
    to the place where it lies, and its fall below that to where the baseline's lies, as in captum and shap. A map sums
    up to the logit of the image less that of the baseline; ``completeness_error`` and a run's archive give the error of
    that, which is rounding. Holds for functions of single values, however they are called (ReLU, ReLU6, sigmoid, tanh,
    SiLU, GELU, ...), max and mean pooling and what is linear; a network that multiplies values of the image by others
    of it (attention, squeeze gates, layer normalisation) is refused, with the layer. Costs an image per question and
    baseline, and a row for the baseline in each pass.

    Args:
        network: see ``Explainer``.
        baselines: one of what ``IntegratedGradients`` takes, or a list, over which the map is a mean; an array (K, C,
            H, W) of images; or "pool", the first 20 samples of a run's dataset, or {"pool": K}.
        name: see ``Explainer``.

    Raises:
        TypeError: if the network is not a ``mindspore.nn.Cell``.
        ValueError: if a baseline is malformed, or there are none. Later, if one does not fit the images, the rule is
            not defined for the network, or MindSpore is older than 2.10, which does not show what runs.
    """

    def __init__(self, network: nn.Cell, baselines: Baselines = 0.0, name: str | None = None) -> None:
        super().__init__(network, name)
        self._references = References.of(baselines)
        self.baselines = self._references.pool or baselines

    def by_channel(self, view: View) -> FloatArray:
        return self._attributed(view)[0].astype(np.float32)

    def estimate(self, view: View) -> Estimate:
        """Maps, and of each its sum less what it should be: the fall of the logit from the image to the baselines."""
        return self.with_errors(*self._attributed(view))

    def images_needed(self, images: int, questions: int, shape: tuple[int, ...]) -> Mapping[str, int]:
        return {RESCALE: 2 * self.images_by_channel(questions, shape)[RESCALE]}  # where no two share a baseline's row

    def images_needed_for(self, view: View) -> Mapping[str, int]:
        keys = [pair.key for pair in self._pairs(view)]
        return {RESCALE: images_of_pairs(keys, view.network.pass_size)}

    def images_by_channel(self, questions: int, shape: tuple[int, ...]) -> Mapping[str, int]:
        """Those compared; the baselines, of which many passes have one, are not known before."""
        self._references.check_fit(shape)
        return {RESCALE: questions * self._references.number}

    def _pairs(self, view: View) -> list[Pair]:
        """What is compared: baseline after baseline, so that a pass of questions holds few of them."""
        references, shared = self._references.by_row(view), self._references.shared
        pairs = []
        for place in range(len(next(iter(references.values()), ()))):
            for question, row in enumerate(view.rows.tolist()):
                key: Hashable = place if shared else (place, row)
                pairs.append(Pair(view.images[row], references[row][place], key, question))
        return pairs

    def _attributed(self, view: View) -> tuple[Sums, Sums]:
        """(Q, C, H, W) means over the baselines, and (Q,) the falls of the logits."""
        pairs: list[Pair] = self._pairs(view)
        attributed, falls = np.zeros((len(view.rows), *view.images.shape[1:])), np.zeros(len(view.rows))
        each: Any = len(view.rows) / max(len(pairs), 1)
        for found in rescaled_by_pass(view.network, pairs, view.targets):
            questions = np.array([pair.question for pair in found.pairs])
            fell = view.asked_values(found.logits.astype(np.float64) - found.reference_logits, questions)
            for pair, multiplier, fall in zip(found.pairs, found.multipliers, fell, strict=True):
                attributed[pair.question] += (pair.image - pair.reference) * multiplier.astype(np.float64) * each
                falls[pair.question] += fall * each
        return attributed, falls


class DeepLiftShap(DeepLift):
    """As ``DeepLift``, averaged over many baselines, such as other images of the dataset.

    Lundberg, Lee: A Unified Approach to Interpreting Model Predictions (2017), section 4.2 (Deep SHAP); signed. A map
    sums up to the logit of the image less the mean of the baselines' logits. See ``DeepLift`` for the rule, for what is
    refused and for the cost, which is that of each baseline; and for the arguments, but that ``baselines`` are a pool
    of 20 samples by default. A direct call knows no dataset, and needs others.
    """

    def __init__(self, network: nn.Cell, baselines: Baselines = "pool", name: str | None = None) -> None:
        super().__init__(network, baselines, name)
