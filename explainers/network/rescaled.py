"""DeepLIFT's multipliers: gradients of images by the rescale rule, their references in the same pass."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import mindspore as ms
import numpy as np
from mindspore import Tensor

from ...summary_format.problem import Problem
from .backward.dispatch import Dispatch
from .backward.rescale import Rescaling, refusal
from .graphs.compiling import compiled_part
from .passes import PassMaker
from .rows import filled_up
from .taps import differentiated
from .tensors import FloatArray, Targets, require_pynative

RESCALE = "rescale"


class Service(PassMaker, Protocol):
    """What is asked of the network here."""

    pass_size: int


@dataclass(frozen=True)
class Pair:
    """An image and what it is compared with.

    Attributes:
        image: (C, H, W).
        reference: (C, H, W).
        key: of the reference; those next to each other with equal keys share a row of a pass.
        question: what it is for.
    """

    image: FloatArray
    reference: FloatArray
    key: Hashable
    question: int


@dataclass(frozen=True)
class Rescaled:
    """What a pass gave for some pairs.

    Attributes:
        pairs: M of them.
        multipliers: (M, C, H, W).
        logits: (M, classes) of the images.
        reference_logits: (M, classes) of what they are compared with.
    """

    pairs: Sequence[Pair]
    multipliers: FloatArray
    logits: FloatArray
    reference_logits: FloatArray


def rescaled_by_pass(network: Service, pairs: Sequence[Pair], targets: Targets) -> Iterator[Rescaled]:
    """The multipliers of pairs, pass by pass.

    Args:
        network: where the passes run; they hold an image and its reference at least, whatever the pass size.
        pairs: in an order in which equal keys stand together.
        targets: (questions,) labels, or weights (questions, classes) of sums of logits.

    Raises:
        ValueError: if the rule is not defined for the network, or MindSpore does not show what runs.
    """
    require_pynative()
    if Dispatch is object:
        words = (
            "the rescale rule needs MindSpore 2.10 or later, which shows every operator that runs; this is {version}"
        )
        raise ValueError(Problem.of("rescale-unseen", words, version=ms.__version__))
    for part in packed([pair.key for pair in pairs], network.pass_size):
        yield _rescaled(network, pairs[part], targets)


def packed(keys: Sequence[Hashable], size: int) -> Iterator[slice]:
    """Which pairs a pass of so many rows holds, a row for each pair and one for each key among them; in order."""
    size, first, rows = max(size, 2), 0, 0
    for place, key in enumerate(keys):
        more = 1 + (rows == 0 or key != keys[place - 1])
        if rows + more > size:
            yield slice(first, place)
            first, rows, more = place, 0, 2
        rows += more
    if rows:
        yield slice(first, len(keys))


def images_of_pairs(keys: Sequence[Hashable], size: int) -> int:
    """How many images the passes of pairs hold; all but the last one count as full."""
    *full, last = [slice(0, 0), *packed(keys, size)]
    of_last = keys[last]
    distinct = sum(place == 0 or key != of_last[place - 1] for place, key in enumerate(of_last))
    return max(len(full) - 1, 0) * max(size, 2) + len(of_last) + distinct


def _rescaled(network: Service, pairs: Sequence[Pair], targets: Targets) -> Rescaled:
    """One pass."""
    begins = [place for place, pair in enumerate(pairs) if place == 0 or pair.key != pairs[place - 1].key]
    images = np.stack([pair.image for pair in pairs] + [pairs[place].reference for place in begins])
    of_pair = len(pairs) + np.searchsorted(begins, np.arange(len(pairs)), side="right") - 1
    full = filled_up(images, len(network.filled(np.empty(len(images)), max(network.pass_size, 2))))
    rows = np.concatenate([of_pair, np.arange(len(pairs), len(full))])
    asked = targets[[pair.question for pair in pairs]]
    rescaling = Rescaling(rows)

    def through(batch: Tensor) -> Tensor:
        with rescaling:
            logits = network.through(batch)
        _check(network, rescaling, logits)
        return logits

    with network.running(RESCALE, len(images)):
        found, _ = differentiated(
            network.cell, through, full, filled_up(asked, len(full)), (), len(images), "plain", image=True
        )
    count = len(pairs)
    return Rescaled(pairs, found.input_gradient[:count], found.logits[:count], found.logits[of_pair])


def _check(network: Service, rescaling: Any, logits: Tensor) -> None:
    """Refuse a pass in which the rule did not hold for all that ran.

    Raises:
        ValueError: then.
    """
    if rescaling.refused is not None:
        raise ValueError(refusal(network.cell, rescaling.refused))
    if compiled_part(logits):
        words = (
            "the rescale rule does not reach what mindspore.jit has compiled with capture_mode 'bytecode' or 'trace'; "
            "use capture_mode 'ast', which Explainrun runs uncompiled, or IntegratedGradients"
        )
        raise ValueError(Problem.of("rescale-compiled", words))
