"""Monte Carlo dropout: which layers act, whose masks they take, and what lies before them computed once."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from types import FrameType, ModuleType
from typing import Any

import numpy as np
from mindspore import Tensor, mint, nn, ops
from mindspore.ops import Primitive

from ...summary_format.errors import ExplainrunError
from ...summary_format.exit_codes import EXIT_RESUMABLE
from ...summary_format.problem import Problem
from .graphs.swapping import MaskedPlace
from .passes import OutOfMemoryError
from .tensors import FloatArray

RATE_WITHOUT_LAYER = 0.5  # of the dropout put before the last dense layer of a network that has none
_BY_CHANNEL = (nn.Dropout2d, nn.Dropout3d)
_WHOLE = (nn.Dropout, mint.nn.Dropout)
_DENSE = (nn.Dense, mint.nn.Linear)
_REPEATED_BYTES = 1 << 28  # what the repeated output of a dropout may take
MIXED_IMAGES = Problem.of(
    "dropout-mixes-images",
    "a dropout mask of one image changes the logits of another: some dropout layer gets tensors whose first axis does "
    "not hold the images, so uncertainty cannot know whose mask is whose",
)
_FUNCTIONS = re.compile(r"dropout", re.IGNORECASE)


@dataclass(frozen=True)
class DropoutPlaces:
    """Where Monte Carlo dropout acts on a network, and whether all masks share what comes before it.

    Attributes:
        layers: names of the dropout layers that run, or of the dense one before which dropout is put; empty for those
            that are declared.
        shared: whether the first dropout's output may be repeated for all masks.
        added: whether there was none, so that dropout is put before a dense layer.
    """

    layers: tuple[str, ...] = ()
    shared: bool = False
    added: bool = False

    @classmethod
    def of(cls, said: Mapping[str, Any]) -> DropoutPlaces:
        """What a mapping of these says; what it does not say is as where nothing was looked for."""
        return cls(tuple(said.get("layers", ())), bool(said.get("shared")), bool(said.get("added")))


class UnsharedDropoutError(ExplainrunError, ValueError):
    """What comes before a network's first dropout cannot be computed once for all samples; says why."""

    exit_code = EXIT_RESUMABLE


@contextmanager
def unshared_errors() -> Iterator[None]:
    """Errors of a pass in which all samples share what comes before the first dropout, as reasons why they cannot."""
    try:
        yield
    except UnsharedDropoutError:
        raise
    except OutOfMemoryError as error:
        words = "the device has no memory for all samples of a pass together"
        raise UnsharedDropoutError(Problem.of("dropout-out-of-memory", words)) from error
    except (ValueError, TypeError, RuntimeError) as error:
        words = "what follows the first dropout also uses something that is not dropped, such as a residual"
        raise UnsharedDropoutError(Problem.of("dropout-residual", words)) from error


@dataclass(frozen=True, kw_only=True)
class Dropping:
    """How a layer drops.

    Attributes:
        name: its own.
        rate: how likely each value, or each channel, is dropped.
        by_channel: whether whole channels are.
    """

    name: str
    rate: float
    by_channel: bool = False


@dataclass(frozen=True, kw_only=True)
class Dropout(Dropping):
    """Where masks come in: after a dropout layer, or before a dense one."""

    cell: nn.Cell
    before: bool = False


