"""A network's forward pass as one compiled graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mindspore as ms
from mindspore import Tensor, nn


def compiled(cell: nn.Cell, images: Tensor) -> tuple[Callable[[Tensor], Any], Any]:
    """The cell compiled for images of this shape, under the train flags that it has now, and what it gives for them.

    Raises:
        ValueError: if it does not compile.
    """

    def forward(batch: Tensor) -> Any:
        return cell(batch)

    run: Callable[[Tensor], Any] = ms.jit(forward)
    before = [(inner, set(vars(inner))) for _, inner in cell.cells_and_names()]
    try:
        output = run(images)
    except Exception as error:
        raise ValueError(f"the network does not compile ({type(error).__name__})") from error
    finally:
        for inner, names in before:
            if "_func_graph_flags" not in names:
                vars(inner).pop("_func_graph_flags", None)  # the compiler's mark
    return run, output
