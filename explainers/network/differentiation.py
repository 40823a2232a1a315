"""Gradients of a network's logits, pass by pass: as they are, or in a graph where that pays and gives the same."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol

import numpy as np

from .attention.blocks import AttentionBlock
from .attention.search import AttentionFinder, tapped_attention
from .backward.rectified import UNRECTIFIED, Rule, backward_rule
from .graphs.programs import GradientProgram, check_single_runs
from .passes import GRAPH_TRIAL, GraphMaker
from .rows import check_same_values, filled_up
from .taps import Derivatives, differentiated, joined_derivatives
from .tensors import FloatArray, IntArray, Targets, require_pynative
from .tensors.layers import INPUT_LAYER, LayerRun


class Service(GraphMaker, Protocol):
    """What is asked of the network here."""

    pass_size: int
    attention: AttentionFinder

    def trial_labels(self, labels: IntArray, count: int) -> IntArray:
        """The labels by which graphs are tried."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What is asked of a differentiated pass.

    Attributes:
        layers: to tap.
        rule: how gradients go back.
        image: whether back to the image; else to the lowest of the layers.
        kind: what its passes count as.
        biases: whether to note the biases that are added; such passes are not compiled, since a graph runs no hooks.
        attention: blocks whose attention is read.
    """

    layers: tuple[str, ...] = ()
    rule: Rule
    image: bool
    kind: str
    biases: bool = False
    attention: tuple[AttentionBlock, ...] = ()


def derivatives(
    network: Service, images: FloatArray, targets: Targets, taps: Collection[str], asked: Asked
) -> Derivatives:
    """The derivatives of images (Q, C, H, W), with those of what the taps name.

    Args:
        network: whose attention is looked for where a tap reads it.
        images: (Q, C, H, W).
        targets: labels (Q,), whose logit to differentiate for each image; or weights (Q, classes) of a sum of logits.
        taps: names of layers, and of attention (``attention_tap``); "" is the image itself.
        asked: whatever else is asked of the passes.

    Raises:
        ValueError: if there are no images, or in graph mode.
    """
    require_pynative()
    if not len(images):
        raise ValueError("no images to differentiate")
    blocks = [block for block in network.attention.tapped(taps, images) if block.scored or asked.rule != "blocks"]
    layers = tuple(sorted(tap for tap in taps if tap != INPUT_LAYER and tapped_attention(tap) is None))
    of_image = asked.image or INPUT_LAYER in taps or not layers or bool(blocks)
    asked = replace(asked, layers=layers, image=of_image, attention=tuple(blocks))
    found = joined_derivatives(list(derivatives_by_pass(network, images, targets, asked)))
    if INPUT_LAYER in taps:
        found.activations[INPUT_LAYER], found.gradients[INPUT_LAYER] = images, found.input_gradient
    return found


def derivatives_by_pass(network: Service, images: FloatArray, targets: Targets, asked: Asked) -> Iterator[Derivatives]:
    """The derivatives of images (Q, C, H, W), pass by pass."""
    for first in range(0, len(images), network.pass_size):
        chunk = slice(first, first + network.pass_size)
        rows = len(images[chunk])
        full, program = _prepared(network, images[chunk], targets[chunk], asked)
        if program is None:
            yield _as_it_is(network, full, network.filled(targets[chunk]), asked, rows)[0]
            continue
        with network.running(asked.kind, rows, calls=False):
            found = program(full, filled_up(targets[chunk], len(full)))
        yield _cut(_of_graph(found), rows)


def _prepared(
    network: Service, images: FloatArray, targets: Targets, asked: Asked
) -> tuple[FloatArray, GradientProgram | None]:
    """The images of a pass, and the graph for their shape, if there is one."""
    if asked.rule not in ("plain", "loss") or asked.biases or asked.attention:
        return network.filled(images), None
    kind = ("gradient", asked.layers, asked.rule, asked.image)
    return network.prepared(images, kind, lambda full: _tried(network, full, targets, asked))


def _as_it_is(
    network: Service, full: FloatArray, targets: Targets, asked: Asked, rows: int, kind: str | None = None
) -> tuple[Derivatives, dict[str, LayerRun]]:
    """A pass that runs operation by operation."""
    through = partial(network.through, rule=asked.rule)
    # The rules of other rectifiers hang on every operation on the way, so those passes go back to the image.
    image = asked.image or asked.rule not in UNRECTIFIED
    options: Any = {"image": image, "biases": asked.biases, "attention": asked.attention}
    with network.running(kind or asked.kind, rows), backward_rule(asked.rule):
        return differentiated(network.cell, through, full, targets, asked.layers, rows, asked.rule, **options)


def _tried(network: Service, images: FloatArray, targets: Targets, asked: Asked) -> GradientProgram:
    """A graph of such passes, whose numbers are those of a pass as it is.

    Raises:
        GraphRefusedError: if there is none.
    """
    images = network.trial_images(images)
    labels = targets.astype(np.int64, copy=False) if targets.ndim == 1 else targets.argmax(axis=1)
    labels = network.trial_labels(labels, len(images))
    expected, layers = _as_it_is(network, images, labels, asked, len(images), GRAPH_TRIAL)
    check_single_runs(layers)
    reading = network.reading()
    with network.running(GRAPH_TRIAL, len(images), in_graphs=True):
        program = GradientProgram(
            reading,
            layers,
            image=asked.image,
            loss=asked.rule == "loss",
            images=images,
            targets=(labels + 1) % expected.logits.shape[1],
            classes=expected.logits.shape[1],
        )
        found = _of_graph(program(images, labels))
    for name, (one, other) in _pairs(expected, found).items():
        check_same_values(one, other, name, network.type)
    return program


def _pairs(expected: Derivatives, found: Derivatives) -> dict[str, tuple[FloatArray, FloatArray]]:
    """The arrays of both, by what they are in words."""
    pairs = {"logits": (expected.logits, found.logits)}
    if expected.image_gradient is not None:
        pairs["gradients of the image"] = (expected.input_gradient, found.input_gradient)
    for name in expected.activations:
        pairs[f"outputs of {name!r}"] = (expected.activations[name], found.activations[name])
        pairs[f"gradients of {name!r}"] = (expected.gradients[name], found.gradients[name])
    return pairs


def _of_graph(found: tuple[FloatArray, FloatArray | None, dict[str, FloatArray], dict[str, FloatArray]]) -> Derivatives:
    """What a graph gives."""
    logits, by_image, activations, gradients = found
    return Derivatives(logits=logits, image_gradient=by_image, activations=activations, gradients=gradients)


def _cut(found: Derivatives, rows: int) -> Derivatives:
    """Without what only filled up the pass."""
    if len(found.logits) == rows:
        return found
    return Derivatives(
        logits=found.logits[:rows],
        image_gradient=None if found.image_gradient is None else found.image_gradient[:rows],
        activations={name: one[:rows] for name, one in found.activations.items()},
        gradients={name: one[:rows] for name, one in found.gradients.items()},
    )
