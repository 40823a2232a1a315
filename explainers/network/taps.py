"""One differentiated pass: gradients of chosen logits, with the outputs and gradients of the layers asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, TypeVar

import mindspore as ms
import numpy as np
from mindspore import Parameter, Tensor, nn, ops

from .attention.blocks import AttentionBlock
from .attention.scores import BlockScores
from .attention.search import attention_tap
from .attention.taps import AttentionTap, TappedOperators
from .backward.biases import BiasGradient, NotedBiases, noting_biases
from .backward.rectified import Rule
from .tensors import FloatArray, Targets, as_array, logit_weights
from .tensors.layers import IN_GRAPHS, LayerRun, find_layer

Released = TypeVar("Released", "_Tap", AttentionTap)


@dataclass(frozen=True, kw_only=True)
class Derivatives:
    """What differentiating one logit for each image gave, image by image.

    Attributes:
        logits: (Q, classes).
        image_gradient: (Q, C, H, W), of the chosen logit with respect to the image; None where layers alone were asked.
        activations: for each tapped layer its output (Q, ...); for each block of attention that was tapped its
            probabilities (Q, heads, queries, keys), in running order, by ``attention_tap`` of its name.
        gradients: for each of these the gradient of the chosen logit with respect to it.
        biases: the biases that the pass added, with their gradients; None where they were not asked for.
    """

    logits: FloatArray
    image_gradient: FloatArray | None
    activations: dict[str, FloatArray]
    gradients: dict[str, FloatArray]
    biases: tuple[BiasGradient, ...] | None = None

    @property
    def input_gradient(self) -> FloatArray:
        """(Q, C, H, W), the gradient of the chosen logit with respect to the image.

        Raises:
            ValueError: if the pass ended at layers, since nothing asked for more.
        """
        if self.image_gradient is None:
            words = "the pass ended at its layers; needs = Needs.gradient(..., image=True) has it go back to the image"
            raise ValueError(words)
        return self.image_gradient


class _Tap:
    """Keeps the output of a cell's last run and the gradient that reaches it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.zero: Parameter | None = None
        self.output: Tensor | None = None
        self.gradients: list[Tensor | None] = []

    def end_here(self) -> Parameter:
        """Have the layer add a zero; a pass back that is asked for the zeros' gradients alone goes no further."""
        self.zero = Parameter(Tensor(np.zeros(1, np.float32)), name=f"explainrun.zero.{self.name}")
        return self.zero

    def __call__(self, cell: nn.Cell, inputs: Any, output: Any) -> Tensor | None:
        if not isinstance(output, Tensor):
            raise ValueError(f"layer {self.name!r} returns a {type(output).__name__}, only a Tensor can be tapped")
        run = len(self.gradients)
        self.gradients.append(None)
        self.output = output = output if self.zero is None else output + self.zero.astype(output.dtype)

        def keep(gradient: Tensor) -> Tensor:
            self.gradients[run] = gradient
            return gradient

        output.register_hook(keep)
        return None if self.zero is None else output

    def run(self) -> LayerRun:
        """What the layer did.

        Raises:
            ValueError: if it did not run.
        """
        if self.output is None:
            raise ValueError(f"layer {self.name!r} did not run in the forward pass, so it cannot be tapped{IN_GRAPHS}")
        return LayerRun.of(self.output, len(self.gradients))

    def release(self) -> None:
        """Forget the tensors: the output holds its hook and the hook this tap, a ring that no one would find unused."""
        self.output = None
        self.gradients.clear()

    def arrays(self, rows: int) -> tuple[FloatArray, FloatArray]:
        """Output and gradient of the first so many images.

        Raises:
            ValueError: if the layer did not run, or nothing flowed back to it.
        """
        self.run()
        gradient = self.gradients[-1]
        if gradient is None:
            raise ValueError(f"the logits do not depend on layer {self.name!r}, so it has no gradient{IN_GRAPHS}")
        return as_array(self.output)[:rows], as_array(gradient)[:rows]


@contextmanager
def _tapped(network: nn.Cell, layers: Sequence[str]) -> Iterator[Sequence[_Tap]]:
    with ExitStack() as stack, _released([_Tap(name) for name in layers]) as taps:
        for tap in taps:
            stack.callback(find_layer(network, tap.name).register_forward_hook(tap).remove)
        yield taps


@contextmanager
def _released(taps: Sequence[Released]) -> Iterator[Sequence[Released]]:
    """Within, taps hold tensors."""
    try:
        yield taps
    finally:
        for tap in taps:
            tap.release()


