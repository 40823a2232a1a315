"""What an explainer of superpixels found on one image for one label: numbers, and pictures of them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from PIL import Image

from ...summary_format import original_picture
from ...summary_format.images import Statistics
from ..arguments import real_number, whole_number
from ..network.tensors import FloatArray, IntArray
from .superpixels import of_scikit_image

Weights = npt.NDArray[np.float64]
_COLOURS = {1: (0, 255, 0), -1: (255, 0, 0)}  # of what speaks for the label, and against it
_HIDDEN = 128


@dataclass(frozen=True, eq=False)
class SuperpixelExplanation:
    """A linear model of what showing each segment does to the probability of a label.

    Attributes:
        label: that was asked about.
        segments: (H, W), the segment of each pixel, from 0 to K - 1.
        weights: (K,), what showing a segment adds to the probability.
        intercept: of the model: the probability that it gives where all segments are hidden.
        score: weighted R^2 of the model over the images it was fitted on; NaN where the network says the same of all.
        prediction: the network's probability of the label on the untouched image.
        local_prediction: what the model gives instead, the intercept and all weights added up.
        image: (C, H, W), as the network takes it.
        errors: (K,), the standard error of each weight; None of methods that do not know it.
    """

    label: int
    segments: IntArray
    weights: Weights
    intercept: float
    score: float
    prediction: float
    local_prediction: float
    image: FloatArray = field(repr=False)
    errors: Weights | None = None

    def mask(
        self,
        positive_only: bool = True,
        negative_only: bool = False,
        hide_rest: bool = False,
        num_features: int = 5,
        min_weight: float = 0.0,
    ) -> npt.NDArray[np.int8]:
        """Where the most important segments are.

        Args:
            positive_only: choose among segments that speak for the label.
            negative_only: choose among those that speak against it; set positive_only to False too. With both False
                among all.
            hide_rest: without effect here; see ``picture``.
            num_features: how many to choose at most, from the largest absolute weight on.
            min_weight: choose only those whose absolute weight is above it.

        Returns:
            (H, W): 1 on chosen segments that speak for the label, -1 on those against it, 0 elsewhere. (The lime
            package has 1 for both unless it is asked for both.)

        Raises:
            ValueError: if positive_only and negative_only are both True, num_features is not a whole number from 1, or
                min_weight is below 0.
        """
        if positive_only and negative_only:
            raise ValueError("positive_only and negative_only are both True; set one to False, or both to see all")
        most, least = whole_number(num_features, "num_features"), real_number(min_weight, "min_weight")
        if least < 0:
            raise ValueError(f"min_weight must not be below 0, got {min_weight!r}; it is held against absolute weights")
        wanted = np.abs(self.weights) > least
        if positive_only or negative_only:
            wanted &= (self.weights > 0) if positive_only else (self.weights < 0)
        ranked = np.argsort(-np.abs(self.weights), kind="stable")
        chosen = ranked[wanted[ranked]][:most]
        signs = np.zeros(len(self.weights), np.int8)
        signs[chosen] = np.sign(self.weights[chosen])
        return signs[self.segments]

    def picture(
        self,
        positive_only: bool = True,
        negative_only: bool = False,
        hide_rest: bool = False,
        num_features: int = 5,
        min_weight: float = 0.0,
        image: Image.Image | None = None,
        mean: Statistics | None = None,
        std: Statistics | None = None,
    ) -> Image.Image:
        """The image with the most important segments outlined: green what speaks for the label, red what against it.

        With positive_only and negative_only both False the segments are coloured as well.

        Args:
            positive_only: see ``mask``.
            negative_only: see ``mask``.
            hide_rest: make all other pixels grey.
            num_features: see ``mask``.
            min_weight: see ``mask``.
            image: what to draw on, resized where sizes differ; by default the image itself.
            mean: what was subtracted from the image's pixels, for each channel or for all.
            std: what the rest was divided by. Without both, colours are stretched over the image's range.

        Returns:
            RGB, of the map's size.

        Raises:
            TypeError: if image is not a PIL picture.
            ValueError: as ``mask``; or if the image has not 1, 3 or 4 channels, or the statistics do not fit it.
        """
        mask = self.mask(positive_only, negative_only, hide_rest, num_features, min_weight)
        if image is not None and not isinstance(image, Image.Image):
            raise TypeError(
                f"image must be a PIL picture, got {type(image).__name__}; without it the image itself is drawn on"
            )
        beneath = image or original_picture(self.image, mean, std)
        pixels = np.array(beneath.convert("RGB").resize((mask.shape[1], mask.shape[0])))
        if hide_rest:
            pixels[mask == 0] = _HIDDEN
        outline = of_scikit_image("find_boundaries")(mask, mode="inner")
        for sign, colour in _COLOURS.items():
            inside = mask == sign
            if not (positive_only or negative_only):
                pixels[inside] = (pixels[inside].astype(int) + colour) // 2
            pixels[inside & outline] = colour
        return Image.fromarray(pixels)
