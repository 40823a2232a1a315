"""What the layers of a network give, in the order in which they run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import mindspore as ms
import numpy as np
import numpy.typing as npt
from mindspore import Tensor, nn

from .passes import OutOfMemoryError
from .probing import REFUSALS, fixed_images
from .service import Network
from .tensors import FloatArray, as_array, require_pynative
from .tensors.layers import computes_as

ChannelAxis = Literal["first", "last"]
_FIRST = ("Conv2d", "Conv2dTranspose", "BatchNorm2d", "GroupNorm", "InstanceNorm2d", "MaxPool2d", "AvgPool2d",
          "AdaptiveAvgPool2d", "AdaptiveMaxPool2d", "ConvTranspose2d")  # fmt: skip
_LAST = ("Dense", "Linear", "LayerNorm")
_SUMS = 1e-3  # how far the sums of attention's rows may be from 1, in half precision


@dataclass(frozen=True, kw_only=True)
class Ran:
    """What a layer gave at its last run in a pass.

    Attributes:
        name: its dotted name.
        shape: (N, ...) of its output.
        rows: images in the pass, which N need not be.
        axis: where its class keeps channels; None where that says nothing.
        attends: whether the values are non-negative and sum up to 1 along the last axis, as attention's do.
        used: (...) which values change the logits, for some image; None where that could not be seen.
    """

    name: str
    shape: tuple[int, ...]
    rows: int
    axis: ChannelAxis | None
    attends: bool
    used: npt.NDArray[np.bool_] | None


def running_order(network: Network, image: FloatArray, kind: str) -> list[Ran]:
    """All layers that give a tensor (N, a, b) or (N, a, b, c), in the order in which their last runs end; takes a pass.

    So a layer stands after those inside it. The pass is of fixed images, so that what is seen depends on their size
    alone; of the image itself where the network does not take those. It is differentiated where it can be.

    Args:
        network: where the pass runs.
        image: (C, H, W).
        kind: what the pass counts as.

    Raises:
        ValueError: in graph mode.
    """
    require_pynative("looking for a layer")
    fixed = fixed_images(image.shape)[: min(2, network.pass_size)]
    for images, differentiated in ((fixed, True), (image[None], True), (fixed, False)):
        try:
            return _observed(network, images, kind, differentiated)
        except OutOfMemoryError:
            raise
        except REFUSALS:
            continue
    return _observed(network, image[None], kind, differentiated=False)


def channel_axis(cell: nn.Cell) -> ChannelAxis | None:
    """Where a layer of MindSpore's own classes keeps the channels of what it gives; None of other layers.

    A layer of a derived class counts where it computes as its base does.
    """
    for names, axis in ((_FIRST, "first"), (_LAST, "last")):
        if computes_as(cell, names):
            return "last" if axis == "last" or _format(cell) == "NHWC" else "first"
    return None


def is_attention(values: FloatArray) -> bool:
    """Whether an output (N, heads, T, T), or (N, T, T), is non-negative and sums up to 1 along the last axis."""
    if values.ndim not in (3, 4) or values.shape[-1] < 2 or not np.isfinite(values[0, 0]).all():
        return False
    for part in (values[:1, :1], values):  # few values show it of most
        if part.min() < 0 or not (np.abs(part.sum(axis=-1) - 1) <= _SUMS).all():
            return False
    return True


@dataclass
class _Output:
    """The output of a layer's last run, and the gradient that reached it."""

    output: Tensor
    gradient: list[Tensor] = field(default_factory=list)


def _observed(network: Network, images: FloatArray, kind: str, differentiated: bool) -> list[Ran]:
    def scored(batch: Tensor) -> Tensor:
        logits = network.through(batch)
        weights = np.random.default_rng(20).normal(size=(1, logits.shape[1])).astype(np.float32)
        return (logits.astype(ms.float32) * Tensor(weights)).sum()

    cells = dict(network.cell.cells_and_names())
    with network.running(kind, len(images)), _noting(cells, differentiated) as noted:
        if differentiated:
            ms.value_and_grad(scored, 0, None)(Tensor(images))
        else:
            network.cell(network.input(Tensor(images)))
        return [_ran(name, cells[name], one, len(images), differentiated) for name, one in noted.items()]


def _ran(name: str, cell: nn.Cell, one: _Output, rows: int, differentiated: bool) -> Ran:
    shape = tuple(one.output.shape)
    used = np.zeros(shape[1:], bool) if differentiated else None
    for gradient in one.gradient:
        used = (as_array(gradient) != 0).any(axis=0)
    attends = is_attention(as_array(one.output))
    return Ran(name=name, shape=shape, rows=rows, axis=channel_axis(cell), attends=attends, used=used)


@contextmanager
def _noting(cells: dict[str, nn.Cell], differentiated: bool) -> Iterator[dict[str, _Output]]:
    """Within, what layers give is noted, each at the place of its last run."""
    noted: dict[str, _Output] = {}

    def noting(name: str) -> Callable[..., None]:
        def note(_cell: nn.Cell, _inputs: Any, output: Any) -> None:
            noted.pop(name, None)
            if isinstance(output, Tensor) and output.ndim in (3, 4) and output.shape[0]:
                one = noted[name] = _Output(output)
                if differentiated and output.dtype in (ms.float16, ms.bfloat16, ms.float32, ms.float64):
                    output.register_hook(keeping(one))

        return note

    def keeping(one: _Output) -> Callable[[Tensor], Tensor]:
        def keep(gradient: Tensor) -> Tensor:
            one.gradient[:] = [gradient]
            return gradient

        return keep

    with ExitStack() as stack:
        for name, cell in cells.items():
            if name:
                stack.callback(cell.register_forward_hook(noting(name)).remove)
        yield noted
        for one in noted.values():  # the output holds its hook and the hook this, a ring that no one would find unused
            one.gradient.clear()


def _format(cell: nn.Cell) -> str:
    return str(getattr(cell, "data_format", getattr(cell, "format", "NCHW")))
