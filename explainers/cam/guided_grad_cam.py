"""Guided Grad-CAM: the guided gradient where Grad-CAM looks."""

from __future__ import annotations

from ..core.view import Needs, View
from ..gradients.gradient import PixelAttribution, largest_of_channels
from ..network.tensors import FloatArray
from .cam import GradCAM


class GuidedGradCAM(GradCAM, PixelAttribution):
    """Guided gradient times the map of ``GradCAM``; of the channels of each pixel the largest absolute value.

    Selvaraju et al.: Grad-CAM (2017), section 3.2. The map is brought to the image's size bilinearly, as the paper does
    (captum's default is the nearest value). See ``ActivationMap`` for the arguments; ``layer_maps`` gives the
    maps of ``GradCAM``.
    """

    def attribute(self, view: View) -> FloatArray:
        return PixelAttribution.attribute(self, view)

    def by_channel(self, view: View) -> FloatArray:
        seen = GradCAM.attribute(self, view)
        return view.derivatives("guided").input_gradient * seen[:, None]

    def reduced(self, values: FloatArray) -> FloatArray:
        return largest_of_channels(values)

    def _needed(self) -> Needs:
        return Needs.together([super()._needed(), Needs.gradient(rule="guided")])
