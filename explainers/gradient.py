"""Explainers that read the gradient of the logit with respect to the image."""

from __future__ import annotations

import numpy as np

from .explainer import Explainer
from .network import FloatArray
from .view import Needs, View


class Gradient(Explainer):
    """Largest absolute derivative of the label's logit over the channels of each pixel; never negative.

    Simonyan, Vedaldi, Zisserman: Deep Inside Convolutional Networks (2013), section 3.1.
    """

    needs = Needs(gradients=True)

    def attribute(self, view: View) -> FloatArray:
        largest: FloatArray = np.abs(view.derivatives.input_gradient).max(axis=1)
        return largest


class InputXGradient(Explainer):
    """Pixel value times derivative of the label's logit, summed over channels; signed.

    On a network that is linear in the image, without bias, the map sums up to the logit.
    Shrikumar et al.: Not Just a Black Box (2016).
    """

    needs = Needs(gradients=True)

    def attribute(self, view: View) -> FloatArray:
        summed: FloatArray = (view.asked_images * view.derivatives.input_gradient).sum(axis=1)
        return summed
