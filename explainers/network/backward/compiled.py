"""A network's forward pass as one compiled graph."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from typing import Any

import mindspore as ms
from mindspore import Tensor, nn


def compiled(cell: nn.Cell, images: Tensor) -> tuple[Callable[[Tensor], Any], Any]:
    """The cell compiled for images of this shape, under the train flags that it has now, and what it gives for them.

    Raises:
        ValueError: if it does not compile.
    """
    run: Callable[[Tensor], Any] = ms.jit(_Forward(cell).run)
    try:
        with _reports_aside():
            output = run(images)
    except Exception as error:
        raise ValueError(f"the network does not compile ({type(error).__name__}: {_first_words(error)})") from error
    return run, output


class _Forward:
    """A cell's call as a method: of functions MindSpore warns when another one from the same line is compiled."""

    def __init__(self, cell: nn.Cell) -> None:
        self.cell = cell

    def run(self, images: Tensor) -> Any:
        return self.cell(images)


@contextmanager
def uncompiled() -> Iterator[None]:
    """Within, what the network's author compiled by ``mindspore.jit`` runs as it is written, since graphs skip hooks.

    Of the capture modes "bytecode" and "trace" stay compiled.
    """
    before = os.environ.get("MS_JIT")
    os.environ["MS_JIT"] = "0"
    try:
        yield
    finally:
        del os.environ["MS_JIT"]
        if before is not None:
            os.environ["MS_JIT"] = before


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


@contextmanager
def _reports_aside() -> Iterator[None]:
    """Have the compiler write its reports of failure, which else go to the working folder, where they vanish."""
    before = os.environ.get("MS_OM_PATH")
    with TemporaryDirectory() as folder:
        os.environ["MS_OM_PATH"] = folder
        try:
            yield
        finally:
            del os.environ["MS_OM_PATH"]
            if before is not None:
                os.environ["MS_OM_PATH"] = before


def _first_words(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), "no reason given")
