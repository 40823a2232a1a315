"""How the gradient at a layer changes along what the layer gives: products with the Hessian, which is never made.

As graphs alone: where operations run one by one, MindSpore 2.10 leaves out, without a word, what second derivatives owe
to reshaping, sums and means.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal, NamedTuple

import numpy as np
from scipy.special import softmax

from ....summary_format.problem import Problem
from ..graphs.compiling import GraphRefusedError
from ..graphs.programs import Reading, SecondOrderProgram, check_single_runs
from ..outputs import NetworkRefusedError
from ..passes import GRAPH_TRIAL
from ..rows import check_same_values
from ..service import Network
from ..tensors import FloatArray, IntArray, check_labels, one_hot, require_pynative
from ..tensors.layers import INPUT_LAYER

Utility = Literal["rest", "logit"]

_NO_RULE = re.compile(r"(\w+?)Grad\w*(?:'s bprop not defined| does not support)")


@dataclass(frozen=True)
class SecondOrder:
    """What a number for each image does at a layer.

    Attributes:
        gradient: (Q, ...), of the number with respect to the layer's output.
        product: (Q, ...), of the Hessian with that output.
    """

    gradient: FloatArray
    product: FloatArray


class _Pass(NamedTuple):
    """What ``second_order`` takes of the images of one pass."""

    images: FloatArray
    labels: IntArray
    outputs: FloatArray
    logits: FloatArray


def second_order(
    network: Network,
    images: FloatArray,
    labels: IntArray,
    layer: str,
    outputs: FloatArray,
    logits: FloatArray,
    utility: Utility = "rest",
) -> SecondOrder:
    """Gradient and product with the Hessian; passes run from the layer on, back, and once more, as "second order".

    The first time, a pass more sees whether the gradient is the one that there is without a graph.

    Args:
        network: where passes run, and ``layer_outputs`` has read the layer before.
        images: (Q, C, H, W).
        labels: (Q,).
        layer: its dotted name; "" is the image itself.
        outputs: (Q, ...), what it gives for them.
        logits: (Q, classes).
        utility: the number that is differentiated: the label's "logit", or "rest", that plus the logarithm of its
            softmax (residual softmax target-class).

    Raises:
        NetworkRefusedError: if the network does not compile or its graph has another gradient, or an operator is not
            differentiated twice.
        ValueError: if the layer was never read, a label does not exist, or MindSpore is in graph mode.
    """
    require_pynative("a second derivative")
    check_labels(labels, logits.shape[1])
    if layer != INPUT_LAYER and layer not in network.layer_runs:
        raise ValueError(f"layer {layer!r} must be read before it can be differentiated twice")
    parts = []
    for first in range(0, len(images), network.pass_size):
        chunk = slice(first, first + network.pass_size)
        rows = len(images[chunk])
        full = _Pass(*(network.filled(values[chunk]) for values in (images, labels, outputs, logits)))
        with _saying_why(network):
            program = _program(network, layer, utility, full)
            with network.running("second order", rows, calls=False):
                parts.append([values[:rows] for values in program(full.images, full.labels, full.outputs)])
    return SecondOrder(*(np.concatenate(values) for values in zip(*parts, strict=True)))


def _program(network: Network, layer: str, utility: Utility, full: _Pass) -> SecondOrderProgram:
    """The graph for passes of this shape."""
    reading = _reading(network, full.images)
    key = ("second order", layer, utility, reading.place, reading.doubled, full.images.shape)
    make = partial(_tried, network, reading, layer, utility, full)
    found: SecondOrderProgram = network.graphs.demanded(key, make)
    return found


def _reading(network: Network, images: FloatArray) -> Reading:
    """How the network is asked, which a pass shows."""
    with suppress(GraphRefusedError):
        return network.reading()
    network.logits(images, GRAPH_TRIAL)
    return network.reading()


def _tried(network: Network, reading: Reading, layer: str, utility: Utility, full: _Pass) -> SecondOrderProgram:
    """A graph whose gradient is that of a pass that runs as it is.

    Raises:
        GraphRefusedError: if there is none.
    """
    weights = one_hot(full.labels, full.logits.shape[1])
    if utility == "rest":
        weights = 2 * weights - softmax(full.logits, axis=1)
    image = layer == INPUT_LAYER
    expected = network.differentiate(full.images, weights, (layer,), kind=GRAPH_TRIAL, image=image)
    given = None
    if not image:
        check_single_runs({layer: network.layer_runs[layer]})
        given = replace(network.layer_runs[layer], shape=full.outputs.shape)
    with network.running(GRAPH_TRIAL, len(full.images), in_graphs=True):
        program = SecondOrderProgram(
            reading, layer, given, rest=utility == "rest", images=full.images, classes=weights.shape[1]
        )
        gradient, _ = program(full.images, full.labels, full.outputs)
    check_same_values(expected.gradients[layer], gradient, f"gradients of {layer!r}", network.type)
    return program


@contextmanager
def _saying_why(network: Network) -> Iterator[None]:
    """Within, what keeps a network from being differentiated twice is said.

    Raises:
        NetworkRefusedError: then.
    """
    name = type(network.cell).__name__
    try:
        yield
    except GraphRefusedError as error:
        if (found := _NO_RULE.search(str(error))) is None:
            words = "second derivatives of {network} need it compiled, but {why}; take GradCAM"
            problem = Problem.of("second-derivatives-uncompiled", words, network=name, why=str(error))
        else:
            words = (
                "MindSpore has no second derivative of the operator {operator} of {network}; name a layer that runs "
                "after it, or take GradCAM"
            )
            problem = Problem.of("no-second-derivative", words, network=name, operator=found.group(1))
        raise NetworkRefusedError(problem) from error
