"""MindSpore's tensors and settings: what arrays are called here, what must be set, what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mindspore as ms
import numpy as np
import numpy.typing as npt
from mindspore import Tensor, nn, ops

from ....summary_format.problem import Problem

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]
Targets = IntArray | FloatArray  # labels (N,), or weights (N, classes) of a sum of logits
Activation = Callable[[Tensor], Tensor]
FLOATING = (ms.float16, ms.bfloat16, ms.float32, ms.float64)


def checked_network(network: Any) -> nn.Cell:
    """A network.

    Raises:
        TypeError: if it is not a ``mindspore.nn.Cell``.
    """
    if not isinstance(network, nn.Cell):
        words = "network must be a mindspore.nn.Cell, got {kind}"
        raise TypeError(Problem.of("network-no-cell", words, kind=type(network).__name__))
    return network


def checked_activation(activation_fn: Any) -> Activation:
    """A function from logits to probabilities.

    Raises:
        TypeError: if it cannot be called, or is a class whose brackets were forgotten.
    """
    if isinstance(activation_fn, type):
        words = "activation_fn must be an object, got the class; write {kind}()"
        raise TypeError(Problem.of("activation-class", words, kind=activation_fn.__name__))
    if not callable(activation_fn):
        words = "activation_fn must be a Cell or a function, got {kind}"
        raise TypeError(Problem.of("activation-kind", words, kind=type(activation_fn).__name__))
    checked: Activation = activation_fn
    return checked


def require_pynative(what: str = "a gradient explainer") -> None:
    """Refuse graph mode, where MindSpore ignores hooks and switched flags without a word.

    Args:
        what: what needs the other mode.

    Raises:
        ValueError: in graph mode.
    """
    if ms.get_context("mode") == ms.GRAPH_MODE:
        words = (
            "{what} needs PyNative mode, MindSpore is in graph mode; "
            "call mindspore.set_context(mode=mindspore.PYNATIVE_MODE) first"
        )
        raise ValueError(Problem.of("graph-mode", words, what=what))


def as_array(values: Any) -> FloatArray:
    """A Tensor of any precision, or an array, as float32.

    MindSpore converts bfloat16 alone: a conversion that begins while a graph runs slows it down.
    """
    if isinstance(values, Tensor):
        values = (values.astype(ms.float32) if values.dtype == ms.bfloat16 else values).asnumpy()
    with np.errstate(over="ignore"):  # of float64, to infinity
        array: FloatArray = np.asarray(values, np.float32)
    return array


def exact_array(values: Tensor) -> npt.NDArray[Any]:
    """The values of a Tensor, exactly, in memory of their own."""
    try:
        return np.array(values.asnumpy())
    except (TypeError, ValueError, RuntimeError):  # a type that NumPy does not have, such as bfloat16 in MindSpore 2.7
        return np.array(values.astype(ms.float32).asnumpy())


def exact_bytes(values: Tensor) -> bytes:
    """The values of a Tensor, bit by bit."""
    return exact_array(values).tobytes()


def check_labels(labels: IntArray, classes: int) -> None:
    """Make sure that a network has these classes.

    Raises:
        ValueError: if a label is out of range.
    """
    if len(labels) and (labels.min() < 0 or labels.max() >= classes):
        raise ValueError(f"targets must lie in 0..{classes - 1}, got {labels.min()} to {labels.max()}")


def one_hot(labels: IntArray, classes: int) -> FloatArray:
    """Rows (N, classes) of zeros with a 1 at the label.

    Raises:
        ValueError: if a label is out of range.
    """
    check_labels(labels, classes)
    return np.eye(classes, dtype=np.float32)[labels]


def logit_weights(targets: Targets, classes: int) -> FloatArray:
    """By what logits are multiplied in the sum that is differentiated, (N, classes).

    Args:
        targets: labels (N,), of which the logit alone is, or the weights themselves.
        classes: how many there are.

    Raises:
        ValueError: if a label is out of range, or there are not as many weights.
    """
    if targets.ndim == 1:
        return one_hot(targets.astype(np.int64, copy=False), classes)
    if targets.shape[1] != classes:
        raise ValueError(f"weights of logits must be (N, {classes}), got {targets.shape}")
    return targets.astype(np.float32, copy=False)


def input_type(cell: nn.Cell) -> Any:
    """The type in which a network takes images: that of its first parameter of floats, float32 without any."""
    return next((one.dtype for one in cell.get_parameters() if one.dtype in FLOATING), ms.float32)


def both_classes(output: Tensor) -> Tensor:
    """Logits (N, 2) of the one logit z (N, 1) of two classes: (-z, z), whose sigmoids are 1 - p and p.

    A run does so itself where the network gives one logit and there are two class names; the first is that of the class
    which a negative logit says. A direct call does with ``output=both_classes``.
    """
    return ops.cat([-output, output], 1)
