"""A run described in YAML, checked, and built into a runner. Keys are the constructors' own argument names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import mindspore as ms
from mindspore import nn

from ...benchmarks import METRICS
from ...explainers import EXPLAINERS, ImportedMaps
from ...summary_format.imported_maps.map_store import MapStore
from ...summary_format.problem import Problem
from ...summary_format.untrusted.regular_files import read_regular
from ..data.class_names import class_names_from
from ..data.file_datasets import csv_dataset, folder_dataset, hdf5_dataset, mindrecord_dataset, npz_dataset
from ..data.samples import EMPTY_DATASET, read_samples
from ..execution.preflight import preflight_check
from ..execution.resume import resume_decision
from ..image_classification_runner import ImageClassificationRunner
from ..plan.options import UNCOMPARED
from ..plan.questions import TRUTH_AND_CONFIDENT
from ..plan.sharding import Shard
from ..problems import PlanError, Problems, problem_of
from .components import component_factory
from .factories import load_network, make
from .schema import ACTIVATIONS, NetworkSection, RunConfig, load_config


def build_runner(
    config: RunConfig,
    problems: Sequence[str],
    folder: Path = Path(),
    *,
    overwrite: bool = False,
    resume: bool = True,
    shard: Shard | None = None,
    stores: Mapping[str, MapStore] | None = None,
    computes: bool = True,
) -> ImageClassificationRunner:
    """The runner that the config describes, everything registered.

    Args:
        config: what to run.
        problems: what is known to be wrong already.
        folder: what the config's paths, but for summary_dir, are relative to.
        overwrite: as ``run`` will be given it.
        resume: as ``run`` will be given it.
        shard: as ``run`` will be given it.
        stores: by name, imported maps that are there already, so that no file need be read.
        computes: whether this process will run it, hence needs the config's device.

    Raises:
        PlanError: with everything wrong that can be found without a run, the problems given included.
    """
    found = Problems(map(Problem.from_text, problems))
    if computes:
        found.attempt("device", partial(choose_device, config.device))
    parts = _parts(config, folder, found, stores or {})
    if parts.network is None or parts.dataset is None or not parts.class_names:
        raise PlanError(found)
    runner = _registered(config, folder, parts, found)
    if found and (parts.explainers or config.hierarchical_occlusion is not None):
        plan = runner.plan(config.limit, shard)
        found += resume_decision(plan, overwrite=overwrite, resume=resume).problems
        found += preflight_check(plan, plan.opened()).problems
    found.raise_if_any()
    runner.maker = partial(_made_again, config.model_dump(exclude_unset=True), folder.absolute())
    return runner


def _made_again(values: dict[str, Any], folder: Path) -> ImageClassificationRunner:
    """The runner of a config that was built before, perhaps in another process."""
    return build_runner(RunConfig.model_validate(values), (), folder)


def runner_from(spec: str, folder: str | Path = Path(), /, **options: Any) -> ImageClassificationRunner:
    """The runner that a function of yours makes and registers, so that workers of an engine can make it too.

    Args:
        spec: "path/to/file.py:function" or "package.module:function".
        folder: what a file's path is relative to.
        options: for the function; plain values, or others that can be pickled.

    Returns:
        What the function returns, which must be an ``ImageClassificationRunner``.

    Raises:
        PlanError: if there is no such function, it fails, or makes something else.
    """
    try:
        runner = make(spec, Path(folder), **options)
    except Exception as error:  # it is the user's
        raise PlanError([problem_of(error).at(spec)]) from error
    if not isinstance(runner, ImageClassificationRunner):
        words = "{spec} must return an ImageClassificationRunner, it returned a {kind}"
        raise PlanError([Problem.of("factory-made-no-runner", words, spec=spec, kind=type(runner).__name__)])
    runner.maker = partial(runner_from, spec, Path(folder).absolute(), **options)
    return runner


@dataclass(frozen=True, kw_only=True)
class _Parts:
    """What the sections of a config make; None, or nothing, of what is wrong.

    Attributes:
        network: to be explained.
        dataset: where samples come from.
        class_names: name of each label.
        activation: from logits to probabilities.
        explainers: those that could be made.
        metrics: those that could be made.
    """

    network: nn.Cell | None
    dataset: Any
    class_names: list[str]
    activation: nn.Cell
    explainers: list[Any]
    metrics: list[Any]


def _parts(config: RunConfig, folder: Path, problems: Problems, stores: Mapping[str, MapStore]) -> _Parts:
    network = problems.attempt("network", partial(_network, config.network, folder))
    class_names = problems.attempt("class_names", partial(class_names_of, config.class_names, folder)) or []
    dataset = problems.attempt("data", partial(dataset_of, config, folder, class_names))
    activation = ACTIVATIONS[config.activation]()
    given = {"network": network, "num_labels": len(class_names) or 1, "activation_fn": activation}
    statistics = {"mean": config.mean, "std": config.std}
    factory_of = partial(component_factory, given=given, folder=folder, statistics=statistics)
    explainers = _made("explainers", config.explainers, partial(factory_of, EXPLAINERS), network, problems)
    for name, section in config.imported.items() if network is not None else ():
        make_it = partial(ImportedMaps, network, stores.get(name, folder / section.path), section.source, name)
        explainers.append(problems.attempt(f"imported.{name}", make_it))
    return _Parts(
        network=network,
        dataset=dataset,
        class_names=class_names,
        activation=activation,
        explainers=[one for one in explainers if one is not None],
        metrics=_made("metrics", config.metrics, partial(factory_of, METRICS), network, problems),
    )


def _made(
    section: str,
    entries: Sequence[Any],
    factory_of: Callable[[Any], partial[Any]],
    network: nn.Cell | None,
    problems: Problems,
) -> list[Any]:
    """What the entries of a section make; what is wrong is left out, and what needs a network where there is none."""
    made = []
    for i, entry in enumerate(entries):
        where = f"{section}[{i}]"
        make_it = problems.attempt(where, partial(factory_of, entry))
        if make_it is not None and (network is not None or "network" not in make_it.keywords):
            made.append(problems.attempt(where, make_it))
    return [one for one in made if one is not None]


def _registered(config: RunConfig, folder: Path, parts: _Parts, problems: Problems) -> ImageClassificationRunner:
    """A runner of the parts, with everything registered that the config names."""
    data = (parts.dataset, parts.class_names)
    checked = problems.attempt("", partial(config.options.of_classes, parts.class_names))
    options = (checked or config.options.model_copy(update={"labels": TRUTH_AND_CONFIDENT})).model_dump()
    runner = ImageClassificationRunner(config.summary_dir, data, parts.network, parts.activation, **options)
    said = config.model_dump(exclude={"summary_dir", "limit", "engine", *UNCOMPARED})
    runner.config = {**said, "folder": str(folder.absolute())}
    if parts.explainers:
        runner.register_saliency(parts.explainers, parts.metrics)
    if config.uncertainty is not None:
        runner.register_uncertainty(config.uncertainty.samples)
    if config.hierarchical_occlusion is not None:
        register = partial(runner.register_hierarchical_occlusion, **config.hierarchical_occlusion.model_dump())
        problems.attempt("hierarchical_occlusion", register)
    if config.nearest_samples is not None:
        register = partial(runner.register_nearest_samples, **config.nearest_samples.model_dump())
        problems.attempt("nearest_samples", register)
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
        raise PlanError([problem_of(error).at("network")]) from error


def sample_shape(path: Path) -> tuple[int, ...]:
    """Shape (C, H, W) of the first image of a config's data that can be read.

    Raises:
        PlanError: if the data cannot be read or is empty.
    """
    config, _ = load_config(path)
    try:
        names = class_names_of(config.class_names, path.parent)
        samples = read_samples(dataset_of(config, path.parent, names), len(names), tolerant=True)
        sample = next((sample for sample in samples if sample.broken is None), None)
    except (ValueError, TypeError, ImportError, AttributeError, OSError, RuntimeError) as error:
        raise PlanError([problem_of(error).at("data")]) from error
    if sample is None:
        raise PlanError([EMPTY_DATASET])
    return sample.image.shape


def choose_device(device: str) -> None:
    """Have MindSpore run on a device from now on; "auto" leaves it where it is."""
    if device not in ("auto", ms.get_context("device_target")):
        ms.set_device(device)


def _network(section: NetworkSection, folder: Path) -> nn.Cell:
    return load_network(section.factory, section.checkpoint, folder, **section.options)


def class_names_of(given: list[str | int] | dict[int, str | int] | str, folder: Path) -> list[str]:
    """Class names that are listed, stand by index, or one per line in a file of the folder; repeated ones numbered.

    Raises:
        ValueError: if there are none.
        OSError: if the file cannot be read.
    """
    if isinstance(given, str):
        text = read_regular(folder / given).decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
        given = list[str | int](text.removesuffix("\n").split("\n"))  # no other character ends a line
    plain = {key: str(name) for key, name in given.items()} if isinstance(given, dict) else list(map(str, given))
    if not plain or plain == [""]:
        raise ValueError(Problem.of("no-class-names", "there are none"))
    return list(class_names_from(plain))


def dataset_of(config: RunConfig, folder: Path, class_names: list[str]) -> Any:
    """The dataset of a config whose paths are relative to a folder.

    Raises:
        ValueError: if it cannot be made, as do ImportError and OSError; a factory of the user's may raise anything.
    """
    section, statistics = config.data, {"mean": config.mean, "std": config.std}
    pictures: dict[str, Any] = {"size": section.size, "channels": section.channels, **statistics}
    if section.hdf5 is not None:
        return hdf5_dataset(folder / section.hdf5, **statistics)
    if section.npz is not None:
        return npz_dataset(folder / section.npz, **statistics)
    if section.csv is not None:
        place = None if section.folder is None else folder / section.folder
        return csv_dataset(folder / section.csv, class_names, place, **pictures)
    if section.image_folder is not None:
        return folder_dataset(folder / section.image_folder, class_names, **pictures)
    if section.mindrecord is not None:
        return mindrecord_dataset(folder / section.mindrecord, section.columns, **pictures)
    return make(section.factory or "", folder, **section.options)