@dataclass(frozen=True)
class Draws:
    """The masks of one pass.

    Attributes:
        generators: of each image, or of each of its repetitions, in order; images after them, which only fill up the
            pass, stay whole.
        images: rows of the pass.
        repeats: how many rows follow the first dropout for each image.
        places: where they came in so far, in running order.
    """

    generators: Sequence[np.random.Generator]
    images: int
    repeats: int = 1
    places: list[MaskedPlace] = field(default_factory=list)

    def masked(self, values: Tensor, dropout: Dropout) -> Tensor:
        """Values dropped at a layer's rate, what is left scaled up.

        Raises:
            ValueError: if their first axis does not hold the images, each in so many rows.
        """
        repeated = self._repeated(values)
        mask = self.mask(repeated.shape, dropout)
        shapes = {"shape": values.shape, "masked": repeated.shape}
        self.places.append(MaskedPlace(name=dropout.name, before=dropout.before, type=values.dtype, **shapes))
        return repeated * Tensor(mask).astype(repeated.dtype)

    def mask(self, shape: Sequence[int], dropout: Dropping) -> FloatArray:
        """What values of a shape are multiplied by.

        Raises:
            ValueError: if their first axis does not hold the images, each in so many rows.
        """
        rows, owners = shape[0], self.images * self.repeats
        if rows % owners:
            words = (
                "dropout layer {layer!r} gets {rows} rows for {images} images; uncertainty needs the images along the "
                "first axis"
            )
            raise ValueError(Problem.of("dropout-rows", words, layer=dropout.name, rows=rows, images=owners))
        shape = masked_shape(shape, dropout)
        masks = np.ones((owners, rows // owners, *shape[1:]), np.float32)  # an image's rows, as of tokens, follow it
        for mask, generator in zip(masks, self.generators, strict=False):
            generator.random(out=mask, dtype=np.float32)
        drawn = masks[: len(self.generators)]
        np.multiply(drawn >= dropout.rate, np.float32(1.0 / max(1.0 - dropout.rate, 1e-12)), out=drawn)
        return masks.reshape(shape)

    def chunked_dense(self, cell: nn.Cell, inputs: tuple[Any, ...], output: Tensor) -> Tensor:
        """A dense layer's output for repeated rows, computed in pieces of a pass.

        With more rows than that a few of them differ in their last bit by where they stand, and an image's spread
        would depend on its neighbours' number.
        """
        if self.repeats == 1 or not inputs or inputs[0].shape[0] != self.images * self.repeats:
            return output
        pieces = range(0, inputs[0].shape[0], self.images)
        return ops.cat([cell.construct(inputs[0][first : first + self.images]) for first in pieces])

    def _repeated(self, values: Tensor) -> Tensor:
        """Values of the images, each as often as it is needed; those that come from repeated ones stay."""
        if values.shape[0] == 1 < self.images:  # the same for all images, such as positions
            values = ops.repeat_interleave(values, self.images, 0)
        if self.repeats == 1 or values.shape[0] != self.images:
            return values
        if values.nbytes * self.repeats > _REPEATED_BYTES:
            words = "repeated {times} times, what is dropped takes {size:,} B"
            values = {"times": self.repeats, "size": values.nbytes * self.repeats}
            raise UnsharedDropoutError(Problem.of("dropout-too-large", words, **values))
        return ops.repeat_interleave(values, self.repeats, 0)


def masked_shape(shape: Sequence[int], dropout: Dropping) -> tuple[int, ...]:
    """The shape of the mask for values of a shape."""
    ones = [1] * (len(shape) - 2)
    return (*shape[:2], *ones) if dropout.by_channel else tuple(shape)


def check_droppable(network: nn.Cell) -> None:
    """Make sure that there is somewhere to put Monte Carlo dropout.

    Raises:
        ValueError: if a layer drops in ways that are not known, or there is neither a dropout layer nor a dense one.
    """
    _candidates(network)


def how_they_drop(network: nn.Cell, names: Iterable[str]) -> list[Dropping]:
    """How the layers of these names drop, without the layers: programs hold no cell."""
    layers, dense = _candidates(network)
    known = {place.name: place for place in layers + dense}
    return [Dropping(name=name, rate=known[name].rate, by_channel=known[name].by_channel) for name in names]


def dense_layers(network: nn.Cell) -> list[str]:
    """Their names."""
    return [place.name for place in _candidates(network)[1]]


@contextmanager
def dropout_hooks(network: nn.Cell, places: DropoutPlaces, draws: Draws) -> Iterator[None]:
    """Within, dropout acts in these places with these masks."""
    layers, dense = _candidates(network)
    chosen = [place for place in layers + dense if place.name in places.layers]
    with ExitStack() as stack:
        for dropout in chosen or layers or dense[-1:]:
            stack.callback(_hooked(dropout, draws).remove)
        for place in dense:
            stack.callback(place.cell.register_forward_hook(draws.chunked_dense).remove)
        yield


@contextmanager
def watching_dropout(network: nn.Cell) -> Iterator[list[DropoutPlaces]]:
    """Watch the pass within; afterwards the list holds the places where dropout shall act.

    Those are the dropout layers that run, or if none does the last dense one that runs.

    Raises:
        ValueError: if the pass, or a layer of the user's in training, calls a dropout function, whose masks cannot be
            chosen, or neither a dropout layer nor a dense one runs.
    """
    layers, dense = _candidates(network)
    ran: list[Dropout] = []
    chosen: list[DropoutPlaces] = []
    own = {id(layer.cell) for layer in layers}
    with ExitStack() as stack:
        for place in layers + dense:
            hook = partial(_note, ran, place)
            stack.callback(place.cell.register_forward_hook(hook).remove)
        calling = stack.enter_context(_watching_functions(own))
        yield chosen
    calling |= {type(cell).__name__ for _, cell in network.cells_and_names() if _may_call_dropout(cell)}
    if calling:
        words = (
            "{kinds:list} calls a dropout function, whose masks uncertainty cannot choose; make it a layer "
            "(nn.Dropout), or of one of MindSpore's own layers set the rate to 0"
        )
        raise ValueError(Problem.of("dropout-function", words, kinds=sorted(calling)))
    dropped = [place.name for place in ran if not place.before]
    if not ran:
        words = "no dropout layer and no dense one runs in a forward pass, so uncertainty has nowhere to drop"
        raise ValueError(Problem.of("no-dropout-runs", words))
    names = dict.fromkeys(dropped or [ran[-1].name])
    chosen.append(DropoutPlaces(tuple(names), added=not dropped))


def _note(ran: list[Dropout], place: Dropout, _cell: nn.Cell, _inputs: Any, _output: Any) -> None:
    ran.append(place)


@contextmanager
def _watching_functions(layers: set[int]) -> Iterator[set[str]]:
    """Notes the cells, but for these, that call a dropout function within; nothing where a profiler is at work.

    A profile function sees calls. Wrapped primitives would not: in evaluation MindSpore's functions return before they
    call one.
    """
    calling: set[str] = set()

    def watch(frame: FrameType, event: str, _argument: Any) -> None:
        if event == "call" and _drops(frame):
            cell = _running_cell(frame.f_back)
            if cell is not None and id(cell) not in layers:
                calling.add(type(cell).__name__)

    if sys.getprofile() is not None:
        yield calling
        return
    sys.setprofile(watch)
    try:
        yield calling
    finally:
        sys.setprofile(None)


def _candidates(network: nn.Cell) -> tuple[list[Dropout], list[Dropout]]:
    """The dropout layers, and the dense ones before which dropout may be put.

    Raises:
        ValueError: if a layer drops in ways that are not known, or there is neither.
    """
    found, dense = [], []
    for name, cell in network.cells_and_names():
        if isinstance(cell, _WHOLE):
            rate = getattr(cell, "p", None)
            rate = float(1.0 - cell.keep_prob if rate is None else rate)
            found.append(Dropout(name=name, cell=cell, rate=rate))
        elif isinstance(cell, _BY_CHANNEL):
            found.append(Dropout(name=name, cell=cell, rate=float(1.0 - cell.keep_prob), by_channel=True))
        elif "dropout" in type(cell).__name__.lower():
            words = "uncertainty does not know how layer {layer!r} ({kind}) drops"
            raise ValueError(Problem.of("dropout-unknown", words, layer=name, kind=type(cell).__name__))
        elif isinstance(cell, _DENSE):
            dense.append(Dropout(name=name, cell=cell, rate=RATE_WITHOUT_LAYER, before=True))
    if not (found or dense):
        words = "uncertainty needs a dropout layer, or a dense one to put dropout before"
        raise ValueError(Problem.of("no-dropout-layer", words))
    return found, dense


def _hooked(dropout: Dropout, draws: Draws) -> Any:
    """Have a place of the network masked; returns what takes the hook off."""

    def before(_cell: Any, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        if not inputs:
            words = "uncertainty puts dropout before layer {layer!r}, which must get its input by place"
            raise ValueError(Problem.of("dropout-input-by-name", words, layer=dropout.name))
        return (draws.masked(inputs[0], dropout), *inputs[1:])

    def after(_cell: Any, _inputs: Any, output: Tensor) -> Tensor:
        return draws.masked(output, dropout)

    register: Callable[[Any], Any] = dropout.cell.register_forward_hook
    if dropout.before:
        return dropout.cell.register_forward_pre_hook(before)
    return register(after)


def _drops(frame: FrameType) -> bool:
    """Whether a frame is the call of a dropout function or primitive of MindSpore."""
    if not str(frame.f_globals.get("__name__", "")).startswith("mindspore."):
        return False
    if any(frame.f_locals.get(rate) == 0 for rate in ("p", "dropout_p")):
        return False
    if frame.f_code.co_name == "__call__":
        primitive = frame.f_locals.get("self")
        return isinstance(primitive, Primitive) and bool(_FUNCTIONS.search(type(primitive).__name__))
    return "self" not in frame.f_locals and bool(_FUNCTIONS.search(frame.f_code.co_name))


def _running_cell(frame: FrameType | None) -> nn.Cell | None:
    """The innermost cell whose code runs."""
    while frame is not None:
        if isinstance(frame.f_locals.get("self"), nn.Cell):
            cell: nn.Cell = frame.f_locals["self"]
            return cell
        frame = frame.f_back
    return None


def _may_call_dropout(cell: nn.Cell) -> bool:
    """Whether the code of a user's layer names a dropout function of MindSpore, which it may call in training alone."""
    construct = getattr(type(cell).construct, "__wrapped__", type(cell).construct)
    if type(cell).__module__.startswith("mindspore.") or not hasattr(construct, "__code__"):
        return False
    known, names = construct.__globals__, construct.__code__.co_names
    modules = [known[name] for name in names if isinstance(known.get(name), ModuleType)]
    return any(
        callable(owner)
        for name in names
        if _FUNCTIONS.search(name) and not hasattr(cell, name)
        for owner in (known.get(name), *(getattr(module, name, None) for module in modules))
        if str(getattr(owner, "__module__", "")).startswith("mindspore.") and not isinstance(owner, type)
    )
