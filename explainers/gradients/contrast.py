"""Why one label, and not another: what an explainer gives for the difference of their logits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from ...summary_format.problem import Problem
from ..core.explainer import Explainer, check_explainer
from ..core.needs import HIGHEST, Against
from ..core.together import Estimate
from ..core.view import Needs, View
from ..network.tensors import FloatArray

Reading = TypeVar("Reading", bound="Contrast")


class Contrast(Explainer):
    """What a gradient explainer or a CAM gives for the label's logit less another one, instead of the logit alone.

    Prabhushankar et al.: Contrastive Explanations in Neural Networks (2020), whose contrast is a loss; the difference
    of logits is that of Gu et al.: Understanding Individual Decisions of CNNs via Contrastive Backpropagation (2018).
    The map belongs to the question about the label. Costs what the explainer does, in passes that all contrasts with
    the same label share. Of a label and itself the difference is 0, and so is the map.

    Args:
        explainer: reads gradients of logits: ``InputXGradient``, ``IntegratedGradients``, ``GradCAM``,
            ``NoiseTunnel``, ...
        against: the other label, or "highest" for the one whose logit on the image is the highest beside the label's:
            the predicted one, or the second where the label is predicted itself.
        name: see ``Explainer``.

    Raises:
        TypeError: if explainer is none, or does not explain differences of logits.
        ValueError: if against is neither a whole number from 0 nor "highest". Later, if the network has no such label.
    """

    pynative = True

    def __init__(self, explainer: Explainer, against: int | str = HIGHEST, name: str | None = None) -> None:
        check_explainer(explainer)
        if not explainer.contrastable:
            words = (
                "explainer must explain differences of logits, {kind} does not; take InputXGradient, "
                "IntegratedGradients, GradCAM, or another one that reads gradients of logits"
            )
            raise TypeError(Problem.of("not-contrastable", words, kind=type(explainer).__name__))
        super().__init__(explainer.network, name)
        self.explainer, self.against, self._weights = explainer, against, Against(against)
        self.signed, self.error_format = explainer.signed, explainer.error_format
        self.passes_in_turn = explainer.passes_in_turn
        self.needs = self._needed()

    def with_layer(self: Reading, layer: str | Sequence[str], reshape: tuple[int, int] | None = None) -> Reading:
        reading = super().with_layer(layer, reshape)
        reading.needs = reading._needed()
        return reading

    def attribute(self, view: View) -> FloatArray:
        return self.explainer.attribute(view.weighed(self._weights))

    def estimate(self, view: View) -> Estimate:
        return self.explainer.estimate(view.weighed(self._weights))

    @property
    def knows_errors(self) -> bool:
        return self.explainer.knows_errors

    def images_needed(self, images: int, questions: int, shape: tuple[int, ...]) -> Mapping[str, int]:
        return self.explainer.images_needed(images, questions, shape)

    def images_needed_for(self, view: View) -> Mapping[str, int]:
        return self.explainer.images_needed_for(view)

    def _needed(self) -> Needs:
        return Needs.of_weighed(self._weights, self.explainer.needs)
