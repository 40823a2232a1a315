"""By what a network is known again between calls: a graph of it holds only as long as this stays the same."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import google_crc32c
import mindspore as ms
from mindspore import Tensor, nn

from ..tensors import exact_bytes

# Of these passes take care themselves, or they come with a cell's first call.
_IN_EVERY_PASS = {
    "training",
    "phase",
    "requires_grad",
    "_func_graph_flags",
    "use_batch_statistics",
    "_cells",
    "_params",
}
_OF_EVERY_CELL = {*vars(nn.Cell())} - {"_forward_hook", "_forward_pre_hook"}


def cell_state(network: nn.Cell) -> int:
    """A number that changes when a parameter, a layer, a hook, a flag or a plain attribute of the network does."""
    checksum = 0
    for name, cell in network.cells_and_names():
        checksum = google_crc32c.extend(checksum, repr((name, id(cell), *_attributes(cell))).encode())
    for name, values in network.parameters_and_names():
        checksum = google_crc32c.extend(checksum, f"{name} {values.shape} {values.dtype}".encode())
        checksum = google_crc32c.extend(checksum, _content(values))
    return checksum


def _content(values: Tensor) -> bytes:
    """The values of a parameter, copied once only, since this is done at every call."""
    return values.asnumpy().tobytes() if values.dtype != ms.bfloat16 else exact_bytes(values)


def _attributes(cell: nn.Cell) -> Iterator[tuple[str, Any]]:
    flags = vars(cell).get("_func_graph_flags") or {}
    yield from sorted((name, repr(value)) for name, value in flags.items() if name != "training")
    for name, value in vars(cell).items():
        if name.endswith(("_forward_hook", "_forward_pre_hook")):
            if value:
                yield name, len(value)
        elif name not in _OF_EVERY_CELL and name not in _IN_EVERY_PASS:
            yield name, _known(value)


def _known(value: Any) -> Any:
    """What tells a value from others: itself where it is plain, else which object it is."""
    if isinstance(value, (bool, int, float, str, type(None))):
        return value
    if type(value) in (tuple, list):
        return [_known(one) for one in value]
    if isinstance(value, Tensor):
        return exact_bytes(value)
    return id(value)
