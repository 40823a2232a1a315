"""Networks that a config or a command names."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

from mindspore import nn

from ...summary_format.errors import nearest
from ...summary_format.problem import Problem
from ..checkpoints.loading import load_checkpoint, located

FORMS = "'package.module:factory', 'path/to/file.py:factory' or 'mindcv:NAME'"


def make(spec: str, folder: Path = Path(), /, **options: Any) -> Any:
    """What a factory makes.

    Args:
        spec: "package.module:factory", "path/to/file.py:factory" or "mindcv:NAME".
        folder: what a file's path is relative to.
        options: for the factory.

    Raises:
        ValueError: if the spec has another form, or its module or model has no such name; the nearest are offered.
        ImportError: if the module, or MindCV, is not there.
        OSError: if the file cannot be read.
    """
    where, colon, name = spec.rpartition(":")
    if not colon or not where or not name:
        words = "{spec!r} is not of the form {forms}"
        raise ValueError(Problem.of("factory-malformed", words, spec=spec, forms=FORMS))
    if where == "mindcv":
        return _from_mindcv(name, **options)
    module = _from_file(folder / where) if where.endswith(".py") else _imported(where, folder)
    factory = getattr(module, name, None)
    if not callable(factory):
        known = [known for known, value in vars(module).items() if callable(value) and not known.startswith("_")]
        words = "{module} has no factory {name!r}; {nearest}"
        raise ValueError(Problem.of("factory-unknown", words, module=where, name=name, nearest=nearest(name, known)))
    return factory(**options)


def load_network(spec: str, checkpoint: str | Path | None = None, folder: Path = Path(), **options: Any) -> nn.Cell:
    """A network with its checkpoint loaded.

    Args:
        spec: as in ``make``.
        checkpoint: one that fits it exactly, ``.ckpt`` of MindSpore, ``.pth`` of PyTorch or ``.safetensors``: a path,
            or "package:path" of a file in an installed package.
        folder: what paths are relative to.
        options: for the factory.

    Raises:
        TypeError: if the factory makes no ``mindspore.nn.Cell``.
        ValueError: if the checkpoint is none or does not fit, saying which parameters differ; else as ``make``.
        ImportError: if the package that it lies in is not installed; else as ``make``.
        OSError: if a file cannot be read.
    """
    network = make(spec, folder, **options)
    if not isinstance(network, nn.Cell):
        words = "{spec} must make a mindspore.nn.Cell, it made a {kind}"
        raise TypeError(Problem.of("factory-made-no-cell", words, spec=spec, kind=type(network).__name__))
    if checkpoint is not None:
        load_checkpoint(network, located(checkpoint, folder))
    return network


def _imported(name: str, folder: Path) -> Any:
    """A module that Python finds, or that lies in the folder."""
    with _found_in(folder):
        return import_module(name)


@contextmanager
def _found_in(folder: Path) -> Iterator[None]:
    """Within, modules in a folder are found as well.

    Raises:
        ModuleNotFoundError: if one is not, saying where it was looked for.
    """
    own = str(folder.absolute())
    lacking = own not in sys.path
    if lacking:
        sys.path.append(own)
    try:
        yield
    except ModuleNotFoundError as error:
        words = "{said}; modules on Python's path and in {folder} are found"
        problem = Problem.of("module-not-found", words, said=str(error), folder=folder.absolute())
        raise ModuleNotFoundError(problem) from error
    finally:
        if lacking and own in sys.path:
            sys.path.remove(own)


def _from_file(path: Path) -> Any:
    if not path.is_file():
        raise FileNotFoundError(Problem.of("file-missing", "no file {file}", file=path))
    name = f"explainrun_user_{path.stem}"
    spec = spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(Problem.of("file-not-importable", "{file} cannot be imported", file=path))
    module = module_from_spec(spec)
    sys.modules[name] = module  # MindSpore looks up the source of a Cell's module
    with _found_in(path.parent):
        spec.loader.exec_module(module)
    return module


def _from_mindcv(name: str, **options: Any) -> Any:
    try:
        models = import_module("mindcv.models")
    except ImportError as error:
        words = "mindcv: names need MindCV; pip install 'explainrun[mindcv]'"
        raise ImportError(Problem.of("mindcv-missing", words)) from error
    known = models.list_models()
    if name not in known:
        words = "MindCV has no model {name!r}; {nearest}"
        raise ValueError(Problem.of("model-unknown", words, name=name, nearest=nearest(name, known)))
    return models.create_model(name, **options)
