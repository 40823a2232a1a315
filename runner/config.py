"""A run described in YAML, checked, and built into a runner. Keys are the constructors' own argument names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any, Literal

import mindspore as ms
from mindspore import nn
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from ..benchmarks import METRICS
from ..explainers import EXPLAINERS, Network
from ..summary_format.problems import nearest
from .datasets import csv_dataset, hdf5_dataset
from .entries import Entry, maker
from .examination import examine
from .image_classification_runner import ImageClassificationRunner
from .networks import load_network, make
from .opening import opening
from .plan import PlanError, first_line
from .samples import read_samples
from .sharding import Shard
from .yaml_files import yaml_mapping

ACTIVATIONS: Mapping[str, Callable[[], nn.Cell]] = {"sigmoid": nn.Sigmoid, "softmax": nn.Softmax}


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class NetworkSection(_Section):
    """The classifier: its factory ("package.module:factory", "file.py:factory", "mindcv:NAME") and its checkpoint."""

    factory: str
    options: dict[str, Any] = {}
    checkpoint: str | None = None


class DataSection(_Section):
    """The dataset: a factory of a MindSpore dataset, an HDF5 file, or a CSV of pictures; one of the three.

    Attributes:
        factory: "package.module:factory" or "file.py:factory", called with the options.
        hdf5: a file with images, and optionally labels and bboxes.
        csv: a file with the columns image, label and x, y, width, height.
        folder, size, channels: where the CSV's pictures are, and (height, width) and channels to bring them to.
    """

    factory: str | None = None
    options: dict[str, Any] = {}
    hdf5: str | None = None
    csv: str | None = None
    folder: str | None = None
    size: tuple[int, int] | None = None
    channels: int = 3

    @model_validator(mode="after")
    def _one_source(self) -> DataSection:
        if sum(source is not None for source in (self.factory, self.hdf5, self.csv)) != 1:
            raise ValueError("name one source: factory, hdf5 or csv")
        return self


class UncertaintySection(_Section):
    """Monte Carlo dropout."""

    samples: int = Field(default=20, ge=2)


class HierarchicalOcclusionSection(_Section):
    """Hierarchical occlusion, as ``register_hierarchical_occlusion`` takes it."""

    threshold: float = 0.5
    window_sides: list[int] | None = None
    strides: list[int] | None = None
    blur: int | None = None


class RunConfig(_Section):
    """A whole run.

    Attributes:
        summary_dir: where to write, relative to the working directory; all other paths are relative to the config.
        network: makes the Cell.
        activation: "sigmoid" (several labels an image) or "softmax" (one).
        data: makes the MindSpore dataset.
        class_names: in the order of the network's outputs, or the path of a text file with one a line.
        mean, std, seed, pass_size, strict, jit: as ``ImageClassificationRunner`` takes them.
        device: "CPU", "GPU", "Ascend", or "auto" for what MindSpore's setting says.
        uncertainty: how many dropout ``samples`` to estimate the spread of probabilities from.
        hierarchical_occlusion: the search for regions that suffice for a label; ``{}`` for its defaults.
        explainers, metrics: names, or one-entry mappings from a name to its options. The ``ood_net`` of RISEPlus is the
            path of a checkpoint, the ``explainer`` of NoiseTunnel an entry of its own.
        limit: only the first so many samples.
    """

    summary_dir: str
    network: NetworkSection
    activation: Literal["sigmoid", "softmax"]
    data: DataSection
    class_names: list[str | int] | str
    mean: list[float] | float | None = None
    std: list[float] | float | None = None
    seed: int = Field(default=0, ge=0)
    pass_size: int = Field(default=16, ge=1)
    strict: bool = False
    jit: Literal["auto", "on", "off"] = "auto"
    device: Literal["auto", "CPU", "GPU", "Ascend"] = "auto"
    explainers: list[Entry] = []
    metrics: list[Entry] = []
    uncertainty: UncertaintySection | None = None
    hierarchical_occlusion: HierarchicalOcclusionSection | None = None
    limit: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _something_to_do(self) -> RunConfig:
        if not self.explainers and self.hierarchical_occlusion is None:
            raise ValueError("name explainers, hierarchical_occlusion, or both")
        return self

    @field_validator("uncertainty", "hierarchical_occlusion", mode="before")
    @classmethod
    def _not_blank(cls, value: Any) -> Any:
        if value is None:
            raise ValueError("the key has no value; write {} for the defaults, or leave it out")
        return value

    @field_validator("jit", mode="before")
    @classmethod
    def _as_yaml_reads_it(cls, value: Any) -> Any:
        return {True: "on", False: "off"}.get(value, value) if isinstance(value, bool) else value


def load_config(path: str | Path, overrides: Mapping[str, Any] | None = None) -> tuple[RunConfig, list[str]]:
    """Read a config file.

    Args:
        path: the YAML file.
        overrides: values by dotted key ("data.options.count", "metrics.0.InsertionAUC.steps") that replace the file's.

    Returns:
        The config without its unknown keys, and a sentence on each of those, for ``build_runner`` to tell with what
        else is wrong.

    Raises:
        PlanError: if the file cannot be read, is no YAML mapping, or holds wrong values; all of those at once.
    """
    path = Path(path)
    try:
        content = yaml_mapping(path)
    except ValueError as error:
        raise PlanError([str(error)]) from error
    for key, value in (overrides or {}).items():
        _set(content, key, deepcopy(value))  # what is set and removed below is none of the caller's
    unknown: list[str] = []
    while True:
        try:
            return RunConfig.model_validate(content), unknown
        except ValidationError as error:
            found = error.errors()
            extra = [problem for problem in found if problem["type"] == "extra_forbidden"]
            unknown += [_said(problem) for problem in extra]
            if not extra:
                raise PlanError([*unknown, *map(_said, found)]) from error
            for problem in extra:
                _remove(content, problem["loc"])


def build_runner(
    config: RunConfig,
    problems: list[str],
    folder: Path = Path(),
    *,
    overwrite: bool = False,
    resume: bool = True,
    shard: Shard | None = None,
) -> ImageClassificationRunner:
    """The runner that the config describes, everything registered.

    Args:
        config: what to run.
        problems: what is known to be wrong already.
        folder: what the config's paths, but for summary_dir, are relative to.
        overwrite: as ``run`` will be told.
        resume: likewise.
        shard: likewise.

    Raises:
        PlanError: with everything wrong that can be found without a run, the problems given included.
    """
    problems = list(problems)

    def attempt(where: str, make_it: Callable[[], Any]) -> Any:
        try:
            return make_it()
        except Exception as error:
            problems.append(f"{where}: {error_line(error)}")
            return None

    attempt("device", partial(choose_device, config.device))
    network = attempt("network", partial(_network, config.network, folder))
    class_names = attempt("class_names", partial(class_names_of, config.class_names, folder)) or []
    dataset = attempt("data", partial(_dataset, config, folder, class_names))
    activation = ACTIVATIONS[config.activation]()
    given = {"network": network, "num_labels": len(class_names) or 1, "activation_fn": activation}
    registered: dict[str, list[Any]] = {}
    sections = (("explainers", EXPLAINERS, config.explainers), ("metrics", METRICS, config.metrics))
    for section, registry, entries in sections:
        makers = [
            attempt(f"{section}[{i}]", partial(maker, registry, entry, given, folder))
            for i, entry in enumerate(entries)
        ]
        made = [
            attempt(f"{section}[{i}]", make_it)
            for i, make_it in enumerate(makers)
            if make_it is not None and (network is not None or "network" not in make_it.keywords)
        ]
        registered[section] = [one for one in made if one is not None]
    if network is None or dataset is None or not class_names:
        raise PlanError(problems)
    runner = ImageClassificationRunner(
        config.summary_dir, (dataset, class_names), network, activation,
        mean=config.mean, std=config.std, seed=config.seed, pass_size=config.pass_size,
        strict=config.strict, jit=config.jit,
    )  # fmt: skip
    runner.config = config.model_dump(exclude={"summary_dir", "limit", "strict"})
    if registered["explainers"]:
        runner.register_saliency(registered["explainers"], registered["metrics"])
    if config.uncertainty is not None:
        runner.register_uncertainty(config.uncertainty.samples)
    if config.hierarchical_occlusion is not None:
        options = config.hierarchical_occlusion.model_dump()
        attempt("hierarchical_occlusion", partial(runner.register_hierarchical_occlusion, **options))
    if problems and (registered["explainers"] or config.hierarchical_occlusion is not None):
        plan = runner.plan(config.limit, shard)
        problems += opening(plan, overwrite=overwrite, resume=resume).problems
        problems += examine(plan, Network(network)).problems
    if problems:
        raise PlanError(problems)
    return runner


def network_of(path: Path) -> nn.Cell:
    """The network of a config file.

    Raises:
        PlanError: if it cannot be made.
    """
    config, _ = load_config(path)
    try:
        return _network(config.network, path.parent)
    except (ValueError, TypeError, ImportError, AttributeError, OSError, RuntimeError) as error:
        raise PlanError([f"network: {error_line(error)}"]) from error


def sample_shape(path: Path) -> tuple[int, ...]:
    """Shape (C, H, W) of the first image of a config's data.

    Raises:
        PlanError: if the data cannot be read or is empty.
    """
    config, _ = load_config(path)
    try:
        names = class_names_of(config.class_names, path.parent)
        sample = next(read_samples(_dataset(config, path.parent, names), len(names), 1), None)
    except (ValueError, TypeError, ImportError, AttributeError, OSError, RuntimeError) as error:
        raise PlanError([f"data: {error_line(error)}"]) from error
    if sample is None:
        raise PlanError(["the dataset is empty"])
    return sample.image.shape


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


def _remove(content: Any, where: tuple[Any, ...]) -> None:
    for part in where[:-1]:
        content = content[part]
    del content[where[-1]]


def _said(problem: Any) -> str:
    """One sentence on one of pydantic's findings."""
    where = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        sections: dict[Any, type[_Section]] = {
            "network": NetworkSection,
            "data": DataSection,
            "uncertainty": UncertaintySection,
            "hierarchical_occlusion": HierarchicalOcclusionSection,
        }
        section = RunConfig if len(problem["loc"]) == 1 else sections[problem["loc"][0]]
        return f"unknown key {where!r}; {nearest(str(problem['loc'][-1]), section.model_fields)}"
    if problem["type"] == "missing":
        return f"the key {where!r} is missing"
    if problem["type"] in ("model_type", "model_attributes_type", "dict_type"):
        return f"{where} must be a mapping of options, {{}} for the defaults, got {problem['input']!r}"
    message = problem["msg"].removeprefix("Value error, ")
    return f"{where}: {message[0].lower()}{message[1:]}, got {problem['input']!r}"


