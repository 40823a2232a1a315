"""The user's network as everyone else in the package sees it: images in, NumPy arrays out, every pass counted.

This module alone touches hooks, train flags and gradients, and alone calls MindSpore with images. It leaves the
network bit for bit as it found it, exceptions included.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import mindspore as ms
import numpy as np
import numpy.typing as npt
from mindspore import Tensor, nn

from .rectified import Rule, backward_rule
from .registry import nearest

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]
Activation = Callable[[Tensor], Tensor]

INPUT_LAYER = ""  # the tap that stands for the images themselves
DEFAULT_PASS_SIZE = 16

_log = logging.getLogger("explainrun")
_one_at_a_time = threading.RLock()  # two threads running forwards give silent garbage


@dataclass
class Passes:
    """What a network was asked for, by kind of pass: "infer", "differentiate", "guided", "deconvolution" (a forward and
    a backward each, the last two by their rule) and "perturb".

    Attributes:
        made: how many passes ran.
        images: how many images they held, copies that only fill up a pass left out.
    """

    made: Counter[str] = field(default_factory=Counter)
    images: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        return ", ".join(f"{self.made[kind]} {kind} ({self.images[kind]} images)" for kind in self.made) or "none"


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
        if not isinstance(cell, nn.Cell):
            raise TypeError(f"network must be a mindspore.nn.Cell, got {type(cell).__name__}")
        if pass_size < 1:
            raise ValueError(f"pass_size must be at least 1, got {pass_size}")
        choose_fast_convolutions()
        self.cell = cell
        self.pass_size = pass_size
        self.passes = Passes()
        self._fill = fill
        self._uniform: dict[tuple[float, tuple[int, ...]], FloatArray] = {}

    def logits(self, images: FloatArray, kind: str = "infer") -> FloatArray:
        """Logits (N, classes) of images (N, C, H, W)."""
        return self.pooled_logits(images, kind)

    def pooled_logits(self, rows: Iterable[FloatArray], kind: str = "perturb") -> FloatArray:
        """Logits (M, classes) of single images (C, H, W), drawn one by one into full passes.

        Only one pass of images is held at a time, so the rows may be a generator without end in sight.

        Raises:
            ValueError: if there are no rows, or the network does not return (N, classes).
        """
        rows = iter(rows)
        parts: list[FloatArray] = []
        while chunk := list(islice(rows, self.pass_size)):
            with _one_at_a_time, _evaluating(self.cell):
                logits = _checked_logits(self.cell(Tensor(self._full(np.stack(chunk)))), self.cell)
                parts.append(_array(logits)[: len(chunk)])
            self._count(kind, len(chunk))
        if not parts:
            raise ValueError("no images to run the network on")
        return np.concatenate(parts)

    def uniform_logits(self, value: float, shape: tuple[int, ...]) -> FloatArray:
        """Logits (classes,) of an image (C, H, W) whose every value is the same; asked once, then remembered."""
        if (value, shape) not in self._uniform:
            self._uniform[value, shape] = self.pooled_logits([np.full(shape, value, np.float32)])[0]
        return self._uniform[value, shape]

    def activated(self, logits: FloatArray, activation_fn: Activation) -> FloatArray:
        """Probabilities (N, classes) from logits, in chunks of the pass size so that bits depend on nothing else."""
        parts = []
        with _one_at_a_time:
            for first in range(0, len(logits), self.pass_size):
                chunk = logits[first : first + self.pass_size]
                parts.append(_array(activation_fn(Tensor(self._full(chunk))))[: len(chunk)])
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
            with _one_at_a_time, _evaluating(self.cell), backward_rule(rule):
                parts.append(_differentiated(self.cell, full, asked, layers, rows))
            self._count("differentiate" if rule == "plain" else rule, rows)
        joined = _joined(parts)
        if INPUT_LAYER in taps:
            joined.activations[INPUT_LAYER] = images
            joined.gradients[INPUT_LAYER] = joined.input_gradient
        return joined

    def layer(self, name: str) -> nn.Cell:
        """The cell of that dotted name.

        Raises:
            ValueError: if there is none; it offers the nearest names.
        """
        return find_layer(self.cell, name)

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
        with ExitStack() as stack, _one_at_a_time, _evaluating(self.cell):
            for name, cell in named:
                hook = cell.register_forward_hook(lambda _cell, _inputs, output, name=name: note(name, output))
                stack.callback(hook.remove)
            self.cell(Tensor(images))
        self._count("infer", len(images))
        return [(name, type(cell).__name__, shapes.get(name)) for name, cell in named]

    def _full(self, rows: npt.NDArray[Any]) -> npt.NDArray[Any]:
        lacking = self.pass_size - len(rows)
        if not self._fill or lacking == 0:
            return np.ascontiguousarray(rows)
        return np.concatenate([rows, np.repeat(rows[-1:], lacking, axis=0)])

    def _count(self, kind: str, images: int) -> None:
        self.passes.made[kind] += 1
        self.passes.images[kind] += images


def checked_activation(activation_fn: Any) -> Activation:
    """A function from logits to probabilities.

    Raises:
        TypeError: if it cannot be called, or is a class whose brackets were forgotten.
    """
    if isinstance(activation_fn, type):
        raise TypeError(f"activation_fn must be an object, got the class; write {activation_fn.__name__}()")
    if not callable(activation_fn):
        raise TypeError(f"activation_fn must be a Cell or a function, got {type(activation_fn).__name__}")
    checked: Activation = activation_fn
    return checked


def choose_fast_convolutions() -> None:
    """On CPU, keep oneDNN off the AVX-512 code whose convolutions are 60 to 100 times slower, unless the user chose.

    It helps only before the process's first convolution, hence also when this module is imported.
    """
    if "ONEDNN_MAX_CPU_ISA" not in os.environ and ms.get_context("device_target") == "CPU":
        os.environ["ONEDNN_MAX_CPU_ISA"] = "AVX2"
        _log.info("Explainrun has set ONEDNN_MAX_CPU_ISA=AVX2, since MindSpore's CPU convolutions crawl with AVX-512")


choose_fast_convolutions()


def require_pynative() -> None:
    """Refuse graph mode, where MindSpore ignores hooks without a word.

    Raises:
        ValueError: in graph mode.
    """
    if ms.get_context("mode") == ms.GRAPH_MODE:
        raise ValueError(
            "gradient explainers need PyNative mode, MindSpore is in graph mode; "
            "call mindspore.set_context(mode=mindspore.PYNATIVE_MODE) first"
        )


def find_layer(network: nn.Cell, name: str) -> nn.Cell:
    """The cell of that dotted name, such as "layer4.0.conv1".

    Raises:
        ValueError: if there is none; it offers the nearest names.
    """
    cell: Any = network
    for part in name.split("."):
        cell = getattr(cell, part, None)
        if not isinstance(cell, nn.Cell):
            known = [known for known, _ in network.cells_and_names() if known]
            raise ValueError(f"{type(network).__name__} has no layer {name!r}; {nearest(name, known)}")
    return cell


@contextmanager
def _evaluating(network: nn.Cell) -> Iterator[None]:
    """Inference mode within, everything as it was afterwards.

    Batch norm that was told to use batch statistics always would change its parameters and tie images to their
    neighbours, so it too uses its moving statistics within.
    """
    cells = [cell for _, cell in network.cells_and_names()]
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
        for cell in by_batch:
            cell.use_batch_statistics = True


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
        return _array(self.output)[:rows], _array(gradient)[:rows]


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
        logits = _checked_logits(cell(batch), cell)
        return (logits * Tensor(_one_hot(labels, logits.shape[1]))).sum(), logits

    with _tapped(cell, layers) as taps:
        (_, logits), gradient = ms.value_and_grad(chosen, 0, None, has_aux=True)(Tensor(images))
        kept = {tap.name: tap.arrays(rows) for tap in taps}
    return Derivatives(
        _array(logits)[:rows],
        _array(gradient)[:rows],
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


def _array(values: Any) -> FloatArray:
    """A Tensor of any precision, or an array, as float32."""
    if isinstance(values, Tensor):
        values = values.astype(ms.float32).asnumpy()
    array: FloatArray = np.asarray(values, np.float32)
    return array


def _one_hot(labels: IntArray, classes: int) -> FloatArray:
    if labels.min() < 0 or labels.max() >= classes:
        raise ValueError(f"targets must lie in 0..{classes - 1}, got {labels.min()} to {labels.max()}")
    return np.eye(classes, dtype=np.float32)[labels]


def _checked_logits(output: Any, cell: nn.Cell) -> Tensor:
    if not isinstance(output, Tensor) or output.ndim != 2:
        what = f"shape {tuple(output.shape)}" if isinstance(output, Tensor) else type(output).__name__
        raise ValueError(f"{type(cell).__name__} must return logits of shape (N, classes), it returned {what}")
    return output
