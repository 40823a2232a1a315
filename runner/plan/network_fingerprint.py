"""What a network is, as far as it can be read off it: its parameters, and its structure.

Neither depends on the process or on how the network was written: of a cell's constructor arguments, which MindSpore
keeps as text, those that say how weights begin hold addresses and random numbers, and say nothing of weights that are
there. What only running shows is left to the probe (``explainers.network.probing``).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from types import FunctionType, MappingProxyType
from typing import Any

from mindspore import Tensor, nn

from ...explainers.network.tensors import exact_bytes
from .code_fingerprint import DIGEST_LENGTH, named_code, unversioned_code
from .mindspore_values import without_seeds

_ADDRESS = re.compile(r"0x[0-9a-f]{6,}")
# Text of the constructor's arguments, how weights begin, seeds that are drawn for each layer, and where it runs.
_SAYS_NOTHING = re.compile(r"_?cell_init_args|.*_init|_?seed[01]?|_target|parallel_mode", re.IGNORECASE)
_DROPOUT = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)
_OF_EVERY_CELL = {*vars(nn.Cell()), "_func_graph_flags"}  # the latter comes with a cell's first hook


def network_identity(network: nn.Cell) -> dict[str, str]:
    """The class of a network, and checksums of its parameters and of its structure."""
    return {
        "class": type(network).__name__,
        "parameters": parameters_digest(network),
        "structure": structure_digest(network),
    }


def parameters_digest(cell: nn.Cell, known: Mapping[int, str] = MappingProxyType({})) -> str:
    """A checksum of a cell's parameters and buffers, bit by bit.

    Args:
        cell: whose.
        known: names by the ids of cells whose own do not count.
    """
    digest = hashlib.sha256()
    of_known = {id(one) for _, inner in cell.cells_and_names() if id(inner) in known for one in inner.get_parameters()}
    for name, values in _values(cell):
        if id(values) not in of_known:
            digest.update(f"{name} {values.shape} {values.dtype}".encode())
            digest.update(exact_bytes(values))
    return digest.hexdigest()[:DIGEST_LENGTH]


def structure_digest(cell: nn.Cell, known: Mapping[int, str] = MappingProxyType({})) -> str:
    """A checksum of a cell's layers: their names, classes, the options of MindSpore's own, the code of all others.

    Of the latter also functions that they hold count, and the rate of a dropout layer. What else they hold may change
    from call to call.

    Args:
        cell: whose.
        known: names by the ids of cells that are described elsewhere, of which only those names count.
    """
    digest = hashlib.sha256()
    code = cache(unversioned_code)  # a large network has few classes, and reading one takes long
    for name, inner in cell.cells_and_names():
        said = known.get(id(inner)) or f"{type(inner).__qualname__} {_primitives(inner)} {_kept(inner, code)}"
        digest.update(f"{name} {said}".encode())
    return digest.hexdigest()[:DIGEST_LENGTH]


def held_values(cell: nn.Cell) -> dict[str, Any]:
    """What a cell holds beside what MindSpore keeps of every cell."""
    inside = {*map(id, cell.cells()), *map(id, cell.get_parameters())}
    return {name: value for name, value in vars(cell).items() if name not in _OF_EVERY_CELL and id(value) not in inside}


def is_mindspores(kind: type[Any]) -> bool:
    """Whether a class is one of MindSpore's own."""
    return kind.__module__.partition(".")[0] == "mindspore"


def _values(cell: nn.Cell) -> Iterator[tuple[str, Tensor]]:
    yield from cell.parameters_and_names()
    if hasattr(cell, "named_buffers"):  # since MindSpore 2.8
        yield from ((name, buffer) for name, buffer in cell.named_buffers() if buffer is not None)


def _primitives(cell: nn.Cell) -> str:
    return _ADDRESS.sub("", without_seeds(repr(list(getattr(cell, "_primitives", {}).values()))))


def _kept(cell: nn.Cell, code: Callable[[Any], str]) -> str:
    """What distinguishes a layer from others of its class, or of its name."""
    held = sorted(vars(cell).items())
    if is_mindspores(type(cell)):
        return repr(_plain_options(held))
    functions = [(name, named_code(value)) for name, value in held if isinstance(value, FunctionType)]
    rates = [
        option for option in _plain_options(held) if isinstance(cell, _DROPOUT) and option[0] in ("p", "keep_prob")
    ]
    return repr((code(type(cell)), functions, rates))


def _plain_options(held: Iterable[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """Those options that are plain values, hence the same in every process."""
    return [
        (name, value)
        for name, value in held
        if name not in _OF_EVERY_CELL and not _SAYS_NOTHING.fullmatch(name) and _is_plain(value)
    ]


def _is_plain(value: Any) -> bool:
    if type(value) in (list, tuple):
        return all(map(_is_plain, value))
    return type(value) in (bool, int, float, type(None)) or (type(value) is str and not _ADDRESS.search(value))
