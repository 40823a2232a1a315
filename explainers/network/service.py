"""Images in, NumPy arrays out, every pass counted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from mindspore import Tensor, nn

from .activations import check_activation, check_no_probabilities
from .attention.search import AttentionFinder
from .backward.recorder import forgetting_errors
from .backward.rectified import Rule, rectified_output
from .differentiation import Asked, derivatives
from .dropout_passes import dropped_logits, find_places
from .graphs.compiling import ONE_AT_A_TIME, Forward, Graph, GraphRefusedError, uncompiled
from .graphs.library import Graphs, Jit, Key
from .graphs.programs import Reading, other_images
from .mc_dropout import DropoutPlaces
from .modes import Written, evaluating
from .outputs import Logits, Output
from .passes import GRAPH_TRIAL, Passes, device_error, pass_kind
from .rows import ACTIVATED_TOGETHER, Block, check_agreement, filled_up, gathered, in_passes
from .taps import Derivatives, noting_shapes
from .tensors import Activation, FloatArray, IntArray, Targets, as_array, checked_network, input_type, require_pynative
from .tensors.layers import LayerRun
from .tensors.processor import place_workers, set_up_processor

DEFAULT_PASS_SIZE = 16


class Network:
    """Runs a classifier in passes of at most ``pass_size`` images.

    Args:
        cell: takes images (N, C, H, W), in the type of its parameters, and returns logits (N, classes) or something
            that holds them.
        pass_size: images per pass. On CPU a row's bits depend on this number and on nothing else when it is 16 (at 7,
            20 or 32 the matrix kernels split rows otherwise), so it stays as it is from the first pass of a run on.
        fill: fill up ragged passes with copies of their last image, whose results are dropped, so that every pass has
            one shape. Runs do; direct calls on a few images do not.
        output: which part of what the cell returns is its logits; see ``Logits``.
        classes: how many there are, if known; see ``Logits``.
        jit: "off" for passes that run operation by operation, "on" for graphs of all that compiles and gives the same
            numbers, "auto" where that pays.
        own_graphs: whether graphs are this object's own, by a rule that knows nothing of earlier passes, as in runs.

    Attributes:
        graphs: the passes that run compiled.
        trial: images (N, C, H, W) on which graphs are tried; None for those of the pass at hand.
        dropout: where the masks of uncertainty act, and whether they share what comes before; see ``prepare_dropout``.
        before_forward: called once, before the next forward pass that gives logits.
        after_pass: called after each pass.
        layer_runs: what each layer that was read did in a pass.
        attention: finds where the cell attends.
        type: in which the cell takes images.
        written: the parameters that its passes write, which are put back after each.

    Raises:
        TypeError: if the cell is not a ``mindspore.nn.Cell``.
        ValueError: if pass_size is below 1, or output is nothing that picks a part.
    """

    def __init__(
        self,
        cell: nn.Cell,
        pass_size: int = DEFAULT_PASS_SIZE,
        *,
        fill: bool = False,
        output: Output = None,
        classes: int | None = None,
        jit: Jit = "off",
        own_graphs: bool = False,
    ) -> None:
        if pass_size < 1:
            raise ValueError(f"pass_size must be at least 1, got {pass_size}")
        set_up_processor()
        self.cell, self.pass_size = checked_network(cell), pass_size
        self.passes, self.dropout = Passes(), DropoutPlaces()
        self.after_pass: Callable[[], None] = lambda: None
        self.before_forward = self.after_pass
        self.layer_runs, self._fill, self.written = dict[str, LayerRun](), fill, Written(cell)
        self._latest: Tensor | None = None
        self._activations: list[Activation] = []  # that were checked
        self._logits, self.type = Logits(type(cell).__name__, output, classes), input_type(cell)
        self._forward: Callable[[Tensor], Any] | None = cell if own_graphs else None  # None: as ``graphs`` decides
        self.graphs = Graphs(cell, jit, own=own_graphs, shared=not callable(output))  # a function may be another later
        self._asks, self._beside = (output, classes), dict[int, Network]()
        self.attention = AttentionFinder(self, None if own_graphs or callable(output) else self._asks)
        self.trial: FloatArray | None = None
        self._uniform: dict[tuple[float, tuple[int, ...]], FloatArray] = {}

    def logits(self, images: FloatArray, kind: str = "infer") -> FloatArray:
        """Logits (N, classes) of images (N, C, H, W)."""
        return self.pooled_logits(images, kind)

    def pooled_logits(self, rows: Iterable[FloatArray | Block], kind: str = "perturb") -> FloatArray:
        """Logits (M, classes) of images (C, H, W), drawn one by one, or a block at a time, into full passes.

        Raises:
            ValueError: if there are no rows, or the network does not return (N, classes).
        """
        parts = list(self.streamed_logits(rows, kind))
        if not parts:
            raise ValueError("no images to run the network on")
        return np.concatenate(parts)

    def streamed_logits(self, rows: Iterable[FloatArray | Block], kind: str = "perturb") -> Iterator[FloatArray]:
        """The same, pass by pass (up to ``pass_size``, classes), so that memory holds one pass however many rows.

        Raises:
            ValueError: if the network does not return (N, classes).
        """
        begin, self.before_forward = self.before_forward, lambda: None
        begin()
        for chunk in in_passes(rows, self.pass_size):
            full, forward = self.filled(chunk), self._forward
            if forward is None:
                full, forward = self.prepared(chunk, ("forward",), self._forward_graph)
            compiled = self.graphs.compiles(forward)
            calls = not isinstance(forward, Graph) or callable(self._asks[0])  # a function may call layers
            with self.running(kind, len(chunk), in_graphs=True, graph=compiled, calls=calls):
                returned = (forward or self.cell)(self.input(Tensor(full)))
                logits = as_array(self._logits(returned, len(full)))[: len(chunk)]
            yield logits

    def prepared(self, images: FloatArray, kind: Key, make: Callable[[FloatArray], Any]) -> tuple[FloatArray, Any]:
        """The images of a pass in the shape in which it runs, and its graph; None where it runs as it is.

        A pass at least half full is filled up where there is a graph of full ones: as it is it would hardly take less.

        Args:
            images: (N, C, H, W).
            kind: what such passes compute.
            make: makes the graph for images of a shape; see ``Graphs.program``.
        """
        kind, shape = (*kind, *self._asks), (self.pass_size, *images.shape[1:])
        full = self.filled(images, always=2 * len(images) >= shape[0] and self.graphs.has((*kind, shape)))
        return full, self.graphs.program((*kind, full.shape), full.size, partial(make, full))

    def _forward_graph(self, images: FloatArray, kind: str = GRAPH_TRIAL) -> Graph:
        """The forward pass as a graph, for images of this shape; takes two passes to see.

        Raises:
            GraphRefusedError: if it does not compile, or gives other logits.
        """
        images = self.trial_images(images)
        with self.running(kind, len(images), in_graphs=True, graph=False):
            plain = as_array(self._logits(self.cell(self.input(Tensor(images))), len(images)))
        with self.running(kind, len(images), in_graphs=True):
            graph = Graph(Forward(self.cell), self.input(Tensor(other_images(images))))
            found = as_array(self._logits(graph(self.input(Tensor(images))), len(images)))
        check_agreement(plain, found, "compiled", self.type)
        return graph

    def trial_images(self, images: FloatArray) -> FloatArray:
        """The images on which graphs are tried, of the shape of these."""
        fits = self.trial is not None and self.trial.shape[1:] == images.shape[1:]
        return np.resize(self.trial, images.shape) if fits else images  # type: ignore[arg-type]  # not None there

    def trial_labels(self, labels: IntArray, count: int) -> IntArray:
        """The labels by which graphs are tried: in a run always the same."""
        classes = self.trial is not None and self._asks[1]
        return np.arange(count) % classes if classes else np.resize(labels, count)

    def reading(self) -> Reading:
        """How the network is asked in a graph, after a pass.

        Raises:
            GraphRefusedError: if it cannot be asked there.
        """
        if self._logits.place is None:
            raise GraphRefusedError("only Python finds the logits in what the network returns")
        if self.written.names:
            raise GraphRefusedError("its passes write parameters")
        return Reading(self.cell, self.type, self._logits.place, self._logits.doubled)

    def streamed_probabilities(
        self, rows: Iterable[FloatArray | Block], activation_fn: Activation, kind: str = "perturb"
    ) -> Iterator[FloatArray]:
        """Probabilities (up to 256, classes) of images (C, H, W), drawn as for ``streamed_logits`` into full passes."""
        yield from (self.activated(logits, activation_fn) for logits in gathered(self.streamed_logits(rows, kind)))

    def beside(self, cell: nn.Cell) -> Network:
        """Another network whose passes are like this one's, and are counted with them."""
        if (other := self._beside.get(id(cell))) is None:
            jit, own = self.graphs.mode, self.graphs.own
            other = self._beside[id(cell)] = Network(cell, self.pass_size, fill=self._fill, jit=jit, own_graphs=own)
            other._forward, other.trial = None, self.trial
        other.passes, other.after_pass = self.passes, self.after_pass
        return other

    def with_other_weights(self) -> Network:
        """This network while its parameters are others: nothing that graphs or memory hold of it now is used there."""
        other = Network(self.cell, self.pass_size, fill=self._fill, output=self._asks[0], classes=self._asks[1])
        other.passes, other.after_pass, other._activations = self.passes, self.after_pass, self._activations
        other.attention = self.attention  # other weights attend at the same places
        return other

    def uniform_logits(self, value: float, shape: tuple[int, ...], kind: str = "perturb") -> FloatArray:
        """Logits (classes,) of an image (C, H, W) whose every value is the same; asked once, then remembered."""
        if (value, shape) not in self._uniform:
            self._uniform[value, shape] = self.pooled_logits([np.full(shape, value, np.float32)], kind)[0]
        return self._uniform[value, shape]

    def compile(self, images: FloatArray, kind: str = "compile") -> None:
        """Run forward passes compiled from now on, where they give the same numbers; takes two passes to see.

        Gradients and what reads layers are compiled apart, by ``jit``. The graph holds the parameters of now.

        Args:
            images: (N, C, H, W), of which the first pass is tried; all later ones must have its shape.
            kind: what the passes count as.

        Raises:
            GraphRefusedError: if the network does not compile, or gives other logits by more than 1e-5 of the largest
                (of 1, where that is less); passes run as they are then.
        """
        self._forward = self.cell  # unless that succeeds
        with self.graphs.noting_refusal("forward"):
            self._forward = self._forward_graph(self.filled(images[: self.pass_size]), kind)

    @property
    def refused(self) -> dict[str, str]:
        """Why passes are not compiled, by what they compute; of networks beside this one their class is named too."""
        found = dict(self.graphs.refused)
        for other in self._beside.values():
            found |= {f"{what} of {type(other.cell).__name__}": why for what, why in other.graphs.refused.items()}
        return found

    def activated(self, logits: FloatArray, activation_fn: Activation) -> FloatArray:
        """Probabilities (N, classes) from logits, in chunks of one size so that bits depend on nothing else.

        Raises:
            NetworkRefusedError: where an activation is asked for the first time, if it does not make probabilities of
                each row alone, or the logits are probabilities already.
        """
        probabilities = self._activated(logits, activation_fn)
        if not any(activation_fn is known for known in self._activations) and logits.ndim == 2:
            activated = partial(self._activated, activation_fn=activation_fn)
            check_activation(activated, logits.shape[1], doubled=self._logits.doubled)
            check_no_probabilities(logits, probabilities)
            self._activations.append(activation_fn)
        return probabilities

    def _activated(self, logits: FloatArray, activation_fn: Activation) -> FloatArray:
        parts = []
        with ONE_AT_A_TIME, forgetting_errors():
            for first in range(0, len(logits), ACTIVATED_TOGETHER):
                chunk = logits[first : first + ACTIVATED_TOGETHER]
                full = self.filled(chunk, ACTIVATED_TOGETHER)
                parts.append(as_array(activation_fn(Tensor(full)))[: len(chunk)])
        return np.concatenate(parts) if parts else logits

    def differentiate(
        self,
        images: FloatArray,
        labels: Targets,
        taps: Iterable[str] = (),
        rule: Rule = "plain",
        kind: str | None = None,
        *,
        image: bool = True,
        biases: bool = False,
    ) -> Derivatives:
        """Differentiate the logit of each image's label, one forward and one backward a pass.

        Args:
            images: (Q, C, H, W).
            labels: (Q,), whose logit to differentiate for each image; or weights (Q, classes) of a sum of logits.
            taps: names of layers whose output and gradient to keep; "" is the image itself. Of a cell that runs
                several times in a pass, its last run is kept. Those of ``attention_tap`` keep attention.
            rule: how gradients go back through ReLU and ReLU6: "plain", "guided" or "deconvolution"; or plainly, "loss"
                of the cross entropy of softmax with the label instead of its logit, "blocks" of the label's score that
                each block of attention has by itself, for attention alone.
            kind: what the passes count as; by default what their rule does.
            image: whether the image's gradient is wanted; where it is not, passes end at the lowest of the layers.
            biases: whether those are wanted that the pass adds; such passes are not compiled.

        Raises:
            ValueError: if a layer or a label does not exist, a tapped layer gives no tensor or the logits do not
                depend on it, no ReLU ran for another rule than plain or something else rectifies, there are no
                images, or MindSpore is in graph mode (which ignores hooks in silence).
        """
        asked = Asked(rule=rule, image=image, kind=kind or pass_kind(rule), biases=biases)
        return derivatives(self, images, labels, set(taps), asked)

    def prepare_dropout(self, images: FloatArray, samples: int) -> None:
        """Find where dropout acts, and whether what comes before it can be computed once for all samples; four passes.

        It can where everything after the first dropout depends on that dropout's output alone, so that the output may
        be repeated: then each repetition gives the logits that a pass of its own gives, whose masks are the same.

        Args:
            images: (N, C, H, W), of which the first pass is tried.
            samples: how many masks are going to be drawn for each image, at least 2.

        Raises:
            ValueError: in graph mode, or if dropout cannot act on this network: it calls a dropout function, nothing
                that could drop runs, a layer drops in unknown ways, or a mask of one image changes another's logits.
            UnsharedDropoutError: if it cannot be shared; every sample is going to take a whole pass, and the trial took
                three.
        """
        require_pynative("uncertainty")
        find_places(self, images[: self.pass_size], samples)

    def dropout_logits(self, images: FloatArray, generators: Sequence[Sequence[np.random.Generator]]) -> FloatArray:
        """Logits (samples, N, classes) under Monte Carlo dropout: only dropout acts, batch norm stays frozen.

        Gal, Ghahramani: Dropout as a Bayesian Approximation (2016). Masks come from the images' own generators, so
        they do not depend on what stands beside an image. Takes one pass for each pass of images where
        ``prepare_dropout`` found that they can share it, else one for each sample.

        Args:
            images: (N, C, H, W).
            generators: for each image one per sample.

        Raises:
            ValueError: in graph mode, or if the network has neither a dropout layer that is understood nor a dense one.
        """
        require_pynative("uncertainty")
        chunks = [slice(first, first + self.pass_size) for first in range(0, len(images), self.pass_size)]
        return np.concatenate([dropped_logits(self, images[chunk], generators[chunk]) for chunk in chunks], axis=1)

    def through(self, images: Tensor, *, together: bool = True, rule: Rule = "plain") -> Tensor:
        """Float32 logits (N, classes) of float32 images, within a pass; not compiled, so hooks and gradients act.

        Args:
            images: (N, C, H, W).
            together: whether each image has one row of logits, not several.
            rule: the backward rule of the pass.

        Raises:
            NetworkRefusedError: if the network returns nothing that is its logits.
            ValueError: if the rule does not hold for all that rectifies in the network.
        """
        return self._logits(rectified_output(self.cell, self.input(images), rule), len(images) if together else None)

    def input(self, images: Tensor) -> Tensor:
        """Float32 images as the network takes them: in the type of its parameters."""
        self._latest = images if self.type == images.dtype else images.astype(self.type)
        return self._latest

    def layers(self, images: FloatArray, kind: str = "infer") -> list[tuple[str, str, tuple[int, ...] | None]]:
        """Every layer's dotted name, class, and the shape of its output for these images, in one pass of that kind.

        The shape is None for a layer that does not run, or whose output is not a tensor.
        """
        require_pynative()
        with self.running(kind, len(images)), noting_shapes(self.cell) as shapes:
            self.cell(self.input(Tensor(images)))
        return [(name, type(cell).__name__, shapes.get(name)) for name, cell in self.cell.cells_and_names() if name]

    @contextmanager
    def running(
        self, kind: str, images: int, *, in_graphs: bool = False, graph: bool | None = None, calls: bool = True
    ) -> Iterator[None]:
        """One pass of that kind, over so many images, runs within.

        Args:
            kind: what it counts as.
            images: how many it holds.
            in_graphs: whether what is compiled runs so. Else what the network's author has compiled runs as it is
                written, since compiled code skips hooks and rules.
            graph: whether it is counted as a compiled graph; by default where what is compiled runs so.
            calls: whether cells are called, in inference mode then. A finished graph calls none, and runs compiled.

        Raises:
            OutOfMemoryError: if the device has no memory for it.
            NetworkRefusedError: if MindSpore lacks an operator of the network for the device.
        """
        in_graphs = in_graphs or not calls
        try:
            with (
                ONE_AT_A_TIME,
                self.passes.counted(kind, images, compiled=in_graphs if graph is None else graph),
                self.written.put_back(),
                evaluating(self.cell) if calls else nullcontext(),
                forgetting_errors(),
                nullcontext() if in_graphs else uncompiled(),
            ):
                yield
            place_workers()
            self.after_pass()
        except Exception as error:
            if (clearer := device_error(error, self.cell, self._latest, self.pass_size)) is not None:
                raise clearer from error
            raise

    def filled(self, rows: npt.NDArray[Any], size: int | None = None, *, always: bool = False) -> npt.NDArray[Any]:
        """Rows of a pass, filled up with copies of the last one where passes shall have one shape, or always."""
        return filled_up(rows, (size or self.pass_size) if self._fill or always else len(rows))
