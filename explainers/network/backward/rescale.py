"""The rescale rule: in the pass back, nonlinearities have the slope of the straight line from a reference to the image.

What a nonlinearity gives is replaced by something of the same value, whose gradient is that slope. It hangs on the
primitives that cells and functions end in, so it does not matter how a network calls them; whatever else runs on the
images must be linear, which is seen operator by operator.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn, ops
from mindspore.ops import auto_generate

from ....summary_format.problem import Problem
from ..tensors import IntArray
from .dispatch import Dispatch, Origins, calling_cells, leaves, named, plain_name
from .recorder import records_gradients

# Primitives that go from one value to another. The slopes of those of straight pieces are exact.
_STRAIGHT = ("ReLU", "ReLU6", "LeakyReLUExt", "PReLU", "Abs", "HSigmoid", "Hardtanh", "HShrink", "SoftShrink",
             "Threshold", "ClampScalar", "ClampTensor", "Maximum", "Minimum")  # fmt: skip
_CURVED = ("Sigmoid", "Tanh", "SiLU", "GeLU", "GeluExt", "FastGeLU", "HSwish", "Elu", "EluExt", "SeLU", "CeLU",
           "Softplus", "SoftplusExt", "Mish", "MishExt", "LogSigmoid", "Softsign", "Exp", "Exp2", "Expm1", "Log",
           "Log1p", "Log2", "Log10", "Sqrt", "Rsqrt", "Square", "Pow", "PowTensorScalar", "PowScalarTensor",
           "Reciprocal", "Inv", "Erf", "Erfc", "Sin", "Cos", "Tan", "Atan", "Sinh", "Cosh", "Asinh")  # fmt: skip
_LARGEST = ("MaxPool", "MaxPool3D", "MaxPoolWithArgmaxV2", "MaxPoolWithMask", "MaxPoolWithIndices", "AdaptiveMaxPool1D",
            "AdaptiveMaxPool2D", "ReduceMax")  # fmt: skip
_SMALLEST = ("ReduceMin",)
# Operators by their plain names that are linear in each argument, up to a constant, or know nothing of values.
_SUMS = {"add", "sub", "addn", "biasadd", "neg", "identity", "cast", "reducemean", "reducesum", "mean", "sum",
         "avgpool", "avgpool2d", "avgpool3d", "adaptiveavgpool1d", "adaptiveavgpool2d", "adaptiveavgpool3d",
         "batchnorm", "dropout", "tensoradd", "typeof", "make_range", "shape", "tensorshape", "rank", "dtype", "size",
         "zeroslike", "oneslike"}  # fmt: skip
_MOVES = {"reshape", "flatten", "view", "transpose", "permute", "transposeview", "expanddims", "expanddimsview",
          "squeeze", "unsqueeze", "concat", "cat", "stack", "unstack", "split", "splitview", "splitwithsize",
          "splitwithsizeview", "splittensor", "chunk", "chunkview", "slice", "sliceview", "stridedslice", "narrow",
          "narrowview", "selectview", "selectextview", "gather", "gatherd", "gathernd", "indexselect", "index", "tile",
          "repeat", "repeatinterleave", "broadcastto", "broadcasttoview", "expandas", "pad", "padv3", "constantpadnd",
          "mirrorpad", "reflectionpad2d", "replicationpad2d", "resizebilinear", "resizebilinearv2",
          "resizenearestneighbor", "resizenearestneighborv2", "upsamplenearest2d", "upsamplebilinear2d",
          "depthtospace", "spacetodepth", "pixelshuffle", "channelshuffle", "roll", "reversev2", "flip", "contiguous",
          "clone", "copy", "stopgradient"}  # fmt: skip
# The same in one argument at a time; of a quotient in what stands above the line.
_PRODUCTS = {"mul", "muls", "matmul", "batchmatmul", "bmm", "dense", "linear", "conv2d", "conv1d", "conv3d",
             "convolution", "conv2dbackpropinput", "conv2dtranspose", "einsum", "div", "divs", "realdiv"}  # fmt: skip
_CLOSE = 1e-5  # how near values of curved functions are whose line rounding would tilt; they have the plain slope
_DISTANT = 1e-30  # what can be divided by

_PRODUCT = "multiplies values that depend on the image by others that do"
_UNKNOWN = "is neither linear, nor pooling, nor a function of single values that is reached"
_OWN = "has a gradient of its own, from a bprop or no_grad"
_MIXED = "holds rows of several images in one"


class Rescaling(Dispatch):
    """Within, what runs on images beside their references goes back by the rule.

    Args:
        batch: (N, C, H, W), which is differentiated by.
        references: (N,) for each row of the batch the row of its reference; references themselves name their own.

    Attributes:
        rows: N.
        refused: the first operator for which the rule is not defined, why, and the cells that called it; None if all
            are.
    """

    def __init__(self, batch: Tensor, references: IntArray) -> None:
        super().__init__()
        self.rows, self._references = len(references), Tensor(references.astype(np.int32))
        self._origins, self._treating = Origins(batch), 0
        self._calls: list[tuple[type[Any], Any]] = []  # primitives, and the ``__call__`` that each had, if one
        self.refused: tuple[str, str, list[nn.Cell]] | None = None

    def __enter__(self) -> Rescaling:
        for names, treat in (
            (_STRAIGHT, partial(self._of_one_value, close=0.0)),
            (_CURVED, partial(self._of_one_value, close=_CLOSE)),
            (_LARGEST, partial(self._chosen, outer=ops.maximum)),
            (_SMALLEST, partial(self._chosen, outer=ops.minimum)),
        ):
            for primitive in filter(None, map(_primitive, names)):
                self._calls.append((primitive, primitive.__dict__.get("__call__")))
                primitive.__call__ = self._calling(primitive.__call__, treat)
        super().__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        for primitive, call in self._calls:
            if call is None:
                del primitive.__call__
            else:
                primitive.__call__ = call
        self._calls.clear()

    def __ms_dispatch__(self, func: Any, args: Any, kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if not self._treating and self.refused is None:
            given = [*args, *(kwargs or {}).values()]
            why = self._why_not(func.name, given)
            self.refused = None if why is None else (func.name, why, list(calling_cells()))
        return result

    def reaches(self, argument: Any) -> bool:
        """Whether something is a tensor made from the images, and what runs is not being treated already."""
        return not self._treating and self._origins.reach(argument)

    @contextmanager
    def treating(self) -> Iterator[None]:
        """Within, what runs is part of a nonlinearity that is treated as a whole."""
        self._treating += 1
        try:
            yield
        finally:
            self._treating -= 1

    def on_a_line(self, x: Tensor, y: Tensor, close: float = _CLOSE) -> Tensor:
        """What a function of single values gives, with the slope of the line; the plain one where that has none."""
        with self.treating():
            before = self._apart(x)
            beside = ops.abs(before) > close
            slope = self._apart(y) / ops.where(beside, before, ops.ones_like(before))
            rescaled = _exact(y) + slope * (x.astype(ms.float32) - _exact(x))
            return ops.where(beside, rescaled.astype(y.dtype), y)

    def _why_not(self, operator: str, given: list[Any]) -> str | None:
        """Why the rule is not defined for an operator that no one treats; None if it is."""
        carrying = [one for one in leaves(given) if self._origins.reach(one)]
        name = plain_name(operator)
        if not carrying or name in _SUMS or name in _MOVES:
            return None
        if name in _PRODUCTS:
            below = "div" in name and given[0] is not carrying[0]
            return _PRODUCT if len(carrying) > 1 else _UNKNOWN if below else None
        return _UNKNOWN if records_gradients() else _OWN

    def _calling(self, forward: Callable[..., Any], treat: Callable[..., Any]) -> Callable[..., Any]:
        """The call of a primitive, whose result is treated where images reach one of its arguments alone."""

        def call(primitive: Any, *args: Any, **kwargs: Any) -> Any:
            reached = [place for place, one in enumerate(args) if self.reaches(one)]
            if len(reached) != 1 or not records_gradients():
                return forward(primitive, *args, **kwargs)
            (place,) = reached

            def of(values: Tensor) -> Any:
                with self.treating():
                    return forward(primitive, *args[:place], values, *args[place + 1 :], **kwargs)

            if args[place].shape[0] % self.rows:
                self.refused = self.refused or (type(primitive).__name__, _MIXED, list(calling_cells()))
                return of(args[place])
            return treat(of, args[place])

        return call

    def _of_one_value(self, function: Callable[[Tensor], Any], x: Tensor, close: float) -> Any:
        y = function(x)
        if not isinstance(y, Tensor) or y.shape != x.shape:
            self.refused = self.refused or ("broadcast", _UNKNOWN, list(calling_cells()))
            return y
        return self.on_a_line(x, y, close)

    def _chosen(self, choose: Callable[[Tensor], Any], x: Tensor, outer: Any) -> Any:
        """What a maximum gives: its rise above the reference's goes to where it lies, its fall to where that lies.

        Both per distance of the value from the reference's there; where there is none the slope is the plain one. Of a
        minimum it is the fall that goes to where it lies.
        """
        given = choose(x)
        y, *rest = given if isinstance(given, tuple) else (given,)
        with self.treating():
            of_image, of_reference, y_before = _exact(x), self._of_references(x), self._of_references(y)
            apart = of_image - of_reference
            beside = ops.abs(apart) > _DISTANT
            shares = ops.where(beside, 1 / ops.where(beside, apart, ops.ones_like(apart)), ops.zeros_like(apart))
            step = x.astype(ms.float32) - of_image  # zeros, by which all is differentiated
            between = outer(_exact(y), y_before)
            parts = (
                (of_image + step * shares, between - y_before),
                (of_reference + step * shares, _exact(y) - between),
                (of_image + step * (1 - beside.astype(ms.float32)), ops.ones_like(between)),
            )
            found = _exact(y)
            for values, weight in parts:
                part = choose(values)
                part = part[0] if isinstance(part, tuple) else part
                found = found + weight * (part - ops.stop_gradient(part))
            found = found.astype(y.dtype)
        return (found, *rest) if rest else found

    def _of_references(self, values: Tensor) -> Tensor:
        """What the reference of each row has in its place, float32."""
        rows = _exact(values).reshape(self.rows, -1)
        return ops.gather(rows, self._references, 0).reshape(values.shape)

    def _apart(self, values: Tensor) -> Tensor:
        """How far values are from those of their references, float32."""
        return _exact(values) - self._of_references(values)


def refusal(network: nn.Cell, refused: tuple[str, str, list[nn.Cell]]) -> Problem:
    """That the rule is not defined for an operator of a network.

    Args:
        network: which.
        refused: see ``Rescaling``.
    """
    operator, why, callers = refused
    words = (
        "the rescale rule is not defined for the operator {operator} of {where}, which {why}; it knows functions of "
        "single values, as cells without parameters or as ops.relu, ops.sigmoid and the like, pooling, and what is "
        "linear; take IntegratedGradients or ExpectedGradients"
    )
    return Problem.of("rescale-undefined", words, operator=operator, where=named(network, callers), why=why)


def _primitive(name: str) -> type[Any] | None:
    """A primitive's class, where this version of MindSpore has it."""
    found: type[Any] | None = getattr(auto_generate, name, None) or getattr(ops, name, None)
    return found


def _exact(values: Tensor) -> Tensor:
    """Values as float32, without their gradient."""
    return ops.stop_gradient(values).astype(ms.float32)
