"""Inference mode, and back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mindspore import nn

_FLAGS = "_func_graph_flags"


@contextmanager
def keeping_flags(network: nn.Cell) -> Iterator[list[nn.Cell]]:
    """All cells, whose train flags, gradient flags and phases are afterwards as they were before."""
    cells = [cell for _, cell in network.cells_and_names()]
    unasked = [cell for cell in cells if _FLAGS not in vars(cell)]  # asking for flags makes an empty set of them
    found = [(cell, cell.training, cell.requires_grad, cell.phase, dict(cell.get_flags())) for cell in cells]
    by_batch = [cell for cell in cells if getattr(cell, "use_batch_statistics", None)]
    try:
        yield cells
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
def evaluating(network: nn.Cell) -> Iterator[None]:
    """Inference mode within, everything as it was afterwards.

    Batch norm that was set to use batch statistics always would change its parameters and tie images to their
    neighbours, so it too uses its moving statistics within.
    """
    with keeping_flags(network) as cells:
        if any(cell.training for cell in cells):
            network.set_train(False)
        for cell in cells:
            cell.requires_grad = False
            if getattr(cell, "use_batch_statistics", None):
                cell.use_batch_statistics = False
        yield


@contextmanager
def half_training(network: nn.Cell) -> Iterator[None]:
    """Within, all cells but the last train and one parameter does not; everything as it was afterwards."""
    frozen = [(one, one.requires_grad) for one in list(network.get_parameters())[:1]]
    with keeping_flags(network) as cells:
        network.set_train(True)
        cells[-1].set_train(False)
        for parameter, _ in frozen:
            parameter.requires_grad = False
        try:
            yield
        finally:
            for parameter, asked in frozen:
                parameter.requires_grad = asked
