"""The rescale rule: in the pass back, nonlinearities have the slope of the straight line from a reference to the image.

It holds for whatever MindSpore shows to run, so it does not matter how a network calls its nonlinearities. What an
operator gives is replaced by something of the same value, whose gradient is that slope.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn, ops

from ....summary_format.problem import Problem
from ..tensors import IntArray
from .dispatch import Dispatch, calling_cells, carries, leaves, named, plain_name
from .recorder import records_gradients

# Operators by their plain names. In each argument that images reach these are linear, up to a constant.
_SUMS = {"add", "sub", "addn", "biasadd", "neg", "identity", "cast", "reducemean", "reducesum", "mean", "sum",
         "avgpool", "avgpool2d", "avgpool3d", "adaptiveavgpool2d", "batchnorm", "dropout", "tensoradd"}  # fmt: skip
_MOVES = {"reshape", "flatten", "view", "transpose", "permute", "transposeview", "expanddims", "expanddimsview",
          "squeeze", "unsqueeze", "concat", "cat", "stack", "unstack", "split", "splitview", "splitwithsize",
          "splitwithsizeview", "chunk", "chunkview", "slice", "sliceview", "stridedslice", "narrow", "narrowview",
          "select", "selectview", "selectextview", "gather", "gatherd", "gathernd", "indexselect", "index", "tile",
          "repeat", "broadcastto", "broadcasttoview", "expandas", "pad", "padv3", "constantpadnd", "mirrorpad",
          "resizebilinearv2", "resizenearestneighbor", "resizenearestneighborv2", "upsamplenearest2d",
          "upsamplebilinear2d", "depthtospace", "spacetodepth", "pixelshuffle", "channelshuffle", "roll", "reversev2",
          "flip", "contiguous", "clone", "copy", "stopgradient"}  # fmt: skip
_PRODUCTS = {"mul", "muls", "matmul", "batchmatmul", "bmm", "dense", "linear", "conv2d",
             "conv1d", "conv3d", "convolution", "conv2dbackpropinput", "conv2dtranspose", "einsum"}  # fmt: skip
# One value after the other; those of straight pieces give their slopes exactly.
_STRAIGHT = {"relu", "relu6", "leakyrelu", "prelu", "abs", "hsigmoid", "hardtanh", "clampscalar", "clamptensor",
             "maximum", "minimum", "threshold", "hshrink", "softshrink"}  # fmt: skip
_CURVED = {"sigmoid", "tanh", "silu", "swish", "gelu", "fastgelu", "hswish", "elu", "selu", "celu", "softplus", "mish",
           "logsigmoid", "softsign", "exp", "exp2", "expm1", "log", "log1p", "log2", "log10", "sqrt", "rsqrt",
           "square", "pow", "powtensorscalar", "reciprocal", "inv", "erf", "erfc", "sin", "cos", "tan", "atan",
           "sinh", "cosh", "asinh"}  # fmt: skip
_QUOTIENTS = {"div", "divs", "realdiv"}  # curved, where the images are below the line
_LARGEST = {"maxpool", "maxpool2d", "maxpool3d", "adaptivemaxpool2d", "reducemax", "amax"}
_SMALLEST = {"reducemin", "amin"}
_CLOSE = 1e-5  # how near values of curved functions are whose line rounding would tilt; they have the plain slope
_DISTANT = 1e-30  # what can be divided by

_PRODUCT = "multiplies values that depend on the image by others that do"
_UNKNOWN = "is not a function of single values, nor pooling or linear"
_IN_PLACE = "is written over its own input"
_OWN = "has a gradient of its own, from a bprop or no_grad"
_MIXED = "holds rows of several images"


class Rescaling(Dispatch):  # type: ignore[misc]  # MindSpore has no types
    """Within, operators that run on images beside their references are replaced as the rule says.

    Args:
        references: (N,) for each row of a pass the row of its reference; references themselves name their own.

    Attributes:
        refused: the first operator for which the rule is not defined, why, and the cells that called it; None if all
            are.
    """

    def __init__(self, references: IntArray) -> None:
        super().__init__()
        self._rows, self._references = len(references), Tensor(references.astype(np.int32))
        self.refused: tuple[str, str, list[nn.Cell]] | None = None

    def __ms_dispatch__(self, func: Any, args: Any, kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        carrying = [one for one in leaves([*args, *kwargs.values()]) if carries(one)]
        if self.refused is not None or not carrying:
            return result
        why = self._why_not(func.name, args, carrying, result)
        if why is not None:
            self.refused = func.name, why, list(calling_cells())
            return result
        name, (x, *_) = plain_name(func.name), carrying
        if name in _LARGEST | _SMALLEST:
            outer = ops.maximum if name in _LARGEST else ops.minimum
            return self._chosen(lambda values: func(*_instead(args, x, values), **kwargs), x, result, outer)
        if name in _STRAIGHT | _CURVED | _QUOTIENTS and not (name in _QUOTIENTS and args[0] is x):
            return self._on_a_line(x, result, 0.0 if name in _STRAIGHT else _CLOSE)
        return result

    def _why_not(self, operator: str, args: Any, carrying: list[Tensor], result: Any) -> str | None:  # noqa: PLR0911
        """Why the rule is not defined for an operator; None if it is."""
        name = plain_name(operator)
        if name in _SUMS or name in _MOVES:
            return None
        if name in _PRODUCTS | _QUOTIENTS and len(carrying) > 1:
            return _PRODUCT
        if name in _PRODUCTS or (name in _QUOTIENTS and args[0] is carrying[0]):
            return None
        if name not in _STRAIGHT | _CURVED | _QUOTIENTS | _LARGEST | _SMALLEST:
            return _UNKNOWN
        if not records_gradients():
            return _OWN
        if len(carrying) > 1 or not isinstance(result, Tensor):
            return _UNKNOWN
        if operator.startswith("Inplace"):
            return _IN_PLACE
        if name not in _LARGEST | _SMALLEST and result.shape != carrying[0].shape:
            return _UNKNOWN
        return _MIXED if carrying[0].shape[0] % self._rows else None

    def _on_a_line(self, x: Tensor, y: Tensor, close: float) -> Tensor:
        """What a function of single values gives, with the slope of the line; the plain one where that has none."""
        before = self._apart(x)
        beside = ops.abs(before) > close
        slope = self._apart(y) / ops.where(beside, before, ops.ones_like(before))
        rescaled = _exact(y) + slope * (x.astype(ms.float32) - _exact(x))
        return ops.where(beside, rescaled.astype(y.dtype), y)

    def _chosen(self, choose: Callable[[Tensor], Tensor], x: Tensor, y: Tensor, outer: Any) -> Tensor:
        """What a maximum gives: its rise above the reference's goes to where it lies, its fall to where that lies.

        Both per distance of the value from the reference's there; where there is none the slope is the plain one. Of a
        minimum it is the fall that goes to where it lies.
        """
        apart, of_image, of_reference = self._apart(x), _exact(x), self._of_references(x)
        beside = ops.abs(apart) > _DISTANT
        shares = ops.where(beside, 1 / ops.where(beside, apart, ops.ones_like(apart)), ops.zeros_like(apart))
        step = x.astype(ms.float32) - of_image  # zeros, by which all is differentiated
        between = outer(_exact(y), self._of_references(y))
        parts = (
            (choose(of_image + step * shares), between - self._of_references(y)),
            (choose(of_reference + step * shares), _exact(y) - between),
            (choose(of_image + step * (1 - beside.astype(ms.float32))), ops.ones_like(between)),
        )
        found = _exact(y)
        for part, weight in parts:
            found = found + weight * (part - ops.stop_gradient(part))
        return found.astype(y.dtype)

    def _of_references(self, values: Tensor) -> Tensor:
        """What the reference of each row has in its place, float32."""
        rows = _exact(values).reshape(self._rows, -1)
        return ops.gather(rows, self._references, 0).reshape(values.shape)

    def _apart(self, values: Tensor) -> Tensor:
        """How far values are from those of their references, float32."""
        return _exact(values) - self._of_references(values)


def _exact(values: Tensor) -> Tensor:
    """Values as float32, without their gradient."""
    return ops.stop_gradient(values).astype(ms.float32)


def _instead(args: Any, x: Tensor, values: Tensor) -> list[Any]:
    return [values if one is x else one for one in args]


def refusal(network: nn.Cell, refused: tuple[str, str, list[nn.Cell]]) -> Problem:
    """That the rule is not defined for an operator of a network.

    Args:
        network: which.
        refused: see ``Rescaling``.
    """
    operator, why, callers = refused
    words = (
        "the rescale rule is not defined for the operator {operator} of {where}, which {why}; it knows functions of "
        "single values, such as nn.ReLU, nn.ReLU6, nn.Sigmoid, nn.Tanh, nn.SiLU and nn.GELU, max and mean pooling, and "
        "what is linear; take IntegratedGradients or ExpectedGradients"
    )
    values: Mapping[str, Any] = {"operator": operator, "where": named(network, callers), "why": why}
    return Problem.of("rescale-undefined", words, **values)
