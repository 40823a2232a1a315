"""FullGrad: the gradient of the image, and of every bias that the network adds on the way."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..core.explainer import Explainer
from ..core.resize import resized, stretched
from ..core.together import Estimate
from ..core.view import Needs, View
from ..network import Derivatives
from ..network.tensors import FloatArray


class FullGrad(Explainer):
    """Sizes of image times gradient and of bias times gradient, each channel's stretched to 0..1; never negative.

    Srinivas, Fleuret: Full-Gradient Representation for Neural Network Visualization (2019), section 4: in a network
    that is linear in pieces, the products of the image and of every bias with their gradients add up to the logit
    (completeness). The map is the sum over their channels, each of whose sizes are brought to 0..1 and then to the
    image's size, bilinearly from half-pixel centres. As in the paper, biases without places, such as those of dense
    layers, are left out of the map.

    Biases are those of convolutions and dense layers, what batch norm adds in inference, beta - gamma * mean /
    deviation, and the 6 that a ReLU6 gives where its input is larger (the paper's implicit biases), of cells that run
    several times too. What else a network adds is not in the map: in code of its own, by activations that are not
    linear in pieces, or by norms over an image's own statistics. ``estimate`` and a run's archive say how much that is,
    question by question: the sum of all products, those without places too, less the logit.

    The authors' code stretches all channels of a layer together, and aligns corners when it resizes; grad-cam does as
    here, without the 6 of ReLU6, and stretches the whole map at the end. Shares the pass of the gradient, which is
    not compiled then.

    Args:
        network: see ``Explainer``.
        name: see ``Explainer``.

    Raises:
        TypeError: if the network is not a ``mindspore.nn.Cell``.
    """

    pynative = True
    signed = False
    contrastable = True
    needs = Needs.gradient(biases=True)
    error_format = "{name} misses completeness by {error:.2g} of a logit"

    def attribute(self, view: View) -> FloatArray:
        derivatives = view.derivatives()
        maps = _stretched_channels(view.asked_images * derivatives.input_gradient)
        for bias in derivatives.biases or ():
            if bias.has_places:
                maps += resized(_stretched_channels(bias.terms), view.size)
        return maps

    def estimate(self, view: View) -> Estimate:
        """Maps, and of each how much all products together are off its logit."""
        derivatives = view.derivatives()
        return Estimate(self.attribute(view), _products(view, derivatives) - view.asked_values(derivatives.logits))


def _stretched_channels(values: FloatArray) -> FloatArray:
    """Maps (Q, h, w) of values (Q, channels, h, w): each channel's sizes brought to 0..1, then summed over channels."""
    sizes = np.abs(values)
    each: FloatArray = stretched(sizes.reshape(-1, *sizes.shape[2:])).reshape(sizes.shape)
    summed: FloatArray = each.sum(axis=1)
    return summed


def _products(view: View, derivatives: Derivatives) -> npt.NDArray[np.float64]:
    """(Q,) the sums of all products with gradients."""
    terms = [view.asked_images * derivatives.input_gradient, *(bias.terms for bias in derivatives.biases or ())]
    summed: npt.NDArray[np.float64] = sum(one.reshape(len(one), -1).sum(axis=1, dtype=np.float64) for one in terms)
    return summed
