"""Forward passes that keep what layers give, or run on from what a layer shall give instead."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from itertools import tee
from typing import Any

import numpy as np
from mindspore import Tensor, nn

from .attention.blocks import AttentionBlock
from .attention.search import attention_means, tapped_attention
from .graphs.programs import OutputProgram, TailProgram, check_single_runs
from .passes import GRAPH_TRIAL
from .rows import Block, check_same_values, in_passes
from .service import Network
from .tensors import FloatArray, as_array, require_pynative
from .tensors.layers import IN_GRAPHS, INPUT_LAYER, LayerRun, find_layer


def layer_outputs(
    network: Network, images: FloatArray, layers: Iterable[str], kind: str = "activate"
) -> dict[str, FloatArray]:
    """Outputs (N, ...) of layers for images (N, C, H, W), in one forward a pass; "" is the image itself.

    Of a layer that runs several times in a pass, the last run is kept. Of attention (``attention_tap``) it is the mean
    of the heads' probabilities (N, queries, keys) of each block inside the layer, by its own tap, in running order.

    Raises:
        ValueError: if a layer does not exist, does not run or gives no tensor, there are no images, or MindSpore is in
            graph mode (which ignores hooks in silence).
    """
    require_pynative("reading a layer")
    if not len(images):
        raise ValueError("no images to run the network on")
    taps = set(layers) - {INPUT_LAYER}
    blocks = network.attention.tapped(taps, images)
    names = tuple(sorted(tap for tap in taps if tapped_attention(tap) is None))
    passes = range(0, len(images) if names or blocks else 0, network.pass_size)
    parts = [_outputs(network, images[first : first + network.pass_size], names, blocks, kind) for first in passes]
    found = {name: np.concatenate([part[name] for part in parts]) for name in (parts[0] if parts else ())}
    return {**found, INPUT_LAYER: images}


def _outputs(
    network: Network, images: FloatArray, names: tuple[str, ...], blocks: Sequence[AttentionBlock], kind: str
) -> dict[str, FloatArray]:
    """What layers and attention give in one pass."""
    full, program = network.filled(images), None
    if not blocks:
        full, program = network.prepared(images, ("outputs", names), lambda full: _tried_outputs(network, full, names))
    if program is None:
        found, layers = _outputs_as_they_are(network, full, names, kind, len(images), blocks)
    else:
        with network.running(kind, len(images), calls=False):
            found, layers = program(full), program.layers
    network.layer_runs.update(layers)
    return {name: output[: len(images)] for name, output in found.items()}


def _outputs_as_they_are(
    network: Network,
    full: FloatArray,
    names: Iterable[str],
    kind: str,
    rows: int,
    blocks: Sequence[AttentionBlock] = (),
) -> tuple[dict[str, FloatArray], dict[str, LayerRun]]:
    """The same from a pass that runs operation by operation; also what the layers did."""
    with network.running(kind, rows), _noting(network.cell, names) as noted:
        means = attention_means(blocks, network.through, Tensor(full))
        found = {name: _array(name, of.output) for name, of in noted.items()}
        return found | means, {name: LayerRun.of(of.output, of.runs) for name, of in noted.items()}


def _tried_outputs(network: Network, images: FloatArray, names: tuple[str, ...]) -> OutputProgram:
    """A graph that ends at layers, and gives what they give.

    Raises:
        GraphRefusedError: if there is none.
    """
    images = network.trial_images(images)
    expected, layers = _outputs_as_they_are(network, images, names, GRAPH_TRIAL, len(images))
    check_single_runs(layers)
    with network.running(GRAPH_TRIAL, len(images), in_graphs=True):
        program = OutputProgram(network.reading(), layers, images)
        found = program(images)
    for name in names:
        check_same_values(expected[name], found[name], f"outputs of {name!r}", network.type)
    return program


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
    for images, outputs in zip(*(in_passes(part, network.pass_size) for part in parts), strict=True):
        yield _logits_of(network, layer, images, outputs, kind)


def _logits_of(network: Network, layer: str, images: FloatArray, outputs: FloatArray, kind: str) -> FloatArray:
    """Logits of one pass."""

    def as_full(full: FloatArray) -> FloatArray:
        return network.filled(outputs, len(full), always=True)

    if layer == INPUT_LAYER:
        return _full_pass(network, layer, network.filled(images), network.filled(outputs), kind, len(images))
    tail = ("tail", layer)
    full, program = network.prepared(images, tail, lambda full: _tried_tail(network, layer, full, as_full(full)))
    if program is None:
        return _full_pass(network, layer, full, as_full(full), kind, len(images))
    with network.running(kind, len(images), calls=False):
        logits: FloatArray = program(full, as_full(full))[: len(images)]
        return logits


def _full_pass(
    network: Network, layer: str, images: FloatArray, outputs: FloatArray, kind: str, count: int
) -> FloatArray:
    """The same from a whole pass, in which the layer gives something else."""
    images = outputs if layer == INPUT_LAYER else images
    with network.running(kind, count), _giving(network, layer, Tensor(outputs)):
        return as_array(network.through(Tensor(images)))[:count]


def _tried_tail(network: Network, layer: str, images: FloatArray, outputs: FloatArray) -> TailProgram:
    """What comes after a layer as a graph, tried on what the layer gives, and on a changed half of that.

    Raises:
        GraphRefusedError: if there is none, or it gives other logits than whole passes.
        ValueError: if what the layer shall give has another shape.
    """
    if network.trial is not None:
        images = network.trial_images(images)
        outputs = _outputs_as_they_are(network, images, [layer], GRAPH_TRIAL, len(images))[0][layer]
    changed = np.where(np.arange(outputs.shape[-1]) % 2, outputs, np.float32(0.5) * outputs)
    expected = [_full_pass(network, layer, images, one, GRAPH_TRIAL, len(images)) for one in (outputs, changed)]
    check_single_runs({layer: network.layer_runs[layer]})
    with network.running(GRAPH_TRIAL, len(images), in_graphs=True):
        program = TailProgram(network.reading(), layer, replace(network.layer_runs[layer], shape=outputs.shape), images)
        found = [program(images, one) for one in (outputs, changed)]
    for one, other in zip(expected, found, strict=True):
        check_same_values(one, other, f"logits after {layer!r}", network.type)
    return program


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
    runs, last = 0, network.layer_runs[layer].runs

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
