"""Inference mode, and back; parameters that passes write, and the user's random numbers, put back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import mindspore as ms
import numpy as np
import numpy.typing as npt
from mindspore import Parameter, Tensor, nn

from .tensors import exact_array, exact_bytes

_FLAGS = "_func_graph_flags"
# By kernel and seed, how far MindSpore's random operations are after set_seed; a function has the module's name.
_OPERATION_SEEDS: dict[Any, Any] = getattr(import_module("mindspore.common.seed"), "_KERNEL_SEED", {})


@contextmanager
def keeping_flags(network: nn.Cell) -> Iterator[list[nn.Cell]]:
    """All cells, whose train flags, gradient flags and phases are afterwards as they were before."""
    cells = [cell for _, cell in network.cells_and_names()]
    unasked = [cell for cell in cells if _FLAGS not in vars(cell)]  # asking for flags makes an empty set of them
    found = [(cell, cell.training, cell.requires_grad, cell.phase, dict(cell.get_flags())) for cell in cells]
    by_batch = [cell for cell in cells if vars(cell).get("use_batch_statistics")]
    try:
        yield cells
    finally:
        for cell, training, requires_grad, phase, flags in found:  # written only where changed: a cell writes slowly
            if cell.training != training:
                cell.add_flags(training=training)
            if cell.get_flags() != flags:
                cell.get_flags().clear()
                cell.get_flags().update(flags)
            if cell.requires_grad != requires_grad:
                cell.requires_grad = requires_grad
            if cell.phase != phase:
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
            if cell.requires_grad:
                cell.requires_grad = False
            if vars(cell).get("use_batch_statistics"):
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


class Written:
    """The parameters that a network writes in its passes: its first pass shows them, and all are put back after each.

    So every pass starts from what the user has, and leaves it. A pass that writes others than the first one did is not
    noticed.
    """

    def __init__(self, cell: nn.Cell) -> None:
        self._cell = cell
        self._found: list[tuple[Parameter, npt.NDArray[Any]]] | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Of these parameters, after a pass."""
        return tuple(parameter.name for parameter, _ in self._found or ())

    @contextmanager
    def put_back(self) -> Iterator[None]:
        """A pass runs within; afterwards parameters are as they were before, also if it raised."""
        first = self._found is None
        watched = self._found
        if watched is None:
            watched = [(one, exact_array(one)) for one in self._cell.get_parameters()]
        try:
            yield
        finally:
            if first:
                watched = [(one, values) for one, values in watched if exact_bytes(one) != values.tobytes()]
            for parameter, values in watched:
                parameter.set_data(Tensor(values.copy(), parameter.dtype))
            self._found = watched


@contextmanager
def keeping_random_state() -> Iterator[None]:
    """Within, random numbers may be drawn, of NumPy and of MindSpore; the user's next ones are as they were before.

    Where no one has called ``mindspore.set_seed``, MindSpore's own operations begin by chance: nothing is kept there.
    """
    numpy_state, generator, seeds = np.random.get_state(), ms.get_rng_state(), dict(_OPERATION_SEEDS)
    try:
        yield
    finally:
        np.random.set_state(numpy_state)
        ms.set_rng_state(generator)
        _OPERATION_SEEDS.clear()
        _OPERATION_SEEDS.update(seeds)
