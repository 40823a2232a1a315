"""What methods have in common whose maps sum up to the fall of a logit from the image to baselines."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from mindspore import Tensor

from ..core.call_options import CallOptions
from ..core.explainer import view_of_call
from ..core.measured_size import PassSize
from ..core.together import Estimate
from ..network import DEFAULT_PASS_SIZE, Jit, Output
from ..network.tensors import FloatArray
from .gradient import PixelAttribution, summed_over_channels


class CompleteAttribution(PixelAttribution):
    """A method whose maps, summed over channels, sum up to the logit of the image less that of baselines.

    A subclass writes ``by_channel``, and ``estimate``, which gives how far off the sums are.
    """

    signed = True
    contrastable = True
    error_format = "{name} misses completeness by {error:.2g} of a logit"

    def reduced(self, values: FloatArray) -> FloatArray:
        return summed_over_channels(values)

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

    def with_errors(self, attributed: npt.NDArray[np.float64], falls: npt.NDArray[np.float64]) -> Estimate:
        """The maps of values (Q, C, H, W), and how far their sums are off these falls (Q,)."""
        maps = self.reduced(attributed.astype(np.float32))
        return Estimate(maps, attributed.sum(axis=(1, 2, 3)) - falls)
