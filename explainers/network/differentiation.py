"""Gradients of a network's logits, pass by pass: as they are, or in a graph where that pays and gives the same."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np

from .attention.blocks import AttentionBlock
from .attention.search import AttentionFinder, tapped_attention
from .backward.rectified import UNRECTIFIED, Rule, backward_rule
from .graphs.library import Key
from .graphs.programs import GradientProgram, Reading, check_single_runs
from .passes import GRAPH_TRIAL, PassMaker
from .rows import check_same_values
from .taps import Derivatives, differentiated, joined_derivatives
from .tensors import FloatArray, IntArray
from .tensors.layers import INPUT_LAYER, LayerRun


class Service(PassMaker, Protocol):
    """What is asked of the network here."""

    pass_size: int
    attention: AttentionFinder

    def prepared(self, images: FloatArray, kind: Key, make: Callable[[FloatArray], Any]) -> tuple[FloatArray, Any]:
        """The images of a pass, and its graph, if there is one."""

    def trial_images(self, images: FloatArray) -> FloatArray:
        """The images on which graphs are tried, of the shape of these."""

    def trial_labels(self, labels: IntArray, count: int) -> IntArray:
        """The labels by which graphs are tried."""

    def reading(self) -> Reading:
        """How it is asked."""


@dataclass(frozen=True)
class Asked:
    """What is asked of a differentiated pass.

    Attributes:
        layers: to tap.
        rule: how gradients go back.
        image: whether back to the image; else to the lowest of the layers.
        kind: what its passes count as.
        attention: blocks whose attention is read.
    """

    layers: tuple[str, ...]
    rule: Rule
    image: bool
    kind: str
    attention: tuple[AttentionBlock, ...] = ()


def derivatives(
    network: Service,
    images: FloatArray,
    labels: IntArray,
    taps: Collection[str],
    rule: Rule,
    kind: str,
    *,
    image: bool,
) -> Derivatives:
    """The derivatives of images (Q, C, H, W); see ``Network.differentiate``.

    Args:
        network: whose attention is looked for where a tap reads it.
        images: (Q, C, H, W).
        labels: (Q,), the logit to differentiate for each image.
        taps: names of layers, and of attention (``attention_tap``); "" is the image itself.
        rule: how gradients go back.
        kind: what its passes count as.
        image: whether the image's gradient is wanted; it is where nothing is tapped.
    """
    blocks = [block for block in network.attention.tapped(taps, images) if block.scored or rule != "blocks"]
    layers = tuple(sorted(tap for tap in taps if tap != INPUT_LAYER and tapped_attention(tap) is None))
    of_image = image or INPUT_LAYER in taps or not layers or bool(blocks)
    asked = Asked(layers, rule, of_image, kind, tuple(blocks))
    found = joined_derivatives(list(derivatives_by_pass(network, images, labels, asked)))
    if INPUT_LAYER in taps:
        found.activations[INPUT_LAYER], found.gradients[INPUT_LAYER] = images, found.input_gradient
    return found


def derivatives_by_pass(network: Service, images: FloatArray, labels: IntArray, asked: Asked) -> Iterator[Derivatives]:
    """The derivatives of images (Q, C, H, W), pass by pass."""
    for first in range(0, len(images), network.pass_size):
        chunk = slice(first, first + network.pass_size)
        rows = len(images[chunk])
        full, program = _prepared(network, images[chunk], labels[chunk], asked)
        if program is None:
            yield _as_it_is(network, full, network.filled(labels[chunk]), asked, rows)[0]
            continue
        with network.running(asked.kind, rows, in_graphs=True):
            found = program(full, np.resize(labels[chunk], len(full)))
        yield _cut(Derivatives(*found), rows)


def _prepared(
    network: Service, images: FloatArray, labels: IntArray, asked: Asked
) -> tuple[FloatArray, GradientProgram | None]:
    """The images of a pass, and the graph for their shape, if there is one."""
    if asked.rule not in ("plain", "loss") or asked.attention:
        return network.filled(images), None
    kind = ("gradient", asked.layers, asked.rule, asked.image)
    return network.prepared(images, kind, lambda full: _tried(network, full, labels, asked))


def _as_it_is(
    network: Service, full: FloatArray, labels: IntArray, asked: Asked, rows: int, kind: str | None = None
) -> tuple[Derivatives, dict[str, LayerRun]]:
    """A pass that runs operation by operation."""
    through = partial(network.through, rule=asked.rule)
    # The rules of other rectifiers hang on every operation on the way, so those passes go back to the image.
    image = asked.image or asked.rule not in UNRECTIFIED
    options = {"image": image, "attention": asked.attention}
    with network.running(kind or asked.kind, rows), backward_rule(asked.rule):
        return differentiated(network.cell, through, full, labels, asked.layers, rows, asked.rule, **options)


def _tried(network: Service, images: FloatArray, labels: IntArray, asked: Asked) -> GradientProgram:
    """A graph of such passes, whose numbers are those of a pass as it is.

    Raises:
        GraphRefusedError: if there is none.
    """
    images = network.trial_images(images)
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
            labels=(labels + 1) % expected.logits.shape[1],
            classes=expected.logits.shape[1],
        )
        found = Derivatives(*program(images, labels))
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


def _cut(found: Derivatives, rows: int) -> Derivatives:
    """Without what only filled up the pass."""
    if len(found.logits) == rows:
        return found
    return Derivatives(
        found.logits[:rows],
        None if found.image_gradient is None else found.image_gradient[:rows],
        {name: one[:rows] for name, one in found.activations.items()},
        {name: one[:rows] for name, one in found.gradients.items()},
    )