@contextmanager
def noting_shapes(network: nn.Cell) -> Iterator[dict[str, tuple[int, ...]]]:
    """Within, the shapes of what layers give are noted by their names, where that is a tensor."""
    shapes: dict[str, tuple[int, ...]] = {}

    def noting(name: str) -> Callable[..., None]:
        def note(_cell: nn.Cell, _inputs: Any, output: Any) -> None:
            if isinstance(output, Tensor):
                shapes[name] = tuple(output.shape)

        return note

    with ExitStack() as stack:
        for name, cell in network.cells_and_names():
            if name:
                stack.callback(cell.register_forward_hook(noting(name)).remove)
        yield shapes


def differentiated(
    cell: nn.Cell,
    through: Callable[[Tensor], Tensor],
    images: FloatArray,
    targets: Targets,
    layers: Sequence[str],
    rows: int,
    rule: Rule,
    *,
    image: bool = True,
    biases: bool = False,
    attention: Sequence[AttentionBlock] = (),
) -> tuple[Derivatives, dict[str, LayerRun]]:
    """One pass through a cell, to its logits; what lies past the first ``rows`` images only filled it up.

    Also gives what the layers did. Without ``image``, the pass back ends at the lowest of the layers; with ``biases``
    those that are added are noted.
    """
    of_blocks = BlockScores(cell, attention if rule == "blocks" else ())

    def chosen(batch: Tensor) -> tuple[Tensor, Tensor]:
        logits, scores = _scored(through, batch, attending, of_blocks)
        asked = Tensor(logit_weights(targets, logits.shape[1]))
        value = sum((one * asked).sum() for one in scores)
        if rule == "loss":  # the cross entropy of softmax
            return ops.logsumexp(logits, 1).sum() - value, logits
        return value, logits

    tapped = [AttentionTap(block) for block in attention]
    noting = noting_biases(cell) if biases else nullcontext(NotedBiases())
    with _tapped(cell, layers) as taps, _released(tapped) as attending, noting as noted:
        zeros = [of_blocks.zero] if rule == "blocks" else None if image else [tap.end_here() for tap in taps]
        (_, logits), gradients = ms.value_and_grad(chosen, 0 if image else None, zeros, has_aux=True)(Tensor(images))
        kept = {tap.name: tap.arrays(rows) for tap in taps}
        kept |= {attention_tap(tap.block.name): tap.arrays(rows) for tap in attending}
        runs = {tap.name: tap.run() for tap in taps}
        added = noted.gradients(len(images), rows) if biases else None
    derivatives = Derivatives(
        logits=as_array(logits)[:rows],
        image_gradient=as_array(gradients)[:rows] if image and zeros is None else None,
        activations={name: activation for name, (activation, _) in kept.items()},
        gradients={name: slope for name, (_, slope) in kept.items()},
        biases=added,
    )
    return derivatives, runs


def _scored(
    through: Callable[[Tensor], Tensor], batch: Tensor, taps: Sequence[AttentionTap], of_blocks: BlockScores
) -> tuple[Tensor, list[Tensor]]:
    """The logits of a pass in which attention is read, and the scores (N, classes) that are differentiated."""
    if not taps:
        logits = through(batch)
        return logits, [logits]
    with of_blocks.keeping(), TappedOperators(taps, differentiated=True) as tapped:
        logits = through(batch)
    tapped.check()
    return logits, of_blocks.scores(through, ops.stop_gradient(batch)) or [logits]


def joined_derivatives(parts: list[Derivatives]) -> Derivatives:
    """Several passes below one another."""

    def join(pick: Callable[[Derivatives], dict[str, FloatArray]]) -> dict[str, FloatArray]:
        return {name: np.concatenate([pick(part)[name] for part in parts]) for name in pick(parts[0])}

    whole, added = parts[0].image_gradient is not None, parts[0].biases is not None
    return Derivatives(
        logits=np.concatenate([part.logits for part in parts]),
        image_gradient=np.concatenate([part.input_gradient for part in parts]) if whole else None,
        activations=join(lambda part: part.activations),
        gradients=join(lambda part: part.gradients),
        biases=tuple(map(_joined_biases, *(part.biases or () for part in parts))) if added else None,
    )


def _joined_biases(*parts: BiasGradient) -> BiasGradient:
    """One bias in several passes."""
    bias, gradient = parts[0].bias, np.concatenate([part.gradient for part in parts])
    of_images = bias.shape == parts[0].gradient.shape
    return BiasGradient(np.concatenate([part.bias for part in parts]) if of_images else bias, gradient)
