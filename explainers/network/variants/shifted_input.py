"""A network that takes shifted images and computes the same, since its first layer takes away what the shift adds."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from mindspore import Tensor, nn

from ....summary_format.problem import Problem
from ..passes import SHIFT_TRIAL, OutOfMemoryError
from ..probing import REFUSALS, fixed_images
from ..rows import agree
from ..service import Network
from ..tensors import FloatArray, as_array, require_pynative
from ..tensors.layers import find_layer
from .random_weights import weight_layers

_ROUNDING = 30  # times that of logits: a shift makes pixels larger, and their differences coarser
_Absorbed = tuple[str, FloatArray]  # the first layer's name, and what a shift adds to its output (1, ...)


def try_shift(network: Network, image: FloatArray, shift: float) -> None:
    """See whether the first layer of a network can absorb a shift; four passes, once for images of a shape.

    Args:
        network: where they run, counted as "shift trial".
        image: (C, H, W).
        shift: added to all values.

    Raises:
        ValueError: if it cannot, or in graph mode.
    """
    _absorbed(network, image, shift)


@contextmanager
def shifted_input(network: Network, image: FloatArray, shift: float) -> Iterator[Network]:
    """Within, passes of what is given take images to which a shift is added, and give what the images themselves give.

    Args:
        network: stays as it is.
        image: (C, H, W), of the shape of those that are going to be asked about.
        shift: added to all values.

    Raises:
        ValueError: as for ``try_shift``.
    """
    name, added = _absorbed(network, image, shift)
    with _taking_away(network.cell, name, added):
        yield network.with_other_weights()


_known: weakref.WeakKeyDictionary[Network, dict[tuple[float, tuple[int, ...]], _Absorbed]] = weakref.WeakKeyDictionary()


def _absorbed(network: Network, image: FloatArray, shift: float) -> _Absorbed:
    require_pynative("a shifted input")
    known, key = _known.setdefault(network, {}), (shift, image.shape)
    if key not in known:
        name = weight_layers(network, image)[0].cells[0]
        try:
            known[key] = _tried(network, name, fixed_images(image.shape)[:1], shift)
        except OutOfMemoryError:
            raise
        except REFUSALS as error:
            if Problem.from_error(error).code == "shift-not-absorbed":
                raise
            raise _refusal(name, shift, f"the network does not take images of one value: {error}") from error
    return known[key]


def _tried(network: Network, name: str, image: FloatArray, shift: float) -> _Absorbed:
    """The first layer, and what the shift adds to its output.

    Raises:
        ValueError: if the network does not answer the same once that is taken away.
    """
    blank = np.zeros_like(image)
    other, shifted = network.with_other_weights(), np.float32(shift)
    outputs = [_output(other, name, one, shift) for one in (blank, blank + shifted)]
    added = outputs[1] - outputs[0]
    expected = other.logits(image, SHIFT_TRIAL)
    with _taking_away(network.cell, name, added):
        found = other.logits(image + shifted, SHIFT_TRIAL)
    if not agree(expected, found, network.type, _ROUNDING * max(1.0, abs(shift))):
        raise _refusal(name, shift, f"answers are {np.abs(found - expected).max():.2g} apart")
    return name, added


def _output(network: Network, name: str, image: FloatArray, shift: float) -> FloatArray:
    """What a layer gives for an image (1, C, H, W).

    Raises:
        ValueError: if it does not run once, or gives something else than a tensor.
    """
    outputs: list[Any] = []
    with _hooked(network.cell, name, outputs.append):
        network.logits(image, SHIFT_TRIAL)
    if len(outputs) != 1:
        raise _refusal(name, shift, f"it runs {len(outputs)} times")
    if not isinstance(outputs[0], Tensor):
        raise _refusal(name, shift, f"it gives a {type(outputs[0]).__name__}")
    return as_array(outputs[0])[:1]


def _refusal(layer: str, shift: float, why: str) -> ValueError:
    words = (
        "the first layer with weights, {layer!r}, cannot absorb that {shift} is added to all pixels: {why}; it must be "
        "a convolution or a dense layer that gets the image, runs once, and is all that looks at it"
    )
    return ValueError(Problem.of("shift-not-absorbed", words, layer=layer, shift=shift, why=why))


def _taking_away(network: nn.Cell, name: str, added: FloatArray) -> Any:
    """Within, a layer gives so much less."""
    return _hooked(network, name, lambda output: output - Tensor(added).astype(output.dtype))


@contextmanager
def _hooked(network: nn.Cell, name: str, change: Callable[[Any], Any]) -> Iterator[None]:
    """Within, a layer gives what a function makes of its output; the output itself where that gives None."""
    cell = find_layer(network, name) if name else network
    hook = cell.register_forward_hook(lambda _cell, _inputs, output: change(output))
    try:
        yield
    finally:
        hook.remove()
