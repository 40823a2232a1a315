"""Control maps, which know nothing of the network: what a method has to beat before its scores mean anything."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np
import numpy.typing as npt
from mindspore import nn
from scipy.ndimage import sobel

from .arguments import real_number
from .core.explainer import Explainer
from .core.view import View
from .network.tensors import FloatArray, check_labels

_SIGMAS = (0.1, 1.0)  # below, float32 is 0 in the corners and has no order there; above, the map is all but flat
_SOBEL_WEIGHTS = 8  # the sum of the filter's absolute weights: divided by it, a slope of 1 a pixel gives 1

Map = npt.NDArray[np.float64]


class Control(Explainer):
    """A map that is made without looking at what the network does.

    It runs nothing through the network. The logits, which a run has anyway, only show whether the label exists; a
    direct call takes one pass for them. Like every method without a layer it runs in graph mode too.
    """

    signed = False
    control = True

    def attribute(self, view: View) -> FloatArray:
        check_labels(view.labels, view.logits.shape[1])
        return self.drawn(view).astype(np.float32, copy=False)

    @abstractmethod
    def drawn(self, view: View) -> npt.NDArray[np.floating[Any]]:
        """Maps (Q, H, W), one per question of the view."""


class RandomMap(Control):
    """A control: noise, uniform in 0..1 (1 excluded), drawn for every pixel and question by itself.

    What scores no better has found nothing: this is chance. Hooker et al.: A Benchmark for Interpretability Methods in
    Deep Neural Networks (2019) remove pixels in random order beside those of each method, and few methods do better.

    The numbers come from the image's own generator, for this name and label: the same whatever else is asked, in
    whatever batch, shard or order. Two labels of an image get different noise, and so do two controls of different
    names, so that several show how far chance goes. Noise on the image does not change it: it is robust by its making.

    Args:
        network: see ``Explainer``; only to know its classes.
        name: see ``Explainer``; another name draws other numbers.

    Raises:
        TypeError: if the network is not a ``mindspore.nn.Cell``.
    """

    def drawn(self, view: View) -> FloatArray:
        questions = zip(view.rows.tolist(), view.labels.tolist(), strict=True)
        generators = (view.generator(row, f"{self.name} of label {label}") for row, label in questions)
        return np.stack([generator.random(view.size, np.float32) for generator in generators])


class CenterGaussian(Control):
    """A control: a Gaussian at the image's centre, its width a share of each side: exp(-(u^2 + v^2) / (2 sigma^2)).

    u and v are a pixel's distances from the centre, as shares of the image's width and height, so that it is stretched
    as the image is. Judd, Durand, Torralba: A Benchmark of Computational Models of Saliency to Predict Human Fixations
    (2012), whose centre baseline beats many models, since photographers put things into the middle. A method whose
    localization is no better may only have learnt where things tend to be; on the bundled scenes, whose digits lie
    anywhere, this map points little better than chance. It does much better than random maps in ``InsertionAUC``,
    which likes pixels that hang together: there it is the control for smooth maps.

    Neither image nor label play a role: no noise moves it, and it is the same for every class.

    Args:
        network: see ``Explainer``; only to know its classes.
        sigma: its standard deviation as a share of each side, 0.1..1. By default 0.25: two deviations from the centre
            to each border, and 27 % of the pixels above half the maximum. Metrics that take pixels in order, or the
            maximum alone, do not depend on it; those with a threshold do.
        name: see ``Explainer``.

    Raises:
        TypeError: if the network is not a ``mindspore.nn.Cell``.
        ValueError: if sigma lies outside.
    """

    def __init__(self, network: nn.Cell, sigma: float = 0.25, name: str | None = None) -> None:
        super().__init__(network, name)
        least, most = _SIGMAS
        if not least <= real_number(sigma, "sigma") <= most:
            raise ValueError(f"sigma must lie in {least}..{most:g}, shares of the image's sides, got {sigma!r}")
        self.sigma = float(sigma)

    def drawn(self, view: View) -> Map:
        rows, columns = (self._profile(side) for side in view.size)
        return np.repeat(np.outer(rows, columns)[None], len(view.rows), axis=0)

    def _profile(self, side: int) -> Map:
        """The Gaussian along one side, at the pixels' centres; mirrored halves have the same bits."""
        places = (2 * np.arange(side) + 1 - side) / (2 * side)
        profile: Map = np.exp(-0.5 * (places / self.sigma) ** 2)
        return profile


class SobelEdges(Control):
    """A control: how steep the image is at each pixel, the length of its gradient by Sobel's filters.

    sqrt(mean over channels of (gx^2 + gy^2)), gx and gy being scipy's ``ndimage.sobel`` over 8, so that a slope of 1 a
    pixel gives 1, and a grey picture in three channels gives what it gives in one. Channels are taken one by one, since
    a mean of them would not see the edge between two colours of one brightness. Pixels at the border are repeated
    outwards: the frame is not an edge.

    A map that looks like this, and scores no better, may show what is in the picture and not what the network sees in
    it. Adebayo et al.: Sanity Checks for Saliency Maps (2018), where maps that stay alike for a network of random
    weights look like those of an edge detector; Hooker et al. (2019) have Sobel's beside random order. Libraries
    differ: grad-cam's ``sobel_cam`` takes the mean of abs(gx) and abs(gy) of a grey 8-bit picture; Quantus' "Control
    Var. Sobel Filter" what is positive of gx alone, smoothed over the channels too.

    The label plays no role.
    """

    def drawn(self, view: View) -> Map:
        rows, place = np.unique(view.rows, return_inverse=True)
        return np.stack([_steepness(view.images[row]) for row in rows])[place]


class ConstantMap(Control):
    """A control: 1 everywhere, a map that says nothing of where.

    It has no order and no place above others, so every metric that needs one does not score it (NaN, counted as not
    scored). One that does score it does not look at where a map is large: what it gives here is what it gives for
    nothing, as ``Robustness`` gives its best. Quantus (Hedström et al. 2023) has it as "Control Var. Constant".

    Neither image nor label play a role.
    """

    def drawn(self, view: View) -> FloatArray:
        return np.ones((len(view.rows), *view.size), np.float32)


def _steepness(image: FloatArray) -> Map:
    """(H, W) of an image (C, H, W). Channel by channel: scipy's filter smooths along every axis that it is given."""
    steps = [sobel(channel, axis, mode="nearest") for channel in image.astype(np.float64) for axis in (0, 1)]
    steepness: Map = np.sqrt(np.square(steps).sum(axis=0) / len(image)) / _SOBEL_WEIGHTS
    return steepness
