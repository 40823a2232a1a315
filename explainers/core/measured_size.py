"""The pass size that a short measurement finds best: how long an image takes in passes of several sizes.

A size is left out

- if the rows of one image, repeated throughout a pass, differ: then an image's bits depend on its place, and results on
  the order of the samples, as with some networks on CPU at sizes such as 20 and 32;
- if gradients of a pass need more than half of the memory that is available when the measurement begins. They hold
  about three times what the forward passes add that are measured;
- if the network cannot be asked so.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from statistics import median
from typing import Literal, Protocol

import mindspore as ms
import numpy as np
from mindspore import nn

from ...summary_format.problem import Problem
from ..arguments import whole_number
from ..network import DEFAULT_PASS_SIZE, Jit, Network, OutOfMemoryError, Output, Passes, keeping_random_state
from ..network.graphs.compiling import ONE_AT_A_TIME, GraphRefusedError, first_words
from ..network.graphs.for_each_network import ForEachNetwork
from ..network.graphs.library import Key
from ..network.tensors import FloatArray
from .memory import pass_memory

AUTO: Literal["auto"] = "auto"
PassSize = int | Literal["auto"]
LARGEST_PASS = 65_536

SIZE_TRIAL = "size trial"
_LARGEST_TRIED = 256
_SMALLER = (8, 4, 2, 1)
_FASTER = 0.95  # of an image's time in passes of another size
_TIMED = 3  # passes of each size
_LONGEST = 2.0  # seconds of a pass; none is tried that would take longer
_MEMORY_SHARE = 0.5  # of what is available
_BACKWARD = 3  # times what a forward pass holds

_log = logging.getLogger("explainrun")


def checked_pass_size(value: object) -> PassSize:
    """Images per pass.

    Raises:
        ValueError: if it is neither a whole number from 1 to 65,536 nor "auto".
    """
    if isinstance(value, str):
        if value != AUTO:
            words = 'pass_size must be a whole number from 1, or "auto", got {given!r}'
            raise ValueError(Problem.of("pass-size-unknown", words, given=value))
        return AUTO
    size = whole_number(value, "pass_size")
    if size > LARGEST_PASS:
        words = "pass_size must be at most {most}, got {given}"
        raise ValueError(Problem.of("pass-size-too-large", words, most=LARGEST_PASS, given=size))
    return size


class Memory(Protocol):
    """Where passes lie."""

    def used(self) -> float:
        """Bytes."""

    def available(self) -> float:
        """Bytes; NaN where that is unknown."""


@dataclass(frozen=True)
class Trial:
    """What passes of a size showed.

    Attributes:
        size: images per pass.
        seconds: that an image takes; infinite where none could be asked.
        memory: bytes that gradients of a pass need, as far as forward passes show; infinite where there is no room for
            these, NaN where another error kept them from being made.
        refused: why passes shall not have this size; "" if they may.
    """

    size: int
    seconds: float
    memory: float
    refused: str = ""


@dataclass
class SizeSearch:
    """Tries 16 first, then a smaller size, then greater ones as long as images take less time and memory lasts.

    Args:
        attempt: tries a size.
        room: bytes that gradients of a pass may need; NaN where that is unknown, and then no size above 16 is tried.

    Attributes:
        trials: what was tried, in order.
    """

    attempt: Callable[[int], Trial]
    room: float
    trials: list[Trial] = field(default_factory=list)

    def best(self) -> int:
        """Images per pass: 16, or what takes at least 5 % less time; 16 too where no size that was tried will do."""
        for size in self._sizes():
            self.trials.append(self.attempt(size))
        chosen: Trial | None = None
        for one in self.trials:
            if not self.reason_against(one) and (chosen is None or one.seconds <= _FASTER * chosen.seconds):
                chosen = one
        return DEFAULT_PASS_SIZE if chosen is None else chosen.size

    def reason_against(self, trial: Trial) -> str:
        """Why passes shall not have the size of a trial; "" if they may."""
        too_much = trial.size > 1 and self._foreseen(trial.size) > self.room
        return trial.refused or ("too much memory" if too_much else "")

    def _sizes(self) -> Iterator[int]:
        """The sizes to try, each decided by what those before have shown."""
        yield DEFAULT_PASS_SIZE
        for size in _SMALLER:
            if size == 1 or not self._foreseen(size) > self.room:
                yield size
                if self.trials[-1].memory != math.inf:
                    break
        size = 2 * DEFAULT_PASS_SIZE
        while size <= _LARGEST_TRIED and self._is_worth_trying(size):
            yield size
            size *= 2

    def _is_worth_trying(self, size: int) -> bool:
        """Whether there is room and time for twice the size tried last, and that was faster than all before."""
        *before, last = self.trials
        if not all(one.seconds < math.inf for one in self.trials):
            return False
        faster = size == 2 * DEFAULT_PASS_SIZE or last.seconds <= _FASTER * min(one.seconds for one in before)
        quick = size * min(one.seconds for one in self.trials) <= _LONGEST
        return faster and quick and self._foreseen(size) <= self.room

    def _foreseen(self, size: int) -> float:
        """The memory that passes of a size need, by the greatest that ran: memory that was taken once is kept."""
        ran = [one for one in self.trials if math.isfinite(one.memory)]
        greatest = max(ran, key=lambda one: one.size, default=Trial(1, 0.0, 0.0))
        return greatest.memory * size / greatest.size

    def summary(self, chosen: int) -> str:
        """What was found, in a line."""
        times = [
            f"{1000 * one.seconds:.3g} ms in passes of {one.size}" for one in self.trials if one.seconds < math.inf
        ]
        reasons = [f"; not {one.size}: {why}" for one in self.trials if (why := self.reason_against(one))]
        if len(reasons) == len(self.trials):
            reasons.append("; so no size that was tried will do")
        needed, room = (f"{of / 1e6:,.0f} MB" for of in (self._foreseen(chosen), self.room))
        memory = f"gradients of such a pass need about {needed}, of {room} that they may"
        return f"pass_size {chosen}, as measured: an image takes {', '.join(times) or '?'}{''.join(reasons)}; {memory}"


@dataclass(kw_only=True)
class Measurement:
    """Passes of several sizes through a network.

    Args:
        images: (N, C, H, W), of which each pass is made; the first one is repeated to see whether its place matters.
        opened: the network as it is going to be asked, by images per pass. Passes are filled up.
        compiles: whether forward passes are going to run compiled, where that gives the same numbers.
        passes: what all passes are counted in, as "size trial".
        check: called before each size; raises to end the wait.
        memory: where passes lie.
        clock: seconds.
    """

    images: FloatArray
    opened: Callable[[int], Network]
    compiles: bool
    passes: Passes = field(default_factory=Passes)
    check: Callable[[], None] = lambda: None
    memory: Memory = field(default_factory=pass_memory)
    clock: Callable[[], float] = time.perf_counter
    _before: float = field(default=0.0, init=False)
    _first: tuple[Network, FloatArray, float] | None = field(default=None, init=False)

    @keeping_random_state()
    def best_size(self) -> int:
        """Images per pass; what was found is logged in a line."""
        with ONE_AT_A_TIME:
            self._begin()
            search = SizeSearch(self._tried, _MEMORY_SHARE * self.memory.available())
            size = search.best()
        _log.info("%s", search.summary(size))
        return size

    def _begin(self) -> None:
        """Have what every first pass takes be taken, and note how much memory is in use then."""
        network = self.opened(1)
        network.passes = self.passes
        with suppress(ValueError, TypeError, RuntimeError):  # which comes again below
            network.logits(self.images[:1], SIZE_TRIAL)
        self._before = self.memory.used()

    def _tried(self, size: int) -> Trial:
        self.check()
        network = self.opened(size)
        network.passes = self.passes
        images = np.resize(self.images, (size, *self.images.shape[1:]))
        try:
            self._compile(network, images)
            rows = network.logits(np.repeat(self.images[:1], size, axis=0), SIZE_TRIAL)
            seconds = self._seconds(network, images)
        except OutOfMemoryError:
            return Trial(size, math.inf, math.inf, "too much memory")
        except (ValueError, TypeError, RuntimeError) as error:  # of the user's code
            return Trial(size, math.inf, math.nan, first_words(error))
        memory = _BACKWARD * max(self.memory.used() - self._before, images.nbytes)
        alike = np.array_equal(rows, np.broadcast_to(rows[:1], rows.shape), equal_nan=True)
        return Trial(size, seconds, memory, "" if alike else "an image's outputs depend on its place")

    def _compile(self, network: Network, images: FloatArray) -> None:
        if self.compiles:
            with suppress(GraphRefusedError):  # as a run of that size would find too
                network.compile(images, SIZE_TRIAL)

    def _seconds(self, network: Network, images: FloatArray) -> float:
        """What an image takes, by medians; passes of another size take turns with the first one's.

        So a machine that is busier now than at first counts for both.
        """
        if self._first is None:
            each = median(self._timed(network, images) for _ in range(_TIMED)) / len(images)
            self._first = network, images, each
            return each
        first, its_images, each = self._first
        turns = [(self._timed(first, its_images), self._timed(network, images)) for _ in range(_TIMED)]
        return each * median(own / its for its, own in turns) * len(its_images) / len(images)

    def _timed(self, network: Network, images: FloatArray) -> float:
        began = self.clock()
        network.logits(images, SIZE_TRIAL)
        return self.clock() - began


_sizes: ForEachNetwork[dict[Key, int]] = ForEachNetwork(dict)


def remembered_size(cell: nn.Cell, images: FloatArray, output: Output, jit: Jit) -> int:
    """The pass size for direct calls on images (N, C, H, W): measured once for their shape while the network lives."""
    target, mode = ms.get_context("device_target"), ms.get_context("mode")
    with ONE_AT_A_TIME:
        known, key = _sizes[cell], (images.shape[1:], output, jit, target, mode)
        if key not in known:
            known[key] = Measurement(
                images=images,
                opened=lambda size: Network(cell, size, fill=True, output=output, jit=jit, own_graphs=True),
                compiles=jit != "off" and mode != ms.GRAPH_MODE,
            ).best_size()
        return known[key]
