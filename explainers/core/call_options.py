"""How a direct call asks a network, and about which labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import mindspore as ms
import numpy as np
import numpy.typing as npt
from mindspore import Tensor, nn

from ...summary_format.problem import Problem
from ..network import DEFAULT_PASS_SIZE, Jit, Network, Output
from ..network.graphs.library import checked_jit
from ..network.tensors import FloatArray
from .measured_size import AUTO, PassSize, checked_pass_size, remembered_size


@dataclass(frozen=True)
class CallOptions:
    """What every direct call takes.

    Attributes:
        output: which part of what the network returns is its logits.
        jit: whether passes run compiled: "auto" where that pays, "on" where it can be, or "off".
        pass_size: images per pass; "auto" for what a measurement finds best.

    Raises:
        ValueError: if one is out of its range.
    """

    output: Output = None
    jit: Jit = "auto"
    pass_size: PassSize = DEFAULT_PASS_SIZE

    def __post_init__(self) -> None:
        checked_jit(self.jit)
        checked_pass_size(self.pass_size)

    def network(self, cell: nn.Cell, images: FloatArray) -> Network:
        """The network as the call asks it about images (N, C, H, W)."""
        fill = ms.get_context("mode") == ms.GRAPH_MODE  # which compiles for every shape of a pass
        size = self.pass_size
        if size == AUTO:
            size = remembered_size(cell, images, self.output, self.jit)
        return Network(cell, size, fill=fill, output=self.output, jit=self.jit)


def asked_labels(targets: Any, images: int) -> npt.NDArray[np.int64]:
    """Targets as labels (N, L), one row per image.

    Args:
        targets: an int, for all images; or (N,) or (N, L) integers as a Tensor, array, list or tuple.
        images: N.

    Raises:
        TypeError: if they are not integers.
        ValueError: if their shape does not fit or one is negative.
    """
    labels = _label_array(targets, images)
    if labels.dtype.kind not in "iu":
        words = "targets must be integers, got {what}"
        raise TypeError(Problem.of("targets-not-integers", words, what=_what_else(targets, labels)))
    if labels.ndim == 0:
        labels = np.full((images, 1), labels)
    elif labels.ndim == 1 and len(labels) == images:
        labels = labels[:, None]
    elif labels.ndim != 2 or len(labels) != images or not labels.shape[1]:
        raise ValueError(_misshapen(images, f"shape {labels.shape}"))
    if labels.min() < 0:
        words = "targets must not be negative, got {given}"
        raise ValueError(Problem.of("targets-negative", words, given=int(labels.min())))
    return labels.clip(max=np.iinfo(np.int64).max).astype(np.int64)


def _what_else(targets: Any, labels: npt.NDArray[Any]) -> str:
    """What targets are that are not integers."""
    if targets is None:
        return "None; name the label to explain"
    if isinstance(targets, int):
        return "one of more than 64 bits"
    holding = " of objects" if isinstance(targets, np.ndarray) else ""
    return f"{type(targets).__name__}{holding}" if labels.dtype == object else str(labels.dtype)


def _label_array(targets: Any, images: int) -> npt.NDArray[Any]:
    if isinstance(targets, Tensor):
        targets = targets.asnumpy()
    try:
        labels: npt.NDArray[Any] = np.asarray(targets)
    except ValueError as error:  # of lists, NumPy says it at great length
        raise ValueError(_misshapen(images, "rows of different lengths")) from error
    if labels.dtype == object and any(np.ndim(one) for one in labels.flat):
        raise ValueError(_misshapen(images, "rows of different lengths"))
    return labels


def _misshapen(images: int, given: str) -> Problem:
    words = "targets must be an int, ({images},) or ({images}, labels) for {images:plural image}, got {given}"
    return Problem.of("targets-shape", words, images=images, given=given)
