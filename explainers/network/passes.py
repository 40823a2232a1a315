"""What a network was asked for."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from mindspore import Tensor
from mindspore.common.api import _pynative_executor

from ...summary_format.errors import ExplainrunError
from ...summary_format.exit_codes import EXIT_RESUMABLE
from ...summary_format.problem import Problem
from .rectified import Rule


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


@dataclass
class Passes:
    """What a network was asked for, by kind of pass: "infer", "activate" (which keeps layers' outputs),
    "differentiate", "guided", "deconvolution", "loss" (a forward and a backward each, by their rule), "dropout",
    "perturb", "noise" (of Robustness), "search" (of hierarchical occlusion), "compile", "dropout trial" and "place
    trial" (which try how the network may run), "ascend" (a forward and a backward from a layer's channels), and what
    explainers run themselves ("mask", "occlude", ...).

    Attributes:
        made: how many passes ran.
        images: how many images they held, copies that only fill up a pass left out.
        seconds: how long they took.
    """

    made: Counter[str] = field(default_factory=Counter)
    images: Counter[str] = field(default_factory=Counter)
    seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))

    @contextmanager
    def counted(self, kind: str, images: int) -> Iterator[None]:
        """Count the pass that runs within; one that fails does not count."""
        began = time.perf_counter()
        yield
        self.seconds[kind] += time.perf_counter() - began
        self.made[kind] += 1
        self.images[kind] += images

    def drained(self) -> Passes:
        """What was counted since the last call, which starts over."""
        counted = Passes(self.made, self.images, self.seconds)
        self.made, self.images, self.seconds = Counter(), Counter(), defaultdict(float)
        return counted


def clear_failed_pass() -> None:
    """Have MindSpore forget a pass that raised an error."""
    with suppress(Exception):  # else networks that unpack tensors fail from now on, where the pass was differentiated
        _pynative_executor.clear_res()
    with suppress(Exception):  # MindSpore may raise an error again at the next operation: let it be this one
        (Tensor(0.0) + 1.0).asnumpy()


def pass_kind(rule: Rule) -> str:
    """The kind under which a differentiated pass of that rule is counted."""
    return "differentiate" if rule == "plain" else rule
