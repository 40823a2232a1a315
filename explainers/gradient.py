"""Explainers that read the gradient of the logit with respect to the image, plain or rectified."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from .explainer import Explainer
from .network import Rule
from .tensors import FloatArray
from .view import Needs, View


class Gradient(Explainer):
    """Largest absolute derivative of the label's logit over the channels of each pixel; never negative.

    Simonyan, Vedaldi, Zisserman: Deep Inside Convolutional Networks (2013), section 3.1.
    """

    rule: ClassVar[Rule] = "plain"
    needs = Needs.gradient()

    def attribute(self, view: View) -> FloatArray:
        largest: FloatArray = np.abs(view.derivatives(self.rule).input_gradient).max(axis=1)
        return largest


class GuidedBackprop(Gradient):
    """As ``Gradient``, but a ReLU lets back only what is positive, and only where its input was.

    Springenberg et al.: Striving for Simplicity (2014), section 3.4. Holds for ReLU and ReLU6, as cells or functions;
    other activations keep their gradient. A network without any of the two is refused.
    """

    rule = "guided"
    needs = Needs.gradient(rule="guided")


class Deconvolution(Gradient):
    """As ``Gradient``, but a ReLU lets back only what is positive, wherever its input was.

    Zeiler, Fergus: Visualizing and Understanding Convolutional Networks (2013), section 2.1. Holds for ReLU and ReLU6,
    as cells or functions; other activations keep their gradient. A network without any of the two is refused.
    """

    rule = "deconvolution"
    needs = Needs.gradient(rule="deconvolution")


class InputXGradient(Explainer):
    """Pixel value times derivative of the label's logit, summed over channels; signed.

    On a network that is linear in the image, without bias, the map sums up to the logit.
    Shrikumar et al.: Not Just a Black Box (2016).
    """

    needs = Needs.gradient()

    def attribute(self, view: View) -> FloatArray:
        summed: FloatArray = (view.asked_images * view.derivatives().input_gradient).sum(axis=1)
        return summed
