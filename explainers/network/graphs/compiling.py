"""What MindSpore compiles: graphs made of methods that call a network, and code that must not be compiled."""

from __future__ import annotations

import os
import re
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from tempfile import TemporaryDirectory
from typing import Any, Protocol

import mindspore as ms
from mindspore import Tensor, nn

from ....summary_format.errors import ExplainrunError

OUT_OF_MEMORY = re.compile(
    r"out of memory|memory (is )?not enough|alloc\w* .*memory.* fail|device memory", re.IGNORECASE
)
ONE_AT_A_TIME = threading.RLock()  # two threads running forwards give silent garbage
_unused: deque[frozenset[str]] = deque()  # of graphs whose owners are gone


class GraphRefusedError(ExplainrunError, ValueError):
    """A network does not compile, or its graph gives other numbers; says so."""


class Forward:
    """A cell's call as a method: of functions MindSpore warns when another one from the same line is compiled."""

    def __init__(self, cell: nn.Cell) -> None:
        self.cell: nn.Cell | None = cell

    def run(self, images: Tensor) -> Any:
        """What the cell gives for images (N, C, H, W)."""
        return self.cell(images)  # type: ignore[misc]  # only read while the graph is made

    def detach(self) -> None:
        """Forget the cell, which the graph does not need any more."""
        self.cell = None


class Compilable(Protocol):
    """What becomes a graph."""

    @property
    def run(self) -> Callable[..., Any]:
        """The method that is compiled."""

    def detach(self) -> None:
        """Forget the user's cells."""


class Graph:
    """A method as a compiled graph, for arguments of the shapes and types with which it is made.

    The graph reads the memory of the parameters that the cells have now, so that it sees what is written into them, and
    not what takes their place. It holds no cell: a network is not kept alive by what was compiled of it. Its own memory
    is freed at the next compilation once nothing refers to it any more.

    Args:
        method: what to compile.
        arguments: of its first call, whose answer is not needed.

    Raises:
        ValueError: if it does not compile.
    """

    def __init__(self, method: Compilable, *arguments: Tensor) -> None:
        if not may_compile():
            method.detach()
            raise GraphRefusedError("MS_JIT=0 in the environment has nothing compiled")
        free_graphs()
        before = set(_phases())
        self._call: Callable[..., Any] = ms.jit(method.run)
        try:
            with _reports_aside():
                self._call(*arguments)
        except Exception as error:
            if isinstance(error, RuntimeError) and OUT_OF_MEMORY.search(str(error)):
                raise
            words = f"the network does not compile ({type(error).__name__}: {first_words(error)})"
            raise GraphRefusedError(words) from error
        finally:
            weakref.finalize(self, _unused.append, frozenset(set(_phases()) - before)).atexit = False
            method.detach()

    def __call__(self, *arguments: Tensor) -> Any:
        """What the method gives for other arguments."""
        with _set_environment("MS_JIT", None):  # else MindSpore would run the method, whose network is gone
            return self._call(*arguments)


def free_graphs() -> None:
    """Free the memory of graphs whose owners are gone; on the thread that calls MindSpore, hence not in a finalizer."""
    while _unused:
        phases = set(_unused.popleft())
        for executor in _executors():
            executor.del_net_res(None, phases)
        _phases().difference_update(phases)


@contextmanager
def uncompiled() -> Iterator[None]:
    """Within, what the network's author compiled by ``mindspore.jit`` runs as it is written, since graphs skip hooks.

    Of the capture modes "bytecode" and "trace" stay compiled.
    """
    with _set_environment("MS_JIT", "0"):
        yield


def may_compile() -> bool:
    """Whether MindSpore compiles what ``mindspore.jit`` is given; its users can forbid that."""
    return os.environ.get("MS_JIT") != "0"


@contextmanager
def _set_environment(name: str, value: str | None) -> Iterator[None]:
    """Within, a variable has another value, or None; afterwards it is as it was."""
    before = os.environ.pop(name, None)
    if value is not None:
        os.environ[name] = value
    try:
        yield
    finally:
        os.environ.pop(name, None)
        if before is not None:
            os.environ[name] = before


def compiled_part(output: Tensor) -> bool:
    """Whether compiled code made a part of what an output comes from, as far as MindSpore shows it (from 2.10 on)."""
    waiting, seen = [getattr(output, "_grad_node", None)], set()
    while waiting:
        node = waiting.pop()
        if node is None or node._unique_id() in seen:
            continue
        if "bprop_builder" in node.name():
            return True
        seen.add(node._unique_id())
        waiting += [following for following, *_ in node.next_functions]
    return False


def _interface() -> Any:
    """The module in which MindSpore keeps what it has compiled; in 2.10 it moved."""
    for name in ("mindspore.graph.api", "mindspore.common.api"):
        try:
            found = import_module(name)
        except ImportError:
            continue
        if hasattr(found, "ms_compile_cache"):
            return found
    return None


def _phases() -> set[str]:
    """The names of all graphs in memory; empty where MindSpore does not show them, so that they are never freed."""
    return getattr(_interface(), "ms_compile_cache", set())


def _executors() -> list[Any]:
    jit = getattr(_interface(), "JitExecutor_", None)
    return [one for one in (getattr(_interface(), "_cell_graph_executor", None), jit and jit.get_instance()) if one]


@contextmanager
def _reports_aside() -> Iterator[None]:
    """Have the compiler write its reports of failure, which else go to the working folder, where they vanish."""
    with TemporaryDirectory() as folder, _set_environment("MS_OM_PATH", folder):
        yield


def first_words(error: Exception) -> str:
    """The first line of an error of MindSpore."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), "no reason given")
