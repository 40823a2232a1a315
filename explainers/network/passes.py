"""What a network was asked for."""

from __future__ import annotations

import re
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

import mindspore as ms
import numpy.typing as npt
from mindspore import Tensor, nn

from ...summary_format.errors import ExplainrunError
from ...summary_format.exit_codes import EXIT_RESUMABLE
from ...summary_format.problem import Problem
from .backward.rectified import Rule
from .graphs.compiling import OUT_OF_MEMORY
from .graphs.library import Key
from .graphs.programs import Reading
from .modes import evaluating
from .outputs import NetworkRefusedError
from .tensors import FloatArray, exact_bytes

GRAPH_TRIAL = "graph trial"
WEIGHT_ORDER, SHIFT_TRIAL, UNIFORM = "weight order", "shift trial", "uniform"
_NO_KERNEL = re.compile(r"operator\[(\w+)\] fail|kernel (\w+) unregistered|kernelmod for op (\w+) fail", re.IGNORECASE)


class PassMaker(Protocol):
    """What modules that make passes ask of the network."""

    cell: nn.Cell
    type: Any

    def filled(self, rows: npt.NDArray[Any], size: int | None = None, *, always: bool = False) -> npt.NDArray[Any]:
        """Rows of a pass, filled up where passes shall have one shape."""

    def through(self, images: Tensor, *, together: bool = True, rule: Rule = "plain") -> Tensor:
        """Logits, within a pass."""

    def running(
        self, kind: str, images: int, *, in_graphs: bool = False, graph: bool | None = None, calls: bool = True
    ) -> AbstractContextManager[None]:
        """One pass runs within."""


class GraphMaker(PassMaker, Protocol):
    """What modules that make passes of which graphs are made ask of the network too."""

    def prepared(self, images: FloatArray, kind: Key, make: Callable[[FloatArray], Any]) -> tuple[FloatArray, Any]:
        """The images of a pass, and its graph, if there is one."""

    def trial_images(self, images: FloatArray) -> FloatArray:
        """The images on which graphs are tried, of the shape of these."""

    def reading(self) -> Reading:
        """How it is asked."""


class OutOfMemoryError(ExplainrunError, RuntimeError):
    """The device has no memory for a pass; says which pass size to set."""

    exit_code = EXIT_RESUMABLE

    def __init__(self, pass_size: int) -> None:
        smaller = f"set pass_size to {pass_size // 2}" if pass_size > 1 else "there is no smaller pass_size"
        super().__init__(
            Problem.of(
                "out-of-memory",
                "the device has no memory for a pass of {pass_size:plural image}; {advice} (results depend on it, so "
                "a run that has begun resumes with its own or starts over with overwrite)",
                pass_size=pass_size,
                advice=smaller,
            )
        )


def device_error(error: Exception, cell: nn.Cell, images: Tensor | None, pass_size: int) -> Exception | None:
    """What to raise instead of an error of a pass, if it says that the device has no memory or lacks an operator.

    Args:
        error: what the pass raised.
        cell: which ran.
        images: what it was given; None if it was not reached.
        pass_size: images per pass.
    """
    if isinstance(error, RuntimeError) and OUT_OF_MEMORY.search(str(error)):
        return OutOfMemoryError(pass_size)
    found = _NO_KERNEL.search(str(error))
    return _no_kernel(cell, images, next(filter(None, found.groups()))) if found and images is not None else None


def _no_kernel(cell: nn.Cell, images: Tensor, operator: str) -> NetworkRefusedError:
    """The error that names the layer which calls an operator without a kernel; a pass more shows which it is."""
    layer, network = _failing_layer(cell, images), type(cell).__name__
    asking = f"the gradient of {network}" if layer is None else f"layer {layer!r} of {network}" if layer else network
    kinds = sorted({str(one.dtype).lower() for one in cell.get_parameters()})
    advice = "" if kinds == ["float32"] else "set them to float32 with Parameter.set_dtype, or "
    words = (
        "{asking} needs the operator {operator}, which MindSpore does not have on {device} for its types (parameters "
        "are {kinds:and}); {advice}run on another kind of device"
    )
    values = {"operator": operator, "layer": layer or "", "kinds": kinds, "device": ms.get_context("device_target")}
    return NetworkRefusedError(Problem.of("no-kernel", words, asking=asking, advice=advice, **values))


def _failing_layer(cell: nn.Cell, images: Tensor) -> str | None:
    """The innermost layer in which a forward pass fails; "" is none of them, and None that it does not fail.

    Operations run behind Python's back, so each layer is waited for.
    """
    running = [""]
    with ExitStack() as stack, evaluating(cell):
        for name, inner in cell.cells_and_names():
            if name:
                stack.callback(inner.register_forward_pre_hook(partial(_begins, running, name)).remove)
                stack.callback(inner.register_forward_hook(partial(_ends, running)).remove)
        try:
            found = cell(images)
            _ends([""], cell, (), found)
        except Exception:
            return running[-1]
    return None


def _begins(running: list[str], name: str, _cell: nn.Cell, _inputs: Any) -> None:
    running.append(name)


def _ends(running: list[str], _cell: nn.Cell, _inputs: Any, output: Any) -> None:
    if isinstance(output, Tensor):
        exact_bytes(output)
    running.pop()


@dataclass
class Passes:
    """What a network was asked for, by kind of pass: "infer", "activate" (which keeps layers' outputs),
    "differentiate", "guided", "deconvolution", "loss", "blocks" (a forward and a backward each, by their rule; for the
    last what comes behind each block of attention runs again), "attention search", "dropout",
    "perturb", "noise" (of metrics of robustness), "random weights" and "weight order" (of those of randomization),
    "shift trial" (whether a first layer absorbs a shift) and "shifted", "uniform" (images of one value),
    "search" (of hierarchical occlusion), "nearest" and "nearest pool" (of nearest samples), "compile", "graph trial",
    "dropout trial", "place trial", "repeat trial" and "size trial" (which try how the network may run), "ascend" (a
    forward and a backward from a layer's channels), "second order" (a forward and two backward), and what explainers
    run themselves ("mask", "occlude", ...).

    Attributes:
        made: how many passes ran.
        images: how many images they held, copies that only fill up a pass left out.
        compiled: how many of the passes ran as compiled graphs.
        seconds: how long they took.
    """

    made: Counter[str] = field(default_factory=Counter)
    images: Counter[str] = field(default_factory=Counter)
    compiled: Counter[str] = field(default_factory=Counter)
    seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))

    @contextmanager
    def counted(self, kind: str, images: int, *, compiled: bool = False) -> Iterator[None]:
        """Count the pass that runs within; one that fails does not count."""
        began = time.perf_counter()
        yield
        self.seconds[kind] += time.perf_counter() - began
        self.made[kind] += 1
        self.images[kind] += images
        self.compiled.update({kind: 1} if compiled else {})

    def drained(self) -> Passes:
        """What was counted since the last call, which starts over."""
        counted = Passes(self.made, self.images, self.compiled, self.seconds)
        self.made, self.images, self.compiled, self.seconds = Counter(), Counter(), Counter(), defaultdict(float)
        return counted


def pass_kind(rule: Rule) -> str:
    """The kind under which a differentiated pass of that rule is counted."""
    return "differentiate" if rule == "plain" else rule
