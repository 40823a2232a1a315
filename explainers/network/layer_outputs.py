"""Forward passes that keep what layers give, or run on from what a layer shall give instead."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import tee
from typing import Any

import numpy as np
from mindspore import Tensor, nn

from .layers import IN_GRAPHS, find_layer
from .rows import Block, in_passes
from .service import INPUT_LAYER, Network
from .tensors import FloatArray, as_array, require_pynative


def layer_outputs(
    network: Network, images: FloatArray, layers: Iterable[str], kind: str = "activate"
) -> dict[str, FloatArray]:
    """Outputs (N, ...) of layers for images (N, C, H, W), in one forward a pass; "" is the image itself.

    Of a layer that runs several times in a pass, the last run is kept.

    Raises:
        ValueError: if a layer does not exist, does not run or gives no tensor, there are no images, or MindSpore is in
            graph mode (which ignores hooks in silence).
    """
    require_pynative("reading a layer")
    if not len(images):
        raise ValueError("no images to run the network on")
    names = sorted(set(layers) - {INPUT_LAYER})
    parts: list[dict[str, FloatArray]] = []
    for first in range(0, len(images) if names else 0, network.pass_size):
        chunk = images[first : first + network.pass_size]
        with network.running(kind, len(chunk)), _noting(network.cell, names) as noted:
            network.through(Tensor(network.filled(chunk)))
            parts.append({name: _array(name, noted[name].output)[: len(chunk)] for name in names})
            network.layer_runs.update({name: noted[name].runs for name in names})
    return {**{name: np.concatenate([part[name] for part in parts]) for name in names}, INPUT_LAYER: images}


def logits_from(
    network: Network, layer: str, rows: Iterable[tuple[FloatArray | Block, FloatArray | Block]], kind: str
) -> Iterator[FloatArray]:
    """Logits (up to a pass, classes) where a layer gives something else than it would.

    Args:
        network: where passes run, and ``layer_outputs`` has read the layer before. What comes before the layer runs
            too, and what goes round it is kept. Of a layer that runs several times, the last run gives something else.
        layer: its dotted name; "" is the image itself.
        rows: an image (C, H, W) and what the layer shall give for it, drawn one by one into full passes; or blocks of
            as many of both.
        kind: what the passes count as.

    Raises:
        ValueError: if the layer was never read, does not run as often as then, or gives something of another shape; or
            in graph mode.
    """
    require_pynative("changing what a layer gives")
    if layer != INPUT_LAYER and layer not in network.layer_runs:
        raise ValueError(f"layer {layer!r} must be read before it can give something else")
    of_image, given = tee(rows)  # which holds what is drawn of one and not yet of the other: a pass at most
    parts = ((one for one, _ in of_image), (one for _, one in given))
    for chunk, instead in zip(*(in_passes(part, network.pass_size) for part in parts), strict=True):
        images, outputs = network.filled(chunk), network.filled(instead)
        if layer == INPUT_LAYER:
            images = outputs
        with network.running(kind, len(chunk)), _giving(network, layer, Tensor(outputs)):
            logits = as_array(network.through(Tensor(images)))
        yield logits[: len(chunk)]


@dataclass
class _Noted:
    """What a layer gave at its last run, and how often it ran."""

    output: Any = None
    runs: int = 0


@contextmanager
def _noting(cell: nn.Cell, layers: Iterable[str]) -> Iterator[dict[str, _Noted]]:
    """Within, what each layer gives is noted."""
    names = list(layers)
    noted = {name: _Noted() for name in names}
    with ExitStack() as stack:
        for name in names:

            def note(_cell: nn.Cell, _inputs: Any, output: Any, name: str = name) -> None:
                noted[name] = _Noted(output, noted[name].runs + 1)

            stack.callback(find_layer(cell, name).register_forward_hook(note).remove)
        yield noted


@contextmanager
def _giving(network: Network, layer: str, instead: Tensor) -> Iterator[None]:
    """Within, the last run of a layer gives something else."""
    if layer == INPUT_LAYER:
        yield
        return
    runs, last = 0, network.layer_runs[layer]

    def give(_cell: nn.Cell, _inputs: Any, output: Any) -> Tensor | None:
        nonlocal runs
        runs += 1
        if runs != last:
            return None
        if not isinstance(output, Tensor) or output.shape != instead.shape:
            what = f"shape {output.shape}" if isinstance(output, Tensor) else type(output).__name__
            raise ValueError(f"layer {layer!r} gives {what}, it cannot give shape {instead.shape} instead")
        return instead.astype(output.dtype)

    hook = find_layer(network.cell, layer).register_forward_hook(give)
    try:
        yield
    finally:
        hook.remove()
    if runs != last:
        raise ValueError(f"layer {layer!r} ran {runs} times in a pass, and {last} times when it was read")


def _array(name: str, output: Any) -> FloatArray:
    if output is None:
        raise ValueError(f"layer {name!r} did not run in the forward pass, so it cannot be read{IN_GRAPHS}")
    if not isinstance(output, Tensor):
        raise ValueError(f"layer {name!r} returns a {type(output).__name__}, only a Tensor can be read")
    return as_array(output)
