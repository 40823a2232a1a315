"""Explainers that read the gradient with respect to the image, plain or rectified."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from mindspore import nn

from ..arguments import yes_or_no
from ..core.explainer import Explainer
from ..core.resize import stretched
from ..core.view import Needs, View
from ..network import Rule
from ..network.tensors import FloatArray


class PixelAttribution(Explainer):
    """A method that gives every channel of every pixel a value, which then become one per pixel."""

    pynative = True

    def attribute(self, view: View) -> FloatArray:
        return self.reduced(self.by_channel(view))

    @abstractmethod
    def by_channel(self, view: View) -> FloatArray:
        """Values (Q, C, H, W), one per channel of each pixel."""

    def images_by_channel(self, questions: int, shape: tuple[int, ...]) -> Mapping[str, int]:
        """How many images (C, H, W) ``by_channel`` runs through the network itself, by kind of pass.

        Raises:
            ValueError: if its options do not fit images of that shape.
        """
        return {}

    @abstractmethod
    def reduced(self, values: FloatArray) -> FloatArray:
        """Maps (Q, H, W) of values (Q, C, H, W)."""


class GradientSize(PixelAttribution):
    """Largest absolute derivative over the channels of each pixel, by the rule of the class; never negative."""

    signed = False
    contrastable = True
    rule: ClassVar[Rule] = "plain"

    def by_channel(self, view: View) -> FloatArray:
        return view.derivatives(self.rule).input_gradient

    def reduced(self, values: FloatArray) -> FloatArray:
        return largest_of_channels(values)


class Gradient(GradientSize):
    """Largest absolute derivative of the label's logit over the channels of each pixel; never negative.

    Simonyan, Vedaldi, Zisserman: Deep Inside Convolutional Networks (2013), section 3.1.

    Args:
        network: see ``Explainer``.
        name: see ``Explainer``.
        loss: differentiate the cross entropy of softmax with the label instead of the label's logit. Ask for the true
            labels then; of several labels of an image each is the true one of its own map.
        normalize: stretch each map to 0..1; a constant one becomes 0.

    Raises:
        TypeError: if the network is not a ``mindspore.nn.Cell``.
        ValueError: if loss or normalize is neither True nor False.
    """

    def __init__(
        self, network: nn.Cell, name: str | None = None, *, loss: bool = False, normalize: bool = False
    ) -> None:
        super().__init__(network, name)
        self.loss, self.normalize = yes_or_no(loss, "loss"), yes_or_no(normalize, "normalize")
        self.needs = Needs.gradient(rule=self._rule)
        self.contrastable = not self.loss  # the cross entropy knows one label

    @property
    def _rule(self) -> Rule:
        return "loss" if self.loss else "plain"

    def by_channel(self, view: View) -> FloatArray:
        return view.derivatives(self._rule).input_gradient

    def reduced(self, values: FloatArray) -> FloatArray:
        maps = largest_of_channels(values)
        return stretched(maps) if self.normalize else maps


class GuidedBackprop(GradientSize):
    """As ``Gradient``, but a ReLU lets back only what is positive, and only where its input was.

    Springenberg et al.: Striving for Simplicity (2014), section 3.4. Holds for ReLU and ReLU6, as cells or functions,
    also in blocks under ``mindspore.jit``. Hard-swish, hard-sigmoid, smooth and leaky activations keep their gradient.
    A network without ReLU or ReLU6 between its images and its logits is refused, and so is one that also rectifies in
    another way, such as by ``ops.maximum(x, 0)`` or ``x * (x > 0)``.
    """

    rule = "guided"
    needs = Needs.gradient(rule="guided")


class Deconvolution(GradientSize):
    """As ``Gradient``, but a ReLU lets back only what is positive, wherever its input was.

    Zeiler, Fergus: Visualizing and Understanding Convolutional Networks (2013), section 2.1. Holds for ReLU and ReLU6,
    as cells or functions; see ``GuidedBackprop`` for what keeps its gradient, and for what is refused.
    """

    rule = "deconvolution"
    needs = Needs.gradient(rule="deconvolution")


class InputXGradient(PixelAttribution):
    """Pixel value times derivative of the label's logit, summed over channels; signed.

    On a network that is linear in the image, without bias, the map sums up to the logit.
    Shrikumar et al.: Not Just a Black Box (2016).
    """

    signed = True
    contrastable = True
    needs = Needs.gradient()

    def by_channel(self, view: View) -> FloatArray:
        return view.asked_images * view.derivatives().input_gradient

    def reduced(self, values: FloatArray) -> FloatArray:
        return summed_over_channels(values)


def largest_of_channels(values: FloatArray) -> FloatArray:
    """The largest absolute value (Q, H, W) over the channels of each pixel."""
    largest: FloatArray = np.abs(values).max(axis=1)
    return largest


def summed_over_channels(values: FloatArray) -> FloatArray:
    """The sum (Q, H, W) over the channels of each pixel."""
    summed: FloatArray = values.sum(axis=1)
    return summed
