"""Networks, options and functions in plain values: what JSON gives back as it was, and what tells two of them apart."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from functools import partial
from inspect import signature
from pathlib import Path
from types import FunctionType
from typing import Any

import numpy as np
from mindspore import Tensor, nn

from ..explainers import Explainer
from ..explainers.tensors import as_array
from .own_code import DIGEST_LENGTH, checksum, own_code

_SEEDS = re.compile(r"Seed[01]=\d+")
_LEFT_OUT = ("network", "num_labels", "name")  # the plan has those itself
_OPTIONS = (bool, int, float, str, tuple)


def options_of(thing: Any) -> dict[str, Any]:
    """The class of an explainer or metric and its options, by the names under which its constructor takes them.

    Read from attributes of the same names, or with an underscore before; others are not known.
    """
    thing = getattr(thing, "member", thing)
    given = {name: getattr(thing, name, getattr(thing, f"_{name}", ...)) for name in signature(type(thing)).parameters}
    options = {name: value for name, value in given.items() if value is not ... and name not in _LEFT_OUT}
    return {"class": type(thing).__name__, **_source(type(thing)), **options}


def network_digest(network: nn.Cell) -> str:
    """A checksum of a network: its layers, the options of those that are MindSpore's own, and all parameters.

    Of the user's own layers the code counts, with the user's functions and classes that it names, and functions that
    they hold; what else they hold beside parameters and MindSpore's layers is not known, since it may change from call
    to call. The seeds that MindSpore draws for a dropout layer say nothing either.
    """
    digest, of_every_cell = hashlib.sha256(), vars(nn.Cell()).keys()
    for name, cell in network.cells_and_names():
        primitives = _SEEDS.sub("", repr(list(getattr(cell, "_primitives", {}).values())))
        digest.update(f"{name} {type(cell).__qualname__} {primitives}".encode())
        if type(cell).__module__.startswith("mindspore."):
            options = sorted((key, value) for key, value in vars(cell).items() if key not in of_every_cell)
            digest.update(repr([(key, value) for key, value in options if isinstance(value, _OPTIONS)]).encode())
        else:
            held = [plain(value) for _, value in sorted(vars(cell).items()) if isinstance(value, FunctionType)]
            digest.update(repr((_source(type(cell)), held)).encode())
    for name, parameter in network.parameters_and_names():
        digest.update(f"{name} {parameter.shape} {parameter.dtype}".encode())
        digest.update(as_array(parameter).tobytes())
    return digest.hexdigest()[:DIGEST_LENGTH]


def plain(value: Any) -> Any:  # noqa: C901, PLR0911
    """What JSON gives back as it was: arrays, Cells and functions become their name and a checksum."""
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(inner) for inner in value]
    if isinstance(value, (set, frozenset)):
        return sorted(map(repr, value))
    if isinstance(value, (bool, int, float, str, type(None))):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, (np.ndarray, Tensor)):
        array = as_array(value)
        return f"array {array.shape} {checksum(array.tobytes())}"
    if isinstance(value, nn.Cell):
        return f"{type(value).__qualname__} {network_digest(value)}"
    if isinstance(value, Explainer):
        return plain(options_of(value))
    if isinstance(value, FunctionType):
        return f"{value.__qualname__} {_code_digest(value)}"
    if isinstance(value, (bytes, Path)):
        return repr(value)
    return _callable(value) if callable(value) and not isinstance(value, type) else _kind(value)


def _kind(value: Any) -> str:
    return str(getattr(value, "__qualname__", type(value).__qualname__))


def _callable(value: Any) -> Any:
    """An object that can be called: its class, the class's code, and what the object holds."""
    if isinstance(value, partial):
        return {"partial": plain(value.func), "arguments": plain(value.args), "keywords": plain(value.keywords)}
    held = getattr(value, "__dict__", {})
    return {"object": _kind(value), **_source(type(value)), **plain(held)} if held else _kind(value)


def _source(kind: type[Any]) -> dict[str, str]:
    """A checksum of a class's code and of what that names; nothing for our own, which have a version, or builtins."""
    if kind.__module__.startswith("explainrun.") or kind.__module__ == "builtins":
        return {}
    return {"code": own_code(kind)}


def _code_digest(function: FunctionType) -> str:
    """A checksum of what a function does: its code and what that names, its defaults and the values closed over."""
    closed = [plain(cell.cell_contents) for cell in function.__closure__ or ()]
    defaults = plain([function.__defaults__, function.__kwdefaults__])
    return checksum(repr((own_code(function), defaults, closed)).encode())
