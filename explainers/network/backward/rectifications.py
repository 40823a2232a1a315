"""Finds what rectifies in a pass beside the ReLU and ReLU6 that a backward rule holds for.

MindSpore shows every operator that runs, whoever calls it and by whatever name. What rectifies is found by what it
gives: on one half-line of an input the output is one value, and on the other it is not.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from typing import Any

import mindspore as ms
import numpy as np
import numpy.typing as npt
from mindspore import Tensor, nn

from ....summary_format.problem import Problem
from ..graphs.compiling import compiled_part
from .dispatch import Dispatch, calling_cells, carries, leaves, named, plain_name
from .recorder import records_gradients

_KEPT = {"HSwish", "HSigmoid", "HShrink", "SoftShrink"}  # 0 on a half-line too, but not rectifiers in the field's sense
# Their gradients are 0 nowhere, but floats may make them one value on a half-line, as of masked attention's softmax.
_SMOOTH = {"celu", "elu", "erf", "erfc", "exp", "exp2", "expm1", "fastgelu", "gelu", "logsigmoid", "logsoftmax", "mish",
           "pow", "selu", "sigmoid", "silu", "softmax", "softplus", "softsign", "tanh"}  # fmt: skip
_KEPT_CELLS = (nn.RReLU,)  # leaky, but made of two clamped halves
_BOUNDING = {"Maximum", "Minimum", "Fmax", "Fmin", "ClampScalar", "ClampTensor", "Hardtanh"}
_SLOPED = {"PReLU", "LeakyReLU", "LeakyReLUExt"}
_IN_PLACE = ("ReLU", "Relu", "Clamp", "Threshold", "Hardtanh", "MaskedFill")
_VALUES = 1 << 16  # of a tensor that are looked at
_BRANCHES = 4  # of a stacked tensor that are looked at one by one

_log = logging.getLogger("explainrun")
FloatArray = npt.NDArray[np.floating[Any]]
_Dispatch: Any = Dispatch  # which a test takes away


class Treated(nn.Cell):
    """A rectifier that follows a rule."""


def watched(cell: nn.Cell, batch: Tensor, rule: str) -> Any:
    """What a network gives for a batch, if a rule of rectifiers holds for all that rectifies in it.

    Raises:
        ValueError: if something else than ReLU and ReLU6 rectifies, or a part stays compiled, so that nothing sees what
            it does; names the layer and the operator.
    """
    if _Dispatch is object:
        _warn_unwatched(rule)
        return cell(batch)
    with _Watch() as watch:
        output = cell(batch)
    if watch.found is not None:
        raise ValueError(_untreated(cell, rule, *watch.found))
    if isinstance(output, Tensor) and compiled_part(output):
        words = (
            "the {rule} rule does not reach what mindspore.jit has compiled with capture_mode 'bytecode' or 'trace'; "
            "use capture_mode 'ast', which Explainrun runs uncompiled, or an explainer without the rule, such as "
            "Gradient"
        )
        raise ValueError(Problem.of("rectifier-compiled", words, rule=rule))
    return output


class _Watch(_Dispatch):
    """Looks at every operator that runs until one rectifies.

    Attributes:
        found: the operator's name, whether MindSpore records its gradient, and the cells that called it, from the
            innermost; None if none did.
    """

    def __init__(self) -> None:
        super().__init__()
        self.found: tuple[str, bool, list[nn.Cell]] | None = None

    def __ms_dispatch__(self, func: Any, args: Any, kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if self.found is None and not _is_kept(func.name) and self._rectifies(func.name, list(leaves(args)), result):
            callers = list(calling_cells())
            if not isinstance(callers[0] if callers else None, (Treated, *_KEPT_CELLS)):
                self.found = func.name, records_gradients(), callers
        return result

    @staticmethod
    def _rectifies(name: str, arguments: list[Any], result: Any) -> bool:
        tensors = [one for one in arguments if carries(one)]
        if not tensors:
            return False
        if name.startswith(("ReLU", "Relu")) or (
            name.startswith("Inplace") and any(word in name for word in _IN_PLACE)
        ):
            return True  # unless the rule's own cell has called it
        if name in _BOUNDING and any(_is_zero(one) for one in arguments if one is not tensors[0]):
            return True
        if name in _SLOPED and any(_has_zero(one) for one in arguments if one is not tensors[0]):
            return True
        return any(_rectified(tensors, output) for output in leaves([result]) if isinstance(output, Tensor))


def _is_kept(name: str) -> bool:
    return name in _KEPT or plain_name(name) in _SMOOTH


def _is_zero(argument: Any) -> bool:
    if isinstance(argument, Tensor):
        return not _array(argument).any()
    return isinstance(argument, (int, float)) and not isinstance(argument, bool) and argument == 0


def _has_zero(argument: Any) -> bool:
    return _is_zero(argument) or (isinstance(argument, Tensor) and not _array(argument).all())


def _rectified(tensors: list[Tensor], output: Tensor) -> bool:
    """Whether an output is one of the inputs, cut off on a half-line, and no input is already that."""
    if not output.is_floating_point():
        return False
    alike = [values for tensor in tensors for values in _shaped(tensor, output.shape)]
    if not alike:
        return False
    after = _some(_values_of(output))
    pairs = [(one, [other for other in alike if other is not one]) for one in alike]
    return any(_cut(one, after) and not any(_cut(one, other) for other in others) for one, others in pairs)


def _shaped(tensor: Tensor, shape: tuple[int, ...]) -> Iterator[FloatArray]:
    """Values of a tensor of that shape, or of what is stacked in it."""
    if tensor.shape == shape:
        yield _some(_values_of(tensor))
        return
    for axis, length in enumerate(tensor.shape):
        if 1 < length <= _BRANCHES and tensor.shape[:axis] + tensor.shape[axis + 1 :] == shape:
            yield from (_some(part) for part in np.moveaxis(_values_of(tensor), axis, 0))


def _array(tensor: Tensor) -> FloatArray:
    values: FloatArray = tensor.astype(ms.float32).asnumpy()
    return values


def _values_of(tensor: Tensor) -> FloatArray:
    values: FloatArray = tensor.asnumpy() if tensor.dtype == ms.float32 else _array(tensor)  # no copy, on CPU
    return values


def _some(values: FloatArray) -> FloatArray:
    return values.reshape(-1)[:_VALUES]


def _cut(before: FloatArray, after: FloatArray) -> bool:
    """Whether ``after`` is one value where ``before`` lies on one side, and varies on the other.

    The sides part at 0; or anywhere, where the rest is ``before`` as it was, up to another such end.
    """
    for values in (before, -before):
        if _splits(values < 0, values > 0, values, after):
            return True
        closed = after == after[values.argmin()]
        if _splits(closed, ~closed, values, after) and values[closed].max() <= values[~closed].min():
            passed = (after == before) | (after == after[values.argmax()])
            if passed[~closed].all() and (after == before)[~closed].any():
                return True
    return False


def _splits(
    closed: npt.NDArray[np.bool_], opened: npt.NDArray[np.bool_], before: FloatArray, after: FloatArray
) -> bool:
    """Whether ``after`` has one value where ``before`` varies on one side, and varies without it on the other."""
    if not (_varies(before[closed]) and _varies(after[opened])):
        return False
    constant = after[closed][0]
    return bool((after[closed] == constant).all() and (after[opened] != constant).all())


def _varies(values: FloatArray) -> bool:
    return bool(len(values) > 1 and (values != values[0]).any())


def _untreated(network: nn.Cell, rule: str, operator: str, recorded: bool, callers: Iterable[nn.Cell]) -> Problem:
    where = named(network, callers)
    if recorded:
        words = (
            "the {rule} rule holds for ReLU and ReLU6 alone, and {where} rectifies by the operator {operator}; write "
            "nn.ReLU() or ops.relu(x) there, or use an explainer without the rule, such as Gradient"
        )
        return Problem.of("rectifier-other", words, rule=rule, where=where, operator=operator)
    words = (
        "the {rule} rule does not reach {where}, which rectifies by the operator {operator} where MindSpore does not "
        "differentiate: in no_grad, or under a bprop of its own; leave that out, or use an explainer without the rule, "
        "such as Gradient"
    )
    return Problem.of("rectifier-own-gradient", words, rule=rule, where=where, operator=operator)


def _warn_unwatched(rule: str) -> None:
    _log.warning(
        "MindSpore %s does not show what runs (2.10 does): the %s rule may miss what rectifies beside ReLU and ReLU6",
        ms.__version__,
        rule,
    )