def choose_device(device: str) -> None:
    """Have MindSpore run on a device from now on; "auto" leaves it where it is."""
    if device not in ("auto", ms.get_context("device_target")):
        ms.set_device(device)


def _network(section: NetworkSection, folder: Path) -> nn.Cell:
    return load_network(section.factory, section.checkpoint, folder, **section.options)


def class_names_of(given: list[str | int] | str, folder: Path) -> list[str]:
    """Class names that are listed, or stand one a line in a file of the folder.

    Raises:
        ValueError: if there are none.
        OSError: if the file cannot be read.
    """
    names = (
        [str(name) for name in given]
        if isinstance(given, list)
        else (folder / given).read_text("utf-8-sig").removesuffix("\n").split("\n")  # no other character ends a line
    )
    if not names or names == [""]:
        raise ValueError("there are none")
    return names


def _dataset(config: RunConfig, folder: Path, class_names: list[str]) -> Any:
    section, statistics = config.data, {"mean": config.mean, "std": config.std}
    if section.hdf5 is not None:
        return hdf5_dataset(folder / section.hdf5, **statistics)
    if section.csv is not None:
        pictures = None if section.folder is None else folder / section.folder
        return csv_dataset(folder / section.csv, class_names, pictures, section.size, section.channels, **statistics)
    return make(section.factory or "", folder, **section.options)


def error_line(error: Exception) -> str:
    """What an error says, in one line, with its kind where its words alone do not tell."""
    line = first_line(error)
    plain = isinstance(error, (ValueError, OSError, ImportError)) or line == type(error).__name__
    return line if plain else f"{type(error).__name__}: {line}"
