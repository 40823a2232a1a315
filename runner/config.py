"""A run described in YAML, checked, and built into a runner. Keys are the constructors' own argument names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import Any, Literal

import mindspore as ms
import yaml
from mindspore import nn
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ..benchmarks import METRICS
from ..explainers import EXPLAINERS, Registry
from ..explainers.registry import nearest
from .image_classification_runner import ImageClassificationRunner
from .plan import PlanError

ACTIVATIONS: Mapping[str, Callable[[], nn.Cell]] = {"sigmoid": nn.Sigmoid, "softmax": nn.Softmax}


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Factory(_Section):
    """Something a Python function makes: "package.module:function" and its arguments."""

    factory: str = Field(pattern=r"^[\w.]+:[\w.]+$")
    options: dict[str, Any] = {}


class NetworkSection(Factory):
    """The classifier, and the checkpoint to load into it (relative to the config file)."""

    checkpoint: str | None = None


class RunConfig(_Section):
    """A whole run.

    Attributes:
        summary_dir: where to write, relative to the working directory.
        network: makes the Cell.
        activation: "sigmoid" (several labels an image) or "softmax" (one).
        data: makes the MindSpore dataset.
        class_names: in the order of the network's outputs.
        mean, std, seed, pass_size: as ``ImageClassificationRunner`` takes them.
        explainers, metrics: names, or one-entry mappings from a name to its options.
        limit: only the first so many samples.
    """

    summary_dir: str
    network: NetworkSection
    activation: Literal["sigmoid", "softmax"]
    data: Factory
    class_names: list[str]
    mean: list[float] | float | None = None
    std: list[float] | float | None = None
    seed: int = 0
    pass_size: int = Field(default=16, ge=1)
    explainers: list[str | dict[str, dict[str, Any] | None]] = Field(min_length=1)
    metrics: list[str | dict[str, dict[str, Any] | None]] = []
    limit: int | None = Field(default=None, ge=1)


def load_config(path: str | Path, overrides: Mapping[str, Any] | None = None) -> RunConfig:
    """Read a config file.

    Args:
        path: the YAML file.
        overrides: values by dotted key ("data.options.count") that replace the file's.

    Raises:
        PlanError: if the file cannot be read, is no YAML mapping, or holds unknown keys or wrong values; all of those
            at once.
    """
    path = Path(path)
    try:
        content = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise PlanError([f"cannot read {path}: {' '.join(str(error).split())}"]) from error
    if not isinstance(content, dict):
        raise PlanError([f"{path} must hold a mapping, it holds {type(content).__name__}"])
    for key, value in (overrides or {}).items():
        _set(content, key, value)
    try:
        config = RunConfig.model_validate(content)
    except ValidationError as error:
        raise PlanError([_said(problem) for problem in error.errors()]) from error
    return _beside(config, path.parent)


def build_runner(config: RunConfig) -> ImageClassificationRunner:
    """The runner that the config describes, everything registered.

    Raises:
        PlanError: with everything in it that cannot be made.
    """
    problems: list[str] = []

    def attempt(where: str, make: Callable[[], Any]) -> Any:
        try:
            return make()
        except (ValueError, TypeError, ImportError, AttributeError, OSError, RuntimeError) as error:
            problems.append(f"{where}: {_first_line(error)}")
            return None

    network = attempt("network", partial(_network, config.network))
    dataset = attempt("data", partial(_made, config.data))
    activation = ACTIVATIONS[config.activation]()
    given = {"network": network, "num_labels": len(config.class_names), "activation_fn": activation}
    sections = (("explainers", EXPLAINERS, config.explainers), ("metrics", METRICS, config.metrics))
    makers = {
        section: [
            attempt(f"{section}[{i}]", partial(_maker, registry, entry, given)) for i, entry in enumerate(entries)
        ]
        for section, registry, entries in sections
    }
    if problems:
        raise PlanError(problems)
    made = {
        section: [attempt(f"{section}[{i}]", make) for i, make in enumerate(of_section)]
        for section, of_section in makers.items()
    }
    if problems:
        raise PlanError(problems)
    runner = ImageClassificationRunner(
        config.summary_dir, (dataset, config.class_names), network, activation,
        mean=config.mean, std=config.std, seed=config.seed, pass_size=config.pass_size,
    )  # fmt: skip
    runner.register_saliency(made["explainers"], made["metrics"])
    return runner


def _set(content: dict[str, Any], key: str, value: Any) -> None:
    """Replace the value at a dotted key; a number picks an element of a list, a missing mapping is made."""
    inner: Any = content
    *sections, last = key.split(".")
    for depth, section in enumerate((*sections, last)):
        if isinstance(inner, list) and section.isdigit() and int(section) < len(inner):
            place: Any = int(section)
        elif isinstance(inner, dict):
            place = section
        else:
            above = ".".join(sections[:depth])
            raise PlanError([f"cannot set {key}: {above} is neither a mapping nor a list with an element {section}"])
        if depth == len(sections):
            inner[place] = value
        else:
            inner = inner[place] if isinstance(inner, list) else inner.setdefault(place, {})


def _said(problem: Any) -> str:
    """One sentence on one of pydantic's findings."""
    where = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        known = RunConfig.model_fields if len(problem["loc"]) == 1 else NetworkSection.model_fields
        return f"unknown key {where!r}; {nearest(str(problem['loc'][-1]), known)}"
    if problem["type"] == "missing":
        return f"the key {where!r} is missing"
    return f"{where}: {problem['msg'][0].lower()}{problem['msg'][1:]}, got {problem['input']!r}"


def _beside(config: RunConfig, folder: Path) -> RunConfig:
    """The config with its checkpoint's path made relative to the config file's folder."""
    if config.network.checkpoint is None:
        return config
    network = config.network.model_copy(update={"checkpoint": str(folder / config.network.checkpoint)})
    return config.model_copy(update={"network": network})


def _made(section: Factory) -> Any:
    module, _, name = section.factory.partition(":")
    return getattr(import_module(module), name)(**section.options)


def _network(section: NetworkSection) -> nn.Cell:
    network = _made(section)
    if not isinstance(network, nn.Cell):
        raise TypeError(f"{section.factory} must make a mindspore.nn.Cell, it made a {type(network).__name__}")
    if section.checkpoint is not None:
        missing, unused = ms.load_param_into_net(network, ms.load_checkpoint(section.checkpoint), strict_load=True)
        if missing or unused:
            raise ValueError(
                f"the checkpoint {section.checkpoint} does not fit: it lacks {missing or 'nothing'} "
                f"and has {unused or 'nothing'} too much"
            )
    return network


def _maker(
    registry: Registry, entry: str | dict[str, dict[str, Any] | None], given: Mapping[str, Any]
) -> Callable[[], Any]:
    """What makes the thing that an entry names, handed those given arguments that its constructor takes."""
    if isinstance(entry, dict) and len(entry) != 1:
        raise ValueError(f"an entry is a name or a mapping from one name to its options, got {entry}")
    name, options = (entry, None) if isinstance(entry, str) else next(iter(entry.items()))
    made = registry[name]
    parameters = signature(made).parameters
    for option in options or {}:
        if option not in parameters or option in given:
            raise ValueError(f"{name} has no option {option!r}; {nearest(option, set(parameters) - set(given))}")
    return partial(made, **{key: value for key, value in given.items() if key in parameters}, **(options or {}))


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
