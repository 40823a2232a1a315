"""What methods have in common that gather gradients on paths from baselines to the image."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt
from mindspore import Tensor

from ..core.call_options import CallOptions
from ..core.explainer import view_of_call
from ..core.measured_size import PassSize
from ..core.together import Estimate
from ..core.view import View
from ..network import DEFAULT_PASS_SIZE, Jit, Output
from ..network.tensors import FloatArray, IntArray
from .gradient import PixelAttribution, summed_over_channels

PASS_KIND = "integrate"
Values = npt.NDArray[np.float64]


class PathAttribution(PixelAttribution):
    """Values of pixels that add up to the fall of the label's logit from the image to where paths begin.

    Up to an error that ``estimate`` gives; summed over channels, signed.
    """

    signed = True
    error_format: ClassVar[str] = "{name} misses completeness by {error:.2g} of a logit"

    def reduced(self, values: FloatArray) -> FloatArray:
        return summed_over_channels(values)

    @abstractmethod
    def estimate(self, view: View) -> Estimate:
        """Maps, and of each its sum less what it should be: the fall of the logit from the image to the baselines."""

    def completeness_error(
        self,
        inputs: Tensor,
        targets: Any,
        *,
        output: Output = None,
        jit: Jit = "auto",
        pass_size: PassSize = DEFAULT_PASS_SIZE,
    ) -> tuple[Tensor, npt.NDArray[np.float64]]:
        """Maps and their completeness errors.

        Args:
            inputs: (N, C, H, W), as the network takes them.
            targets: as for the direct call.
            output: as for the direct call.
            jit: as for the direct call.
            pass_size: as for the direct call.

        Returns:
            The maps (N, L, H, W), as the direct call gives them, and for each (N, L) its sum less the fall of its logit
            from the image to the baselines.

        Raises:
            TypeError: if inputs or targets are of another type.
            ValueError: if their shapes do not fit, or a target is out of range.
        """
        view, place = view_of_call(self, inputs, targets, CallOptions(output, jit, pass_size))
        maps, errors = self.estimate(view)
        return Tensor(maps[place]), np.asarray(errors)[place]

    def with_errors(self, attributed: Values, falls: Values) -> Estimate:
        """The maps of values (Q, C, H, W), and how far their sums are off these falls (Q,)."""
        maps = self.reduced(attributed.astype(np.float32))
        return Estimate(maps, attributed.sum(axis=(1, 2, 3)) - falls)


class Visited(NamedTuple):
    """Places on paths that one pass differentiated.

    Attributes:
        paths: (M,) which path each is on: of each question one for each baseline, question by question.
        gradients: (M, C, H, W), of the logit of the question's label.
        logits: (M,) of that label.
    """

    paths: IntArray
    gradients: FloatArray
    logits: FloatArray


class PathMethod(PathAttribution):
    """One whose paths others may follow.

    Attributes:
        steps: of a path.
        paths: how many a question has.
    """

    steps: int
    paths: int = 1

    @abstractmethod
    def walk(self, view: View) -> Iterator[Visited]:
        """Go along the path of every question: its beginning, and where each step but the last ends, the image.

        A path is visited ``steps`` times, in order, and those of a question end in order. Each visit is a
        differentiated image of a pass of the kind "integrate".
        """


def visited(view: View, paths: IntArray, images: FloatArray, several: int) -> Visited:
    """Places on paths, differentiated in passes.

    Args:
        view: the questions.
        paths: (M,) which path each place is on.
        images: (M, C, H, W) the places.
        several: how many paths a question has.
    """
    labels = view.labels[paths // several]
    found = view.network.differentiate(images, labels, kind=PASS_KIND)
    return Visited(paths, found.input_gradient, found.logits[np.arange(len(labels)), labels])


def falls_from(view: View, starts: Values) -> Values:
    """(Q,) the logit of each question's image less the mean of those where its paths begin, (Q, paths)."""
    falls: Values = view.logits[view.rows, view.labels] - starts.mean(axis=1)
    return falls
