"""DeepLIFT's multipliers: gradients of images by the rescale rule, their references in the same pass."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn, ops

from ....summary_format.problem import Problem
from ..backward.dispatch import Dispatch
from ..backward.rescale import Rescaling, refusal
from ..graphs.compiling import compiled_part
from ..passes import PassMaker
from ..rows import filled_up, tolerance
from ..taps import differentiated
from ..tensors import FloatArray, Targets, as_array, logit_weights, require_pynative

RESCALE = "rescale"
_INCOMPLETE = 100  # times what rounding may make of logits
# Cells whose primitives are treated, or that are linear, and need not be tried.
_KNOWN = (nn.ReLU, nn.ReLU6, nn.Sigmoid, nn.Tanh, nn.SiLU, nn.HSwish, nn.HSigmoid, nn.MaxPool2d, nn.AvgPool2d,
          nn.AdaptiveAvgPool2d, nn.Flatten, nn.Dropout, nn.Identity)  # fmt: skip


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
    full = network.filled(images, max(network.pass_size, 2))
    rows = np.concatenate([of_pair, np.arange(len(pairs), len(full))])
    asked = filled_up(targets[[pair.question for pair in pairs]], len(full))

    def through(batch: Tensor) -> Tensor:
        with Rescaling(batch, rows) as rescaling, _functions(network.cell, rescaling):
            logits = network.through(batch)
        _check(network, rescaling, logits)
        return logits

    with network.running(RESCALE, len(images)):
        found, _ = differentiated(network.cell, through, full, asked, (), len(images), "plain")
    count = len(pairs)
    rescaled = Rescaled(pairs, found.input_gradient[:count], found.logits[:count], found.logits[of_pair])
    _check_complete(network, rescaled, logit_weights(asked[:count], found.logits.shape[1]))
    return rescaled


@contextmanager
def _functions(network: nn.Cell, rescaling: Rescaling) -> Iterator[None]:
    """Within, cells without parameters that turn out to be functions of single values are treated as a whole."""
    treated = _TreatedCells(rescaling)
    with ExitStack() as stack:
        for name, cell in network.cells_and_names():
            if name and _may_be_a_function(cell):
                stack.callback(cell.register_forward_pre_hook(treated.begin).remove)
                stack.callback(cell.register_forward_hook(treated.end).remove)
        yield


def _may_be_a_function(cell: nn.Cell) -> bool:
    """Whether a cell, which has neither parameters nor a gradient of its own, may be a function of single values."""
    own_gradient = any(inner.has_bprop for _, inner in cell.cells_and_names())
    return not (isinstance(cell, _KNOWN) or own_gradient or list(cell.get_parameters()))


class _TreatedCells:
    """Watches cells run, and treats those that are functions of single values, such as x * sigmoid(x)."""

    def __init__(self, rescaling: Rescaling) -> None:
        self._rescaling = rescaling
        self._running: list[ExitStack | None] = []  # from the outermost; None where a cell is not treated

    def begin(self, cell: nn.Cell, inputs: Any) -> None:
        """See whether a cell that is about to run shall be treated."""
        treated = None
        if len(inputs) == 1 and self._rescaling.reaches(inputs[0]) and self._by_value(cell, inputs[0]):
            treated = ExitStack()
            treated.enter_context(self._rescaling.treating())
        self._running.append(treated)

    def end(self, cell: nn.Cell, inputs: Any, output: Any) -> Any:
        """What a cell gives, with the slope of the line if it is treated."""
        treated = self._running.pop()
        if treated is None:
            return None
        treated.close()
        return self._rescaling.on_a_line(inputs[0], output)

    def _by_value(self, cell: nn.Cell, x: Tensor) -> bool:
        """Whether each value that a cell gives depends on the one value in its place alone."""
        values = as_array(ops.stop_gradient(x))
        if not len(values) or x.shape[0] % self._rescaling.rows:
            return False
        every_other = np.arange(values.size).reshape(values.shape) % 2 == 0
        versions = (values, np.where(every_other, values, np.roll(values, 1)))
        with self._rescaling.treating():
            first, second = (cell(Tensor(version).astype(x.dtype)) for version in versions)
        alike = isinstance(first, Tensor) and first.shape == x.shape
        return alike and np.array_equal(as_array(first)[every_other], as_array(second)[every_other], equal_nan=True)


def _check_complete(network: Service, rescaled: Rescaled, weights: FloatArray) -> None:
    """Make sure that changes of images account for those of logits, but for rounding.

    Raises:
        ValueError: if they do not, since something ran that the rule does not see.
    """
    changes = np.stack([pair.image - pair.reference for pair in rescaled.pairs])
    parts = (changes * rescaled.multipliers).astype(np.float64).reshape(len(changes), -1)
    falls = (weights * (rescaled.logits.astype(np.float64) - rescaled.reference_logits)).sum(axis=1)
    scale = np.abs(parts).sum(axis=1) + np.abs(rescaled.logits).max(axis=1)
    apart = np.abs(parts.sum(axis=1) - falls)
    if (apart > _INCOMPLETE * tolerance(network.type) * scale).any():
        words = (
            "the rescale rule does not hold for {network}: of a change of its logits by {fall:.3g} the image accounts "
            "for {accounted:.3g}; something runs that MindSpore does not show; take IntegratedGradients"
        )
        worst = int((apart / scale).argmax())
        values = {"fall": float(falls[worst]), "accounted": float(parts[worst].sum())}
        raise ValueError(Problem.of("rescale-incomplete", words, network=type(network.cell).__name__, **values))


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
