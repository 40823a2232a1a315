"""The user's network as everyone else in the package sees it: images in, NumPy arrays out, every pass counted.

This module alone touches hooks, train flags and gradients, and alone calls MindSpore with images. It leaves the
network bit for bit as it found it, exceptions included.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any

import mindspore as ms
import numpy as np
import numpy.typing as npt
from mindspore import Tensor, nn

from .compiled import compiled
from .dropout import RATE_WITHOUT_LAYER, dropout_layers, last_dense
from .layers import find_layer
from .passes import OutOfMemoryError, Passes, pass_kind
from .rectified import Rule, backward_rule
from .tensors import (
    Activation,
    FloatArray,
    IntArray,
    as_array,
    checked_logits,
    checked_network,
    choose_fast_convolutions,
    one_hot,
    require_pynative,
)

INPUT_LAYER = ""  # the tap that stands for the images themselves
DEFAULT_PASS_SIZE = 16
COMPILED_AGREES = 1e-5
_FLAGS = "_func_graph_flags"
_OUT_OF_MEMORY = re.compile(
    r"out of memory|memory (is )?not enough|alloc\w* .*memory.* fail|device memory", re.IGNORECASE
)
ACTIVATED_TOGETHER = 256  # rows of logits: waiting for a device costs more than the activation of one pass

_one_at_a_time = threading.RLock()  # two threads running forwards give silent garbage


@dataclass(frozen=True)
class Derivatives:
    """What differentiating one logit for each image gave, image by image.

    Attributes:
        logits: (Q, classes).
        input_gradient: (Q, C, H, W), of the chosen logit with respect to the image.
        activations: for each tapped layer its output (Q, ...).
        gradients: for each tapped layer the gradient of the chosen logit with respect to that output.
    """

    logits: FloatArray
    input_gradient: FloatArray
    activations: dict[str, FloatArray]
    gradients: dict[str, FloatArray]


class Network:
    """Runs a classifier in passes of at most ``pass_size`` images.

    Args:
        cell: takes images (N, C, H, W) and returns logits (N, classes).
        pass_size: images a pass. On CPU a row's bits depend on this number and on nothing else when it is 16 (at 7,
            20 or 32 the matrix kernels split rows otherwise), so runs keep it fixed.
        fill: fill up ragged passes with copies of their last image, whose results are dropped, so that every pass has
            one shape. Runs do; direct calls on a few images do not.

    Raises:
        TypeError: if the cell is no ``mindspore.nn.Cell``.
        ValueError: if pass_size is below 1.
    """

    def __init__(self, cell: nn.Cell, pass_size: int = DEFAULT_PASS_SIZE, *, fill: bool = False) -> None:
        if pass_size < 1:
            raise ValueError(f"pass_size must be at least 1, got {pass_size}")
        choose_fast_convolutions()
        self.cell = checked_network(cell)
        self.pass_size = pass_size
        self.passes = Passes()
        self._fill = fill
        self._forward: Callable[[Tensor], Any] = cell
        self._uniform: dict[tuple[float, tuple[int, ...]], FloatArray] = {}

    def logits(self, images: FloatArray, kind: str = "infer") -> FloatArray:
        """Logits (N, classes) of images (N, C, H, W)."""
        return self.pooled_logits(images, kind)

    def pooled_logits(self, rows: Iterable[FloatArray], kind: str = "perturb") -> FloatArray:
        """Logits (M, classes) of single images (C, H, W), drawn one by one into full passes.

        Raises:
            ValueError: if there are no rows, or the network does not return (N, classes).
        """
        parts = list(self.streamed_logits(rows, kind))
        if not parts:
            raise ValueError("no images to run the network on")
        return np.concatenate(parts)

    def streamed_logits(self, rows: Iterable[FloatArray], kind: str = "perturb") -> Iterator[FloatArray]:
        """The same, pass by pass (up to ``pass_size``, classes), so that memory holds one pass however many rows.

        Raises:
            ValueError: if the network does not return (N, classes).
        """
        rows = iter(rows)
        while chunk := list(islice(rows, self.pass_size)):
            full = self._full(np.stack(chunk))
            with self._running(kind, len(chunk)):
                logits = as_array(checked_logits(self._forward(Tensor(full)), self.cell))[: len(chunk)]
            yield logits

    def uniform_logits(self, value: float, shape: tuple[int, ...]) -> FloatArray:
        """Logits (classes,) of an image (C, H, W) whose every value is the same; asked once, then remembered."""
        if (value, shape) not in self._uniform:
            self._uniform[value, shape] = self.pooled_logits([np.full(shape, value, np.float32)])[0]
        return self._uniform[value, shape]

    def compile(self, images: FloatArray) -> None:
        """Run forward passes compiled from now on, where they give the same numbers; takes two passes to see.

        Passes with hooks or gradients stay as they are, since compiled ones ignore hooks. The graph holds the values
        that the parameters have now, and stays in memory as long as the process.

        Args:
            images: (N, C, H, W), of which the first pass is tried; all later ones must have its shape.

        Raises:
            ValueError: if the network does not compile, or gives other logits by more than 1e-5 of the largest (of 1,
                where that is less); says so. Nothing has changed then.
        """
        first = images[: self.pass_size]
        plain = self.pooled_logits(first, "compile")
        with self._running("compile", len(first)):
            forward, output = compiled(self.cell, Tensor(self._full(first)))
            found = as_array(checked_logits(output, self.cell))[: len(first)]
        finite = np.isfinite(plain)
        apart, largest = (np.abs(of).max(initial=0.0) for of in (found[finite] - plain[finite], plain[finite]))
        if not np.array_equal(np.isfinite(found), finite) or not apart <= COMPILED_AGREES * max(1.0, largest):
            raise ValueError(f"compiled, the network gives logits that are {apart:.2g} apart")
        self._forward = forward

    def activated(self, logits: FloatArray, activation_fn: Activation) -> FloatArray:
        """Probabilities (N, classes) from logits, in chunks of one size so that bits depend on nothing else."""
        parts = []
        with _one_at_a_time:
            for first in range(0, len(logits), ACTIVATED_TOGETHER):
                chunk = logits[first : first + ACTIVATED_TOGETHER]
                full = self._full(chunk, ACTIVATED_TOGETHER)
                parts.append(as_array(activation_fn(Tensor(full)))[: len(chunk)])
        return np.concatenate(parts) if parts else logits

    def differentiate(
        self, images: FloatArray, labels: IntArray, taps: Iterable[str] = (), rule: Rule = "plain"
    ) -> Derivatives:
        """Differentiate the logit of each image's label, one forward and one backward a pass.

        Args:
            images: (Q, C, H, W).
            labels: (Q,), the logit to differentiate for each image.
            taps: names of layers whose output and gradient to keep; "" is the image itself. Of a cell that runs
                several times in a pass, its last run is kept.
            rule: how gradients go back through ReLU and ReLU6: "plain", "guided" or "deconvolution".

        Raises:
            ValueError: if a layer or a label does not exist, a tapped layer gives no tensor or the logits do not
                depend on it, no ReLU ran for another rule than plain, there are no images, or MindSpore is in graph
                mode (which ignores hooks in silence).
        """
        require_pynative()
        if not len(images):
            raise ValueError("no images to differentiate")
        taps = set(taps)
        layers = sorted(taps - {INPUT_LAYER})
        parts: list[Derivatives] = []
        for first in range(0, len(images), self.pass_size):
            chunk = slice(first, first + self.pass_size)
            full, asked = self._full(images[chunk]), self._full(labels[chunk])
            rows = len(images[chunk])
            with self._running(pass_kind(rule), rows), backward_rule(rule):
                parts.append(_differentiated(self.cell, full, asked, layers, rows))
        joined = _joined(parts)
        if INPUT_LAYER in taps:
            joined.activations[INPUT_LAYER] = images
            joined.gradients[INPUT_LAYER] = joined.input_gradient
        return joined

    def dropout_logits(self, images: FloatArray, generators: Sequence[np.random.Generator], samples: int) -> FloatArray:
        """Logits (samples, N, classes) under Monte Carlo dropout: only dropout acts, batch norm stays frozen.

        Gal, Ghahramani: Dropout as a Bayesian Approximation (2016). Each image's masks come from its own generator, so
        they do not depend on what stands beside it. Takes ``samples`` passes for each pass of images.

        Args:
            images: (N, C, H, W).
            generators: one an image.
            samples: how many times to draw masks.

        Raises:
            ValueError: in graph mode, or if the network has neither a dropout layer that is understood nor a dense one.
        """
        require_pynative()
        parts = []
        for first in range(0, len(images), self.pass_size):
            chunk = slice(first, first + self.pass_size)
            rows, full = len(images[chunk]), Tensor(self._full(images[chunk]))
            with _one_at_a_time, _evaluating(self.cell), _dropping(self.cell, generators[chunk]):
                drawn = []
                for _ in range(samples):
                    with self.passes.counted("dropout", rows):
                        drawn.append(as_array(checked_logits(self.cell(full), self.cell))[:rows])
            parts.append(np.stack(drawn))
        return np.concatenate(parts, axis=1)

    def layers(self, images: FloatArray) -> list[tuple[str, str, tuple[int, ...] | None]]:
        """Every layer's dotted name, class, and the shape of its output for these images.

        The shape is None for a layer that does not run, or whose output is no tensor.
        """
        shapes: dict[str, tuple[int, ...]] = {}

        def note(name: str, output: Any) -> None:
            if isinstance(output, Tensor):
                shapes[name] = tuple(output.shape)

        named = [(name, cell) for name, cell in self.cell.cells_and_names() if name]
        require_pynative()
        with ExitStack() as stack, self._running("infer", len(images)):
            for name, cell in named:
                hook = cell.register_forward_hook(lambda _cell, _inputs, output, name=name: note(name, output))
                stack.callback(hook.remove)
            self.cell(Tensor(images))
        return [(name, type(cell).__name__, shapes.get(name)) for name, cell in named]

    @contextmanager
    def _running(self, kind: str, images: int) -> Iterator[None]:
        """One pass of that kind runs within."""
        try:
            with _one_at_a_time, self.passes.counted(kind, images), _evaluating(self.cell):
                yield
        except RuntimeError as error:
            if _OUT_OF_MEMORY.search(str(error)):
                raise OutOfMemoryError(self.pass_size) from error
            raise

    def _full(self, rows: npt.NDArray[Any], size: int | None = None) -> npt.NDArray[Any]:
        lacking = (size or self.pass_size) - len(rows)
        if not self._fill or lacking == 0:
            return np.ascontiguousarray(rows)
        return np.concatenate([rows, np.repeat(rows[-1:], lacking, axis=0)])


@contextmanager
def _evaluating(network: nn.Cell) -> Iterator[None]:
    """Inference mode within, everything as it was afterwards.

    Batch norm that was told to use batch statistics always would change its parameters and tie images to their
    neighbours, so it too uses its moving statistics within.
    """
    cells = [cell for _, cell in network.cells_and_names()]
    unasked = [cell for cell in cells if _FLAGS not in vars(cell)]  # asking for flags makes an empty set of them
    found = [(cell, cell.training, cell.requires_grad, cell.phase, dict(cell.get_flags())) for cell in cells]
    by_batch = [cell for cell in cells if getattr(cell, "use_batch_statistics", None)]
    try:
        for cell in by_batch:
            cell.use_batch_statistics = False
        if any(cell.training for cell in cells):
            network.set_train(False)
        for cell in cells:
            cell.requires_grad = False
        yield
    finally:
        for cell, training, requires_grad, phase, flags in found:
            cell.add_flags(training=training)
            cell.get_flags().clear()
            cell.get_flags().update(flags)
            cell.requires_grad = requires_grad
            cell.phase = phase
        for cell in unasked:
            vars(cell).pop(_FLAGS, None)
        for cell in by_batch:
            cell.use_batch_statistics = True


@contextmanager
def _dropping(network: nn.Cell, generators: Sequence[np.random.Generator]) -> Iterator[None]:
    """Dropout layers act within, each image's masks from its generator; images without one are left whole."""

    def dropped(values: Tensor, rate: float, by_channel: bool) -> Tensor:
        axes = values.shape[1:2] + (1,) * (values.ndim - 2) if by_channel else values.shape[1:]
        masks = np.ones((values.shape[0], *axes), np.float32)
        for mask, generator in zip(masks, generators, strict=False):
            mask[...] = (generator.random(axes, np.float32) >= rate) / max(1.0 - rate, 1e-12)
        return values * Tensor(masks).astype(values.dtype)

    def after(rate: float, by_channel: bool) -> Callable[[Any, Any, Tensor], Tensor]:
        return lambda _cell, _inputs, output: dropped(output, rate, by_channel)

    def before(_cell: Any, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        return (dropped(inputs[0], RATE_WITHOUT_LAYER, False), *inputs[1:])

    layers = dropout_layers(network)
    with ExitStack() as stack:
        for cell, rate, by_channel in layers:
            stack.callback(cell.register_forward_hook(after(rate, by_channel)).remove)
        if not layers:
            stack.callback(last_dense(network).register_forward_pre_hook(before).remove)
        yield


class _Tap:
    """Keeps the output of a cell's last run and the gradient that reaches it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.output: Tensor | None = None
        self.gradients: list[Tensor | None] = []

    def __call__(self, cell: nn.Cell, inputs: Any, output: Any) -> None:
        if not isinstance(output, Tensor):
            raise ValueError(f"layer {self.name!r} returns a {type(output).__name__}, only a Tensor can be tapped")
        run = len(self.gradients)
        self.gradients.append(None)
        self.output = output

        def keep(gradient: Tensor) -> Tensor:
            self.gradients[run] = gradient
            return gradient

        output.register_hook(keep)

    def arrays(self, rows: int) -> tuple[FloatArray, FloatArray]:
        """Output and gradient of the first so many images.

        Raises:
            ValueError: if the layer did not run, or nothing flowed back to it.
        """
        if self.output is None:
            raise ValueError(f"layer {self.name!r} did not run in the forward pass, so it cannot be tapped")
        gradient = self.gradients[-1]
        if gradient is None:
            raise ValueError(f"the logits do not depend on layer {self.name!r}, so it has no gradient")
        return as_array(self.output)[:rows], as_array(gradient)[:rows]


@contextmanager
def _tapped(network: nn.Cell, layers: Sequence[str]) -> Iterator[list[_Tap]]:
    taps = [_Tap(name) for name in layers]
    with ExitStack() as stack:
        for tap in taps:
            stack.callback(find_layer(network, tap.name).register_forward_hook(tap).remove)
        yield taps


def _differentiated(
    cell: nn.Cell, images: FloatArray, labels: IntArray, layers: Sequence[str], rows: int
) -> Derivatives:
    """One pass; what lies past the first ``rows`` images only filled it up."""

    def chosen(batch: Tensor) -> tuple[Tensor, Tensor]:
        logits = checked_logits(cell(batch), cell)
        return (logits * Tensor(one_hot(labels, logits.shape[1]))).sum(), logits

    with _tapped(cell, layers) as taps:
        (_, logits), gradient = ms.value_and_grad(chosen, 0, None, has_aux=True)(Tensor(images))
        kept = {tap.name: tap.arrays(rows) for tap in taps}
    return Derivatives(
        as_array(logits)[:rows],
        as_array(gradient)[:rows],
        {name: activation for name, (activation, _) in kept.items()},
        {name: slope for name, (_, slope) in kept.items()},
    )


def _joined(parts: list[Derivatives]) -> Derivatives:
    def join(pick: Callable[[Derivatives], dict[str, FloatArray]]) -> dict[str, FloatArray]:
        return {name: np.concatenate([pick(part)[name] for part in parts]) for name in pick(parts[0])}

    return Derivatives(
        np.concatenate([part.logits for part in parts]),
        np.concatenate([part.input_gradient for part in parts]),
        join(lambda part: part.activations),
        join(lambda part: part.gradients),
    )
